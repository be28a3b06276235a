"""The one value that leaves a run: labelled matrices, their errors, and where they come from. No torch here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from simwidget.result.views import View, position, positions
from simwidget.text.printable import printable
from simwidget.text.suggestions import did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Cells:
    """One measure on one pair of models, all (layers of the first, layers of the second)."""

    values: NDArray[np.float64]
    stderr: NDArray[np.float64]
    dominated: NDArray[np.bool_]

    def __post_init__(self) -> None:
        for array in (self.values, self.stderr, self.dominated):
            array.setflags(write=False)

    @property
    def swapped(self) -> "Cells":
        return Cells(self.values.T, self.stderr.T, self.dominated.T)


@dataclass(frozen=True)
class MeasureInfo:
    """What a reader must know of a measure: how it is written, which way it reads, how sure it is."""

    title: str
    kind: str
    """"similarity": high means alike; "distance": low does; "difference": one measure less another"""
    df: float
    """degrees of freedom of the t intervals, the same for every pair of layers; NaN with fewer than two groups"""
    reasons: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """model -> layer -> why its cells are NaN"""


@dataclass(frozen=True)
class SimilarityResult:
    """Similarities of the layers of some models, as of one moment of a run.

    Matrices are float64 and read-only: copy one to change it. A cell that cannot be computed is NaN; `reasons` says
    why. Estimates are never clamped: an unbiased one may be negative. Wherever a measure is asked for, one of
    `differences` will do: "cka-dcka" has a standard error of its own, since both rest on the same batches.
    """

    models: tuple[str, ...]
    measures: tuple[str, ...]
    n_samples: int
    """samples that the numbers rest on"""
    n_batches: int
    """batches of the loader that have gone through the models"""
    complete: bool
    notes: tuple[str, ...]
    """what a reader of the numbers must know: left-out samples, the loader's order, small batches"""
    provenance: Mapping[str, Any]
    _layers: tuple[tuple[str, ...], ...]
    _info: Mapping[str, MeasureInfo]
    _cells: Mapping[tuple[str, int, int], Cells]
    _kinds: tuple[tuple[str, ...], ...] = ()

    # --- what there is -----------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """The models' names; the same as `models`."""
        return self.models

    def layers(self, model: str) -> tuple[str, ...]:
        """The layers of one model in execution order; `name#1` is the second call of a module in one forward pass."""
        return self._layers[self._position(model)]

    def kinds(self, model: str) -> tuple[str, ...]:
        """For each of `layers` the name of its module's class; "" where it is not known."""
        position = self._position(model)
        return self._kinds[position] if self._kinds else ("",) * len(self._layers[position])

    @property
    def layers_x(self) -> tuple[str, ...]:
        """The layers of the first model."""
        return self._layers[0]

    @property
    def layers_y(self) -> tuple[str, ...]:
        """The layers of the second model; of the only one, if there is but one."""
        return self._layers[min(1, len(self._layers) - 1)]

    @property
    def differences(self) -> tuple[str, ...]:
        """Measures less another one: "cka-dcka" where there are both."""
        return tuple(name for name, info in self._info.items() if info.kind == "difference")

    def title(self, measure: str | None = None) -> str:
        """How the measure is written: "CKA", "dCKA"."""
        return self._measure(measure).title

    def kind(self, measure: str | None = None) -> str:
        """ "similarity" when high means alike, "distance" when low does; "difference"."""
        return self._measure(measure).kind

    def views(self) -> Iterator[tuple[str, str]]:
        """The pairs of models that were compared, each once; a model with itself is one."""
        seen = {(i, j) for _, i, j in self._cells}
        return ((self.models[i], self.models[j]) for i, j in sorted(seen))

    # --- the numbers -------------------------------------------------------------------------------------------------

    def matrix(self, measure: str | None = None, view: View = "xy") -> NDArray[np.float64]:
        """The measure's values: entry (i, j) is layer i of the view's first model and layer j of its second.

        Args:
            measure: one of `measures` or `differences`; the first measure by default.
            view: "xy", "xx", "yy" or "yx" for the first two models, or a pair of model names.
        """
        return self._view(measure, view).values

    def stderr(self, measure: str | None = None, view: View = "xy") -> NDArray[np.float64]:
        """One jackknife standard error for each entry of `matrix`; NaN before two groups of batches have data.

        It speaks of new samples from the same source, not of other training runs.
        """
        return self._view(measure, view).stderr

    def dominated(self, measure: str | None = None, view: View = "xy") -> NDArray[np.bool_]:
        """Cells of which one group of batches makes more than half of the variance: do not trust their error."""
        return self._view(measure, view).dominated

    def interval(
        self, measure: str | None = None, view: View = "xy", level: float = 0.95
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends of the t interval with confidence `level`, each shaped like `matrix`."""
        from scipy.stats import t

        if not 0 < level < 1:
            raise ValueError(f"level={level}: a confidence level lies between 0 and 1")
        cells = self._view(measure, view)
        half = t.ppf((1 + level) / 2, self._measure(measure).df) * cells.stderr
        return cells.values - half, cells.values + half

    def reasons(self, measure: str | None = None, model: str | None = None) -> dict[str, str]:
        """Why layers have no numbers: layer -> reason, for one model (the first by default)."""
        name = self.models[0] if model is None else self.models[self._position(model)]
        return dict(self._measure(measure).reasons.get(name, {}))

    def report(self) -> str:
        """How the numbers came about, as text: all that a colleague needs to make them again.

        Versions, models, loader, options, what is missing, notes, and a call of `compare` with the options that are not
        the defaults. Everything is from `provenance`, which a file keeps; what is not there is "not recorded". Names
        are escaped where they have characters that a terminal would obey.

        Returns:
            Lines of text, of which the last ones are Python.

        >>> import simwidget as sw
        >>> models, loader, _ = sw.demo.load()
        >>> result = sw.compare(models, loader, layers=["stage?"], unbiased=False, device="cpu").run(progress=False)
        >>> lines = result.report().splitlines()
        >>> lines[0], lines[1]
        ('CKA and dCKA of seed 0 × seed 1 × untrained', '1,000 samples in 16 batches, complete')
        >>> lines[-1]
        'sw.compare({"seed 0": model_1, "seed 1": model_2, "untrained": model_3}, loader, unbiased=False)'
        """
        from simwidget.result.report import format_report

        return format_report(self)

    # --- elsewhere ---------------------------------------------------------------------------------------------------

    def plot(self, measure: str | None = None, ax: "Axes | None" = None, *, view: View = "xy", **style: Any) -> "Axes":
        """Draw one matrix with matplotlib and return the Axes; see `simwidget.plots.heatmap` for the keywords."""
        from simwidget.plots import heatmap

        return heatmap(self, measure, view=view, ax=ax, **style)

    def to_html(self, path: str | PathLike[str], measure: str | None = None, *, view: View = "xy") -> None:
        """Write an interactive page that opens from disk, with no kernel and no network.

        Args:
            path: the file to write.
            measure, view: what the page shows first.
        """
        from simwidget.widget.page import page_of

        page = page_of(self, measure, view)
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)

    def to_dataframe(self, view: View = "xy") -> Any:
        """One row a cell: layer_x, layer_y, value and standard error of every measure and difference. Needs pandas."""
        from simwidget.result.tables import to_dataframe

        return to_dataframe(self, view)

    def to_xarray(self, view: View = "xy") -> Any:
        """A Dataset over (layer_x, layer_y) with a variable for every measure and its error. Needs xarray."""
        from simwidget.result.tables import to_xarray

        return to_xarray(self, view)

    def to_csv(self, path: str | PathLike[str] | TextIO, view: View = "xy") -> None:
        """Write one row a cell: the models and layers, then every measure and difference with its standard error.

        Numbers have all their digits and a missing one is empty. A name that a spreadsheet would take for a formula
        has an apostrophe before it.

        Args:
            path: the file to write, in UTF-8; or an open text file.
            view: as in `matrix`.
        """
        from simwidget.result.tables import write_csv

        write_csv(self, path, view)

    def save(self, path: str | PathLike[str] | BinaryIO) -> None:
        """Write everything to a file: arrays and JSON in the safetensors format, nothing that runs on loading.

        Args:
            path: the file to write; or an open binary file.
        """
        from simwidget.result.files import write_result

        write_result(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "SimilarityResult":
        """Read a file that `save` wrote, from whomever it comes: nothing in it runs, and all of it is checked.

        Raises:
            ValueError: it is something else, or malformed; the message names the file and says what is wrong with it.
            OSError: it cannot be read.
        """
        from simwidget.result.files import read_result

        return read_result(path)

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{name!r}: {len(layers)} layers" for name, layers in zip(self.models, self._layers, strict=True)
        )
        state = "complete" if self.complete else "partial"
        measures = printable("/".join(self.measures))
        return f"<SimilarityResult {measures} of {sizes}; {self.n_samples} samples, {state}>"

    # --- looking things up -------------------------------------------------------------------------------------------

    def _measure(self, measure: str | None) -> MeasureInfo:
        name = self.measures[0] if measure is None else measure
        if name not in self._info:
            raise ValueError(f"this result has no measure {name!r}.{did_you_mean(str(name), tuple(self._info))}")
        return self._info[name]

    def _position(self, model: str) -> int:
        return position(self.models, model)

    def positions(self, view: View) -> tuple[int, int]:
        """The places in `models` of the two models of a view."""
        return positions(self.models, view)

    def _view(self, measure: str | None, view: View) -> Cells:
        self._measure(measure)
        name = self.measures[0] if measure is None else measure
        x, y = self.positions(view)
        if (name, x, y) in self._cells:
            return self._cells[name, x, y]
        if (name, y, x) in self._cells:
            return self._cells[name, y, x].swapped
        raise ValueError(f"{name} of {self.models[x]!r} and {self.models[y]!r} is not in this result")
