"""What must come out: a second pass over copies of the models that clones every activation, then float64.

It shares no code with the package.
"""

import copy
from collections import Counter

import numpy as np
import reference
import torch

from kinds.kind import flat

SAMPLES_OF_A_GRAM_MATRIX = 64
FEWEST_SAMPLES = 4


def copies(case):
    """The networks to ask, taken before anything else runs them; nothing in them works in place."""
    return {name: reference.without_inplace(case.original(name)).eval() for name in case.models}


def expected(case, networks):
    """Measure -> values of all layers of all models, and the layers as (model, call), in execution order."""
    per_batch, nuisance = [], []
    for kept in _activations(case, networks):
        per_batch.append({key: _array(case, key, *one) for key, one in kept["layers"].items()})
        nuisance.append([_float64(one(kept["batch"], kept["outputs"])) for one in case.confounders])
    keys = list(per_batch[0])
    known = [key for key in keys if per_batch[0][key] is not None]
    least = case.options.get("gram_batch", SAMPLES_OF_A_GRAM_MATRIX)
    layers = joined([[one[key] for key in known] for one in per_batch], least)
    values = {"cka": _spread(reference.cka(layers), keys, known)}
    if case.confounders:
        values["dcka"] = _spread(reference.dcka(layers, joined(nuisance, least)), keys, known)
        for position, (model, layer) in enumerate(keys):
            if f"{model}:{layer}" in case.explained:
                values["dcka"][position] = values["dcka"][:, position] = np.nan
    return values, keys


def _activations(case, networks):
    """For each batch the outputs by (model, call), in execution order; None for layers that never ran."""
    for batch in case.batches:
        outputs, layers = {}, {}
        for name, network in networks.items():
            chosen = list(case.layers_of(name))
            extra = [one.partition(":")[2] for one in case.extra if one.startswith(f"{name}:")]
            call = case.call if callable(case.call) else case.call[name]
            found = _forward(case, network, call, batch, dict.fromkeys([*chosen, *extra]))
            outputs |= {f"{name}:{one}": output for one, output in found.items()}
            ran = [one for one in found if one.partition("#")[0] in chosen]
            never = [one for one in chosen if one not in found]
            layers |= {(name, one): (found.get(one), batch) for one in (*ran, *never)}
        yield {"batch": batch, "outputs": outputs, "layers": layers}


def _forward(case, network, call, batch, names):
    found, calls = {}, Counter()

    def keep(name):
        def hook(module, args, output):
            found[f"{name}#{calls[name]}" if calls[name] else name] = _cloned(output)
            calls[name] += 1

        return hook

    fused = torch.backends.mha.get_fastpath_enabled()
    handles = [network.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    torch.backends.mha.set_fastpath_enabled(False)  # the submodules of a fused layer have no outputs
    try:
        with torch.no_grad():
            call(network, copy.deepcopy(batch))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for handle in handles:
            handle.remove()
    return found


def _cloned(output):
    return output.clone() if isinstance(output, torch.Tensor) else copy.deepcopy(output)


def _array(case, key, output, batch):
    model, call = key
    layer = call.partition("#")[0]
    if f"{model}:{call}" in case.reasons:
        return None
    read = case.read
    if not callable(read):
        names = (f"{model}:{call}", call, f"{model}:{layer}", layer)
        read = next((case.read[name] for name in names if name in case.read), flat)
    return _float64(read(_double(output), batch))


def _double(output):
    """Whatever is computed of an output, a mean say, is computed in float64; tuples become lists."""
    if isinstance(output, torch.Tensor) and output.is_floating_point():
        return output.double()
    if isinstance(output, tuple | list) and not hasattr(output, "_fields"):
        return [_double(part) for part in output]
    return output


def _float64(tensor):
    return tensor.detach().double().flatten(1).numpy()


def joined(batches, least):
    """Consecutive batches until there are enough samples; the remainder at the end stands alone."""
    joined, waiting = [], []
    for position, batch in enumerate(batches):
        waiting.append(batch)
        n = sum(len(one[0]) for one in waiting)
        last = position == len(batches) - 1
        if n >= least or (last and n >= FEWEST_SAMPLES):
            joined.append([np.concatenate(parts) for parts in zip(*waiting)])
            waiting = []
    return joined


def _spread(values, keys, known):
    """The matrix over all layers, NaN for those that have no representation."""
    full = np.full((len(keys), len(keys)), np.nan)
    places = [keys.index(key) for key in known]
    full[np.ix_(places, places)] = values
    return full
