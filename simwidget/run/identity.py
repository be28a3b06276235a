"""Which run this is: its models, layers, options and data, as a checkpoint holds them and another run must match."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from simwidget.data.loader import describe_loader, length_of
from simwidget.plan.limits import Limits
from simwidget.plan.options import Plan
from simwidget.run.checkpoint import differences
from simwidget.run.fingerprint import fingerprint

MAY_DIFFER = ("device", "checkpoint", "checkpoint_seconds", *(field.name for field in fields(Limits)))
"""Options that another run may have otherwise and still go on."""
MAX_DIFFERENCES = 5


class AnotherRunError(ValueError):
    """What differs."""


@dataclass(frozen=True)
class Identity:
    about: Mapping[str, Any]
    """what must be the same"""
    given: Mapping[str, Any]
    """what `resume` needs to ask for the same again"""

    @staticmethod
    def of(plan: Plan, loader: Iterable) -> "Identity":
        about = {
            "models": {
                model.model_name: {
                    "class": type(model.model).__name__,
                    "weights": fingerprint(model.model),
                    "layers": list(model.layer_names),
                }
                for model in plan.models
            },
            "options": {name: value for name, value in plan.as_given.items() if name not in MAY_DIFFER},
            "loader": describe_loader(loader) | {"batches": length_of(loader)},
        }
        values = {name: value for name, value in plan.changed_options.items() if name not in MAY_DIFFER}
        plain = {name: value for name, value in values.items() if _is_plain(value)}
        given = {
            "layers": {
                model.model_name: None if model.chosen_by_default else list(model.layer_names) for model in plan.models
            },
            "options": plain,
            "functions": [name for name in values if name not in plain],
            "limits": vars(plan.limits),
        }
        # as a file has it: tuples are lists there
        return Identity(json.loads(json.dumps(about)), json.loads(json.dumps(given)))

    def check(self, about: Mapping[str, Any]) -> None:
        """Raises AnotherRunError with what differs, when a checkpoint is of another run."""
        found = differences(about, self.about)
        if found:
            more = f"; and {len(found) - MAX_DIFFERENCES} more" if len(found) > MAX_DIFFERENCES else ""
            raise AnotherRunError(
                f"is of another run: {'; '.join(found[:MAX_DIFFERENCES])}{more}. Give the models, data and "
                "options that it was made with"
            )


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
