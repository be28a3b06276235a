"""Rows for what a layer returns."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kinds.kind import Case, Table, flat
from kinds.nets import MLP, Around, Mlp, Wraps, noise, seeded, the_input

KINDS = Table()


def wrapped(wrap, pick, read, n=32, **more):
    """A network with such an output in its middle."""
    model = seeded(lambda: Around(Wraps(wrap), pick))
    layers = ["part.inner", "part", "head"]
    return Case({"net": model}, noise(n, 6), layers, {"part": read}, confounders=[the_input], **more)


@KINDS.row("output: tensor")
def tensor():
    return Case({"net": seeded(Mlp)}, noise(32, 6), MLP, confounders=[the_input])


@KINDS.row("output: tuple")
def tuples():
    """The class indices come first and are no representation."""
    return wrapped(lambda y: (y.argmax(1), y * y), lambda out: out[1], lambda out, batch: out[1])


@KINDS.row("output: list")
def lists():
    """Nor is a tensor without the samples."""
    return wrapped(lambda y: [torch.zeros(2, 3), [y.exp()]], lambda out: out[1][0], lambda out, batch: out[1][0])


@KINDS.row("output: dict")
def dicts():
    return wrapped(
        lambda y: {"note": "text", "hidden": y.exp()}, lambda out: out["hidden"], lambda out, batch: out["hidden"]
    )


@dataclass
class Found:
    note: str
    hidden: Tensor


@KINDS.row("output: dataclass")
def dataclasses():
    return wrapped(lambda y: Found("text", y.exp()), lambda out: out.hidden, lambda out, batch: out.hidden)


@KINDS.row("output: ModelOutput")
def model_output():
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    def wrap(y):
        return BaseModelOutputWithPooling(last_hidden_state=y.exp(), pooler_output=y)

    return wrapped(wrap, lambda out: out.last_hidden_state, lambda out, batch: out.last_hidden_state)


class Aside(nn.Module):
    """A layer whose output nothing uses."""

    def __init__(self, part):
        super().__init__()
        self.part = part
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        self.part(x)
        return self.head(x)


def aside(wrap, reason=None, read=None, **options):
    model = seeded(lambda: Aside(Wraps(wrap)))
    reasons = {} if reason is None else {"net:part": reason}
    layers = ["part.inner", "part", "head"]
    reading = {} if read is None else {"part": read}
    return Case({"net": model}, noise(32, 6), layers, reading, options, confounders=[the_input], reasons=reasons)


@KINDS.row("output: None")
def nothing():
    return aside(lambda y: None, "None")


@KINDS.row("output: whole numbers")
def class_indices():
    return aside(lambda y: y.argmax(1), read=lambda output, batch: output[:, None])


@KINDS.row("output: whole numbers that float32 cannot tell apart")
def large_numbers():
    return aside(lambda y: (y * 1000).long() + 2**40, read=flat)


@KINDS.row("output: booleans")
def booleans():
    return aside(lambda y: y > 0, read=flat)


@KINDS.row("output: whole numbers before a tensor of floating-point numbers")
def indices_first():
    return wrapped(lambda y: (y.argmax(1), y), lambda out: out[1], lambda output, batch: output[1])


@KINDS.row("output: complex")
def complex_numbers():
    """The conjugation is still to be carried out when the hook runs."""

    def read(output, batch):
        return torch.cat([output.real, output.imag], 1)

    return wrapped(lambda y: torch.fft.fft(y).conj(), lambda out: out.abs(), read)


@KINDS.row("output: quantised")
def quantised():
    def wrap(y):
        return torch.quantize_per_tensor(y, 0.05, 3, torch.qint8)

    return wrapped(
        wrap, lambda out: out.dequantize(), lambda out, batch: out.dequantize(), foreign=["torch.quantize_per_tensor"]
    )


@KINDS.row("output: sparse")
def sparse():
    return aside(lambda y: y.relu().to_sparse(), "is not dense")


@KINDS.row("output: sparse, with a callable")
def sparse_with_callable():
    return aside(
        lambda y: y.relu().to_sparse(), read=lambda out, batch: out.to_dense(),
        representation={"part": lambda out: out.to_dense()},
    )  # fmt: skip


@KINDS.row("output: nested")
def nested():
    def wrap(y):
        return torch.nested.nested_tensor([one[: 1 + k % 4] for k, one in enumerate(y)], layout=torch.jagged)

    return aside(wrap, "nested")


@KINDS.row("output: one number a sample")
def numbers():
    return wrapped(lambda y: y.square().sum(1), lambda out: out[:, None].expand(-1, 5), lambda out, batch: out[:, None])


@KINDS.row("output: one feature far from zero")
def far_feature():
    """Its float32 values are one apart."""
    return wrapped(
        lambda y: torch.cat([y, y[:, :1] + 1e7], 1), lambda out: out[:, :5], lambda out, batch: out,
        notes=["float32 cannot tell .* in layer 'part'"],
    )  # fmt: skip


@KINDS.row("output: not finite")
def not_finite():
    return aside(lambda y: y / (y > -1), "non-finite values")


class Sometimes(nn.Module):
    """A layer that returns one more tensor, and this one first, for some batches."""

    def __init__(self):
        super().__init__()
        self.one, self.part, self.head = nn.Linear(6, 5), Extra(), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.part(self.one(x))[-1])


class Extra(nn.Module):
    def forward(self, x):
        return (x.square(), x) if x[0, 0] > 0 else (x,)


@KINDS.row("output: one more tensor in some batches")
def sometimes():
    batches = noise(32, 6)
    for number, batch in enumerate(batches):
        batch[0] = 9.0 * (number - 1)
    reason = "tensors in an earlier batch and has"
    return Case({"net": seeded(Sometimes)}, batches, ["one", "part", "head"], reasons={"net:part": reason})
