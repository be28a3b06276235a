"""`Identity`: describes the models, layers, options and loader of a run, to check that a checkpoint fits the run."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from simwidget.data.loader import describe_loader, length_of
from simwidget.plan.limits import Limits
from simwidget.plan.options import Plan
from simwidget.run.checkpoint import differences
from simwidget.run.fingerprint import fingerprint, printed_settings

MAY_DIFFER = ("device", "checkpoint", "checkpoint_seconds", *(field.name for field in fields(Limits)))
"""Names of the options of `compare` that a resumed run may change."""
MAX_DIFFERENCES = 5
"""The largest number of differences that an error message lists."""


class AnotherRunError(ValueError):
    """Raised if a checkpoint was made with other models, data or options than this run.

    The message says what differs.
    """


@dataclass(frozen=True)
class Identity:
    """A description of a run, as JSON values, for the run's checkpoint."""

    about: Mapping[str, Any]
    """what must be the same in a resumed run: model classes, settings, weights, layers, options, loader"""
    given: Mapping[str, Any]
    """the layers, options and limits with which `resume` calls `compare` again

    If JSON cannot store the value of an option, for example a function, only the option's name is included.
    """

    @staticmethod
    def of(plan: Plan, loader: Iterable) -> "Identity":
        about = {
            "models": {
                model.model_name: {
                    "class": type(model.model).__name__,
                    "settings": printed_settings(model.model),
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
        # through JSON once, as in the file: tuples become lists
        return Identity(json.loads(json.dumps(about)), json.loads(json.dumps(given)))

    def check(self, about: Mapping[str, Any]) -> None:
        """Raise AnotherRunError if `about`, taken from a checkpoint, differs from the `about` of this run."""
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
