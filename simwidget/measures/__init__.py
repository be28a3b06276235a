"""The similarity measures CKA and dCKA, selected by name. Each family of measures has its own file.

In:     names and options of `compare`; and a matrix (R, R) of inner products, summed over blocks of samples. The inner
        products are those of R rows: the centred and flattened Gram matrices of the confounders and layers.
Out:    `Measure`: a row map, which computes the rows, and an evaluator, which computes values from the inner products.
Nothing here depends on networks, loaders or runs.
"""

from collections.abc import Callable, Sequence

from simwidget.measures.base import Difference, Measure, MeasureOptions
from simwidget.measures.cka import cka, dcka
from simwidget.text.suggestions import did_you_mean

MEASURES: dict[str, Callable[[MeasureOptions], Measure]] = {"cka": cka, "dcka": dcka}


def make_measures(names: Sequence[str], options: MeasureOptions) -> tuple[Measure, ...]:
    """Return the measures with the given names ("cka", "dcka"), in the order of `names` and without duplicates.

    Raises:
        ValueError: a name is unknown, or `names` is empty.
    """
    if isinstance(names, str):
        names = (names,)
    if not names:
        raise ValueError(f"measures is empty: choose from {', '.join(MEASURES)}")
    for name in names:
        if name not in MEASURES:
            raise ValueError(f"unknown measure {name!r}.{did_you_mean(str(name), tuple(MEASURES))}")
    return tuple(MEASURES[name](options) for name in dict.fromkeys(names))


def make_differences(measures: Sequence[Measure]) -> tuple[Difference, ...]:
    """Return the differences of measures that a result reports in addition to the measures.

    If `measures` has both CKA and dCKA, the only difference is CKA minus dCKA: the part of CKA that is due to the
    confounders. Otherwise the tuple is empty.
    """
    known = {measure.name: measure for measure in measures}
    return (Difference(known["cka"], known["dcka"]),) if {"cka", "dcka"} <= set(known) else ()
