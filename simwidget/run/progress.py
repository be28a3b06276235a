"""`Progress`: how far a run has come, for displays such as progress bars. This module never imports torch."""

from dataclasses import dataclass
from typing import Literal

RunState = Literal["ready", "running", "paused", "stopped", "finished", "failed"]
ENDED: tuple[RunState, ...] = ("stopped", "finished", "failed")
"""The states of a run that has ended. A failed run can be resumed; a stopped or finished run cannot."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come at one moment: its state, batches, samples and time."""

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
    """estimated number of batches after which `max_samples`, `max_seconds` or `until` ends the run; None if unknown"""

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
        """The probable number of batches at the end of the run; None if this number cannot be estimated.

        This is the smaller of `n_batches_expected` and `n_batches_needed`, or the known number if the other is None. It
        is never less than `n_batches`.
        """
        known = [n for n in (self.n_batches_expected, self.n_batches_needed) if n is not None]
        return max(self.n_batches, min(known)) if known else None

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the run ends; None if unknown or if the run has ended.

        The estimate uses the mean time for a batch so far.
        """
        likely = self.n_batches_likely
        if self.ended or likely is None or not self.n_batches:
            return None
        return (likely - self.n_batches) * self.seconds / self.n_batches
