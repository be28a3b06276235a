"""Views: which two models of a result a matrix compares."""

from collections.abc import Sequence

from simwidget.text.suggestions import did_you_mean

View = str | tuple[str, str]


def positions(models: Sequence[str], view: View) -> tuple[int, int]:
    """The places of the two models of a view: "xy", "xx", "yy", "yx" for the first two, or a pair of names."""
    if isinstance(view, str):
        letters = {"x": 0, "y": min(1, len(models) - 1)}
        if len(view) != 2 or not set(view) <= set(letters):
            raise ValueError(f'view={view!r}: choose "xy", "xx", "yy", "yx" or a pair of model names')
        return letters[view[0]], letters[view[1]]
    first, second = view
    return position(models, first), position(models, second)


def position(models: Sequence[str], model: str) -> int:
    if model not in models:
        raise ValueError(f"there is no model {model!r} here.{did_you_mean(str(model), tuple(models))}")
    return models.index(model)
