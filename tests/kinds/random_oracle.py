"""What must come out for random networks, in float64, and what is wrong with what comes out. No code of the package."""

import copy
from collections import Counter
from dataclasses import dataclass

import numpy as np
import reference
import torch
from torch.nn.utils.rnn import pad_packed_sequence

from kinds.oracle import joined
from kinds.random_draw import Draw
from kinds.random_parts import Meaning, by_token

TOLERANCE = 1e-4


def forward(network, batch):
    batch = batch[0] if isinstance(batch, tuple) else batch
    return network(**batch) if isinstance(batch, dict) else network(batch)


def outputs(draw: Draw, batch):
    """Copies of the outputs by (model, call), in execution order."""
    found, calls = {}, Counter()

    def keep(model, layer):
        def hook(module, args, output):
            count = calls[model, layer]
            calls[model, layer] += 1
            found[model, f"{layer}#{count}" if count else layer] = copy.deepcopy(output)

        return hook

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the submodules of a fused layer have no outputs
    handles = [
        draw.networks[model].get_submodule(layer).register_forward_hook(keep(model, layer))
        for model, layers in draw.layers.items()
        for layer in layers
    ]
    try:
        with torch.no_grad():
            for network in draw.networks.values():
                forward(network, batch)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for handle in handles:
            handle.remove()
    return found


def representation(output, meaning: Meaning, masks, how):
    """(n, p) in float64; None where the layer has no such representation."""
    layout, mask = meaning.layout, masks.get(meaning.tokens)
    n = len(next(iter(masks.values())))
    y = output[0] if isinstance(output, tuple) else output
    if layout == "some p" or (layout == "n p h w" and how in ("cls", "last")):
        return None
    if layout == "packed":
        y = pad_packed_sequence(y, batch_first=True)[0]
        mask = mask[:, : y.shape[1]]
    elif layout == "real p":
        if how == "flatten" and not mask.all():
            return None
        y = torch.zeros(*mask.shape, y.shape[-1]).index_put((mask,), y)
    y = y.double()
    if callable(how):
        x = how(y if layout in ("n p t", "n p h w") else by_token(y, layout, n))
    else:
        x = by_token(y, layout, n)
        if x.ndim == 3 and how != "flatten":
            x = torch.stack([POOLED[how](one[real]) for one, real in zip(x, mask)])
    return x.reshape(n, -1).numpy()


POOLED = {"mean": lambda x: x.mean(0), "cls": lambda x: x[0], "last": lambda x: x[-1]}


def rows_of(draw: Draw):
    """For each batch the representations by (model, call), in execution order."""
    return [
        {
            key: representation(output, draw.meaning(*key), masks, draw.how[key[0], key[1].partition("#")[0]])
            for key, output in outputs(draw, batch).items()
        }
        for batch, masks in zip(draw.batches, draw.masks)
    ]


def values_of(rows, gram_batch):
    """CKA of all pairs of layers; NaN for those without a representation."""
    keys = list(rows[0])
    known = [place for place, key in enumerate(keys) if all(one[key] is not None for one in rows)]
    layers = joined([[one[keys[place]] for place in known] for one in rows], gram_batch)
    values = np.full((len(keys), len(keys)), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):  # of layers that are the same for all samples
        values[np.ix_(known, known)] = reference.cka(layers)
    return values


@dataclass
class Outcome:
    """What is wrong with the result of a draw."""

    draw: Draw
    n_cells: int
    n_missing: int
    """cells that are NaN with a reason"""
    wrong: list[str]
    """layers with wrong numbers, the worst one first, and other faults"""

    def __str__(self):
        return "\n".join([*self.wrong, str(self.draw)])


def judged(draw: Draw, rows, result) -> Outcome:
    """Compare a result with the representations that its layers should have."""
    keys = list(rows[0])
    found_keys = [(model, layer) for model in result.models for layer in result.layers(model)]
    if found_keys != keys:
        return Outcome(draw, 0, 0, [f"the layers are {found_keys}, not {keys}"])
    found = np.block([[result.matrix("cka", (x, y)) for y in result.models] for x in result.models])
    reasons = {model: result.reasons("cka", model) for model in result.models}
    missing = np.array([bool(reasons[model].get(layer)) for model, layer in keys])
    excused = np.isnan(found) & (missing[:, None] | missing)
    off = ~excused & ~(np.abs(found - values_of(rows, draw.gram_batch)) < TOLERANCE)
    return Outcome(draw, found.size, int(excused.sum()), [str(one) for one in _blamed(keys, off)])


def _blamed(keys, off):
    """The fewest layers that explain the wrong cells: one after the other that with the most of them."""
    off = off | off.T
    while off.any():
        worst = int(off.sum(1).argmax())
        off[worst] = off[:, worst] = False
        yield ":".join(keys[worst])
