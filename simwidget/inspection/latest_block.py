"""`LatestBlock`: the Gram matrices of all layers on the samples of the latest batch, or of joined small batches."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from simwidget.data.samples import BatchSamples, Samples
from simwidget.gram.centring import double_centre
from simwidget.inspection.extremes import Extremes, agreement
from simwidget.inspection.pair_inspection import Inspection, effective_dimension, sort_by_label
from simwidget.inspection.spectrum import gram_spectrum


@dataclass(frozen=True)
class LatestBlock:
    """m samples of the latest batches, and the Gram matrices (m, m) of R layers and confounders on these samples.

    The arguments `row`, `row_x` and `row_y` of the methods are indices of layers or confounders, from 0 to R - 1.
    """

    grams: Tensor
    """(R, m, m): the Gram matrix of each layer or confounder, not necessarily centred; zeros for a missing matrix"""
    batches: tuple[BatchSamples, ...]
    """the batches that contain the samples, in the order of the loader; the m samples are the first m samples of these
    batches"""

    @cached_property
    def samples(self) -> Samples:
        """The indices, labels and thumbnails of the m samples, on the device of the Gram matrices."""
        all_samples = Samples.join([one.samples(self.grams.device) for one in self.batches])
        return all_samples.take(slice(self.grams.shape[-1]))

    def gram(self, row: int) -> Tensor:
        """Return the centred Gram matrix (m, m) of the layer or confounder with index `row`."""
        return double_centre(self.grams[row])

    def extremes(self, row_x: int, row_y: int) -> Extremes:
        """Return the samples of this block on which the layers at indices `row_x` and `row_y` agree least and most."""
        return Extremes.of(agreement(self.gram(row_x), self.gram(row_y)), self.samples)

    def inspect(
        self, row_x: int, row_y: int, extremes: Extremes | None, names: tuple[str, str, str, str]
    ) -> Inspection:
        """Return the Gram matrices and spectra of two layers, and the samples on which the layers agree least and most.

        Args:
            row_x, row_y: the indices of the two layers.
            extremes: the samples on which the two layers agree least and most, chosen from several batches. If None,
                the samples are chosen from this block.
            names: names of the first model and its layer, and of the second model and its layer.
        """
        grams = [self.gram(row).cpu() for row in (row_x, row_y)]
        spectrum_x, spectrum_y = map(gram_spectrum, grams)
        gram_x, gram_y = (gram.numpy() for gram in grams)
        order, labels = sort_by_label(self.samples.labels.cpu().numpy())
        extremes = extremes or self.extremes(row_x, row_y)
        return Inspection(
            *names,
            gram_x=gram_x[order][:, order].astype(np.float32),
            gram_y=gram_y[order][:, order].astype(np.float32),
            samples=self.samples.indices.cpu().numpy()[order],
            labels=labels,
            spectrum_x=spectrum_x,
            spectrum_y=spectrum_y,
            dimension_x=effective_dimension(spectrum_x),
            dimension_y=effective_dimension(spectrum_y),
            least=extremes.least.fetch(),
            most=extremes.most.fetch(),
            n_compared=int(extremes.n_compared),
        )

    def limited_to(self, max_bytes: int) -> "LatestBlock":
        """Return this block, or a smaller block if the Gram matrices of this block take more than `max_bytes`.

        The smaller block has as many of the first samples as fit.
        """
        if self.grams.nbytes <= max_bytes:
            return self
        m = int((max_bytes / self.grams.element_size() / len(self.grams)) ** 0.5)
        return LatestBlock(self.grams[:, :m, :m].clone(), self.batches)

    def make_thumbnails(self) -> None:
        """Make the thumbnails of all samples, and release the loader's tensors from which they are made."""
        for one in self.batches:
            one.make_thumbnails()
