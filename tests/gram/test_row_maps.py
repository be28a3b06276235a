"""Row maps: what their inner products are, and their invariances."""

import numpy as np
import pytest
import reference
import torch

from simwidget.gram.row_maps import CentredRows, UCentredRows, UnitRows

MAPS = [(UCentredRows(), reference.hsic1), (CentredRows(), reference.hsic0)]


def grams(n, *widths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    xs = [torch.randn(n, p, generator=generator, dtype=torch.float64) for p in widths]
    return torch.stack([x @ x.T for x in xs])


@pytest.mark.parametrize(("row_map", "hsic"), MAPS, ids=["unbiased", "biased"])
def test_products_are_weighted_hsic(row_map, hsic):
    k = grams(11, 3, 30)
    rows = row_map(k, 0)
    product = row_map.factor * (rows[0] @ rows[1]).item()
    assert product == pytest.approx(row_map.weight(11) * hsic(*k.numpy()), rel=1e-10)


@pytest.mark.parametrize("row_map", [m for m, _ in MAPS], ids=["unbiased", "biased"])
def test_rows_do_not_see_offsets(row_map):
    """Adding a row effect and a column effect to a Gram matrix changes nothing: the products are centred."""
    k = grams(9, 4, 4)
    effect = torch.linspace(-3, 3, 9, dtype=torch.float64)
    if isinstance(row_map, UCentredRows):
        shifted = k + effect + effect[:, None]
    else:
        shifted = k + 7.0
    assert torch.allclose(row_map(k, 0), row_map(shifted, 0), atol=1e-12)


def test_unit_rows_give_the_ratio():
    row_map = UnitRows(CentredRows())
    k = grams(10, 3, 5)
    rows = row_map(k, 0)
    a, b = k.numpy()
    expected = reference.hsic0(a, b) / np.sqrt(reference.hsic0(a, a) * reference.hsic0(b, b))
    assert row_map.factor * (rows[0] @ rows[1]).item() == pytest.approx(expected, rel=1e-10)


def test_deconfounded_unit_rows_are_undefined_where_nothing_is_left():
    k = grams(10, 3, 5)
    stack = torch.stack([k[0], 2 * k[0], k[1]])
    rows = UnitRows(CentredRows(), deconfounded=True)(stack, n_confounders=1)
    assert rows[1].isnan().all()
    assert rows[2].isfinite().all()
