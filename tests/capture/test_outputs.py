"""Which tensor of a layer's output is compared, and where its samples are."""

from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

from simwidget.capture.outputs import Layout, RepresentationError, find_output
from simwidget.capture.tokens import Tokens
from simwidget.data.nested import tensors_in

N = 5
Pair = namedtuple("Pair", ["note", "hidden"])


@dataclass
class Fields:
    note: Any
    hidden: Any


ZEROS = torch.zeros(N, 2)


@dataclass
class Default:
    hidden: Any = ZEROS


def model_output(y):
    modeling_outputs = pytest.importorskip("transformers.modeling_outputs")
    return modeling_outputs.BaseModelOutput(last_hidden_state=y, hidden_states=(y + 1, y + 2))


CONTAINERS = {
    "tensor": lambda y: y,
    "tuple": lambda y: (y, y + 1),
    "list": lambda y: [torch.zeros(N + 1, 3), y],
    "dict": lambda y: {"loss": torch.tensor(1.0), "ids": torch.zeros(N, dtype=torch.long), "hidden": y},
    "OrderedDict": lambda y: OrderedDict(none=None, hidden=y),
    "UserDict": lambda y: UserDict(hidden=y, more=y + 1),
    "namedtuple": lambda y: Pair("text", y),
    "dataclass": lambda y: Fields(3, y),
    "ModelOutput": model_output,
    "topk": lambda y: y.topk(y.shape[1]),
    "depth first": lambda y: [(None, {"mask": torch.ones(N, dtype=torch.bool)}, Fields("text", [[y]])), y + 1],
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_the_first_floating_tensor_with_the_samples(kind):
    y = torch.randn(N, 4).sort(descending=True).values
    assert torch.equal(find_output(CONTAINERS[kind](y), N).tensor, y)


def expected_dim(shape, dims, dims_given):
    """The first of the dimensions with n samples; untold, one that is not the first counts in three dimensions only."""
    fitting = [dim for dim in dims if dim < len(shape) and shape[dim] == N]
    return next((dim for dim in fitting if dims_given or dim == 0 or len(shape) == 3), None)


@pytest.mark.parametrize("dims_given", [False, True])
@pytest.mark.parametrize("dims", [(0, 1), (1, 0), (2,), (3, 0), (0,)])
def test_every_shape_of_up_to_four_dimensions(dims, dims_given):
    for shape in (shape for ndim in range(5) for shape in product((N, 2), repeat=ndim)):
        x, dim = torch.randn(shape), expected_dim(shape, dims, dims_given)
        if dim is None:
            with pytest.raises(RepresentationError):
                find_output(x, N, dims, dims_given)
            continue
        found = find_output(x, N, dims, dims_given)
        assert found.batch_dim == dim
        assert found.tensor.shape[0] == N
        for sample in range(N):
            assert torch.equal(found.tensor[sample], x.select(dim, sample))


def test_nothing_is_copied():
    x = torch.randn(4, N, 3)
    assert find_output([x], N).tensor.data_ptr() == x.data_ptr()


def test_packed_sequences_are_padded_in_the_order_of_the_samples():
    parts = [torch.randn(length, 3) for length in (2, 4, 1, 3)]
    found = find_output((pack_sequence(parts, enforce_sorted=False), None), 4)
    assert found.lengths.tolist() == [2, 4, 1, 3]
    assert found.tensor.shape == (4, 4, 3)
    for padded, part in zip(found.tensor, parts):
        assert torch.equal(padded[: len(part)], part)
        assert not padded[len(part) :].any()


def test_a_packed_sequence_of_others_does_not_change_how_the_next_tensor_is_read():
    others = pack_padded_sequence(torch.zeros(3, 2, 1), [2, 2, 1], batch_first=True)
    x = torch.randn(7, N, 2)
    assert torch.equal(find_output((others, x), N).tensor, x.transpose(0, 1))


@pytest.mark.parametrize("lazy", [False, True], ids=["as it is", "conjugated lazily"])
def test_complex_outputs_have_the_real_inner_products(lazy):
    x = torch.randn(N, 4, dtype=torch.complex128)
    x = x.conj() if lazy else x
    assert x.is_conj() == lazy
    found = find_output(x, N).tensor.flatten(1).numpy()
    z = x.resolve_conj().numpy()
    assert np.allclose(found @ found.T, (z @ z.conj().T).real)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantised_outputs_are_dequantised():
    x = torch.quantize_per_tensor(torch.randn(N, 4), 0.1, 10, torch.quint8)
    expected = 0.1 * (x.int_repr().double() - 10)
    assert torch.allclose(find_output(x, N).tensor.double(), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_the_precision_stays(dtype):
    assert find_output(torch.zeros(N, 2, dtype=dtype), N).tensor.dtype == dtype


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors", "ignore:Sparse CSR tensor support")
@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda: torch.randn(N, 3).to_sparse(), r"sparse_coo float32 \(5, 3\)"),
        (lambda: torch.randn(N, 3).to_sparse_csr(), r"sparse_csr float32 \(5, 3\)"),
        (lambda: torch.nested.nested_tensor([torch.zeros(2, 3)] * N), r"nested float32 \('\?', '\?', '\?'\)"),
        (
            lambda: torch.nested.nested_tensor([torch.zeros(2, 3)] * N, layout=torch.jagged),
            r"nested float32 \('\?', '\?', '\?'\)",
        ),
    ],
    ids=["coo", "csr", "nested", "jagged"],
)
def test_what_is_not_dense_is_named_or_passed_over(made, kind):
    with pytest.raises(
        RepresentationError, match=rf"^its output \({kind}\) is not dense: .* a dense \(5, ...\) tensor$"
    ):
        find_output(made(), N)
    y = torch.randn(N, 2)
    assert find_output((made(), y), N).tensor is y


def test_the_layout_of_an_accelerated_library_is_dense():
    x = torch.randn(N, 3)
    assert torch.equal(find_output(x.to_mkldnn(), N).tensor, x)


def test_what_was_seen_is_listed_and_cut_off():
    many = [torch.zeros(2, k, dtype=torch.int16) for k in range(1, 7)]
    listed = "int16 (2, 1), int16 (2, 2), int16 (2, 3), int16 (2, 4), ..."
    with pytest.raises(RepresentationError) as raised:
        find_output(many, N)
    assert f"its output ({listed}) has no tensor with" in str(raised.value)


@pytest.mark.parametrize(
    ("output", "what"),
    [(None, "None"), ("text", "str without tensors"), ([1, {}], "list without tensors"), (Default, "type without")],
)
def test_outputs_without_tensors(output, what):
    assert not list(tensors_in(output))
    with pytest.raises(RepresentationError, match=f"^its output .{what}"):
        find_output(output, N)


def test_a_field_that_was_deleted_is_passed_over():
    y = torch.randn(N, 2)
    value = Fields("gone", y)
    del value.note
    assert find_output(value, N).tensor is y


@pytest.mark.parametrize(
    "values",
    [
        [0, 0, None],
        *([*one, None, None, 1] for one in ([-1, 0, None], [0, 64, None], [0, True, None], [0, 0, 1])),
        ["x" * 9999, 0, None, None, None, 1],
        [0, 0, None, [["mask"]], None, 1],
        [0, 0, None, [["mask", 3]], None, 1],
        [0, 0, None, None, 0, 1],
        [0, 0, None, None, True, 1],
        [1, 0, None, None, None, 1],
        [0, 0, None, None, None, True],
    ],
)
def test_a_layout_from_a_file_is_checked(values):
    with pytest.raises(ValueError) as raised:  # noqa: PT011  (whatever the text is, it is short)
        Layout.from_json(values)
    assert len(str(raised.value)) < 80
    assert Layout.from_json([1, 2, True, None, None, 2]) == Layout(1, 2, True, n_tensors=2)
    assert Layout.from_json([1, 2, None, [["mask", "same"], None], 1, 3]).tokens == (Tokens("mask", "same"), None)
