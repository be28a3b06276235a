"""The weighted delete-one-group jackknife: standard errors of functions of sums over groups of batches."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.estimate.accumulators import Sums

DOMINANT_SHARE = 0.5
"""A group of batches dominates a value if the group contributes more than this share of the jackknife variance."""
MIN_GROUPS_TO_DOMINATE = 4
"""With fewer groups, no value is marked as dominated: if there are few groups, one of them often has a large share by
chance."""


@dataclass(frozen=True)
class Estimate:
    """Estimated values with their jackknife standard errors. All tensors have the same shape."""

    values: Tensor
    stderr: Tensor
    """standard errors; NaN with fewer than two groups of batches"""
    df: float
    """degrees of freedom of the t intervals, common to all values; NaN with fewer than two groups"""
    dominated: Tensor
    """bool: whether one group contributes more than half of the variance; False with fewer than four groups"""


@dataclass(frozen=True)
class PseudoValues:
    """The jackknife pseudo-values of an estimate. The standard error is computed from them.

    The pseudo-values of the difference of two measures are the differences of the measures' pseudo-values.
    """

    values: Tensor
    """(...): the estimate from all groups"""
    taus: Tensor
    """(G, ...): one pseudo-value for each group that is not empty; G = 0 with fewer than two such groups"""
    inflation: tuple[float, ...]
    """(G,): for each group, h = total weight / weight of the group"""
    df: float
    """degrees of freedom of the t intervals; NaN with fewer than two groups"""

    def __sub__(self, other: "PseudoValues") -> "PseudoValues":
        """Return the pseudo-values of the difference of two estimates.

        The standard error of the difference then accounts for the correlation of the two estimates.

        Raises:
            ValueError: the weights of the groups of batches are not the same for both estimates.
        """
        if self.inflation != other.inflation:
            raise ValueError("pseudo-values of different groups of batches cannot be subtracted")
        return PseudoValues(self.values - other.values, self.taus - other.taus, self.inflation, self.df)

    def estimate(self) -> Estimate:
        """Return the estimate with its standard errors from the pseudo-values; see `jackknife` for the formula."""
        if not self.inflation:
            nan = torch.full_like(self.values, torch.nan)
            return Estimate(self.values, nan, self.df, torch.zeros_like(self.values, dtype=torch.bool))
        h = self.values.new_tensor(self.inflation).view(-1, *[1] * self.values.ndim)
        parts = (self.taus - (self.taus / h).sum(0)) ** 2 / (h - 1) / len(h)
        variance = parts.sum(0)
        dominated = (parts.amax(0) > DOMINANT_SHARE * variance) & (len(h) >= MIN_GROUPS_TO_DOMINATE)
        return Estimate(self.values, variance.sqrt(), self.df, dominated)


def jackknife(evaluate: Callable[[Tensor, Tensor], Tensor], sums: Sums) -> Estimate:
    r"""Return the estimate `evaluate(products, weight)` from all groups of batches, with its jackknife standard error.

    `evaluate` is a function of the summed products (R, R) and the summed weight () of a set of groups of batches. Its
    value for all groups together is the estimate :math:`\hat\theta`. Its value for all groups except group g is
    :math:`\hat\theta_{(g)}`.

    With the weight :math:`w_g` of group g, the total weight :math:`W = \sum w_g`, and :math:`h_g = W / w_g`, the
    pseudo-values are :math:`\tau_g = h_g \hat\theta - (h_g - 1) \hat\theta_{(g)}`. The squared standard error and the
    degrees of freedom of a t interval are

    .. math:: \operatorname{var} = \frac{1}{G} \sum_g \frac{(\tau_g - \bar\tau)^2}{h_g - 1},
              \quad \bar\tau = \sum_g \tfrac{w_g}{W} \tau_g,
              \quad \mathrm{df} = \min\left(G, \frac{W^2}{\sum w_g^2}\right) - 1

    where the sums run over the G groups that are not empty. The variance is that of the delete-m_j jackknife, for
    groups of unequal sizes m_j (Busing, Meijer and Van der Leeden 1999).
    """
    return pseudo_values(evaluate, sums).estimate()


def pseudo_values(evaluate: Callable[[Tensor, Tensor], Tensor], sums: Sums) -> PseudoValues:
    """Return the jackknife pseudo-values of `evaluate(products, weight)`.

    See `jackknife` for the arguments and the formula.
    """
    total, weight = sums.products.sum(0), sums.weights.sum()
    values = evaluate(total, weight)
    filled = sums.weights.nonzero().flatten().tolist()
    if len(filled) < 2:
        return PseudoValues(values, values.new_zeros(0, *values.shape), (), float("nan"))
    taus, inflation = [], []
    for group in filled:
        w = sums.weights[group]
        h = (weight / w).item()
        left_out = evaluate(total - sums.products[group], weight - w)
        taus.append(h * values - (h - 1) * left_out)
        inflation.append(h)
    return PseudoValues(values, torch.stack(taus), tuple(inflation), degrees_of_freedom(sums.weights))


def degrees_of_freedom(weights: Tensor) -> float:
    """Return the degrees of freedom of a t interval for jackknife groups with these weights (G,).

    The result is NaN if fewer than two weights are nonzero. See `jackknife` for the formula.
    """
    n_filled = int(weights.count_nonzero())
    if n_filled < 2:
        return float("nan")
    return min(n_filled, (weights.sum() ** 2 / (weights**2).sum()).item()) - 1
