"""The progress of a run, as a value for displays. Never imports torch."""

from dataclasses import dataclass
from typing import Literal

RunState = Literal["ready", "running", "paused", "stopped", "finished", "failed"]
ENDED: tuple[RunState, ...] = ("stopped", "finished", "failed")
"""States in which no more batches come; a failed run may be resumed."""


@dataclass(frozen=True)
class Progress:
    """How far a run is, at one moment."""

    state: RunState
    n_batches: int
    """batches of the loader that have passed through the models"""
    n_batches_expected: int | None
    """the length of the loader, or `max_batches` if that is smaller; None where neither is known"""
    n_samples: int
    """samples in the sums"""
    seconds: float
    """spent on batches, without pauses"""
    error: str | None = None
    """what ended a failed run, and where"""
    n_batches_needed: int | None = None
    """an estimate of the batches needed to reach the first limit, such as `until=`"""

    @property
    def ended(self) -> bool:
        """Whether no more batches come."""
        return self.state in ENDED

    @property
    def rate(self) -> float | None:
        """Samples per second; None before the first batch."""
        return self.n_samples / self.seconds if self.n_samples and self.seconds else None

    @property
    def n_batches_likely(self) -> int | None:
        """The number of batches at which the run will probably end: the loader's, or fewer if a limit comes first."""
        known = [n for n in (self.n_batches_expected, self.n_batches_needed) if n is not None]
        return max(self.n_batches, min(known)) if known else None

    @property
    def seconds_left(self) -> float | None:
        """An estimate, at the present pace; None where it is not known, and after the end."""
        likely = self.n_batches_likely
        if self.ended or likely is None or not self.n_batches:
            return None
        return (likely - self.n_batches) * self.seconds / self.n_batches
