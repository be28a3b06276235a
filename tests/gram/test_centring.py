"""Centred matrices, residuals of least squares and positive parts."""

import numpy as np
import pytest
import torch

from simwidget.gram.centring import double_centre, positive_part, residuals, triangle, u_centre


def grams(n, *widths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    xs = [torch.randn(n, p, generator=generator, dtype=torch.float64) for p in widths]
    return torch.stack([x @ x.T for x in xs])


def test_u_centred_matrices_have_no_margins():
    k = u_centre(grams(10, 3))
    assert k.sum(-1).abs().max() < 1e-12
    assert k.diagonal(dim1=1, dim2=2).abs().max() == 0


def test_double_centring_is_the_product_with_the_centring_matrix():
    k = grams(9, 4, 2)
    h = torch.eye(9, dtype=torch.float64) - 1 / 9
    assert torch.allclose(double_centre(k), h @ k @ h, atol=1e-12)


@pytest.mark.parametrize(("diagonal", "length"), [(True, 45), (False, 36)])
def test_twice_the_product_of_two_triangles_is_that_of_the_matrices(diagonal, length):
    k = grams(9, 4, 2)
    if not diagonal:
        k.diagonal(dim1=1, dim2=2).zero_()
    rows = triangle(k, diagonal)
    assert rows.shape == (2, length)
    assert torch.allclose(2 * rows @ rows.T, k.flatten(1) @ k.flatten(1).T)


def test_residuals_are_those_of_least_squares():
    k = double_centre(grams(10, 3, 5, 2, 6))
    left = residuals(k, 2).flatten(1)
    flat = k.flatten(1).numpy()
    coefficients, *_ = np.linalg.lstsq(flat[:2].T, flat[2:].T, rcond=None)
    assert np.allclose(left[2:], flat[2:] - coefficients.T @ flat[:2], atol=1e-10)


def test_positive_part():
    matrix = torch.diag(torch.tensor([2.0, -1.0, 0.5]))[None]
    assert torch.allclose(positive_part(matrix)[0], torch.diag(torch.tensor([2.0, 0.0, 0.5])), atol=1e-6)
    assert positive_part(matrix * torch.nan).isnan().all()
