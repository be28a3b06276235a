"""The one thread that sends to the pages of a widget. The computing thread never waits for a page.

There is no queue: a change only raises a flag, and a frame is computed when it is sent. So a slow page gets fewer
frames, never old ones, and the last one is always sent. Queues elsewhere are avoided too: a slow link buffers what it
has not carried yet, and the notebook server buffers everything for a page that is gone, so both are sent little.
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
from simwidget.widget.encoding import axes_of, encode_frame, encode_snapshot, info_of
from simwidget.widget.pacing import ACKNOWLEDGED_WITHIN, Pacing
from simwidget.widget.pair_details import encode_detail
from simwidget.widget.pending_details import PendingDetails
from simwidget.widget.protocol import Selection
from simwidget.widget.sources import Source, StaticSource

LOG = logging.getLogger("simwidget")

BEAT_EVERY = 2.0
"""Seconds between two signs of life."""
SAVE_EVERY = 10.0
"""Seconds between two updates of the saved state."""
UNACKNOWLEDGED_AFTER = 5.0
"""Seconds without any acknowledgement after which frames are taken to be lost, and the saved state replaces them."""
UNACKNOWLEDGED_SAVE_EVERY = 2.0
SETTLED_AFTER = 0.2
"""Seconds without a change after which a paused or ended run is saved."""
STATIC_SETTLED_AFTER = 1.0
"""The same for a result, which may be replaced many times a second."""
DETAIL_EVERY = 0.5
"""Seconds between two updates of the details."""
SHARE = 0.015
"""The largest share of the time that computing frames may take while the run computes."""
DETAIL_SHARE = 0.01
"""The same for the details of the selected and the pinned pairs."""


class Publisher:
    """Sends frames, details, signs of life and saved states of a source through a channel, from its own thread."""

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
        self._new = False
        self._asked = False
        self._unsaved = False
        self._unkept = False
        self._details = PendingDetails()
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
        """Whether the thread has been started and not closed."""
        return self._thread is not None and not self._closed

    # --- from any thread ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the thread, since there will be a page."""
        with self._wake:
            if self._thread is None and not self._closed:
                run = contextvars.copy_context().run
                self._thread = threading.Thread(target=run, args=(self._loop,), name="simwidget page", daemon=True)
                atexit.register(self._finish)
                self._thread.start()
            self._wake.notify_all()

    def changed(self) -> None:
        """The source has changed. Called by the source."""
        with self._wake:
            self._new = self._unsaved = self._unkept = True
            self._changed_at = time.monotonic()
            if self._pacing.begun is None:
                self._pacing.begun = self._changed_at
            self._wake.notify_all()

    def ask(self) -> None:
        """Send a frame at once, since another measure or view is shown now."""
        with self._wake:
            if not self._closed:
                self._asked = True
                self.ask_details(self._followed())

    def ask_detail(self, pair: Selection | None) -> None:
        """Send the details of a pair; does nothing for None."""
        if pair is not None:
            self.ask_details([pair])

    def ask_details(self, pairs: Iterable[Selection]) -> None:
        with self._wake:
            self._details.add(pairs)
            self._wake.notify_all()

    def _followed(self) -> list[Selection]:
        """The pairs whose details are updated during the run: the selected one, then the pinned ones."""
        held, pinned = self._channel.selection, self._channel.pinned
        return [*([] if held is None else [held]), *(pair for pair in pinned if pair != held)]

    def ready(self, client: str, run_id: str, have_seq: int) -> None:
        """Called when a page has been opened or is back; `have_seq` is the latest frame that it has."""
        with self._wake:
            self._pacing.add(client, time.monotonic())
        self.begin()
        # a page that has the latest frame lacks only the details, which are never saved
        if run_id == self.run_id and 0 < self.seq <= have_seq and not self._new:
            self.ask_details(self._followed())
        else:
            self.ask()

    def acknowledge(self, client: str, seq: int, hidden: bool) -> None:
        """Called when a page has drawn frame `seq`; `hidden` says that the page cannot be seen now."""
        with self._wake:
            self._pacing.acknowledge(client, seq, hidden, time.monotonic())
            self._wake.notify_all()

    def settle(self) -> None:
        """If the run has ended, save its result and update the output that needs no kernel, before this returns."""
        with self._storing:
            if not self._closed and self._source.progress.ended:
                self._save()
                self._keep()

    def close(self) -> None:
        """Stop sending, and drop the source; where there is a thread, it drops the source when it ends."""
        with self._wake:
            if self._closed:
                return
            self._closed = True
            leave = self._leave  # the thread may delete the attribute before the call
            self._wake.notify_all()
        leave()
        if self._thread is None:
            self._release()

    def _release(self) -> None:
        with self._storing:
            del self._source, self._leave

    def _finish(self) -> None:
        """At Python's exit: wait for the thread, which would crash the process if it were still inside torch."""
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
            except Exception:  # an error in a display must not end the run, and may be temporary
                if not self._failing:
                    LOG.exception("a heatmap could not be updated; the next try is in a second")
                self._failing = True
                with self._wake:
                    self._new = True
                    self._pacing.sent_at = time.monotonic() + ACKNOWLEDGED_WITHIN
        atexit.unregister(self._finish)
        self._release()

    def _pending(self, now: float) -> list[tuple[Callable[[], None], float]]:
        """What there is to do and the time from which it may be done, the most urgent first."""
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
            lost_at = math.inf if self._pacing.heard_any or not live else self._pacing.begun + UNACKNOWLEDGED_AFTER
            wait = (
                UNACKNOWLEDGED_SAVE_EVERY
                if now >= lost_at
                else max([SAVE_EVERY, *(10 * one.took for one in self._pacing.observed)])
            )
            saved_at = max(self._saved_at, self._pacing.begun)
            at = min(saved_at + max(wait, self._pacing.silence(saved_at)), lost_at if lost_at > now else math.inf)
            found.append((self._save, min(at, settled)))
        if self._unkept and holds:
            found.append((self._keep, settled))
        if live and self._pacing.clients:
            found.append((self._beat, max(self._beat_at, self._pacing.sent_at) + BEAT_EVERY))
        return found

    def _settled_at(self) -> float:
        """The time from which a paused or ended run, or a result, may be saved."""
        if not isinstance(self._source, StaticSource):
            return self._changed_at + SETTLED_AFTER
        drawn_at = self._pacing.sent_at + ACKNOWLEDGED_WITHIN if self._pacing.behind else self._pacing.heard_at
        return math.inf if self._new else max(self._changed_at, drawn_at) + STATIC_SETTLED_AFTER

    def _frame(self) -> None:
        """Send the numbers that are shown, and the progress of the run."""
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
            self.ask_details(followed)

    def _detail(self) -> None:
        """Send the details of one pending pair, the selected one first; of that also Gram matrices and samples."""
        held = self._channel.selection
        with self._wake:
            pair = self._details.pop(held)
        begun = time.monotonic()
        detail, buffers = encode_detail(self._source, self.run_id, self.seq, pair, inside=pair == held)
        self._details.note_cost(pair, time.monotonic() - begun)
        self._channel.send(dict(detail), buffers)
        self._detail_at = time.monotonic()

    def _beat(self) -> None:
        """Send a sign of life."""
        self._beat_at = time.monotonic()
        self._channel.send({"type": "beat", "seq": self.seq})

    def _save(self) -> None:
        """Write all numbers into the traits that a notebook saves."""
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
        """Update the output that needs no kernel."""
        with self._storing:
            if self._take("_unkept"):
                self._channel.keep(self._source.snapshot())

    def _take(self, flag: str) -> bool:
        """Clear a flag; whether it was set."""
        with self._wake:
            was = getattr(self, flag)
            setattr(self, flag, False)
            return was
