"""`RunSummary`: facts about a run at one moment. They stay available after the run has dropped its `Runner`."""

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
    """When a run started, for how many seconds it ran, which limit ended it, and its notes."""

    started: str | None
    """date and time of the start (ISO 8601, UTC); None before the start"""
    seconds: float
    """seconds spent on loading and processing batches, without pauses"""
    ended_by: str | None
    """the limit that ended the run, such as "max_samples=1000"; None if no limit did"""
    n_batches_needed: int | None
    """estimated number of batches after which `max_samples`, `max_seconds` or `until` ends the run; None if unknown"""
    notes: tuple[str, ...]

    @staticmethod
    def of(runner: Runner) -> "RunSummary":
        return RunSummary(*(getattr(runner, field.name) for field in fields(RunSummary)))

    def provenance(self, pass_state: PassState, state: RunState, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the provenance of a result: versions of software, the user's arguments, and how far the run came.

        Args:
            pass_state: the sums and facts from which the result is computed.
            state: the state of the run.
            given: the devices, the options, and a description of the loader.
        """
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
