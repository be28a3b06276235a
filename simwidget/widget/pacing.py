"""The pages that show a heatmap: what each has acknowledged, and when they can take another frame.

Nothing here sends anything or reads the clock: every method takes the time as an argument.
"""

import math
from dataclasses import dataclass

ACKNOWLEDGED_WITHIN = 1.0
"""Seconds after which a frame that a page has not acknowledged no longer delays the next one, on a fast link."""
MAX_PATIENCE = 30.0
"""The longest time, in seconds, that an acknowledgement is waited for on a slow link."""
LOST_AFTER = 3
"""Consecutive frames that a page has missed when it is taken to be gone."""
SILENCE_SHARE = 0.1
"""While no page answers, two frames (and two savings) are this share of the silence apart."""
MAX_TIMES = 16
"""Frames whose time of sending is remembered."""


@dataclass
class Client:
    """One page."""

    seq: int = 0
    """the latest frame that it has acknowledged"""
    hidden: bool = False
    missed: int = 0
    """frames in a row that it has not acknowledged"""
    took: float = 0.0
    """seconds from sending to acknowledging that frame"""

    @property
    def patience(self) -> float:
        """Seconds that the next frame waits for an acknowledgement: on a slow link it would only queue up."""
        return min(max(ACKNOWLEDGED_WITHIN, 2.0 * self.took), MAX_PATIENCE)


class Pacing:
    """Counts the frames and knows which pages have them. Times are in seconds, of any clock that does not go back."""

    def __init__(self) -> None:
        self.seq = 0
        """the number of the latest frame"""
        self.clients: dict[str, Client] = {}
        self.sent_at = -math.inf
        """when the latest frame was sent"""
        self.heard_at = -math.inf
        """when a page last said something"""
        self.heard_any = False
        """whether any frame was ever acknowledged"""
        self.begun: float | None = None
        """when there was first something to send"""
        self._times: dict[int, float] = {}

    def add(self, client: str, now: float) -> None:
        """A page has come, or come back."""
        self.clients[client] = Client(seq=self.seq)
        self.heard_at = now

    def acknowledge(self, client: str, seq: int, hidden: bool, now: float) -> None:
        """A page has drawn frame `seq`."""
        self.heard_any = True
        self.heard_at = now
        sent_at = self._times.get(seq, min(self._times.values(), default=now))
        self.clients[client] = Client(seq, hidden, took=now - sent_at)

    def begin_frame(self) -> int:
        """The number of a new frame; pages that have missed `LOST_AFTER` of them are dropped."""
        self.seq += 1
        for client in self.clients.values():
            client.missed += client.seq < self.seq - 1
        self.clients = {name: one for name, one in self.clients.items() if one.missed < LOST_AFTER}
        return self.seq

    def note_sending(self, now: float) -> None:
        """The latest frame is being sent now."""
        self._times[self.seq] = now
        for old in tuple(self._times)[:-MAX_TIMES]:
            del self._times[old]

    @property
    def observed(self) -> list[Client]:
        """The pages whose pace counts. Hidden ones, whose clocks run slowly, count only where all are hidden."""
        clients = list(self.clients.values())
        return [one for one in clients if not one.hidden] or clients

    @property
    def behind(self) -> list[Client]:
        """Those of them that have not acknowledged the latest frame."""
        return [one for one in self.observed if one.seq < self.seq]

    def free_at(self, silence: float = 0.0) -> float:
        """The time from which the pages can take another frame: at once, if -inf.

        Without any page that is `silence` seconds after the latest frame, and at least `ACKNOWLEDGED_WITHIN`.
        """
        if not self.clients:
            return self.sent_at + max(ACKNOWLEDGED_WITHIN, silence)
        return self.sent_at + max(one.patience for one in self.behind) if self.behind else -math.inf

    def silence(self, since: float) -> float:
        """Seconds to wait from `since` until pages that have not answered for long are tried again."""
        if self.begun is None:
            return 0.0
        return SILENCE_SHARE * max(0.0, since - max(self.heard_at, self.begun))
