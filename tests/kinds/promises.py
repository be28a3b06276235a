"""What a run must leave as it was, to the bit: a state with something in every corner of it, and an exact record."""

import random
from collections.abc import Mapping
from dataclasses import is_dataclass

import numpy as np
import torch


def use(models):
    """Leave models as their owner does in the middle of training: modes, gradients and hooks of all sorts."""
    torch.manual_seed(11)
    for model in models:
        modules = list(model.modules())
        for position, module in enumerate(modules):
            module.training = position % 3 != 1
        for position, parameter in enumerate(model.parameters()):
            if not parameter.is_floating_point():
                continue
            parameter.requires_grad_(position % 2 == 0)
            if position % 4 == 0:
                parameter.grad = torch.randn_like(parameter)
        modules[-1].register_forward_hook(lambda module, args, output: None)
        modules[len(modules) // 2].register_forward_pre_hook(lambda module, args: None)
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)
    torch.rand(3), random.random(), np.random.rand(3)


def draw():
    """What a loader that augments does to the generators."""
    torch.rand(5), torch.randperm(4), random.random(), np.random.rand(2)


def record(models, batches):
    """Everything that is promised, as values that can be compared."""
    found = {"process": _process(), "batches": [_content(batch) for batch in batches]}
    for number, model in enumerate(models):
        for name, module in model.named_modules():
            found[number, name] = _of_module(module)
        found[number, "state"] = {key: _content(value) for key, value in model.state_dict().items()}
    return found


def _of_module(module):
    own = {**module._parameters, **module._buffers}
    hooks = {key: [*map(id, value.values())] for key, value in vars(module).items() if "hooks" in key and value}
    gradients = {name: one.grad for name, one in module._parameters.items() if one is not None}
    return {
        "training": module.training,
        "attributes": sorted(vars(module)),
        "tensors": {name: id(one) for name, one in own.items()},
        "contents": {name: _content(one) for name, one in own.items()},
        "requires_grad": {name: one.requires_grad for name, one in own.items() if one is not None},
        "grad": {name: (id(one), _content(one)) for name, one in gradients.items()},
        "children": {name: id(child) for name, child in module._modules.items()},
        "hooks": hooks,
    }


def _process():
    kind, keys, *rest = np.random.get_state()
    return {
        "torch": _content(torch.get_rng_state()),
        "random": random.getstate(),
        "numpy": (kind, keys.tobytes(), *rest),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "dtype": torch.get_default_dtype(),
    }


def _content(value):
    """The raw bytes of tensors, wherever they are in it."""
    if isinstance(value, torch.Tensor):
        if value.is_quantized:
            return "quantised", value.q_scale(), value.q_zero_point(), _content(value.int_repr())
        raw = value.detach().contiguous().reshape(-1).view(torch.uint8)
        return value.dtype, value.device, value.shape, value.stride(), raw.numpy().tobytes()
    if isinstance(value, Mapping):
        return {key: _content(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_content(part) for part in value]
    if is_dataclass(value):
        return {key: _content(part) for key, part in vars(value).items()}
    if hasattr(value, "num_nodes"):
        return {"id": id(value), **{key: _content(part) for key, part in vars(value).items()}}
    return repr(value)
