"""Copies of nested structures with their tensors changed."""

from collections import OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from simwidget.data.nested import map_tensors

Pair = namedtuple("Pair", ["x", "y"])


@dataclass
class Fields:
    x: Any
    labels: Any = None


@dataclass(frozen=True)
class Frozen:
    x: Any
    note: str = "text"
    made: Any = field(init=False, default=None)


def encoding(**entries):
    return pytest.importorskip("transformers").BatchEncoding(entries)


def packed():
    return pack_sequence([torch.randn(length, 2) for length in (2, 4, 1, 3, 3)], enforce_sorted=False)


def plus_one(tensor):
    return tensor + 1


STRUCTURES = {
    "tensor": lambda x: x,
    "tuple": lambda x: (x, "text", None),
    "list": lambda x: [x, [x]],
    "named tuple": lambda x: Pair(x, {"deep": x}),
    "dict": lambda x: {"x": x, 3: "text"},
    "OrderedDict": lambda x: OrderedDict(b=x, a=x),
    "defaultdict": lambda x: defaultdict(list, x=x),
    "UserDict": lambda x: UserDict(x=x),
    "read-only mapping": lambda x: MappingProxyType({"x": x}),
    "BatchEncoding": lambda x: encoding(input_ids=x, note="text"),
    "dataclass": lambda x: Fields(x, [x]),
    "frozen dataclass": lambda x: Frozen(x),
    "topk": lambda x: x.topk(2),
}


def leaves(value):
    """Every tensor and its way from the top."""
    if isinstance(value, torch.Tensor):
        return {(): value}
    if hasattr(value, "items"):
        parts = value.items()
    elif isinstance(value, tuple | list):
        parts = enumerate(value)
    elif hasattr(value, "__dataclass_fields__"):
        parts = vars(value).items()
    else:
        return {}
    return {(key, *way): one for key, part in parts for way, one in leaves(part).items()}


@pytest.mark.parametrize("kind", STRUCTURES)
def test_a_changed_copy_has_the_same_structure(kind):
    batch = STRUCTURES[kind](torch.arange(4.0))
    before = {way: one.clone() for way, one in leaves(batch).items()}
    found = map_tensors(batch, plus_one)
    assert type(found) is type(batch) or kind == "read-only mapping"
    assert before
    after = leaves(found)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[way], before[way] + 1) for way in before)
    assert all(torch.equal(one, before[way]) for way, one in leaves(batch).items())  # the loader's own is as it was


def test_a_copy_keeps_its_attributes():
    batch = encoding(input_ids=torch.zeros(2, 3))
    assert torch.equal(map_tensors(batch, plus_one).input_ids, torch.ones(2, 3))
    ordered = map_tensors(OrderedDict(b=torch.zeros(1), a=torch.zeros(1)), plus_one)
    assert list(ordered) == ["b", "a"]
    assert map_tensors(defaultdict(list), plus_one)["missing"] == []
    assert map_tensors(Frozen(torch.zeros(1)), plus_one).note == "text"


def test_packed_sequences_move_as_a_whole():
    batch = packed()
    found = map_tensors((batch, None), lambda tensor: tensor.to("meta"))[0]
    assert isinstance(found, PackedSequence)
    assert found.data.is_meta
    assert found.batch_sizes.device.type == "cpu"  # where recurrent layers want them
    assert found.sorted_indices.is_meta
    assert found.unsorted_indices.is_meta
    ordered = pack_sequence([torch.zeros(2, 1), torch.zeros(1, 1)])
    assert map_tensors(ordered, plus_one).unsorted_indices is None


def test_other_things_go_through_as_they_are():
    for one in ("text", 3, None, {1, 2}, object()):
        assert map_tensors(one, plus_one) is one
