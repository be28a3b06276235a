"""Standard errors of any function of the sums: the weighted delete-one-group jackknife."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.accumulators import Sums

DOMINANT_SHARE = 0.5
"""One group that makes more than this share of a cell's variance dominates it."""
MIN_GROUPS_TO_DOMINATE = 4


@dataclass(frozen=True)
class Estimate:
    values: Tensor
    stderr: Tensor
    """standard errors, NaN with fewer than two groups"""
    df: float
    """degrees of freedom of the t interval, NaN with fewer than two groups"""
    dominated: Tensor
    """bool: cells whose error rests on one group"""


def jackknife(evaluate: Callable[[Tensor, Tensor], Tensor], sums: Sums) -> Estimate:
    r"""Estimate and standard error of `evaluate(products, weight)`.

    With group weights :math:`w_g`, :math:`W = \sum w_g`, :math:`h_g = W / w_g`, the pseudo-values are
    :math:`\tau_g = h_g \hat\theta - (h_g - 1) \hat\theta_{(g)}` and

    .. math:: \operatorname{var} = \frac{1}{G} \sum_g \frac{(\tau_g - \bar\tau)^2}{h_g - 1},
              \quad \bar\tau = \sum_g \tfrac{w_g}{W} \tau_g,
              \quad \mathrm{df} = \min\left(G, \frac{W^2}{\sum w_g^2}\right) - 1

    over the G groups that are not empty (Busing, Meijer and Van der Leeden 1999, delete-m_j jackknife).
    """
    total, weight = sums.products.sum(0), sums.weights.sum()
    values = evaluate(total, weight)
    filled = sums.weights.nonzero().flatten().tolist()
    if len(filled) < 2:
        nan = torch.full_like(values, torch.nan)
        return Estimate(values, nan, float("nan"), torch.zeros_like(values, dtype=torch.bool))
    pseudo, share, inflation = [], [], []
    for group in filled:
        w = sums.weights[group]
        h = (weight / w).item()
        left_out = evaluate(total - sums.products[group], weight - w)
        pseudo.append(h * values - (h - 1) * left_out)
        share.append(1 / h)
        inflation.append(h - 1)
    taus = torch.stack(pseudo)
    shares = values.new_tensor(share).view(-1, *[1] * values.ndim)
    scales = values.new_tensor(inflation).view_as(shares)
    parts = (taus - (shares * taus).sum(0)) ** 2 / scales / len(filled)
    variance = parts.sum(0)
    effective = (weight**2 / (sums.weights**2).sum()).item()
    dominated = (parts.amax(0) > DOMINANT_SHARE * variance) & (len(filled) >= MIN_GROUPS_TO_DOMINATE)
    return Estimate(values, variance.sqrt(), min(len(filled), effective) - 1, dominated)
