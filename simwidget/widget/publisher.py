"""Sends a widget's numbers to the browser pages on a separate thread. The computing thread never waits for a page.

There is no queue of frames (updates of the shown matrix). A change of the numbers only sets a flag, and each frame is
computed right before it is sent. A slow page therefore gets fewer frames, but never outdated frames, and always the
last frame.

The publisher sends little over a slow link or to a closed page. Otherwise messages would pile up outside this module:
in the buffers of the slow link, or in the notebook server, which stores all messages for a closed page.
"""

import atexit
import contextvars
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
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
"""During a run, a beat is sent this many seconds after the latest frame (update of the shown matrix) or beat. A beat is
a message that shows the browser pages that the kernel is alive."""
SAVE_EVERY = 10.0
"""Usual number of seconds, during a run, between two updates of the traits that a notebook saves."""
UNACKNOWLEDGED_AFTER = 5.0
"""If no page has acknowledged any frame (update of the shown matrix) this many seconds after the first change of the
numbers, the frames are assumed to be lost. All numbers are then also sent as a synced trait, at first every
`UNACKNOWLEDGED_SAVE_EVERY` seconds. The longer no page answers, the longer the interval becomes."""
UNACKNOWLEDGED_SAVE_EVERY = 2.0
SETTLED_AFTER = 0.2
"""A paused or ended run is saved in the notebook when its numbers have not changed for this many seconds."""
STATIC_SETTLED_AFTER = 1.0
"""A fixed result is saved in the notebook this many seconds after the pages have drawn its last change. The delay is
longer than `SETTLED_AFTER` because a program may replace the result many times a second."""
DETAIL_EVERY = 0.5
"""Smallest number of seconds, during a run, between two updates of the details (curves, Gram matrices, samples) of the
selected and pinned pairs of layers."""
SHARE = 0.015
"""Largest fraction of a run's time that may be spent on computing frames (updates of the shown matrix)."""
DETAIL_SHARE = 0.01
"""Largest fraction of a run's time that may be spent on computing the details of the selected and pinned pairs of
layers."""


class Publisher:
    """Sends the numbers of a source, which is a run or a result, to the browser pages.

    A separate thread sends frames (updates of the shown matrix), details of pairs of layers, and messages that show
    that the kernel is alive. The thread also updates the traits that a notebook saves. Everything is sent through a
    `Channel`.
    """

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
        self._unsettled = False
        self._details = PendingDetails()
        self._saved_at = self._beat_at = self._detail_at = self._changed_at = -math.inf
        self._cost = 0.0
        self._notes: list[str] = []
        self._failing = False

    @property
    def seq(self) -> int:
        """The number of the latest frame (update of the shown matrix), counted from 1; 0 before the first frame."""
        return self._pacing.seq

    @property
    def running(self) -> bool:
        """Whether the sending thread has been started and the publisher has not been closed."""
        return self._thread is not None and not self._closed

    # --- from any thread ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the sending thread. Do nothing if the thread was started before or the publisher is closed."""
        with self._wake:
            if self._thread is None and not self._closed:
                run = contextvars.copy_context().run
                self._thread = threading.Thread(target=run, args=(self._loop,), name="simwidget page", daemon=True)
                atexit.register(self._finish)
                self._thread.start()
            self._wake.notify_all()

    def changed(self) -> None:
        """Tell the publisher that the numbers of the source have changed. The source calls this method."""
        with self._wake:
            self._new = self._unsaved = self._unkept = self._unsettled = True
            self._changed_at = time.monotonic()
            if self._pacing.begun is None:
                self._pacing.begun = self._changed_at
            self._wake.notify_all()

    def ask(self) -> None:
        """Request a new frame (update of the shown matrix) and the details of the selected and pinned pairs of layers.

        The frame is sent when the pages have acknowledged the latest frame, or when the wait for their acknowledgement
        is over. The usual interval between frames does not apply. This method is called, for example, when the user
        chooses another measure or view.
        """
        with self._wake:
            if not self._closed:
                self._asked = True
                self.ask_details(self._followed())

    def ask_detail(self, pair: Selection | None) -> None:
        """Request that the details of a pair of layers are sent to the pages. Do nothing if `pair` is None."""
        if pair is not None:
            self.ask_details([pair])

    def ask_details(self, pairs: Iterable[Selection]) -> None:
        with self._wake:
            self._details.add(pairs)
            self._wake.notify_all()

    def _followed(self) -> list[Selection]:
        """Return the selected pair of layers, if any, and then the pinned pairs other than the selected pair."""
        held, pinned = self._channel.selection, self._channel.pinned
        return [*([] if held is None else [held]), *(pair for pair in pinned if pair != held)]

    def ready(self, client: str, run_id: str, have_seq: int) -> None:
        """Handle the message of a page that has opened or reconnected.

        Request the details of the selected and pinned pairs of layers. If the page does not have the latest numbers,
        request a new frame (update of the shown matrix) as well.

        Args:
            client: the identifier of the page.
            run_id: the identifier of the heatmap whose numbers the page has.
            have_seq: the number of the latest frame (update of the shown matrix) that the page has.
        """
        with self._wake:
            self._pacing.add(client, time.monotonic())
        self.begin()
        # a page that has the latest frame lacks only the details, which are never saved
        if run_id == self.run_id and 0 < self.seq <= have_seq and not self._new:
            self.ask_details(self._followed())
        else:
            self.ask()

    def acknowledge(self, client: str, seq: int, hidden: bool) -> None:
        """Handle the message by which the page `client` acknowledges frame number `seq`.

        `hidden` tells whether the page was then hidden, for example in a background tab.
        """
        with self._wake:
            self._pacing.acknowledge(client, seq, hidden, time.monotonic())
            self._wake.notify_all()

    def settle(self) -> None:
        """If the run has ended, save the result in the notebook and update the static output; otherwise do nothing.

        A fixed result is treated like an ended run. The first call after a change saves the result again, even if the
        sending thread has saved it: a program that executes a notebook reads only the messages of the cell that it
        executes, and may have missed the thread's message.
        """
        with self._storing:
            if not self._closed and self._source.progress.ended:
                self._unsaved = self._take("_unsettled") or self._unsaved
                self._save()
                self._keep()

    def close(self) -> None:
        """Stop sending and release the source. If the sending thread runs, it releases the source when it ends."""
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
        """Close the publisher and wait up to 5 seconds for its thread. Called when Python exits.

        If the thread were still inside torch when Python exits, the process would crash.
        """
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
        """Return the pending jobs in order of priority, each as (method to call, earliest time of the call).

        The times are in seconds of `time.monotonic()`; -inf means at once.
        """
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
        """Return the earliest time, in seconds of `time.monotonic()`, to save numbers that do not change at present.

        These are the numbers of a paused or ended run, or of a result. After `SimilarityHeatmap.show`, the time is
        infinite until the pages have been sent the other result.
        """
        if not isinstance(self._source, StaticSource):
            return self._changed_at + SETTLED_AFTER
        drawn_at = self._pacing.sent_at + ACKNOWLEDGED_WITHIN if self._pacing.behind else self._pacing.heard_at
        return math.inf if self._new else max(self._changed_at, drawn_at) + STATIC_SETTLED_AFTER

    def _frame(self) -> None:
        """Send the values and standard errors of the shown matrix, and the progress of the run.

        Then request the details of the selected and pinned pairs of layers. During a run, request them no more often
        than `DETAIL_EVERY` and `DETAIL_SHARE` allow.
        """
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
        """Send the details of the selected pair of layers if it is pending, or else of the pair requested earliest.

        Gram matrices, spectra and samples are included only for the selected pair.
        """
        held = self._channel.selection
        with self._wake:
            pair = self._details.pop(held)
        begun = time.monotonic()
        detail, buffers = encode_detail(self._source, self.run_id, self.seq, pair, inside=pair == held)
        self._details.note_cost(pair, time.monotonic() - begun)
        self._channel.send(dict(detail), buffers)
        self._detail_at = time.monotonic()

    def _beat(self) -> None:
        """Send the pages a message that shows that the kernel is alive."""
        self._beat_at = time.monotonic()
        self._channel.send({"type": "beat", "seq": self.seq})

    def _save(self) -> None:
        """Write the numbers of all measures into the traits that a notebook saves, unless they are already saved."""
        with self._storing:
            if not self._take("_unsaved"):
                return
            progress = self._source.progress
            result = self._source.snapshot()
            self._notes = list(result.notes)
            snapshot, meta = encode_snapshot(result, self.run_id, self.seq, self._channel.view)
            state = {"axes": axes_of(result), "snapshot": snapshot, "snapshot_meta": meta}
            # an empty context makes it a message of the running cell, which is read where a notebook is executed
            contextvars.Context().run(partial(self._channel.write, **state, run=info_of(progress, self._notes)))
            self._saved_at = time.monotonic()

    def _keep(self) -> None:
        """Show the present numbers in the static output, unless it already shows them."""
        with self._storing:
            if self._take("_unkept"):
                self._channel.keep(self._source.snapshot())

    def _take(self, flag: str) -> bool:
        """Set the attribute named `flag` to False and return its previous value."""
        with self._wake:
            was = getattr(self, flag)
            setattr(self, flag, False)
            return was
