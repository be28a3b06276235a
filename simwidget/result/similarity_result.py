"""`SimilarityResult`: matrices of similarities between layers, standard errors, and a record of the run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from simwidget.files.atomic import open_for_writing
from simwidget.result.cells import Cells, MeasureInfo
from simwidget.result.views import View, position, positions
from simwidget.text.printable import printable
from simwidget.text.suggestions import did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class SimilarityResult:
    """Similarities between layers, within one model or between several models, at one moment of a run.

    `compare(...).run()` returns a result, and `SimilarityResult.load` reads a result from a file. A result is a
    snapshot: it does not change while the run goes on.

    Matrices are float64 and read-only; copy a matrix to change it. An entry that cannot be computed is NaN, and
    `reasons` says why. Estimates are never clamped to [0, 1], so an unbiased estimate may be negative.

    Methods with an argument `measure` accept the name of a measure ("cka", "dcka") or of a difference of two measures
    ("cka-dcka", which is CKA minus dCKA). CKA and dCKA are correlated because they are computed from the same batches.
    The standard error of their difference accounts for this correlation.
    """

    models: tuple[str, ...]
    """names of the models"""
    measures: tuple[str, ...]
    """names of the measures, such as "cka"; names of differences are in `differences`"""
    n_samples: int
    """number of samples from which the similarities were computed"""
    n_batches: int
    """number of batches that have gone through the models"""
    complete: bool
    """whether the run finished; False for a stopped run or an intermediate result"""
    notes: tuple[str, ...]
    """warnings for readers of the numbers, for example about skipped samples, a sorted loader or small batches"""
    provenance: Mapping[str, Any]
    """how the result was made: versions, device, loader, models, options; the method `report` returns this as text"""
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
        """Return the names of the layers of one model, in execution order.

        "name#1" is the second call of the module "name" in one forward pass, "name#2" is the third call, and so on.
        """
        return self._layers[self._position(model)]

    def kinds(self, model: str) -> tuple[str, ...]:
        """Return the class name, such as "Conv2d", of each layer of one model, in the order of `layers`.

        The class name is "" for a layer whose class is not known.
        """
        position = self._position(model)
        return self._kinds[position] if self._kinds else ("",) * len(self._layers[position])

    @property
    def layers_x(self) -> tuple[str, ...]:
        """The layers of the first model."""
        return self._layers[0]

    @property
    def layers_y(self) -> tuple[str, ...]:
        """The layers of the second model, or of the only model."""
        return self._layers[min(1, len(self._layers) - 1)]

    @property
    def differences(self) -> tuple[str, ...]:
        """The names of the differences of two measures: "cka-dcka" if CKA and dCKA were both computed."""
        return tuple(name for name, info in self._info.items() if info.kind == "difference")

    def title(self, measure: str | None = None) -> str:
        """Return the display name of a measure, such as "dCKA". The default is the first measure."""
        return self._measure(measure).title

    def kind(self, measure: str | None = None) -> str:
        """Return the kind of a measure: "similarity", "distance" or "difference". The default is the first measure.

        "similarity": high values mean that two layers are alike. "distance": low values mean that two layers are alike.
        "difference": the values are those of one measure minus those of another measure.
        """
        return self._measure(measure).kind

    def views(self) -> Iterator[tuple[str, str]]:
        """Iterate over the pairs of models that were compared, as pairs of names.

        Each pair occurs in one order only. A pair may consist of the same model twice.
        """
        seen = {(i, j) for _, i, j in self._cells}
        return ((self.models[i], self.models[j]) for i, j in sorted(seen))

    # --- the numbers -------------------------------------------------------------------------------------------------

    def matrix(self, measure: str | None = None, view: View = "xy") -> NDArray[np.float64]:
        """Return the values of a measure for all pairs of layers of two models.

        Args:
            measure: a name in `measures` or `differences`; the first measure by default.
            view: the two models, as a pair of model names; or "xy", "xx", "yy" or "yx", where x is the first model of
                the result and y the second. "xx" compares the layers of the first model with each other.

        Returns:
            A float64 array with one row for each layer of the view's first model, and one column for each layer of the
            view's second model. Rows and columns of layers that `reasons` lists are NaN.

        Raises:
            ValueError: the measure, the view or a model's name is unknown, or the two models were not compared.
        """
        return self._view(measure, view).values

    def stderr(self, measure: str | None = None, view: View = "xy") -> NDArray[np.float64]:
        """Return the jackknife standard error of each entry of `matrix`, as an array of the same shape.

        The arguments are those of `matrix`. The jackknife divides the batches into groups. All standard errors are NaN
        until two groups have data. A standard error says how much the value would vary with other samples from the same
        source. It says nothing about models from other training runs.
        """
        return self._view(measure, view).stderr

    def dominated(self, measure: str | None = None, view: View = "xy") -> NDArray[np.bool_]:
        """Return for each entry of `matrix` whether its standard error is unreliable, as an array of the same shape.

        A standard error is unreliable if a single group of batches in the jackknife contributes more than half of the
        variance. While fewer than four groups have data, all entries are False. The arguments are those of `matrix`.
        """
        return self._view(measure, view).dominated

    def interval(
        self, measure: str | None = None, view: View = "xy", level: float = 0.95
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and upper ends of a confidence interval for each entry of `matrix`, as two arrays.

        Each array has the shape of `matrix`. The interval is `matrix` plus or minus `stderr` times a quantile of
        Student's t distribution.

        Args:
            measure: as in `matrix`.
            view: as in `matrix`.
            level: confidence level, between 0 and 1.

        Raises:
            ValueError: `level` is not between 0 and 1, or `matrix` raises ValueError for these arguments.
        """
        from scipy.stats import t

        if not 0 < level < 1:
            raise ValueError(f"level={level}: give a confidence level between 0 and 1, such as 0.95")
        cells = self._view(measure, view)
        half = t.ppf((1 + level) / 2, self._measure(measure).df) * cells.stderr
        return cells.values - half, cells.values + half

    def reasons(self, measure: str | None = None, model: str | None = None) -> dict[str, str]:
        """Return a dict from layer names to the reasons why these layers have no values of a measure.

        Layers with values are not in the dict. The defaults are the first measure and the first model.
        """
        name = self.models[0] if model is None else self.models[self._position(model)]
        return dict(self._measure(measure).reasons.get(name, {}))

    def report(self) -> str:
        """Return a text that says how the result was made, for a reader who wants to repeat the run.

        The text lists versions, models, loader, options, layers without numbers and notes. It ends with Python code
        that calls `compare` with the options that differ from the defaults. Facts about the run come from `provenance`,
        which is saved with the result. A fact that is missing in `provenance` is shown as "not recorded". Control
        characters in names are escaped.

        Returns:
            Lines of text; the last lines are Python code.

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
            ax: Axes to draw into; by default the Axes of a new figure.
            view: as in `matrix`.
            style: keyword arguments of `simwidget.plots.heatmap`.

        Returns:
            The Axes.
        """
        from simwidget.plots import heatmap

        return heatmap(self, measure, view=view, ax=ax, **style)

    def to_html(self, path: str | PathLike[str], measure: str | None = None, *, view: View = "xy") -> None:
        """Write an interactive HTML page. The page needs neither a kernel nor an internet connection.

        Args:
            path: the file to write.
            measure: the measure that the page shows at first, as in `matrix`.
            view: the two models that the page shows at first, as in `matrix`. Readers can choose other models.
        """
        from simwidget.widget.html_page import page_of

        page = page_of(self, measure, view)
        with open_for_writing(path, "w", encoding="utf-8") as file:
            file.write(page)

    def to_dataframe(self, view: View = "xy") -> Any:
        """Return a pandas DataFrame with one row for each pair of layers of two models; needs pandas.

        The columns are layer_x and layer_y, and two columns for each measure and difference, such as cka (values) and
        cka_stderr (standard errors). `view` chooses the two models, as in `matrix`.
        """
        from simwidget.result.tables import to_dataframe

        return to_dataframe(self, view)

    def to_xarray(self, view: View = "xy") -> Any:
        """Return an xarray Dataset with the dimensions layer_x and layer_y, for two models; needs xarray.

        There are two variables for each measure and difference, such as cka (values) and cka_stderr (standard errors).
        `view` chooses the two models, as in `matrix`.
        """
        from simwidget.result.tables import to_xarray

        return to_xarray(self, view)

    def to_csv(self, path: str | PathLike[str] | TextIO, view: View = "xy") -> None:
        """Write a CSV file with one row for each pair of layers of two models.

        The columns are model_x, layer_x, model_y and layer_y, and two columns for each measure and difference, such as
        cka (values) and cka_stderr (standard errors). Numbers are written in full precision, and NaN as an empty field.
        A name that a spreadsheet might read as a formula is written with an apostrophe before the name.

        Args:
            path: the file to write, in UTF-8; or an open text file.
            view: the two models, as in `matrix`.
        """
        from simwidget.result.tables import write_csv

        write_csv(self, path, view)

    def save(self, path: str | PathLike[str] | BinaryIO) -> None:
        """Write the whole result to a file in the safetensors format; loading the file runs no code.

        Matrices are stored as arrays, and everything else as JSON in the header of the file.

        Args:
            path: the file to write; or an open binary file.
        """
        from simwidget.result.saving import write_result

        write_result(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "SimilarityResult":
        """Read a result from a file that `save` wrote.

        Untrusted files are safe to load: no code in the file is run, and all content is checked.

        Args:
            path: the file to read.

        Raises:
            ValueError: the file is not a result, or is malformed; the message names the file and the problem.
            OSError: the file cannot be read.
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
        """Return the two models of a view as positions in `models`; `view` is as in `matrix`.

        Raises ValueError for an unknown view or model.
        """
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
