"""`Extremes`: the samples on which two layers agree least and most, updated batch by batch.

All values are tensors on one device, with shapes that do not depend on the numbers, so that updates never synchronise
with the device. Only `RankedSamples.fetch` does.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.data.samples import Samples
from simwidget.gram.rows import Key
from simwidget.inspection.pair_inspection import Sample

N_EXTREMES = 12
"""The number of samples that are kept at each end."""


def agreement(gram_x: Tensor, gram_y: Tensor) -> Tensor:
    r"""The agreement of two layers on each sample: the cosine of the sample's rows in their two centred Gram matrices.

    .. math:: a_i = \frac{\sum_j K_{ij} L_{ij}}{\sqrt{\sum_j K_{ij}^2 \sum_j L_{ij}^2}}

    Args:
        gram_x, gram_y: the centred Gram matrices K and L (n, n) of the same samples.

    Returns:
        (n,) float64, from -1 to 1; NaN if a row is zero or not finite.

    >>> import torch
    >>> x = torch.tensor([[2.0, -1, -1], [-1, 1, 0], [-1, 0, 1]])
    >>> agreement(x, 3 * x)
    tensor([1., 1., 1.], dtype=torch.float64)
    """
    x, y = gram_x.double(), gram_y.double()
    return (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1))


@dataclass(frozen=True)
class RankedSamples:
    """Some samples with the agreement of two layers on each."""

    values: Tensor
    """(k,) float64; NaN if undefined"""
    samples: Samples

    def first(self, descending: bool) -> "RankedSamples":
        """The `N_EXTREMES` samples with the smallest or largest values, stably sorted, NaN last."""
        order = (-self.values if descending else self.values).argsort(stable=True)[:N_EXTREMES]
        return RankedSamples(self.values[order], self.samples.take(order))

    def join(self, other: "RankedSamples") -> "RankedSamples":
        """The concatenation of both."""
        return RankedSamples(torch.cat([self.values, other.values]), Samples.join([self.samples, other.samples]))

    def fetch(self) -> tuple[Sample, ...]:
        """The samples whose agreement is defined, as Python values; waits for the device."""
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
    """The samples on which two layers agree least and most. The order in which batches are merged does not matter.

    If fewer than twice `N_EXTREMES` samples were compared, some are in both lists.
    """

    least: RankedSamples
    """in ascending order of agreement"""
    most: RankedSamples
    """in descending order of agreement"""
    n_compared: Tensor
    """(): the number of samples whose agreement is defined"""

    @classmethod
    def of(cls, values: Tensor, samples: Samples) -> "Extremes":
        """The extremes of one batch, from the agreement (n,) on each of its samples."""
        batch = RankedSamples(values, samples)
        return cls(batch.first(descending=False), batch.first(descending=True), (~values.isnan()).sum())

    def merge(self, other: "Extremes") -> "Extremes":
        """The extremes of both sets of samples together."""
        least, most = self.least.join(other.least), self.most.join(other.most)
        n_compared = self.n_compared + other.n_compared
        return Extremes(least.first(descending=False), most.first(descending=True), n_compared)


Pair = frozenset[Key]
"""Two layers, in no order: they agree on a sample as much as they do the other way round."""


@dataclass
class WatchedPair:
    """A pair of layers that is being inspected, with its extremes over all batches since then."""

    key_x: Key
    key_y: Key
    extremes: Extremes | None = None

    def add(self, extremes: Extremes) -> None:
        """Add the extremes of another batch."""
        self.extremes = extremes if self.extremes is None else self.extremes.merge(extremes)
