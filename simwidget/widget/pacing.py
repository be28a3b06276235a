"""Records which frames the browser pages have acknowledged, and determines when the next frame may be sent.

A frame is an update of the shown matrix. The code here neither sends anything nor reads the clock: the present time is
an argument of the methods that need it.
"""

import math
from dataclasses import dataclass

ACKNOWLEDGED_WITHIN = 1.0
"""If a page does not acknowledge a frame (update of the shown matrix), the next frame is sent after this many seconds.
The time is longer for a page on a slow link, see `Client.patience`."""
MAX_PATIENCE = 30.0
"""If a page on a slow link does not acknowledge a frame (update of the shown matrix), the next frame is sent after at
most this many seconds."""
LOST_AFTER = 3
"""Number of consecutive frames (updates of the shown matrix) without acknowledgement after which a page counts as
closed."""
SILENCE_SHARE = 0.1
"""While no page answers, the pause before the next frame (update of the shown matrix) is this fraction of the time
since the last answer."""
MAX_TIMES = 16
"""Number of most recent frames (updates of the shown matrix) whose sending times are stored."""


@dataclass
class Client:
    """A browser page that shows the heatmap, and its acknowledgements of frames."""

    seq: int = 0
    """number of the latest frame (update of the shown matrix) that the page has acknowledged; before its first
    acknowledgement, the number of the latest frame at the time when the page opened"""
    hidden: bool = False
    missed: int = 0
    """number of consecutive frames (updates of the shown matrix) that the page has not acknowledged"""
    took: float = 0.0
    """seconds between sending frame number `seq` and receiving its acknowledgement; 0 before any acknowledgement"""

    @property
    def patience(self) -> float:
        """The seconds after a frame at which the next frame is sent if this page has not acknowledged the frame.

        The time is twice `took`, but at least 1 and at most 30 seconds. If the next frame were sent earlier over a slow
        link, it would only wait in a queue.
        """
        return min(max(ACKNOWLEDGED_WITHIN, 2.0 * self.took), MAX_PATIENCE)


class Pacing:
    """Counts the frames (updates of the shown matrix) and records which pages have acknowledged them.

    All times are in seconds, of any clock that never goes backwards.
    """

    def __init__(self) -> None:
        self.seq = 0
        """number of the latest frame (update of the shown matrix)"""
        self.clients: dict[str, Client] = {}
        self.sent_at = -math.inf
        """time at which the latest frame (update of the shown matrix) was sent; -inf before the first"""
        self.heard_at = -math.inf
        """time at which a page last opened, reconnected or acknowledged a frame; -inf before the first time"""
        self.heard_any = False
        """whether any page has ever acknowledged a frame (update of the shown matrix)"""
        self.begun: float | None = None
        """time of the first change of the numbers that the heatmap shows; None before that change"""
        self._times: dict[int, float] = {}

    def add(self, client: str, now: float) -> None:
        """Register a page that has opened or reconnected."""
        self.clients[client] = Client(seq=self.seq)
        self.heard_at = now

    def acknowledge(self, client: str, seq: int, hidden: bool, now: float) -> None:
        """Record that the page `client` acknowledged frame number `seq` at the time `now`.

        `hidden` tells whether the page was hidden, such as in a background tab, at that time.
        """
        self.heard_any = True
        self.heard_at = now
        sent_at = self._times.get(seq, min(self._times.values(), default=now))
        self.clients[client] = Client(seq, hidden, took=now - sent_at)

    def begin_frame(self) -> int:
        """Count a new frame (update of the shown matrix) and return its number.

        A page is removed from `clients` if it has not acknowledged the last `LOST_AFTER` frames before the new frame.
        """
        self.seq += 1
        for client in self.clients.values():
            client.missed += client.seq < self.seq - 1
        self.clients = {name: one for name, one in self.clients.items() if one.missed < LOST_AFTER}
        return self.seq

    def note_sending(self, now: float) -> None:
        """Record `now` as the time at which the latest frame (update of the shown matrix) is sent."""
        self._times[self.seq] = now
        for old in tuple(self._times)[:-MAX_TIMES]:
            del self._times[old]

    @property
    def observed(self) -> list[Client]:
        """The pages whose acknowledgements the next frame waits for: the visible pages, or all pages if all are hidden.

        Hidden pages acknowledge late, because browsers slow down the timers of hidden pages.
        """
        clients = list(self.clients.values())
        return [one for one in clients if not one.hidden] or clients

    @property
    def behind(self) -> list[Client]:
        """The observed pages that have not acknowledged the latest frame (update of the shown matrix)."""
        return [one for one in self.observed if one.seq < self.seq]

    def free_at(self, silence: float = 0.0) -> float:
        """Return the earliest time to send the next frame (update of the shown matrix).

        - If no page is open: `silence` seconds, but at least `ACKNOWLEDGED_WITHIN`, after the latest frame.
        - If all observed pages have acknowledged the latest frame: -inf.
        - Otherwise: after the latest frame, the largest `patience` of the observed pages that have not acknowledged it.
        """
        if not self.clients:
            return self.sent_at + max(ACKNOWLEDGED_WITHIN, silence)
        return self.sent_at + max(one.patience for one in self.behind) if self.behind else -math.inf

    def silence(self, since: float) -> float:
        """Return how many seconds to wait, counted from the time `since`, while no page answers.

        The wait is `SILENCE_SHARE` times the time from t to `since`, where t is `heard_at` or `begun`, whichever is
        later. It is 0 before the numbers have changed for the first time (`begun` is None).
        """
        if self.begun is None:
            return 0.0
        return SILENCE_SHARE * max(0.0, since - max(self.heard_at, self.begun))
