"""`Progress`: how far a run is, as a value for displays. This module never imports torch."""

from dataclasses import dataclass
from typing import Literal

RunState = Literal["ready", "running", "paused", "stopped", "finished", "failed"]
ENDED: tuple[RunState, ...] = ("stopped", "finished", "failed")
"""States in which a run has ended and processes no more batches, unless a failed run is resumed."""


@dataclass(frozen=True)
class Progress:
    """How far a run is at one moment: its state, batches, samples and time."""

    state: RunState
    n_batches: int
    """number of the loader's batches that have passed through the models"""
    n_batches_expected: int | None
    """number of batches in the loader, or `max_batches` if that is smaller; None if neither is known"""
    n_samples: int
    """number of samples that have been added to the sums"""
    seconds: float
    """seconds spent on loading and processing batches, without pauses"""
    error: str | None = None
    """for a failed run, the exception that ended the run and where it was raised; else None"""
    n_batches_needed: int | None = None
    """estimated total number of batches at the first limit other than `max_batches`; None if unknown"""

    @property
    def ended(self) -> bool:
        """Whether the run has ended: it was stopped, it finished or it failed."""
        return self.state in ENDED

    @property
    def rate(self) -> float | None:
        """Samples per second; None while no samples have been added to the sums."""
        return self.n_samples / self.seconds if self.n_samples and self.seconds else None

    @property
    def n_batches_likely(self) -> int | None:
        """The total number of batches at which the run will probably end; None if nothing is known.

        This is the smaller of `n_batches_expected` and `n_batches_needed`, but at least `n_batches`.
        """
        known = [n for n in (self.n_batches_expected, self.n_batches_needed) if n is not None]
        return max(self.n_batches, min(known)) if known else None

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the run ends, at its present pace; None if unknown, and after the end."""
        likely = self.n_batches_likely
        if self.ended or likely is None or not self.n_batches:
            return None
        return (likely - self.n_batches) * self.seconds / self.n_batches
