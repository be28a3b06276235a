"""The one sender: what the page gets, and when. The computing thread never waits for a page.

There is no queue. What is new is only a flag, and what is sent is evaluated when it is its turn, so a slow page gets
fewer frames and never old ones, and the last one always goes out. Nor may one come about elsewhere: a slow link keeps
what it has not yet carried, and a notebook's server all that is sent to a page that is gone, until it comes back.
"""

import atexit
import contextvars
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from simwidget.result.similarity_result import SimilarityResult
from simwidget.widget.details import encode_detail
from simwidget.widget.encoding import axes_of, encode_frame, encode_snapshot, info_of
from simwidget.widget.protocol import Selection
from simwidget.widget.sources import Source, Still

LOG = logging.getLogger("simwidget")

ACKNOWLEDGED_WITHIN = 1.0
"""Seconds after which a frame that a page has not acknowledged no longer holds the next one back, on a fast link."""
MAX_PATIENCE = 30.0
"""Seconds that a page is waited for at most, whatever its link."""
LOST_AFTER = 3
"""Frames in a row that a page has missed when it is taken to be gone."""
BEAT_EVERY = 2.0
SAVE_EVERY = 10.0
DEAF_AFTER = 5.0
"""Seconds without any acknowledgement until frames are taken to be lost and the saved state stands in for them."""
DEAF_SAVE_EVERY = 2.0
UNHEARD_SHARE = 0.1
"""While no page answers, this share of the time since one did passes between two frames, and between two savings."""
MAX_TIMES = 16
"""Frames whose moment of sending is remembered."""
SETTLED_AFTER = 0.2
"""Seconds without a change after which a run that holds is saved."""
STILL_AFTER = 1.0
"""The same for a result: others may be shown in its place, many a second."""
DETAIL_EVERY = 0.5
MAX_PENDING = 8
"""Pairs whose detail is asked for at a time; of more, those asked for first are left out."""
SHARE = 0.015
"""Share of the time that frames may take while the run computes."""
DETAIL_SHARE = 0.01
"""The same for the details of the held pair and the pinned ones."""

PairKey = tuple[str, ...]


class Page(Protocol):
    """What the publisher knows of the widget."""

    measure: str
    view: tuple[int, int]
    selection: Selection | None
    pinned: list[Selection]

    def send(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None: ...

    def write(self, **state: Any) -> None:
        """Set synced traits, in one message."""
        ...

    def keep(self, result: SimilarityResult) -> None:
        """Put the result into the output that needs no kernel."""
        ...


@dataclass
class Client:
    seq: int = 0
    hidden: bool = False
    missed: int = 0
    took: float = 0.0
    """seconds that its latest acknowledgement took"""

    @property
    def patience(self) -> float:
        """Seconds that a frame waits for its acknowledgement: on a slow link another one would only queue up there."""
        return min(max(ACKNOWLEDGED_WITHIN, 2.0 * self.took), MAX_PATIENCE)


class Publisher:
    def __init__(self, page: Page, source: Source, frames_per_second: float = 10.0) -> None:
        self._page = page
        self._source = source
        self._interval = 1.0 / frames_per_second
        self._wake = threading.Condition()
        self._storing = threading.RLock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._leave: Callable[[], None] = source.watch(self.changed)
        self.run_id = uuid4().hex[:12]
        self.seq = 0
        self._clients: dict[str, Client] = {}
        self._heard_any = False
        self._begun: float | None = None
        # what is to be done
        self._new = False
        self._asked = False
        self._unsaved = False
        self._unkept = False
        self._details_pending: dict[PairKey, Selection] = {}
        # what was done
        self._times: dict[int, float] = {}
        self._sent_at = self._saved_at = self._beat_at = self._detail_at = -math.inf
        self._changed_at = self._heard_at = -math.inf
        self._cost = 0.0
        self._detail_costs: dict[PairKey, float] = {}
        self._notes: list[str] = []
        self._failing = False

    @property
    def running(self) -> bool:
        """Whether pages are sent anything."""
        return self._thread is not None and not self._closed

    # --- from any thread ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A page will be there: start to send."""
        with self._wake:
            if self._thread is None and not self._closed:
                run = contextvars.copy_context().run
                self._thread = threading.Thread(target=run, args=(self._loop,), name="simwidget page", daemon=True)
                atexit.register(self._finish)
                self._thread.start()
            self._wake.notify_all()

    def changed(self) -> None:
        """The source has something new."""
        with self._wake:
            self._new = self._unsaved = self._unkept = True
            self._changed_at = time.monotonic()
            if self._begun is None:
                self._begun = self._changed_at
            self._wake.notify_all()

    def ask(self) -> None:
        """What is shown is another thing now: send it at once."""
        with self._wake:
            if not self._closed:
                self._asked = True
                self._ask_details(self._followed())

    def ask_detail(self, pair: Selection | None) -> None:
        """Send what is known of a pair, held or not; nothing for none."""
        if pair is not None:
            self._ask_details([pair])

    def _ask_details(self, pairs: Iterable[Selection]) -> None:
        with self._wake:
            for pair in pairs:
                self._details_pending.pop(key_of(pair), None)
                self._details_pending[key_of(pair)] = pair
            for key in tuple(self._details_pending)[:-MAX_PENDING]:
                del self._details_pending[key]
            self._wake.notify_all()

    def _followed(self) -> list[Selection]:
        """The pairs whose details follow the run: the held one, then the pinned ones."""
        held, pinned = self._page.selection, self._page.pinned
        return [*([] if held is None else [held]), *(pair for pair in pinned if pair != held)]

    def ready(self, client: str, run_id: str, have_seq: int) -> None:
        """A page has come, or come back."""
        with self._wake:
            self._clients[client] = Client(seq=self.seq)
            self._heard_at = time.monotonic()
        self.begin()
        # one that has seen the latest frame has missed nothing, but details are never saved
        if run_id == self.run_id and 0 < self.seq <= have_seq and not self._new:
            self._ask_details(self._followed())
        else:
            self.ask()

    def acknowledge(self, client: str, seq: int, hidden: bool) -> None:
        with self._wake:
            self._heard_any = True
            self._heard_at = time.monotonic()
            sent_at = self._times.get(seq, min(self._times.values(), default=self._heard_at))
            self._clients[client] = Client(seq, hidden, took=self._heard_at - sent_at)
            self._wake.notify_all()

    def settle(self) -> None:
        """Store what a run has ended with before this returns, whatever the sender is at."""
        with self._storing:
            if not self._closed and self._source.progress.ended:
                self._save()
                self._keep()

    def close(self) -> None:
        """Send nothing any more, and let the source go; the thread does so at its end, as it may be asking it."""
        with self._wake:
            if self._closed:
                return
            self._closed = True
            leave = self._leave  # the thread may let go of it before it is called
            self._wake.notify_all()
        leave()
        if self._thread is None:
            self._release()

    def _release(self) -> None:
        with self._storing:
            del self._source, self._leave

    def _finish(self) -> None:
        """When Python ends: a thread that is inside torch then would take the process down."""
        self.close()
        if self._thread is not None:
            self._thread.join(5.0)

    # --- the sender --------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        self._source._on_display_thread()
        while True:
            with self._wake:
                if self._closed:
                    break
                now = time.monotonic()
                jobs = [job for job, at in self._pending(now) if at <= now]
                if not jobs:
                    next_at = min((at for _, at in self._pending(now)), default=math.inf)
                    self._wake.wait(None if next_at == math.inf else next_at - now)
                    continue
            try:
                jobs[0]()
                self._failing = False
            except Exception:  # a display's trouble is not the run's, and may pass
                if not self._failing:
                    LOG.exception("a heatmap could not be updated; it is tried again every second")
                self._failing = True
                with self._wake:
                    self._new = True
                    self._sent_at = time.monotonic() + ACKNOWLEDGED_WITHIN
        atexit.unregister(self._finish)
        self._release()

    def _pending(self, now: float) -> list[tuple[Callable[[], None], float]]:
        """What there is to do and from when on, the most pressing first."""
        progress = self._source.progress
        live = not progress.ended
        holds = not live or progress.state == "paused"
        found: list[tuple[Callable[[], None], float]] = []
        if self._asked or self._new:
            pause = 0.0 if self._asked else self._interval
            if live and not self._asked:
                pause = max(pause, self._cost / SHARE)
            rare = 0.0 if self._asked or holds else self._unheard(self._sent_at)
            found.append((self._frame, max(self._sent_at + pause, self._free_at(rare))))
        if self._details_pending:
            found.append((self._detail, -math.inf))
        settled = self._settled_at() if holds else math.inf
        if self._unsaved and self._begun is not None:
            deaf_at = math.inf if self._heard_any or not live else self._begun + DEAF_AFTER
            wait = DEAF_SAVE_EVERY if now >= deaf_at else max([SAVE_EVERY, *(10 * one.took for one in self._heeded)])
            saved_at = max(self._saved_at, self._begun)
            at = min(saved_at + max(wait, self._unheard(saved_at)), deaf_at if deaf_at > now else math.inf)
            found.append((self._save, min(at, settled)))
        if self._unkept and holds:
            found.append((self._keep, settled))
        if live and self._clients:
            found.append((self._beat, max(self._beat_at, self._sent_at) + BEAT_EVERY))
        return found

    def _free_at(self, rare: float = 0.0) -> float:
        """From when on the pages can take another frame; `rare` seconds after the last one, if there is no page."""
        if not self._clients:
            return self._sent_at + max(ACKNOWLEDGED_WITHIN, rare)
        return self._sent_at + max(one.patience for one in self._behind) if self._behind else -math.inf

    @property
    def _heeded(self) -> list[Client]:
        """The pages whose pace counts: hidden ones, whose clocks run slowly, only where nobody looks at another one."""
        clients = list(self._clients.values())
        return [one for one in clients if not one.hidden] or clients

    @property
    def _behind(self) -> list[Client]:
        return [one for one in self._heeded if one.seq < self.seq]

    def _unheard(self, since: float) -> float:
        """Seconds from `since` until there is another try to reach pages, none of which has answered for long."""
        if self._begun is None:
            return 0.0
        return UNHEARD_SHARE * max(0.0, since - max(self._heard_at, self._begun))

    def _settled_at(self) -> float:
        """From when on what holds now may be saved: a result may have another put in its place, many a second."""
        if not isinstance(self._source, Still):
            return self._changed_at + SETTLED_AFTER
        drawn_at = self._sent_at + ACKNOWLEDGED_WITHIN if self._behind else self._heard_at
        return math.inf if self._new else max(self._changed_at, drawn_at) + STILL_AFTER

    def _frame(self) -> None:
        """Send what is shown, and how far the run is."""
        with self._wake:
            self._new = self._asked = False
            self.seq += 1
            for client in self._clients.values():
                client.missed += client.seq < self.seq - 1
            self._clients = {name: one for name, one in self._clients.items() if one.missed < LOST_AFTER}
        begun = time.monotonic()
        progress = self._source.progress
        measure, view = self._page.measure, self._page.view
        result = self._source.snapshot([measure], [(min(view), max(view))])
        self._notes = list(result.notes)
        self._page.write(axes=axes_of(result), run=info_of(progress, self._notes))
        frame, buffers = encode_frame(result, self.run_id, self.seq, measure, view)
        self._times[self.seq] = time.monotonic()
        for old in tuple(self._times)[:-MAX_TIMES]:
            del self._times[old]
        self._cost = self._times[self.seq] - begun
        self._page.send(dict(frame), buffers)
        self._sent_at = time.monotonic()
        followed = self._followed()
        costs = {key_of(pair): self._detail_costs.get(key_of(pair), 0.0) for pair in followed}
        self._detail_costs = costs
        holds = progress.ended or progress.state == "paused"
        pause = 0.0 if holds else max(DETAIL_EVERY, sum(costs.values()) / DETAIL_SHARE)
        if self._sent_at >= self._detail_at + pause:
            self._ask_details(followed)

    def _detail(self) -> None:
        """Send what is known of one pair, of the held one first, and of that also what the layers make of samples."""
        held = self._page.selection
        with self._wake:
            key = (
                next(iter(self._details_pending))
                if held is None or key_of(held) not in self._details_pending
                else key_of(held)
            )
            pair = self._details_pending.pop(key)
        begun = time.monotonic()
        detail, buffers = encode_detail(self._source, self.run_id, self.seq, pair, inside=pair == held)
        self._detail_costs[key] = time.monotonic() - begun
        self._page.send(dict(detail), buffers)
        self._detail_at = time.monotonic()

    def _beat(self) -> None:
        self._beat_at = time.monotonic()
        self._page.send({"type": "beat", "seq": self.seq})

    def _save(self) -> None:
        """Put everything into the saved state."""
        with self._storing:
            if not self._take("_unsaved"):
                return
            progress = self._source.progress
            result = self._source.snapshot()
            self._notes = list(result.notes)
            snapshot, meta = encode_snapshot(result, self.run_id, self.seq, self._page.view)
            self._page.write(
                axes=axes_of(result), snapshot=snapshot, snapshot_meta=meta, run=info_of(progress, self._notes)
            )
            self._saved_at = time.monotonic()

    def _keep(self) -> None:
        """Put what holds into the output that needs no kernel."""
        with self._storing:
            if self._take("_unkept"):
                self._page.keep(self._source.snapshot())

    def _take(self, flag: str) -> bool:
        """Whether the flag was up; it is down then."""
        with self._wake:
            was = getattr(self, flag)
            setattr(self, flag, False)
            return was


def key_of(pair: Selection) -> PairKey:
    return pair["model_x"], pair["layer_x"], pair["model_y"], pair["layer_y"]
