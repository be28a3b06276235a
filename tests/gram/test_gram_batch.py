"""Joining forward passes."""

import pytest
import torch

from simwidget.gram.centring import double_centre
from simwidget.gram.gram_batch import GramBatch, GramOptions
from simwidget.gram.kernels import LinearKernel, kernel_gram

A, B = (0, "a"), (0, "b")


def gram_batch():
    return GramBatch(GramOptions(10), {A: 0, B: 1}, torch.device("cpu"))


def taken(grams):
    """The number of samples, and the centred Gram matrices of what ran in every pass."""
    found = grams.take()
    rows = {A: 0, B: 1}
    assert all((found.stack[row] == 0).all() for key, row in rows.items() if key not in found.present)
    return found.n, {key: double_centre(found.stack[rows[key]]) for key in found.present}


def same(found, x):
    return torch.equal(found, double_centre(kernel_gram(x, LinearKernel())))


def pass_through(grams, x, keys=(A,), originals=None):
    grams.open(len(x))
    for key in keys:
        grams.put(key, x, (originals or {}).get(key))
    return grams.close()


def test_full_batches_are_reduced_at_once_and_not_kept():
    grams = gram_batch()
    x = torch.randn(12, 5)
    before = x.clone()
    grams.open(12)
    grams.put(A, x)
    x.zero_()  # written in place by a later layer
    assert grams.close()
    n, found = taken(grams)
    assert n == 12
    assert same(found[A], before)


def test_joined_parts_are_copies():
    grams = gram_batch()
    parts = torch.randn(12, 5).split(4)
    assert [pass_through(grams, part.clone()) for part in parts] == [False, False, True]
    assert same(taken(grams)[1][A], torch.cat(parts))


def test_a_layer_that_misses_a_pass_has_no_gram_matrix():
    grams = gram_batch()
    first, second = torch.randn(2, 6, 5)
    pass_through(grams, first, keys=(A, B))
    assert pass_through(grams, second, keys=(A,))
    assert set(taken(grams)[1]) == {A}


def test_the_rest_is_given_on_request():
    grams = gram_batch()
    x = torch.randn(6, 5)
    assert not pass_through(grams, x)
    n, found = taken(grams)
    assert n == 6
    assert same(found[A], x)
    assert taken(grams) == (0, {})


def test_repeated_tensors_share_one_product():
    products = []
    kernel = LinearKernel()

    def counting(x, gram, square):
        products.append(x)
        kernel(x, gram, square)

    for size in (6, 20):
        grams = gram_batch()
        products.clear()
        full = False
        while not full:
            x = torch.randn(size, 5)
            grams.open(size)
            grams.put(A, x, kernel=counting)
            grams.put(B, x, A, kernel=counting)
            full = grams.close()
        found = taken(grams)[1]
        assert len(products) == 1
        assert torch.equal(found[A], found[B])


def test_sometimes_repeated_tensors_do_not_share():
    grams = gram_batch()
    first, second = torch.randn(2, 6, 5)
    pass_through(grams, first, keys=(A, B), originals={B: A})
    grams.open(6)
    grams.put(A, second)
    grams.put(B, 2 * second)
    grams.close()
    found = taken(grams)[1]
    assert same(found[A], torch.cat([first, second]))
    assert same(found[B], torch.cat([first, 2 * second]))


@pytest.mark.parametrize("n", [3, 8], ids=["joining", "filling"])
def test_an_abandoned_pass_leaves_what_was_joined_before(n):
    grams = gram_batch()
    x = torch.randn(6, 5)
    pass_through(grams, x, keys=(A, B))
    grams.open(n)
    grams.put(A, torch.randn(n, 5))
    grams.abandon()
    n_samples, found = taken(grams)
    assert n_samples == 6
    assert set(found) == {A, B}
    assert same(found[A], x)
