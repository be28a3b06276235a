"""Rows for networks in wrappers, compiled ones, and those of other precisions."""

import torch
from torch import nn

from kinds.kind import Case, Table
from kinds.nets import MLP, Mlp, Stairs, noise, over_space, seeded, the_input

KINDS = Table()


@KINDS.row("DataParallel")
def data_parallel():
    model = seeded(Mlp)
    wrapped = nn.DataParallel(model)
    return Case({"net": wrapped}, noise(32, 6), MLP, plain={"net": model}, confounders=[the_input])


@KINDS.row("DistributedDataParallel")
def distributed():
    import torch.distributed as dist

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    model = seeded(Mlp)
    wrapped = nn.parallel.DistributedDataParallel(model)
    return Case(
        {"net": wrapped}, noise(32, 6), MLP, plain={"net": model}, confounders=[the_input],
        after=dist.destroy_process_group,
    )  # fmt: skip


@KINDS.row("torch.compile")
def compiled():
    """Compiled and run before there are hooks."""
    model = seeded(Mlp)
    wrapped = torch.compile(model, backend="eager")
    batches = noise(32, 6)
    wrapped(batches[0])
    return Case({"net": wrapped}, batches, MLP, plain={"net": model}, confounders=[the_input])


@KINDS.row("compiled in place")
def compiled_in_place():
    model, batches = seeded(Mlp), noise(32, 6)
    model.compile(backend="eager")
    model.two.compile(backend="eager")
    model(batches[0])
    return Case({"net": model}, batches, MLP, confounders=[the_input])


@KINDS.row("bfloat16 weights, float32 inputs")
def half():
    model = seeded(Mlp).bfloat16()
    return Case(
        {"net": model}, noise(32, 6), MLP, call=lambda model, batch: model(batch.bfloat16()), confounders=[the_input]
    )


@KINDS.row("bfloat16 weights, mean")
def half_mean():
    """A mean of many numbers of eight bits has more than eight."""
    return Case(
        {"net": seeded(Stairs).bfloat16()}, noise(32, 3, 16, 16), ["conv1", "conv2", "conv3"], over_space,
        {"representation": "mean"}, lambda model, batch: model(batch.bfloat16()), [the_input],
    )  # fmt: skip


@KINDS.row("float16 weights, float32 inputs")
def float16():
    model = seeded(Mlp).half()
    return Case(
        {"net": model}, noise(32, 6), MLP, call=lambda model, batch: model(batch.half()), confounders=[the_input]
    )


@KINDS.row("float64 weights, float32 inputs")
def double():
    model = seeded(Mlp).double()
    return Case(
        {"net": model}, noise(32, 6), MLP, call=lambda model, batch: model(batch.double()), confounders=[the_input]
    )


@KINDS.row("float32 weights, float64 inputs")
def double_inputs():
    batches = [batch.double() for batch in noise(32, 6)]
    return Case(
        {"net": seeded(Mlp)}, batches, MLP, call=lambda model, batch: model(batch.float()), confounders=[the_input]
    )


@KINDS.row("autocast")
def autocast():
    return Case(
        {"net": seeded(Mlp)}, noise(32, 6), MLP, confounders=[the_input],
        around=lambda: torch.autocast("cpu", torch.bfloat16),
    )  # fmt: skip


@KINDS.row("quantised for inference")
def dynamically_quantised():
    """Its weights are no parameters any more."""
    model = seeded(lambda: torch.ao.quantization.quantize_dynamic(Mlp(), {nn.Linear}))
    return Case({"net": model}, noise(32, 6), MLP, confounders=[the_input], foreign=["TypedStorage is deprecated"])


class Waves(nn.Module):
    """Complex weights and inputs, real outputs."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(6, 8, dtype=torch.complex64)
        self.two = nn.Linear(8, 5, dtype=torch.complex64)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.two(torch.tanh(self.one(x))).abs())


def both_parts(x):
    return torch.cat([x.real, x.imag], 1)


@KINDS.row("complex weights and inputs")
def complex_weights():
    def read(output, batch):
        return both_parts(output)

    batches = [torch.complex(a, b) for a, b in zip(noise(32, 6), noise(32, 6, seed=1))]
    return Case(
        {"net": seeded(Waves)}, batches, ["one", "two", "head"], {"one": read, "two": read},
        confounders=[lambda batch, outputs: both_parts(batch)],
    )  # fmt: skip


@KINDS.row("normalised weights")
def parametrized():
    """Their weights are computed anew in each pass; the old way does so in a hook of its own."""
    from torch.nn.utils import parametrizations, weight_norm

    def make():
        model = Mlp()
        parametrizations.spectral_norm(model.one)
        parametrizations.weight_norm(model.two)
        weight_norm(model.head)
        with torch.no_grad():  # otherwise its weight is no leaf, and cannot be copied for the oracle
            model(torch.zeros(1, 6))
        return model

    return Case({"net": seeded(make)}, noise(32, 6), MLP, confounders=[the_input])


@KINDS.row("TorchScript inside")
def scripted():
    """It can have no hooks, and what is around it can."""

    def make():
        return nn.Sequential(nn.Linear(6, 8), torch.jit.script(nn.Sequential(nn.Linear(8, 8), nn.Tanh())), Mlp(8))

    return Case({"net": seeded(make)}, noise(32, 6), ["0", "2.one", "2"], confounders=[the_input])
