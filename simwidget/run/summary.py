"""What a run's work says of itself at one moment; kept when the work goes."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from simwidget.estimate.pass_state import Frozen
from simwidget.result.version import __version__
from simwidget.run.progress import State
from simwidget.run.runner import Work


@dataclass(frozen=True)
class Account:
    started: str | None
    seconds: float
    """that the batches took; pauses do not count"""
    ended_by: str | None
    """the limit that was reached"""
    n_batches_needed: int | None
    """an estimate of how many batches it takes to reach a limit"""
    notes: tuple[str, ...]

    @staticmethod
    def of(work: Work) -> "Account":
        return Account(*(getattr(work, field.name) for field in fields(Account)))

    def provenance(self, frozen: Frozen, state: State, said: Mapping[str, Any]) -> dict[str, Any]:
        """How the numbers came about, for whoever wants to repeat the run."""
        return {
            "simwidget": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            **said,
            "n_batches": frozen.n_batches,
            "n_samples": frozen.n_samples,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "state": state,
            **({} if self.ended_by is None else {"ended_by": self.ended_by}),
            **frozen.facts,
        }
