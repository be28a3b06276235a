"""Facts about a run at one moment, which are kept when its runner is dropped."""

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
    """When and how long a run ran, what ended it, and its notes."""

    started: str | None
    """ISO 8601, UTC; None before the start"""
    seconds: float
    """spent on batches, without pauses"""
    ended_by: str | None
    """the limit that ended the run"""
    n_batches_needed: int | None
    """an estimate of the batches needed to reach the first limit"""
    notes: tuple[str, ...]

    @staticmethod
    def of(runner: Runner) -> "RunSummary":
        return RunSummary(*(getattr(runner, field.name) for field in fields(RunSummary)))

    def provenance(self, pass_state: PassState, state: RunState, given: Mapping[str, Any]) -> dict[str, Any]:
        """The provenance of a result: versions, what was `given` by the user, and how far the run came."""
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
