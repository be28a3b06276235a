"""What a run says of itself at one moment, kept when its runner is dropped."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from simwidget.estimate.pass_state import PassState
from simwidget.result.version import __version__
from simwidget.run.progress import RunState
from simwidget.run.runner import Runner


@dataclass(frozen=True)
class RunSummary:
    started: str | None
    seconds: float
    """that the batches took; pauses do not count"""
    ended_by: str | None
    """the limit that was reached"""
    n_batches_needed: int | None
    """an estimate of how many batches it takes to reach a limit"""
    notes: tuple[str, ...]

    @staticmethod
    def of(runner: Runner) -> "RunSummary":
        return RunSummary(*(getattr(runner, field.name) for field in fields(RunSummary)))

    def provenance(self, pass_state: PassState, state: RunState, given: Mapping[str, Any]) -> dict[str, Any]:
        """How the numbers came about, for whoever wants to repeat the run."""
        return {
            "simwidget": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            **given,
            "n_batches": pass_state.n_batches,
            "n_samples": pass_state.n_samples,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "state": state,
            **({} if self.ended_by is None else {"ended_by": self.ended_by}),
            **pass_state.facts,
        }
