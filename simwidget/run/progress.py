"""How far a run is, as a value that displays can hold. No torch here."""

from dataclasses import dataclass
from typing import Literal

RunState = Literal["ready", "running", "paused", "stopped", "finished", "failed"]
ENDED: tuple[RunState, ...] = ("stopped", "finished", "failed")


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    state: RunState
    n_batches: int
    """batches of the loader that have gone through the models"""
    n_batches_expected: int | None
    n_samples: int
    """samples that the numbers rest on"""
    seconds: float
    """time that the batches took; pauses do not count"""
    error: str | None = None
    """what ended a failed run, and where"""
    n_batches_needed: int | None = None
    """an estimate of how many batches it takes to reach a limit of the run, its standard errors too"""

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def rate(self) -> float | None:
        """Samples a second."""
        return self.n_samples / self.seconds if self.n_samples and self.seconds else None

    @property
    def n_batches_likely(self) -> int | None:
        """How many batches the run will take: all of the loader's, or fewer where a limit is likely to come first."""
        known = [n for n in (self.n_batches_expected, self.n_batches_needed) if n is not None]
        return max(self.n_batches, min(known)) if known else None

    @property
    def seconds_left(self) -> float | None:
        likely = self.n_batches_likely
        if self.ended or likely is None or not self.n_batches:
            return None
        return (likely - self.n_batches) * self.seconds / self.n_batches
