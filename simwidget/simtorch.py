"""The classes `CKA` and `DeltaCKA`, for code that was written for the package simtorch: they have its interface."""

import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from simwidget.files.atomic import open_for_writing
from simwidget.plan.confounders import ConfounderOption
from simwidget.plan.options import Options
from simwidget.plan.similarity_model import SimilarityModel
from simwidget.result.similarity_result import SimilarityResult
from simwidget.run.comparison import Comparison
from simwidget.text.printable import describe_type
from simwidget.text.suggestions import did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class BaseSimilarity:
    """The base class of `CKA` and `DeltaCKA`: compares the layers of two models by one measure.

    `compute` runs both models over a loader and computes the similarity matrix; `plot_similarity` draws the matrix.
    After `compute`, the attribute `sim_matrix` is the matrix, and `result` is a `SimilarityResult` with the matrix,
    standard errors, layer names and notes. Each subclass sets two class attributes: `measure`, the name of the measure
    in `compare`, and `similarity_name`, the name of the measure in titles.

    Args:
        sim_model1: the model whose layers are the rows of the matrix.
        sim_model2: the model whose layers are the columns of the matrix.
        device: the device on which both models run. With None, the devices are chosen as in `compare`.
        unbiased, average: as in `compare`.
        gram_batch: as in `compare`. The default is 64 with `average="hsic"`. It is 1 with `average="cka"`, so that
            batches of the loader are not joined.
        options: other keyword arguments of `compare`.

    Raises:
        TypeError: a model is not a `SimilarityModel`, or an option is unknown.
        ValueError: an option has a wrong value, as in `compare`.
    """

    measure: str
    similarity_name: str

    def __init__(
        self,
        sim_model1: SimilarityModel,
        sim_model2: SimilarityModel,
        device: torch.device | str | None = "cpu",
        *,
        unbiased: bool = True,
        average: Literal["hsic", "cka"] = "hsic",
        gram_batch: int | None = None,
        **options: Any,
    ) -> None:
        for position, model in enumerate((sim_model1, sim_model2), 1):
            if not isinstance(model, SimilarityModel):
                raise TypeError(f"sim_model{position} is {describe_type(model)}: wrap it in SimilarityModel")
        self.sim_model1 = sim_model1
        self.sim_model2 = sim_model2
        self.device = device
        self.sim_matrix: NDArray[np.float64] | None = None
        self.result: SimilarityResult | None = None
        # a mean of per-batch ratios refers to the batches of the loader, so these are not joined
        resolved_gram_batch = gram_batch if gram_batch is not None else 1 if average == "cka" else 64
        known = [field.name for field in fields(Options)]
        for option in options:
            if option not in known:
                raise TypeError(f"unknown option {option!r}.{did_you_mean(option, known)}")
        self._options = {"unbiased": unbiased, "average": average, "gram_batch": resolved_gram_batch, **options}
        self._comparison([])  # raises for wrong options now rather than after the data are loaded

    def compute(self, dataloader: Iterable[Any]) -> NDArray[np.float64]:
        """Run both models over the loader and return the matrix S (layers of model 1, layers of model 2), float64.

        S[i, j] is the similarity of layer i of `sim_model1` and layer j of `sim_model2`; NaN where it is undefined.
        """
        self.result = self._comparison(dataloader).run()
        self.sim_matrix = self.result.matrix(self.measure).copy()
        return self.sim_matrix

    def _comparison(self, dataloader: Iterable[Any]) -> Comparison:
        first, second = self.sim_model1, self.sim_model2
        if first.model_name == second.model_name:
            first, second = first.renamed(f"{first.model_name} (x)"), second.renamed(f"{second.model_name} (y)")
        options = Options(measures=(self.measure,), device=self.device, **self._options)
        return Comparison((first, second), dataloader, options)

    def plot_similarity(
        self,
        title: str | None = None,
        xlabel: str | None = None,
        ylabel: str | None = None,
        savefig: bool = False,
        save_path: str | Path = "../output",
        plot_cmap: str = "magma",
    ) -> "Axes":
        """Draw the matrix with matplotlib and return the Axes. Raises RuntimeError before `compute`.

        Args:
            title: by default the measure and the names of both models.
            xlabel, ylabel: by default the name of model 2 (for the columns) and of model 1 (for the rows).
            savefig: whether to write the picture as a PNG file into the folder `save_path`. The file name is the title
                with "_" in place of spaces and path separators.
            save_path: the folder for `savefig`; it is made if it does not exist.
            plot_cmap: a matplotlib colour map.
        """
        if self.result is None:
            raise RuntimeError("nothing to plot yet: call compute(dataloader) first")
        name1, name2 = self.sim_model1.model_name, self.sim_model2.model_name
        title = f"{self.similarity_name}: {name1} vs {name2}" if title is None else title
        ax = self.result.plot(
            self.measure,
            title=title,
            xlabel=name2 if xlabel is None else xlabel,
            ylabel=name1 if ylabel is None else ylabel,
            cmap=plot_cmap,
        )
        if savefig:
            os.makedirs(save_path, exist_ok=True)
            path = os.path.join(save_path, "_".join(title.split()).replace(os.sep, "_") + ".png")
            with open_for_writing(path, "wb") as file:
                ax.figure.savefig(file, format="png", dpi=200)  # type: ignore[union-attr]  # `plot` makes a whole figure
        return ax


class CKA(BaseSimilarity):
    """Linear centred kernel alignment of the layers of two models (Kornblith et al. 2019).

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) for the Gram matrices K and L of two layers. By default, the unbiased
    HSIC_1 is summed over the batches, and CKA is computed once from the sums. With `unbiased=False, average="cka"`, the
    biased CKA of each batch is computed, and the result is the mean, as in simtorch and many published figures. The
    arguments are those of `BaseSimilarity`.

    >>> import torch, simwidget as sw
    >>> _ = torch.manual_seed(0)
    >>> net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    >>> cka = sw.CKA(sw.SimilarityModel(net, "a"), sw.SimilarityModel(net, "b"))
    >>> cka.compute([torch.randn(64, 8) for _ in range(4)]).shape
    (2, 2)
    """

    measure = "cka"
    similarity_name = "CKA"

    def __init__(
        self,
        sim_model1: SimilarityModel,
        sim_model2: SimilarityModel,
        device: torch.device | str | None = "cpu",
        unbiased: bool = True,
        average: Literal["hsic", "cka"] = "hsic",
        gram_batch: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            sim_model1,
            sim_model2,
            device,
            unbiased=unbiased,
            average=average,
            gram_batch=gram_batch,
            confounder=None,
            **options,
        )


class DeltaCKA(BaseSimilarity):
    """Deconfounded CKA of the layers of two models (Cui et al. 2022).

    The Gram matrix of each layer is regressed on the Gram matrix of the confounder (by default the model's input). dCKA
    is the CKA of the residuals.

    Args:
        remove_negative_eig: set the negative eigenvalues of each batch's residual Gram matrices to zero (an option of
            simtorch). Needs `unbiased=False, average="cka"`.
        confounder: as in `compare`.

    The other arguments are those of `BaseSimilarity`.
    """

    measure = "dcka"
    similarity_name = "dCKA"

    def __init__(
        self,
        sim_model1: SimilarityModel,
        sim_model2: SimilarityModel,
        device: torch.device | str | None = "cpu",
        remove_negative_eig: bool = False,
        unbiased: bool = True,
        average: Literal["hsic", "cka"] = "hsic",
        gram_batch: int | None = None,
        confounder: ConfounderOption = "input",
        **options: Any,
    ) -> None:
        super().__init__(
            sim_model1,
            sim_model2,
            device,
            unbiased=unbiased,
            average=average,
            gram_batch=gram_batch,
            confounder=confounder,
            remove_negative_eig=remove_negative_eig,
            **options,
        )
