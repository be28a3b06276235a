"""The latest batch of a run: the Gram matrices of all its layers, and whose samples they are."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from simwidget.agreement import Extremes, agreement
from simwidget.inspection import Inspection, effective_dimension, sort_by_label, spectrum_of
from simwidget.rows import double_centre
from simwidget.samples import Given, Samples


@dataclass(frozen=True)
class Latest:
    grams: Tensor
    """(R, m, m): for each row its centred Gram matrix; zeros where it has none"""
    given: tuple[Given, ...]
    """the batches of the loader whose samples, in this order, begin with those m"""

    @cached_property
    def samples(self) -> Samples:
        """The m samples, on the Gram matrices' device."""
        everyone = Samples.join([one.samples(self.grams.device) for one in self.given])
        return everyone.take(slice(self.grams.shape[-1]))

    def extremes(self, row_x: int, row_y: int) -> Extremes:
        """The samples of this batch on which two rows agree least and most."""
        return Extremes.of(agreement(self.grams[row_x], self.grams[row_y]), self.samples)

    def inspect(
        self, row_x: int, row_y: int, extremes: Extremes | None, names: tuple[str, str, str, str]
    ) -> Inspection:
        """What two rows make of this batch's samples; without extremes, those of this batch.

        `names` are the first model's and layer's and the second's.
        """
        gram_x, gram_y = (self.grams[row].cpu().numpy() for row in (row_x, row_y))
        spectrum_x, spectrum_y = spectrum_of(gram_x), spectrum_of(gram_y)
        order, labels = sort_by_label(self.samples.labels.cpu().numpy())
        extremes = extremes or self.extremes(row_x, row_y)
        return Inspection(
            *names,
            gram_x=gram_x[order][:, order].astype(np.float32),
            gram_y=gram_y[order][:, order].astype(np.float32),
            samples=self.samples.places.cpu().numpy()[order],
            labels=labels,
            spectrum_x=spectrum_x,
            spectrum_y=spectrum_y,
            dimension_x=effective_dimension(spectrum_x),
            dimension_y=effective_dimension(spectrum_y),
            least=extremes.least.read(),
            most=extremes.most.read(),
            n_compared=int(extremes.n_compared),
        )

    def within(self, limit: int) -> "Latest":
        """The same, or only its first samples, centred anew, if the Gram matrices would take more bytes."""
        if self.grams.nbytes <= limit:
            return self
        m = int((limit / self.grams.element_size() / len(self.grams)) ** 0.5)
        return Latest(double_centre(self.grams[:, :m, :m]), self.given)

    def develop(self) -> None:
        """Make the thumbnails, and let the loader's tensors go."""
        for one in self.given:
            one.develop()
