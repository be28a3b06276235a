"""Views. A view is a choice of two models of a result; a matrix compares the layers of these two models."""

from collections.abc import Sequence

from simwidget.text.suggestions import did_you_mean

View = str | tuple[str, str]
"""A choice of two models: a pair of names; or "xy", "xx", "yy" or "yx", where x is the first model and y the second."""


def positions(models: Sequence[str], view: View) -> tuple[int, int]:
    """Return the two models of a view as positions in the sequence `models` of model names.

    If there is only one model, both "x" and "y" mean this model. Raises ValueError for an unknown view or model name.
    """
    if isinstance(view, str):
        letters = {"x": 0, "y": min(1, len(models) - 1)}
        if len(view) != 2 or not set(view) <= set(letters):
            raise ValueError(f'view={view!r}: choose "xy", "xx", "yy", "yx" or a pair of model names')
        return letters[view[0]], letters[view[1]]
    first, second = view
    return position(models, first), position(models, second)


def position(models: Sequence[str], model: str) -> int:
    """Return the position of a model's name in the sequence `models`; raise ValueError for an unknown name."""
    if model not in models:
        raise ValueError(f"there is no model {model!r} here.{did_you_mean(str(model), tuple(models))}")
    return models.index(model)
