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
from uuid import uuid4

from simwidget.widget.channel import Channel
from simwidget.widget.details import encode_detail
from simwidget.widget.encoding import axes_of, encode_frame, encode_snapshot, info_of
from simwidget.widget.pacing import ACKNOWLEDGED_WITHIN, Pacing
from simwidget.widget.pending_details import PendingDetails
from simwidget.widget.protocol import Selection
from simwidget.widget.sources import Source, Still

LOG = logging.getLogger("simwidget")

BEAT_EVERY = 2.0
SAVE_EVERY = 10.0
DEAF_AFTER = 5.0
"""Seconds without any acknowledgement until frames are taken to be lost and the saved state stands in for them."""
DEAF_SAVE_EVERY = 2.0
SETTLED_AFTER = 0.2
"""Seconds without a change after which a run that holds is saved."""
STILL_AFTER = 1.0
"""The same for a result: others may be shown in its place, many a second."""
DETAIL_EVERY = 0.5
SHARE = 0.015
"""Share of the time that frames may take while the run computes."""
DETAIL_SHARE = 0.01
"""The same for the details of the held pair and the pinned ones."""


class Publisher:
    def __init__(self, channel: Channel, source: Source, frames_per_second: float = 10.0) -> None:
        self._channel = channel
        self._source = source
        self._interval = 1.0 / frames_per_second
        self._wake = threading.Condition()
        self._storing = threading.RLock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._leave: Callable[[], None] = source.watch(self.changed)
        self.run_id = uuid4().hex[:12]
        self._pacing = Pacing()
        # what is to be done
        self._new = False
        self._asked = False
        self._unsaved = False
        self._unkept = False
        self._details = PendingDetails()
        # what was done
        self._saved_at = self._beat_at = self._detail_at = self._changed_at = -math.inf
        self._cost = 0.0
        self._notes: list[str] = []
        self._failing = False

    @property
    def seq(self) -> int:
        """The number of the latest frame."""
        return self._pacing.seq

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
            if self._pacing.begun is None:
                self._pacing.begun = self._changed_at
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
            self._details.add(pairs)
            self._wake.notify_all()

    def _followed(self) -> list[Selection]:
        """The pairs whose details follow the run: the held one, then the pinned ones."""
        held, pinned = self._channel.selection, self._channel.pinned
        return [*([] if held is None else [held]), *(pair for pair in pinned if pair != held)]

    def ready(self, client: str, run_id: str, have_seq: int) -> None:
        """A page has come, or come back."""
        with self._wake:
            self._pacing.add(client, time.monotonic())
        self.begin()
        # one that has seen the latest frame has missed nothing, but details are never saved
        if run_id == self.run_id and 0 < self.seq <= have_seq and not self._new:
            self._ask_details(self._followed())
        else:
            self.ask()

    def acknowledge(self, client: str, seq: int, hidden: bool) -> None:
        with self._wake:
            self._pacing.acknowledge(client, seq, hidden, time.monotonic())
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
                    self._pacing.sent_at = time.monotonic() + ACKNOWLEDGED_WITHIN
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
            rare = 0.0 if self._asked or holds else self._pacing.silence(self._pacing.sent_at)
            found.append((self._frame, max(self._pacing.sent_at + pause, self._pacing.free_at(rare))))
        if self._details:
            found.append((self._detail, -math.inf))
        settled = self._settled_at() if holds else math.inf
        if self._unsaved and self._pacing.begun is not None:
            deaf_at = math.inf if self._pacing.heard_any or not live else self._pacing.begun + DEAF_AFTER
            wait = (
                DEAF_SAVE_EVERY
                if now >= deaf_at
                else max([SAVE_EVERY, *(10 * one.took for one in self._pacing.observed)])
            )
            saved_at = max(self._saved_at, self._pacing.begun)
            at = min(saved_at + max(wait, self._pacing.silence(saved_at)), deaf_at if deaf_at > now else math.inf)
            found.append((self._save, min(at, settled)))
        if self._unkept and holds:
            found.append((self._keep, settled))
        if live and self._pacing.clients:
            found.append((self._beat, max(self._beat_at, self._pacing.sent_at) + BEAT_EVERY))
        return found

    def _settled_at(self) -> float:
        """From when on what holds now may be saved: a result may have another put in its place, many a second."""
        if not isinstance(self._source, Still):
            return self._changed_at + SETTLED_AFTER
        drawn_at = self._pacing.sent_at + ACKNOWLEDGED_WITHIN if self._pacing.behind else self._pacing.heard_at
        return math.inf if self._new else max(self._changed_at, drawn_at) + STILL_AFTER

    def _frame(self) -> None:
        """Send what is shown, and how far the run is."""
        with self._wake:
            self._new = self._asked = False
            self._pacing.begin_frame()
        begun = time.monotonic()
        progress = self._source.progress
        measure, view = self._channel.measure, self._channel.view
        result = self._source.snapshot([measure], [(min(view), max(view))])
        self._notes = list(result.notes)
        self._channel.write(axes=axes_of(result), run=info_of(progress, self._notes))
        frame, buffers = encode_frame(result, self.run_id, self.seq, measure, view)
        sending = time.monotonic()
        self._pacing.note_sending(sending)
        self._cost = sending - begun
        self._channel.send(dict(frame), buffers)
        self._pacing.sent_at = time.monotonic()
        followed = self._followed()
        cost = self._details.cost_of(followed)
        holds = progress.ended or progress.state == "paused"
        pause = 0.0 if holds else max(DETAIL_EVERY, cost / DETAIL_SHARE)
        if self._pacing.sent_at >= self._detail_at + pause:
            self._ask_details(followed)

    def _detail(self) -> None:
        """Send what is known of one pair, of the held one first, and of that also what the layers make of samples."""
        held = self._channel.selection
        with self._wake:
            pair = self._details.pop(held)
        begun = time.monotonic()
        detail, buffers = encode_detail(self._source, self.run_id, self.seq, pair, inside=pair == held)
        self._details.note_cost(pair, time.monotonic() - begun)
        self._channel.send(dict(detail), buffers)
        self._detail_at = time.monotonic()

    def _beat(self) -> None:
        self._beat_at = time.monotonic()
        self._channel.send({"type": "beat", "seq": self.seq})

    def _save(self) -> None:
        """Put everything into the saved state."""
        with self._storing:
            if not self._take("_unsaved"):
                return
            progress = self._source.progress
            result = self._source.snapshot()
            self._notes = list(result.notes)
            snapshot, meta = encode_snapshot(result, self.run_id, self.seq, self._channel.view)
            self._channel.write(
                axes=axes_of(result), snapshot=snapshot, snapshot_meta=meta, run=info_of(progress, self._notes)
            )
            self._saved_at = time.monotonic()

    def _keep(self) -> None:
        """Put what holds into the output that needs no kernel."""
        with self._storing:
            if self._take("_unkept"):
                self._channel.keep(self._source.snapshot())

    def _take(self, flag: str) -> bool:
        """Whether the flag was up; it is down then."""
        with self._wake:
            was = getattr(self, flag)
            setattr(self, flag, False)
            return was
