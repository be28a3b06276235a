"""Joining forward passes."""

import pytest
import torch

from simwidget.grams import GramBatch
from simwidget.kernels import linear_gram

A, B = (0, "a"), (0, "b")


def pass_through(grams, x, keys=(A,), originals=None):
    grams.open(len(x))
    for key in keys:
        grams.put(key, x, (originals or {}).get(key))
    return grams.close()


def test_full_batches_are_reduced_at_once_and_not_kept():
    grams = GramBatch(10, linear_gram)
    x = torch.randn(12, 5)
    expected = linear_gram(x)
    grams.open(12)
    grams.put(A, x)
    x.zero_()  # written in place by a later layer
    assert grams.close()
    n, found = grams.take()
    assert n == 12
    assert torch.equal(found[A], expected)


def test_joined_parts_are_copies():
    grams = GramBatch(10, linear_gram)
    parts = torch.randn(12, 5).split(4)
    expected = linear_gram(torch.cat(parts))
    assert [pass_through(grams, part.clone()) for part in parts] == [False, False, True]
    assert torch.allclose(grams.take()[1][A], expected)


def test_a_layer_that_misses_a_pass_has_no_gram_matrix():
    grams = GramBatch(10, linear_gram)
    first, second = torch.randn(2, 6, 5)
    pass_through(grams, first, keys=(A, B))
    assert pass_through(grams, second, keys=(A,))
    assert set(grams.take()[1]) == {A}


def test_the_rest_is_given_on_request():
    grams = GramBatch(10, linear_gram)
    x = torch.randn(6, 5)
    assert not pass_through(grams, x)
    n, found = grams.take()
    assert n == 6
    assert torch.equal(found[A], linear_gram(x))
    assert grams.take() == (0, {})


def test_repeated_tensors_share_one_product():
    products = []

    def kernel(x):
        products.append(x)
        return linear_gram(x)

    for size in (6, 20):
        grams = GramBatch(10, kernel)
        products.clear()
        while not pass_through(grams, torch.randn(size, 5), keys=(A, B), originals={B: A}):
            pass
        found = grams.take()[1]
        assert len(products) == 1
        assert found[A] is found[B]


def test_sometimes_repeated_tensors_do_not_share():
    grams = GramBatch(10, linear_gram)
    first, second = torch.randn(2, 6, 5)
    pass_through(grams, first, keys=(A, B), originals={B: A})
    grams.open(6)
    grams.put(A, second)
    grams.put(B, 2 * second)
    grams.close()
    found = grams.take()[1]
    assert torch.allclose(found[A], linear_gram(torch.cat([first, second])))
    assert torch.allclose(found[B], linear_gram(torch.cat([first, 2 * second])))


@pytest.mark.parametrize("n", [3, 8], ids=["joining", "filling"])
def test_an_abandoned_pass_leaves_what_was_joined_before(n):
    grams = GramBatch(10, linear_gram)
    x = torch.randn(6, 5)
    pass_through(grams, x, keys=(A, B))
    grams.open(n)
    grams.put(A, torch.randn(n, 5))
    grams.abandon()
    n_samples, found = grams.take()
    assert n_samples == 6
    assert set(found) == {A, B}
    assert torch.equal(found[A], linear_gram(x))
