"""The option `confounder`: the variables whose Gram matrices dCKA regresses out of the layers' Gram matrices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from simwidget.capture.layers import named_layers
from simwidget.capture.outputs import describe_type
from simwidget.capture.representation_option import callable_name
from simwidget.capture.wrappers import clean_name
from simwidget.data.batch import Batch
from simwidget.text.suggestions import did_you_mean

ConfounderOption = None | str | Callable[[Any], Tensor] | Sequence[str | Callable[[Any], Tensor]]
CHOICES = (
    'choose "input", "labels", a layer ("embeddings" or "model:embeddings"), a callable on the batch, a list of these, '
    "or None"
)


@dataclass(frozen=True)
class Confounder:
    """One confounding variable, and the source of its values (n, ...) for a batch of n samples."""

    name: str
    kind: Literal["input", "labels", "layer", "batch"]
    layer: tuple[str, str] | None = None
    """the name of a model and the name of one of its layers, whose output is the confounder. For "input": the first
    embedding layer, whose output replaces the input if the input holds token ids. None if there is no such layer."""
    function: Callable[[Any], Tensor] | None = None
    others: tuple[tuple[str, str], ...] = ()
    """for "input": model and layer names of all other embedding layers. The first embedding layer that gets the token
    ids of the input counts."""

    @property
    def layers(self) -> tuple[tuple[str, str], ...]:
        """The model and layer names of the layers whose output may be the confounder."""
        return () if self.layer is None else (self.layer, *self.others)

    def uses_layer(self, batch: Batch) -> bool:
        """Whether the values of the confounder for this batch are the output of a layer.

        This is true if the confounder is a layer, or if it is "input" and the input holds token ids. Otherwise the
        values come from the batch itself.

        Raises ValueError for "input" with token ids if no model has an embedding layer.
        """
        if self.kind == "input" and _holds_tokens(batch):
            if self.layer is None:
                raise ValueError(
                    f"the input is {_dtype_name(batch)}, whose inner products mean nothing, and no model has an "
                    "nn.Embedding to use in its place: give confounder= a layer, or a callable from the batch to a "
                    'float tensor, or use measures=("cka",)'
                )
            return True
        return self.kind == "layer"

    def note(self) -> str:
        """Return a note for the user that says why the output of an embedding layer replaces the input."""
        assert self.layer is not None
        model, layer = self.layer
        return (
            f"the input holds token ids, whose inner products mean nothing: dCKA removes the first embedding's output, "
            f"{layer!r} of {model!r}, in its place"
        )

    def values(self, batch: Batch) -> Tensor:
        """Return the values of the confounder for one batch of n samples. Requires that `uses_layer` is false.

        For "labels", the values are the class labels, as integers (n, 1). In the other cases, they are floating-point
        numbers (n, ...): the input, or the result of the user's callable.

        Raises ValueError if the batch has no labels or no single input tensor, or if the callable does not return a
        dense tensor (n, ...).
        """
        if self.kind == "input":
            tensor = batch.input_tensor
            if tensor is None:
                raise ValueError(
                    "the batch's input is not one tensor (n, ...): give confounder= a callable from the batch to a "
                    'tensor, or use measures=("cka",)'
                )
            return _as_float(tensor)
        if self.kind == "labels":
            if batch.labels is None:
                raise ValueError(
                    f"confounder 'labels': the batch holds no integer class labels ({batch.n},); the loader must give "
                    '(input, labels), or a mapping with a key "labels"'
                )
            return batch.labels[:, None]
        assert self.function is not None
        values = self.function(batch.raw)
        if not isinstance(values, Tensor) or values.ndim < 1 or len(values) != batch.n:
            shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(
                f"confounder {self.name!r} returned {shape}; it must return a tensor ({batch.n}, ...), one row a sample"
            )
        if values.layout != torch.strided:
            raise ValueError(
                f"confounder {self.name!r} returned a {describe_type(values)} tensor; it must return a dense one"
            )
        return _as_float(values.detach())


def resolve_confounders(option: ConfounderOption, models: Mapping[str, nn.Module]) -> tuple[Confounder, ...]:
    """Return a `Confounder` for each entry of the option `confounder`, in the same order.

    If a callable has the name of an earlier confounder, the new confounder is named "name#k", where k is the position
    of the callable in the option, counted from 0.

    Args:
        option: the value that the user gave.
        models: the networks by model name.

    Raises:
        ValueError: a confounder is unknown or given twice, or several networks have a layer with its name.
        TypeError: a confounder layer is a TorchScript module.
    """
    found: dict[str, Confounder] = {}
    entries = option if isinstance(option, list | tuple) else [] if option is None else [option]
    for entry in entries:
        confounder = _resolve(entry, models)
        name = confounder.name if confounder.name not in found else f"{confounder.name}#{len(found)}"
        if name != confounder.name and not callable(entry):
            raise ValueError(f"confounder {entry!r} is given twice")
        found[name] = replace(confounder, name=name)
    return tuple(found.values())


def confounder_layers(confounders: Sequence[Confounder]) -> dict[str, list[str]]:
    """For each model name, return the names of the modules whose outputs may serve as confounders."""
    found: dict[str, list[str]] = {}
    for model, layer in (layer for one in confounders for layer in one.layers):
        found.setdefault(model, []).append(layer.partition("#")[0])
    return found


def _resolve(entry: Any, models: Mapping[str, nn.Module]) -> Confounder:
    if entry == "input":
        layers = _embeddings(models)
        return Confounder("input", "input", layer=layers[0] if layers else None, others=tuple(layers[1:]))
    if entry == "labels":
        return Confounder("labels", "labels")
    if isinstance(entry, str):
        entry = clean_name(entry)
        model, layer = _hooked_layer(entry, models)
        return Confounder(entry, "layer", layer=(model, layer))
    if callable(entry):
        return Confounder(callable_name(entry), "batch", function=entry)
    raise ValueError(f"confounder={entry!r}: {CHOICES}")


def _hooked_layer(name: str, models: Mapping[str, nn.Module]) -> tuple[str, str]:
    model, layer = _named_layer(name, models)
    if isinstance(named_layers(models[model])[layer.partition("#")[0]], torch.jit.ScriptModule):
        raise TypeError(
            f"confounder={name!r} is a TorchScript module, which runs without hooks: take another layer, or put the "
            "original in its place"
        )
    return model, layer


def _named_layer(name: str, models: Mapping[str, nn.Module]) -> tuple[str, str]:
    layers = {model: named_layers(module) for model, module in models.items()}
    for model, known in layers.items():
        if name.startswith(f"{model}:"):
            layer = name.removeprefix(f"{model}:")
            if layer.partition("#")[0] not in known:
                raise ValueError(
                    f"confounder={name!r}: {model!r} has no such layer.{did_you_mean(layer, tuple(known))}"
                )
            return model, layer
    owners = [model for model, known in layers.items() if name.partition("#")[0] in known]
    if not owners:
        everything = [*dict.fromkeys(layer for known in layers.values() for layer in known)]
        raise ValueError(f"confounder={name!r} is no layer of any model.{did_you_mean(name, everything)} Or {CHOICES}")
    if len({id(models[model]) for model in owners}) > 1:
        choices = " or ".join(repr(f"{model}:{name}") for model in owners)
        raise ValueError(f"confounder={name!r} is a layer of {len(owners)} models: give {choices}")
    return owners[0], name


def _embeddings(models: Mapping[str, nn.Module]) -> list[tuple[str, str]]:
    """Return the model and layer names of all embedding layers."""
    return [
        (model, name)
        for model, module in models.items()
        for name, layer in named_layers(module).items()
        if isinstance(layer, nn.Embedding)
    ]


def _holds_tokens(batch: Batch) -> bool:
    tensor = batch.input_tensor
    return tensor is not None and tensor.dtype in (torch.int64, torch.int32, torch.int16, torch.bool)


def _dtype_name(batch: Batch) -> str:
    return "" if batch.input_tensor is None else str(batch.input_tensor.dtype).removeprefix("torch.")


def _as_float(tensor: Tensor) -> Tensor:
    if tensor.is_quantized:
        return tensor.dequantize()
    if tensor.is_complex():
        return torch.view_as_real(tensor.resolve_conj())
    return tensor if tensor.is_floating_point() else tensor.float()
