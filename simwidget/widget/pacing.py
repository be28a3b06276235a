"""Records which frames the browser pages have acknowledged, and determines when the next frame may be sent.

A frame is an update of the shown matrix. This module sends nothing and reads no clock. Methods that need the present
time take it as an argument.
"""

import math
from dataclasses import dataclass

ACKNOWLEDGED_WITHIN = 1.0
"""Number of seconds that the next frame (update of the shown matrix) waits for a page to acknowledge the latest frame.
For a page on a slow link, the wait is longer, see `Client.patience`."""
MAX_PATIENCE = 30.0
"""Largest number of seconds that the next frame (update of the shown matrix) waits for a page on a slow link."""
LOST_AFTER = 3
"""Number of consecutive frames (updates of the shown matrix) without acknowledgement after which a page counts as
closed."""
SILENCE_SHARE = 0.1
"""While no page answers, frames (updates of the shown matrix) become rarer. This is the ratio of the pause after a
frame to the time between the last answer and that frame."""
MAX_TIMES = 16
"""Number of most recent frames (updates of the shown matrix) whose sending times are stored."""


@dataclass
class Client:
    """A browser page that shows the heatmap, with the page's latest acknowledgement of a frame."""

    seq: int = 0
    """number of the latest frame (update of the shown matrix) that the page has acknowledged. When a page opens or
    reconnects, the frame that is then the latest counts as acknowledged."""
    hidden: bool = False
    missed: int = 0
    """how many times in a row a new frame (update of the shown matrix) has begun before the page had acknowledged the
    previous frame; 0 again after any acknowledgement"""
    took: float = 0.0
    """seconds between sending frame number `seq` and receiving its acknowledgement; 0 before any acknowledgement"""

    @property
    def patience(self) -> float:
        """How many seconds the next frame waits for this page to acknowledge the latest frame.

        This is twice `took`, but at least 1 and at most 30 seconds. Over a slow link, a frame that is sent earlier
        would only wait in a queue.
        """
        return min(max(ACKNOWLEDGED_WITHIN, 2.0 * self.took), MAX_PATIENCE)


class Pacing:
    """Counts the frames (updates of the shown matrix) and records which pages have acknowledged them.

    All times are in seconds. The caller may use any clock that never goes backwards.
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

        `hidden` tells whether the page was then hidden, for example in a background tab.
        """
        self.heard_any = True
        self.heard_at = now
        sent_at = self._times.get(seq, min(self._times.values(), default=now))
        self.clients[client] = Client(seq, hidden, took=now - sent_at)

    def begin_frame(self) -> int:
        """Count a new frame (update of the shown matrix) and return its number.

        A page that has not acknowledged the previous frame has missed that frame. Pages that have missed `LOST_AFTER`
        frames in a row are removed from `clients`.
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

        - If no page is open, the next frame waits `silence` seconds after the latest frame, but at least
          `ACKNOWLEDGED_WITHIN`.
        - If all observed pages have acknowledged the latest frame, the next frame need not wait: the time is -inf.
        - If some observed pages have not acknowledged the latest frame, the next frame waits as long as the largest
          `patience` of these pages, counted from the latest frame.
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
