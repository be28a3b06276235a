"""The interface of simtorch: measures as classes over two `SimilarityModel`s."""

import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from simwidget.plan.confounders import ConfounderOption
from simwidget.plan.model import SimilarityModel
from simwidget.plan.options import Options
from simwidget.result.similarity_result import SimilarityResult
from simwidget.run.comparison import Comparison
from simwidget.text.printable import describe_type
from simwidget.text.suggestions import did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class BaseSimilarity:
    """Two models and a measure; `compute` runs it over a loader, `plot_similarity` draws the matrix.

    Subclasses set `measure`; further options are those of `compare`. After `compute`, `sim_matrix` holds the matrix and
    `result` the whole `SimilarityResult`, with errors, layer names and notes.
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
        # the mean of per-batch ratios is about the loader's own batches, so these are not joined
        resolved_gram_batch = gram_batch if gram_batch is not None else 1 if average == "cka" else 64
        known = [field.name for field in fields(Options)]
        for option in options:
            if option not in known:
                raise TypeError(f"unknown option {option!r}.{did_you_mean(option, known)}")
        self._options = {"unbiased": unbiased, "average": average, "gram_batch": resolved_gram_batch, **options}
        self._comparison([])  # wrong options fail here, not after the data have been loaded

    def compute(self, dataloader: Iterable[Any]) -> NDArray[np.float64]:
        """Run both models over the loader; returns S (layers of the first, layers of the second), float64.

        S[i, j] is the similarity of layer i of the first model and layer j of the second.
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
        """Draw the matrix with matplotlib and return the Axes; the axis labels carry the models' names.

        With `savefig`, the picture is also written into the folder `save_path`, named after the title.
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
            ax.figure.savefig(path, dpi=200)  # type: ignore[union-attr]  # `plot` made it: no subfigure
        return ax


class CKA(BaseSimilarity):
    """Centred kernel alignment of the layers of two models.

    Unbiased by default: HSIC_1 is summed over the batches and the ratio is taken once. `unbiased=False,
    average="cka"` gives the mean of the batches' biased CKA, as simtorch and many published figures do.
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
    """Deconfounded CKA (Cui et al. 2022): CKA of what the input's Gram matrix does not explain of the layers'.

    `remove_negative_eig` sets the negative eigenvalues of each batch's residual to zero, as simtorch offers; it needs
    `unbiased=False, average="cka"`.
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
