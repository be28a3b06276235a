"""One pass over tensors, and the numbers that it should give."""

import reference
import torch

import simwidget as sw


def batches(n_batches=3, n=64, p=8, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, p, generator=generator, dtype=torch.float64).to(dtype) for _ in range(n_batches)]


def within(model, data, measures="cka", **options):
    """The result of one network alone."""
    return sw.compare({"net": model}, data, measures=measures, device="cpu", **options).run(progress=False)


def expected_cka(model, data, names):
    model = reference.without_inplace(model)
    return reference.cka([list(reference.representations(model, x, names).values()) for x in data])
