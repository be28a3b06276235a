"""`Caller`: calls a network with a batch."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from simwidget.capture.tuple_batches import UnclearElementsError, assign_elements
from simwidget.capture.wrappers import innermost
from simwidget.data.batch import Batch
from simwidget.data.batch_objects import copy_to, is_batch_object
from simwidget.data.entries import Entry, entries_of, is_input_name, may_be_input
from simwidget.data.images import is_image_list
from simwidget.data.labels import LABEL_KEYS
from simwidget.data.nested import as_mapping, map_tensors, tensors_in

Forward = Callable[[nn.Module, Any], Any]
"""Type of the user's function forward(model, batch). The function gets the batch in its original structure."""


class Caller:
    """Calls one network with batches, through the user's `forward=` function if there is one.

    Without this function, the arguments of the network depend on the type of the batch's `inputs`:

    - A tensor, a named tuple (such as a packed sequence), a list of images or a batch object (see `is_batch_object`) is
      passed as the only argument. There are two exceptions for a batch that is a tuple or list and starts with these
      inputs. If `assign_elements` assigns elements of the batch to parameters, these elements are passed by name.
      Otherwise, if the network has k >= 2 required arguments, the first k elements are passed by position.
    - Any other tuple or list is passed as positional arguments.
    - From a mapping, the entries whose keys are parameter names of the network's `forward` are passed as keyword
      arguments. If there are no such entries, but `forward` takes `**kwargs`, all entries except labels are passed. If
      there are no such entries and no `**kwargs`, exactly one entry besides labels must be a tensor. This tensor is
      passed as the only argument.

    Args:
        module: the network.
        model: the name of the network, for error messages.
        forward: the user's `forward=` function, if any.
    """

    def __init__(self, module: nn.Module, model: str, forward: Forward | None = None) -> None:
        self._module = module
        self._model = model
        self._forward = forward
        self._signature = inspect.signature(innermost(module).forward)  # a wrapper takes anything and passes it on
        parameters = self._signature.parameters.values()
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self._required = [p.name for p in parameters if p.kind in positional and p.default is inspect.Parameter.empty]
        self._accepted = [p.name for p in parameters if p.kind in (*positional[1:], inspect.Parameter.KEYWORD_ONLY)]
        self._accepts_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
        self._dtype = _shared_dtype(module)
        self.ignored_keys: tuple[str, ...] = ()
        """the keys in the latest mapping whose values were not passed to the network, without the keys of labels"""
        self.casts: tuple[str, ...] = ()
        """the conversions of floating-point inputs in all calls so far, such as "float64 to float32\""""
        self.autocast: str | None = None
        """the dtype of autocast in the latest call; None if autocast was not enabled"""

    @property
    def has_custom_forward(self) -> bool:
        """Whether the user gave a `forward=` function; if so, batches may have any structure."""
        return self._forward is not None

    def __call__(self, call: Callable[..., Any], batch: Batch, device: torch.device) -> Any:
        """Call the network with a batch on `device`, and return the network's output.

        The network gets copies of the batch's tensors, because a network may write into its inputs. Floating-point
        tensors are converted to the dtype of the network's parameters, unless autocast is enabled or the parameters
        have no common dtype (see `_shared_dtype`). A batch object (see `is_batch_object`) is copied and moved as a
        whole, and its tensors keep their dtypes.

        Args:
            call: the function that runs the network: `call(*args, **kwargs)`. Not used if the user gave a `forward=`
                function.
            batch: the batch.
            device: the device that the tensors are copied to.

        Raises:
            TypeError: the network's `forward` does not accept the batch.
        """
        is_autocast = torch.is_autocast_enabled(device.type)
        self.autocast = _dtype_name(torch.get_autocast_dtype(device.type)) if is_autocast else None
        dtype = None if is_autocast else self._dtype

        def copied(tensor: Tensor) -> Tensor:
            cast = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
            if cast != tensor.dtype:
                self.casts = tuple(sorted({*self.casts, f"{_dtype_name(tensor.dtype)} to {_dtype_name(cast)}"}))
            return batch.uploads.to(tensor, device).detach().to(cast, copy=True)

        def copied_object(value: Any) -> Any:
            return copy_to(value, device) if is_batch_object(value) else value

        if self._forward is not None:
            return self._forward(self._module, map_tensors(batch.raw, copied, copied_object))
        args, kwargs = self._arguments(batch)
        self._bind(args, kwargs)
        args, kwargs = (map_tensors(one, copied, copied_object) for one in (args, kwargs))
        return call(*args, **kwargs)

    def named_inputs(self, batch: Batch) -> dict[str, Any]:
        """Return the arguments that the network's `forward` gets for a batch, by parameter name.

        The values are those of the batch: they are not copied, moved or converted. The arguments that `forward` takes
        as `*args` are one tuple, under the name of this parameter. Each argument that `forward` takes as `**kwargs`
        has its own name. The result is empty if the user gave a `forward=` function, because the arguments that this
        function passes to the network are unknown.

        Raises:
            TypeError: the network's `forward` does not accept the batch.
        """
        if self._forward is not None:
            return {}
        arguments = self._bind(*self._arguments(batch)).arguments
        named: dict[str, Any] = {}
        for name, value in arguments.items():
            is_keywords = self._signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
            named.update(value if is_keywords else {name: value})
        return named

    def _bind(self, args: tuple, kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """Return the arguments by parameter name; raise TypeError if the network's `forward` does not accept them."""
        try:
            return self._signature.bind(*args, **kwargs)
        except TypeError as problem:
            advice = (
                "inputs= a function from the batch to the model's input, or forward= a function that calls the model"
            )
            if any(is_batch_object(one) for one in args):  # only the whole object tells its samples
                advice = "forward= a function that calls the model with parts of the batch, forward(model, batch)"
            raise TypeError(
                f"model {self._model!r} cannot be called with this batch ({problem}): its forward takes "
                f"({', '.join(self._accepted)}); pass {advice}"
            ) from problem

    def entries_not_passed(self, batch: Batch, path: str) -> list[Entry]:
        """Return the tensors of a batch that may be inputs but are not passed to the network's `forward`.

        `may_be_input` says which tensors may be inputs; labels and masks are none. The result is empty if the user gave
        a `forward=` function.

        Args:
            batch: the network's batch.
            path: the Python expression for the batch, such as "batch". The attribute `path` of each entry begins with
                this expression.

        Raises:
            TypeError: the network's `forward` does not accept the batch.
        """
        if self._forward is not None:
            return []
        passed = {id(tensor) for tensor in tensors_in(self.named_inputs(batch))}
        return [one for one in entries_of(batch.raw, path) if id(one.tensor) not in passed and may_be_input(one, batch)]

    def parameters_without_input(self, batch: Batch) -> list[str]:
        """Return the names of the optional parameters of `forward` that may take an input and get no argument.

        Only parameters with the default None are returned. Parameters with "bool" in their annotation are left out, and
        so are parameters whose names are those of masks, labels, position ids or token type ids. The result is empty if
        the user gave a `forward=` function.

        Raises:
            TypeError: the network's `forward` does not accept the batch.
        """
        named = self.named_inputs(batch)
        return [
            name
            for name, parameter in self._signature.parameters.items()
            if self._forward is None
            and name not in named
            and parameter.default is None
            and is_input_name(name)
            and "bool" not in str(parameter.annotation)
        ]

    def _arguments(self, batch: Batch) -> tuple[tuple, dict[str, Any]]:
        inputs, raw = batch.inputs, batch.raw
        if isinstance(inputs, Mapping):
            return self._from_mapping(as_mapping(inputs))
        if isinstance(inputs, tuple | list) and not hasattr(inputs, "_fields") and not is_image_list(inputs):
            return tuple(inputs), {}
        if isinstance(raw, tuple | list) and inputs is raw[0]:
            return self._from_elements(raw, batch.n)
        return (inputs,), {}

    def _from_elements(self, elements: Sequence[Any], n: int) -> tuple[tuple, dict[str, Any]]:
        try:
            named = assign_elements(elements, self._signature, n)
        except UnclearElementsError as problem:
            raise TypeError(
                f"model {self._model!r} cannot be called with this batch: {problem} ({', '.join(self._accepted)}); "
                "pass inputs= a function from the batch to a dict from parameter names to values"
            ) from problem
        if named is not None:
            return (), named
        return tuple(elements[: max(1, len(self._required))]), {}

    def _from_mapping(self, inputs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        accepted = {key: value for key, value in inputs.items() if key in self._accepted}
        others = [key for key in inputs if key not in accepted and key not in LABEL_KEYS]
        if accepted or not others:
            self.ignored_keys = tuple(others)
            return (), accepted
        if self._accepts_any:
            return (), {key: inputs[key] for key in others}
        tensors = [key for key in others if isinstance(inputs[key], Tensor)]
        if len(tensors) == 1:
            self.ignored_keys = tuple(key for key in others if key not in tensors)
            return (inputs[tensors[0]],), {}
        raise TypeError(
            f"model {self._model!r} accepts none of the batch's keys {others[:8]}: its forward takes "
            f"({', '.join(self._accepted)}); pass inputs= a function from the batch to the model's input, "
            "or forward= a function that calls the model"
        )


def _shared_dtype(module: nn.Module) -> torch.dtype | None:
    """Return the dtype that all floating-point parameters of a network have in common.

    Return None if there are no floating-point parameters, if their dtypes differ, or if the dtype is an 8-bit type.
    """
    found = {tensor.dtype for tensor in module.parameters() if tensor.is_floating_point()}
    wide = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    return next(iter(found)) if len(found) == 1 and found <= set(wide) else None


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
