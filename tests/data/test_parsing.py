"""What is found in a batch: inputs, labels and the number of samples."""

from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from simwidget.data.parsing import parse_batch

N = 5
Pair = namedtuple("Pair", ["x", "y"])


@dataclass
class Fields:
    x: Any
    labels: Any = None


def encoding(**entries):
    return pytest.importorskip("transformers").BatchEncoding(entries)


def x():
    return torch.randn(N, 3)


def labels():
    return torch.arange(N)


def images(count=N, sides=((16, 16),)):
    return [torch.randn(3, *sides[k % len(sides)]) for k in range(count)]


def packed():
    return pack_sequence([torch.randn(length, 2) for length in (2, 4, 1, 3, 3)], enforce_sorted=False)


BATCHES = {
    "tensor": (lambda: x(), False),
    "integers": (lambda: torch.zeros(N, 7, dtype=torch.long), False),
    "(tensor, labels)": (lambda: (x(), labels()), True),
    "[tensor, labels]": (lambda: [x(), labels().int()], True),
    "(tensor,)": (lambda: (x(),), False),
    "(tensor, None)": (lambda: (x(), None), False),
    "named tuple": (lambda: Pair(x(), labels()), True),
    "autoencoder": (lambda: (x(), x()), False),
    "one of many classes": (lambda: (x(), torch.zeros(N, 10, dtype=torch.long)), False),
    "regression": (lambda: (x(), torch.randn(N)), False),
    "two inputs": (lambda: ((x(), x()), labels()), True),
    "dict": (lambda: {"x": x(), "labels": labels()}, True),
    "label first": (lambda: {"label": labels(), "note": "text", "x": x()}, True),
    "labels of another number": (lambda: {"labels": torch.zeros(2, 3), "x": x()}, False),
    "targets": (lambda: {"x": x(), "targets": labels()}, True),
    "OrderedDict": (lambda: OrderedDict(x=x(), y=labels()), True),
    "UserDict": (lambda: UserDict(x=x(), target=labels()), True),
    "BatchEncoding": (lambda: encoding(input_ids=torch.zeros(N, 4, dtype=torch.long), labels=labels()), True),
    "(dict, labels)": (lambda: ({"x": x()}, labels()), True),
    "nested dict": (lambda: {"inner": {"flag": torch.tensor(1), "x": x()}, "y": labels()}, True),
    "dataclass": (lambda: Fields(x(), labels()), True),
    "images": (lambda: (images(), [{"boxes": torch.zeros(2, 4)}] * N), False),
    "images of several sizes": (lambda: (images(sides=((9, 12), (20, 8))),), False),
    "dict of images": (lambda: {"images": images(), "labels": labels()}, True),
    "packed": (packed, False),
    "(packed, labels)": (lambda: (packed(), labels()), True),
}


@pytest.mark.parametrize("kind", BATCHES)
def test_samples_are_counted_and_labels_found(kind):
    made, labelled = BATCHES[kind]
    batch = made()
    found = parse_batch(batch, 0)
    assert found.n == N
    assert found.raw is batch
    assert (found.labels is not None) == labelled
    if labelled:
        assert found.labels.tolist() == list(range(N))


@pytest.mark.parametrize("kind", ["tensor", "(tensor, labels)", "dict", "label first", "nested dict", "dataclass"])
def test_the_input_as_one_tensor(kind):
    batch = BATCHES[kind][0]()
    floats = [one for one in flat(batch) if one.is_floating_point()]
    assert parse_batch(batch, 0).input_tensor is floats[0]


def flat(value):
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if hasattr(value, "values") else vars(value).values() if hasattr(value, "x") else value
    return [one for part in parts if not isinstance(part, str) and part is not None for one in flat(part)]


def test_floats_before_integers_and_samples_first():
    ids, x = torch.zeros(N, 4, dtype=torch.long), torch.randn(4, N, 2)
    assert parse_batch({"ids": ids, "x": x.transpose(0, 1)}, 0).input_tensor.is_floating_point()
    assert parse_batch({"ids": ids, "kinds": ids + 1, "other": torch.zeros(3)}, 0).input_tensor is ids
    turned = parse_batch(x, 0, batch_dim=1)
    assert turned.n == N
    assert torch.equal(turned.input_tensor, x.transpose(0, 1))
    assert parse_batch({"lengths": torch.zeros(N), "x": x}, 0, batch_dim=1).n == N  # one dimension has no second


@pytest.mark.parametrize(
    "more",
    [{"labels": torch.randn(N)}, {"attention_mask": torch.ones(N, 4)}, {"src_key_padding_mask": torch.zeros(N, 4)}],
    ids=lambda more: next(iter(more)),
)  # fmt: skip
def test_labels_and_masks_are_no_input(more):
    ids = torch.zeros(N, 4, dtype=torch.long)
    assert parse_batch({"input_ids": ids, **more}, 0).input_tensor is ids
    assert parse_batch({**more, "input_ids": ids}, 0).input_tensor is ids


def test_as_many_images_as_channels_are_no_tensor():
    assert parse_batch((images(3),), 0).input_tensor is None


def test_images_alone():
    """A user's function that gives a detection model its images gives them like this."""
    found = parse_batch(images(), 0)
    assert found.n == N
    assert len(found.inputs) == N


@pytest.mark.parametrize("shape", [(N, 16, 16), (3, 3, 16, 16), (3, 16, 4), (3, 4, 16), (3, 16)])
def test_several_inputs_are_no_images(shape):
    """These are not (c, h, w) with one channel or three."""
    assert parse_batch([torch.randn(shape)] * 4, 0).n == shape[0]


@pytest.mark.filterwarnings("ignore:.*prototype")
def test_nested_tensors_have_samples():
    nested = torch.nested.nested_tensor([torch.zeros(2, 3)] * N)
    assert parse_batch(nested, 0).n == N


@pytest.mark.parametrize("kind", ["pair", "dict"])
def test_a_users_own_batch_is_counted_by_its_first_tensor(kind):
    batch = (["some", "text"], {"x": x()}) if kind == "pair" else {"text": ["some"], "deep": [{"x": x()}]}
    assert parse_batch(batch, 0, any_structure=True).n == N
    if kind == "pair":
        with pytest.raises(TypeError):
            parse_batch(batch, 0)


def test_a_users_own_list_of_images_is_one_batch():
    assert parse_batch(images(), 0, any_structure=True).n == N


def test_labels_of_another_batch_do_not_replace_its_own():
    found = parse_batch((x(), labels()), 0)
    assert found.with_labels(torch.zeros(N)).labels is found.labels
    assert parse_batch(x(), 0).with_labels(found.labels).labels is found.labels
    assert parse_batch(x(), 0).with_labels(None).labels is None


@pytest.mark.parametrize(
    ("sizes", "n"),
    [
        ({"prompts": 7, "image": 12, "labels": 12}, 12),
        ({"timestep": 1, "x": 32}, 32),
        ({"pixels": 40, "input_ids": 8, "attention_mask": 8}, 8),
        ({"a": 1, "b": 1}, 1),
    ],
)
def test_most_tensors_of_a_mapping_tell_the_number_of_samples(sizes, n):
    batch = {key: torch.zeros(size, 3) for key, size in sizes.items()}
    assert parse_batch(batch, 0).n == n


def test_a_mapping_of_unclear_number_is_refused_and_the_advice_helps():
    batch = {"image": torch.zeros(12, 5), "prompts": torch.zeros(7, 5)}
    with pytest.raises(TypeError, match=r"batch 3: .*'image' 12, 'prompts' 7.*pass batch_size= a function"):
        parse_batch(batch, 3)
    assert parse_batch(batch, 3, n_told=12).n == 12
