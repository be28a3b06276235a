"""How far a run is, as a value that displays can hold. No torch here."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ready", "running", "paused", "stopped", "finished", "failed"]
ENDED: tuple[State, ...] = ("stopped", "finished", "failed")


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    state: State
    n_batches: int
    """batches of the loader that have gone through the models"""
    n_batches_expected: int | None
    n_samples: int
    """samples that the numbers rest on"""
    seconds: float
    """time that the batches took; pauses do not count"""
    error: str | None = None
    """what ended a failed run"""

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def rate(self) -> float | None:
        """Samples a second."""
        return self.n_samples / self.seconds if self.n_samples and self.seconds else None

    @property
    def seconds_left(self) -> float | None:
        if self.ended or self.n_batches_expected is None or not self.n_batches:
            return None
        return (self.n_batches_expected - self.n_batches) * self.seconds / self.n_batches
