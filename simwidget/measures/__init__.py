"""Measures of similarity: CKA and dCKA by name, one file for each family.

In:     names and options of `compare`; products (R, R) of rows, summed over blocks of samples.
Out:    `Measure`, a row map with an evaluator that turns the products into values.
Depends on no network, loader or run.
"""

from collections.abc import Callable, Sequence

from simwidget.measures.base import Difference, Measure, MeasureOptions
from simwidget.measures.cka import cka, dcka
from simwidget.text.suggestions import did_you_mean

MEASURES: dict[str, Callable[[MeasureOptions], Measure]] = {"cka": cka, "dcka": dcka}


def make_measures(names: Sequence[str], options: MeasureOptions) -> tuple[Measure, ...]:
    """The measures of these names, in this order and each once; raises ValueError for an unknown name or for none."""
    if isinstance(names, str):
        names = (names,)
    if not names:
        raise ValueError(f"measures is empty: choose from {', '.join(MEASURES)}")
    for name in names:
        if name not in MEASURES:
            raise ValueError(f"unknown measure {name!r}.{did_you_mean(str(name), tuple(MEASURES))}")
    return tuple(MEASURES[name](options) for name in dict.fromkeys(names))


def make_differences(measures: Sequence[Measure]) -> tuple[Difference, ...]:
    """The differences that are reported with these measures: CKA minus dCKA, the part of CKA due to the confounders."""
    known = {measure.name: measure for measure in measures}
    return (Difference(known["cka"], known["dcka"]),) if {"cka", "dcka"} <= set(known) else ()
