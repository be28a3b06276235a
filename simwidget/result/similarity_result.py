"""The result of a run: labelled matrices of similarities, their standard errors, and how they were made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from simwidget.result.cells import Cells, MeasureInfo
from simwidget.result.views import View, position, positions
from simwidget.text.printable import printable
from simwidget.text.suggestions import did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class SimilarityResult:
    """Similarities of the layers of two or more models, or of one model with itself, at one moment of a run.

    `compare(...).run()` returns one, and `load` reads one from a file. It does not change while a run goes on.

    Matrices are float64 and read-only: copy one to change it. A cell that cannot be computed is NaN, and `reasons` says
    why. Estimates are never clamped, so an unbiased one may be negative.

    Methods with a `measure` argument accept a measure ("cka", "dcka") or one of `differences`. "cka-dcka" is CKA minus
    dCKA; it has a standard error of its own, which accounts for both being computed from the same batches.
    """

    models: tuple[str, ...]
    """names of the models"""
    measures: tuple[str, ...]
    """names of the measures, such as "cka"; `differences` are not included"""
    n_samples: int
    """samples from which the numbers were computed"""
    n_batches: int
    """batches of the loader that have gone through the models"""
    complete: bool
    """whether the run finished; False for a stopped run or an intermediate result"""
    notes: tuple[str, ...]
    """what readers of the numbers must know, such as skipped samples, a sorted loader or small batches"""
    provenance: Mapping[str, Any]
    """how the result was made: versions, device, loader, models, options; `report` formats it"""
    _layers: tuple[tuple[str, ...], ...]
    _info: Mapping[str, MeasureInfo]
    _cells: Mapping[tuple[str, int, int], Cells]
    _kinds: tuple[tuple[str, ...], ...] = ()

    # --- models, layers and measures ---------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """The models' names; the same as `models`."""
        return self.models

    def layers(self, model: str) -> tuple[str, ...]:
        """The layers of one model in execution order; `name#1` is the second call of a module in one forward pass."""
        return self._layers[self._position(model)]

    def kinds(self, model: str) -> tuple[str, ...]:
        """For each layer of one model the name of its module's class, such as "Conv2d"; "" where it is not known."""
        position = self._position(model)
        return self._kinds[position] if self._kinds else ("",) * len(self._layers[position])

    @property
    def layers_x(self) -> tuple[str, ...]:
        """The layers of the first model."""
        return self._layers[0]

    @property
    def layers_y(self) -> tuple[str, ...]:
        """The layers of the second model, or of the first if there is only one."""
        return self._layers[min(1, len(self._layers) - 1)]

    @property
    def differences(self) -> tuple[str, ...]:
        """The differences of measures: "cka-dcka" if both were computed."""
        return tuple(name for name, info in self._info.items() if info.kind == "difference")

    def title(self, measure: str | None = None) -> str:
        """The name of a measure as displays write it, such as "dCKA"."""
        return self._measure(measure).title

    def kind(self, measure: str | None = None) -> str:
        """Either "similarity" (high values mean alike), "distance" (low values mean alike) or "difference"."""
        return self._measure(measure).kind

    def views(self) -> Iterator[tuple[str, str]]:
        """The pairs of models that were compared, each in one order; a model may be paired with itself."""
        seen = {(i, j) for _, i, j in self._cells}
        return ((self.models[i], self.models[j]) for i, j in sorted(seen))

    # --- the numbers -------------------------------------------------------------------------------------------------

    def matrix(self, measure: str | None = None, view: View = "xy") -> NDArray[np.float64]:
        """The values of a measure: entry (i, j) is for layer i of the view's first model and layer j of its second.

        Args:
            measure: one of `measures` or `differences`; the first measure by default.
            view: the two models: "xy", "xx", "yy" or "yx" for the first two, or a pair of model names. "xx" is the
                first model with itself.

        Returns:
            float64, (layers of the view's first model, layers of its second); NaN where `reasons` has an entry.

        Raises:
            ValueError: the measure, the view or a model's name is unknown, or the pair was not compared.
        """
        return self._view(measure, view).values

    def stderr(self, measure: str | None = None, view: View = "xy") -> NDArray[np.float64]:
        """One jackknife standard error for each entry of `matrix`; NaN until two groups of batches have data.

        It measures the uncertainty due to the choice of samples from the same source. It says nothing about models of
        other training runs.
        """
        return self._view(measure, view).stderr

    def dominated(self, measure: str | None = None, view: View = "xy") -> NDArray[np.bool_]:
        """Bool, shaped like `matrix`: cells whose standard error is unreliable.

        One of the groups of batches contributes more than half of their variance.
        """
        return self._view(measure, view).dominated

    def interval(
        self, measure: str | None = None, view: View = "xy", level: float = 0.95
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends of the t interval around `matrix`, each shaped like it.

        Args:
            measure: as in `matrix`.
            view: as in `matrix`.
            level: confidence level, between 0 and 1.

        Raises:
            ValueError: `level` is not between 0 and 1, or as in `matrix`.
        """
        from scipy.stats import t

        if not 0 < level < 1:
            raise ValueError(f"level={level}: give a confidence level between 0 and 1, such as 0.95")
        cells = self._view(measure, view)
        half = t.ppf((1 + level) / 2, self._measure(measure).df) * cells.stderr
        return cells.values - half, cells.values + half

    def reasons(self, measure: str | None = None, model: str | None = None) -> dict[str, str]:
        """Why layers of one model (the first by default) have no numbers: layer -> reason."""
        name = self.models[0] if model is None else self.models[self._position(model)]
        return dict(self._measure(measure).reasons.get(name, {}))

    def report(self) -> str:
        """How the result was made, as text: all that a colleague needs to repeat the run.

        The text lists versions, models, loader, options, layers without numbers and notes, and ends with a call of
        `compare` with the options that differ from the defaults. It is made from `provenance`, which is saved with the
        result; what is missing there is "not recorded". Control characters in names are escaped.

        Returns:
            Lines of text; the last ones are Python code.

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

    # --- plots, pages, tables and files ------------------------------------------------------------------------------

    def plot(self, measure: str | None = None, ax: "Axes | None" = None, *, view: View = "xy", **style: Any) -> "Axes":
        """Draw one matrix with matplotlib.

        Args:
            measure: as in `matrix`.
            ax: Axes to draw into; new ones by default.
            view: as in `matrix`.
            style: keyword arguments of `simwidget.plots.heatmap`.

        Returns:
            The Axes.
        """
        from simwidget.plots import heatmap

        return heatmap(self, measure, view=view, ax=ax, **style)

    def to_html(self, path: str | PathLike[str], measure: str | None = None, *, view: View = "xy") -> None:
        """Write an interactive HTML page, which works from disk without a kernel or a network.

        Args:
            path: the file to write.
            measure: the measure that the page shows first, as in `matrix`.
            view: the pair of models that it shows first, as in `matrix`; readers can choose others.
        """
        from simwidget.widget.html_page import page_of

        page = page_of(self, measure, view)
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)

    def to_dataframe(self, view: View = "xy") -> Any:
        """A pandas DataFrame with one row for each cell of a view; needs pandas.

        The columns are layer_x and layer_y, and for every measure and difference NAME and NAME_stderr.
        """
        from simwidget.result.tables import to_dataframe

        return to_dataframe(self, view)

    def to_xarray(self, view: View = "xy") -> Any:
        """An xarray Dataset over (layer_x, layer_y) of one view; needs xarray.

        Its variables are NAME and NAME_stderr for every measure and difference.
        """
        from simwidget.result.tables import to_xarray

        return to_xarray(self, view)

    def to_csv(self, path: str | PathLike[str] | TextIO, view: View = "xy") -> None:
        """Write a CSV file with one row for each cell of a view.

        The columns are model_x, layer_x, model_y, layer_y, and for every measure and difference NAME and NAME_stderr.
        Numbers are written in full precision and NaN as an empty field. Names that a spreadsheet would take for a
        formula begin with an apostrophe.

        Args:
            path: the file to write, in UTF-8; or an open text file.
            view: as in `matrix`.
        """
        from simwidget.result.tables import write_csv

        write_csv(self, path, view)

    def save(self, path: str | PathLike[str] | BinaryIO) -> None:
        """Write the whole result to a file in the safetensors format, with the text as JSON; loading it runs no code.

        Args:
            path: the file to write; or an open binary file.
        """
        from simwidget.result.saving import write_result

        write_result(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "SimilarityResult":
        """Read a file that `save` wrote. Untrusted files are safe to load: no code runs, and all content is checked.

        Args:
            path: the file.

        Raises:
            ValueError: it is not a result, or is malformed; the message names the file and the problem.
            OSError: it cannot be read.
        """
        from simwidget.result.saving import read_result

        return read_result(path)

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{name!r}: {len(layers)} layers" for name, layers in zip(self.models, self._layers, strict=True)
        )
        state = "complete" if self.complete else "partial"
        measures = printable("/".join(self.measures))
        return f"<SimilarityResult {measures} of {sizes}; {self.n_samples} samples, {state}>"

    # --- lookup ------------------------------------------------------------------------------------------------------

    def _measure(self, measure: str | None) -> MeasureInfo:
        name = self.measures[0] if measure is None else measure
        if name not in self._info:
            raise ValueError(f"this result has no measure {name!r}.{did_you_mean(str(name), tuple(self._info))}")
        return self._info[name]

    def _position(self, model: str) -> int:
        return position(self.models, model)

    def positions(self, view: View) -> tuple[int, int]:
        """The positions in `models` of the two models of a view."""
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
