"""Views: which two models of a result a matrix compares."""

from collections.abc import Sequence

from simwidget.text.suggestions import did_you_mean

View = str | tuple[str, str]
"""Either "xy", "xx", "yy" or "yx", for the first two models, or a pair of model names."""


def positions(models: Sequence[str], view: View) -> tuple[int, int]:
    """The positions in `models` of the two models of a view; raises ValueError for an unknown view or name."""
    if isinstance(view, str):
        letters = {"x": 0, "y": min(1, len(models) - 1)}
        if len(view) != 2 or not set(view) <= set(letters):
            raise ValueError(f'view={view!r}: choose "xy", "xx", "yy", "yx" or a pair of model names')
        return letters[view[0]], letters[view[1]]
    first, second = view
    return position(models, first), position(models, second)


def position(models: Sequence[str], model: str) -> int:
    """The position of a model; raises ValueError for an unknown name."""
    if model not in models:
        raise ValueError(f"there is no model {model!r} here.{did_you_mean(str(model), tuple(models))}")
    return models.index(model)
