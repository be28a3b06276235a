"""The samples on which two layers agree least and most, kept up batch by batch.

Everything here is tensors on one device and of shapes that do not depend on the numbers, so that no batch waits for
them; only `RankedSamples.fetch` does, for whoever asks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.data.samples import Samples
from simwidget.gram.rows import Key
from simwidget.inspection.pair import Sample

N_EXTREMES = 12
"""Samples kept at either end."""


def agreement(gram_x: Tensor, gram_y: Tensor) -> Tensor:
    r"""How far two layers agree on each sample: the cosine of its rows of their two centred Gram matrices.

    .. math:: a_i = \frac{\sum_j K_{ij} L_{ij}}{\sqrt{\sum_j K_{ij}^2 \sum_j L_{ij}^2}}

    Args:
        gram_x, gram_y: centred Gram matrices (n, n) of the same samples.

    Returns:
        (n,) float64, from -1 to 1; NaN where a row is zero or not finite.

    >>> import torch
    >>> x = torch.tensor([[2.0, -1, -1], [-1, 1, 0], [-1, 0, 1]])
    >>> agreement(x, 3 * x)
    tensor([1., 1., 1.], dtype=torch.float64)
    """
    x, y = gram_x.double(), gram_y.double()
    return (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1))


@dataclass(frozen=True)
class RankedSamples:
    """Some samples with the agreement of two layers on them, in an order."""

    values: Tensor
    """(k,) float64; NaN where the layers cannot be compared"""
    samples: Samples

    def first(self, descending: bool) -> "RankedSamples":
        """The `N_EXTREMES` least or largest values in order; NaN comes last, and of equals the earlier one first."""
        order = (-self.values if descending else self.values).argsort(stable=True)[:N_EXTREMES]
        return RankedSamples(self.values[order], self.samples.take(order))

    def join(self, other: "RankedSamples") -> "RankedSamples":
        return RankedSamples(torch.cat([self.values, other.values]), Samples.join([self.samples, other.samples]))

    def fetch(self) -> tuple[Sample, ...]:
        """The samples that could be compared, for people."""
        values, places, labels = (part.tolist() for part in (self.values, self.samples.indices, self.samples.labels))
        pictured, pictures = self.samples.has_thumbnail.tolist(), self.samples.thumbnails.cpu().numpy()
        return tuple(
            Sample(
                index=places[k],
                label=None if labels[k] != labels[k] else int(labels[k]),
                value=value,
                thumbnail=pictures[k] if pictured[k] else None,
            )
            for k, value in enumerate(values)
            if value == value
        )


@dataclass(frozen=True)
class Extremes:
    """The samples on which two layers agree least and most. Merging is additive: the order of batches does not matter.

    Where fewer than twice `N_EXTREMES` samples were compared, some stand at both ends.
    """

    least: RankedSamples
    """the least agreed first"""
    most: RankedSamples
    """the most agreed first"""
    n_compared: Tensor
    """(): how many samples had a number"""

    @classmethod
    def of(cls, values: Tensor, samples: Samples) -> "Extremes":
        """Of one batch: agreements (n,) and whose they are."""
        batch = RankedSamples(values, samples)
        return cls(batch.first(descending=False), batch.first(descending=True), (~values.isnan()).sum())

    def merge(self, other: "Extremes") -> "Extremes":
        least, most = self.least.join(other.least), self.most.join(other.most)
        n_compared = self.n_compared + other.n_compared
        return Extremes(least.first(descending=False), most.first(descending=True), n_compared)


Pair = frozenset[Key]
"""Two layers, in no order: they agree on a sample as much as they do the other way round."""


@dataclass
class WatchedPair:
    """A pair of layers that someone looks at, and what its batches have shown since."""

    key_x: Key
    key_y: Key
    extremes: Extremes | None = None

    def add(self, extremes: Extremes) -> None:
        self.extremes = extremes if self.extremes is None else self.extremes.merge(extremes)
