"""The additive state."""

import pytest
import torch

from simwidget.estimate import accumulators
from simwidget.estimate.accumulators import GramAccumulator


def test_sums_are_products_by_group():
    state = GramAccumulator(3, factor=2.0, n_groups=4)
    batches = [torch.randn(3, 10) for _ in range(6)]
    for index, rows in enumerate(batches):
        state.add(rows, weight=index + 1, batch=index)
    sums = state.sums()
    for group in range(4):
        members = [rows.double() for index, rows in enumerate(batches) if index % 4 == group]
        assert torch.allclose(sums.products[group], sum(2 * rows @ rows.T for rows in members), rtol=1e-12)
    assert sums.weights.tolist() == [1 + 5, 2 + 6, 3, 4]


def test_chunks_do_not_change_the_sum(monkeypatch):
    rows = torch.randn(5, 1000)
    whole, parts = GramAccumulator(5, 1.0), GramAccumulator(5, 1.0)
    whole.add(rows, 1.0, 0)
    monkeypatch.setattr(accumulators, "CHUNK_ELEMENTS", 64)
    parts.add(rows, 1.0, 0)
    assert torch.allclose(whole.sums().products, parts.sums().products, rtol=1e-12)


def test_merging_shards_equals_one_pass():
    together, first, second = (GramAccumulator(2, 2.0) for _ in range(3))
    for index in range(20):
        rows = torch.randn(2, 6)
        together.add(rows, 3.0, index)
        (first if index % 2 else second).add(rows, 3.0, index)
    first.merge(second)
    assert torch.allclose(first.sums().products, together.sums().products)
    assert torch.equal(first.sums().weights, together.sums().weights)


def test_merging_other_rows_is_refused():
    with pytest.raises(ValueError, match="must hold the same rows"):
        GramAccumulator(2, 2.0).merge(GramAccumulator(3, 2.0))


def test_a_copy_does_not_change_with_later_batches():
    state = GramAccumulator(2, 2.0)
    before = state.sums()
    state.add(torch.ones(2, 3), 1.0, 0)
    assert before.products.abs().sum() == 0


@pytest.mark.parametrize("n_rows", [3, 40, 130])
def test_sums_of_any_number_of_rows_are_symmetric_to_the_last_bit(n_rows):
    rows = torch.randn(n_rows, 9001)
    product = GramAccumulator(n_rows, 2.0).product(rows)
    assert torch.allclose(product, 2 * rows.double() @ rows.double().T, rtol=1e-12, atol=1e-10)
    assert torch.equal(product, product.T)
