"""`Extremes`: the samples on which two layers agree least and most, updated batch by batch.

All data are tensors on one device. Updates never wait for the device, because no tensor's shape depends on values in a
tensor. Only `RankedSamples.fetch` waits for the device.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.data.samples import Samples
from simwidget.gram.rows import Key
from simwidget.inspection.pair_inspection import Sample

N_EXTREMES = 12
"""Largest number of samples kept in each of the two groups: least agreement and most agreement."""


def agreement(gram_x: Tensor, gram_y: Tensor) -> Tensor:
    r"""Return the agreement of two layers on each sample: the cosine of the sample's rows in the Gram matrices.

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
    """k samples, and the agreement of two layers on each of these samples."""

    values: Tensor
    """(k,) float64: the agreement on each sample, from -1 to 1; NaN if undefined"""
    samples: Samples

    def first(self, descending: bool) -> "RankedSamples":
        """Return the first `N_EXTREMES` samples in order of agreement, which is ascending unless `descending` is True.

        Samples with equal agreement keep their order. Samples with the agreement NaN come last.
        """
        order = (-self.values if descending else self.values).argsort(stable=True)[:N_EXTREMES]
        return RankedSamples(self.values[order], self.samples.take(order))

    def join(self, other: "RankedSamples") -> "RankedSamples":
        """Return these samples followed by the samples of `other`."""
        return RankedSamples(torch.cat([self.values, other.values]), Samples.join([self.samples, other.samples]))

    def fetch(self) -> tuple[Sample, ...]:
        """Return one `Sample` for each sample whose agreement is not NaN. Waits for the device."""
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
    """Up to `N_EXTREMES` samples on which two layers agree least, and up to `N_EXTREMES` on which they agree most.

    The order in which batches are merged matters only for the choice among samples with equal agreement. If fewer than
    twice `N_EXTREMES` samples were compared, some samples are in both `least` and `most`.
    """

    least: RankedSamples
    """the samples with the least agreement, in ascending order of agreement"""
    most: RankedSamples
    """the samples with the most agreement, in descending order of agreement"""
    n_compared: Tensor
    """(): the number of compared samples whose agreement is defined"""

    @classmethod
    def of(cls, values: Tensor, samples: Samples) -> "Extremes":
        """Return the samples with the least and most agreement, given the agreement `values` (n,) on n `samples`."""
        batch = RankedSamples(values, samples)
        return cls(batch.first(descending=False), batch.first(descending=True), (~values.isnan()).sum())

    def merge(self, other: "Extremes") -> "Extremes":
        """Return the samples with the least and most agreement among the samples of this object and of `other`."""
        least, most = self.least.join(other.least), self.most.join(other.most)
        n_compared = self.n_compared + other.n_compared
        return Extremes(least.first(descending=False), most.first(descending=True), n_compared)


Pair = frozenset[Key]
"""The keys of two layers. The set is unordered, because agreement is symmetric in the two layers."""


@dataclass
class WatchedPair:
    """A pair of layers that the user inspects.

    `extremes` has the samples on which the two layers agree least and most. These samples are chosen from the batches
    that were the latest at the first inspection, and from all later batches. `extremes` is None before the first batch.
    """

    key_x: Key
    key_y: Key
    extremes: Extremes | None = None

    def add(self, extremes: Extremes) -> None:
        """Merge the extremes (samples with the least and most agreement) of further batches into `self.extremes`."""
        self.extremes = extremes if self.extremes is None else self.extremes.merge(extremes)
