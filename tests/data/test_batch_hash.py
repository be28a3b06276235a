"""Other batches have other hashes."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from simwidget.data.batch_hash import HASHED_ELEMENTS, hash_batch


def images(seed):
    """Mostly black, as pictures of digits are: the borders of all are the same."""
    x = torch.zeros(256, 1, 28, 28)
    x[:, :, 8:20, 8:20] = torch.randn(256, 1, 12, 12, generator=torch.Generator().manual_seed(seed))
    return x


@dataclass
class Text:
    text: str
    x: torch.Tensor


ONE = {"a": 1, "b": ["x", None, 2.5, b"y", True], "c": (torch.arange(3), np.arange(4.0))}
OTHERS = [
    (images(0), images(1)),
    (images(0), images(0).roll(1, 0)),
    (["one", "two"], ["one", "three"]),
    (["one", "two"], ["onetwo", ""]),
    ({"text": "a"}, {"text": "b"}),
    ({"a": 1}, {"b": 1}),
    (ONE, ONE | {"b": ["x", None, 2.5, b"z", True]}),
    (ONE, ONE | {"c": (torch.arange(3), np.arange(4.0) + 1)}),
    (Text("a", torch.zeros(2)), Text("b", torch.zeros(2))),
    (Text("a", torch.zeros(2)), Text("a", torch.ones(2))),
    (torch.zeros(2, 3), torch.zeros(3, 2)),
    (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
    (torch.zeros(2, 6).bfloat16(), torch.ones(2, 6).bfloat16()),
    (torch.randn(4, 5).T, torch.randn(4, 5).T),
]


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_other_batches(one, other):
    assert hash_batch(one) != hash_batch(other)


@pytest.mark.parametrize("one", [ONE, images(0), images(0).transpose(2, 3), images(0).half(), torch.tensor(3.0), []])
def test_the_same_batch_again(one):
    assert hash_batch(one) == hash_batch(one)
    if isinstance(one, torch.Tensor):
        assert hash_batch(one) == hash_batch(one.contiguous().clone())


def test_a_large_tensor_is_not_copied_as_a_whole():
    x = torch.randn(2000, 3, 64, 64).transpose(1, 3)
    assert x.numel() > 1000 * HASHED_ELEMENTS
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert hash_batch(x) == hash_batch(x)
    assert torch.equal(torch.get_rng_state(), before)
