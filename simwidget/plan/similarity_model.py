"""`SimilarityModel`: a network with a name and the layers that are compared."""

from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from simwidget.capture.caller import Caller
from simwidget.capture.hooks import Capture
from simwidget.capture.layers import check_network, default_layers, layers_containing, layers_matching
from simwidget.capture.outputs import RepresentationError
from simwidget.capture.probe import ProbeNeededError
from simwidget.capture.reading import Reading
from simwidget.capture.sample_finder import SampleFinder
from simwidget.capture.wrappers import innermost, unwrap
from simwidget.data.batch import Batch, token_counts
from simwidget.data.nested import tensors_in
from simwidget.data.parsing import parse_batch
from simwidget.restore.randomness import preserved_random_state
from simwidget.text.printable import describe_type


class SimilarityModel:
    """A network with a name and the layers that are compared.

    The network itself is not changed: hooks exist only while a comparison runs.

    Args:
        model: the network. If the network is compiled or data-parallel, the wrapped module is used, because only the
            hooks of the wrapped module are called.
        model_name: the name in results and displays; by default the class name of the network.
        layers_to_include: substrings, as in the package simtorch. The layers are all modules whose names contain at
            least one of these substrings.
        device: the device on which `representations` runs the network; by default the device of the inputs. A
            comparison has its own option `device`.
        layers: exact module names and globs (`"layer3.*"`) that choose the layers. If neither this argument nor
            `layers_to_include` is given, the layers are the modules with parameters of their own, and the modules with
            submodules and a `forward` of their own. If there are no such modules, the layers are all modules that a
            forward pass may call.

    Raises:
        ValueError: a substring or pattern matches no module (the message suggests similar names); a lazy module is not
            initialised yet; the network has no submodules; or both `layers` and `layers_to_include` are given.
        TypeError: the model is not an `nn.Module`; a pattern is not a string; or the model or its layers are
            TorchScript modules, which run without hooks.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> SimilarityModel(net, "tiny").layer_names
    ('0', '2')
    """

    def __init__(
        self,
        model: nn.Module,
        model_name: str | None = None,
        layers_to_include: Sequence[str] | None = None,
        device: torch.device | str | None = None,
        *,
        layers: Sequence[str] | None = None,
    ) -> None:
        name = self.name_of(model) if model_name is None else str(model_name)
        network = unwrap(self._require_module(model))
        check_network(network, name)
        if layers is not None and layers_to_include:
            raise ValueError(f"{name!r}: give layers (names and globs) or layers_to_include (substrings), not both")
        self.model = network
        self.model_name = name
        self.layers_to_include = list(layers_to_include or [])
        self.device = device
        self.chosen_by_default = layers is None and not self.layers_to_include
        if layers is not None:
            names = layers_matching(network, layers, name)
        elif self.layers_to_include:
            names = layers_containing(network, self.layers_to_include, name)
        else:
            names = default_layers(network)
        if not names and next(innermost(network).children(), None) is not None:
            raise TypeError(
                f"all submodules of {name!r} are TorchScript modules, which run without hooks: put the originals in "
                "their place"
            )
        if not names:
            raise ValueError(f"{name!r} has no layers: it has no submodules, so there is nothing to compare")
        self.layer_names = tuple(names)

    @staticmethod
    def name_of(model: nn.Module) -> str:
        """Return the default name of a network: its class name."""
        return type(innermost(SimilarityModel._require_module(model))).__name__

    @staticmethod
    def _require_module(model: Any) -> nn.Module:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model is {describe_type(model)}: pass an nn.Module or a SimilarityModel")
        return model

    def renamed(self, name: str, layers: Sequence[str] | None = None) -> "SimilarityModel":
        """Return a `SimilarityModel` of the same network with another name and, if given, other layers."""
        if layers is not None:
            return SimilarityModel(self.model, name, device=self.device, layers=layers)
        other = copy(self)
        other.model_name = name
        return other

    @property
    def n_layers(self) -> int:
        """The number of chosen modules.

        A result has more layers than this if a module runs several times in a forward pass, because each call counts as
        a layer.
        """
        return len(self.layer_names)

    def representations(self, inputs: Any) -> dict[str, Tensor]:
        """Return copies of the output tensors (n, ...) of the chosen layers for one batch of n samples.

        The keys name the calls of layers, in execution order: "layer" is the first call of a layer, "layer#1" the
        second. Calls without an output tensor (n, ...) are left out. All copies are in memory at once, so use this
        method only for a few samples.
        """
        outputs: dict[str, Tensor] = {}
        batch, finder, reading = parse_batch(inputs, 0), SampleFinder(), Reading("flatten")
        lengths = set(batch.token_counts())

        def sink(call: str, output: Any, inputs: Any) -> None:
            with suppress(RepresentationError):
                tensor = finder.find((0, call), reading, output, batch.n, lengths, 0).tensor
                lengths.update(token_counts(tensor))
                outputs[call] = tensor.clone()

        def split(raw: Any, index: int) -> tuple[Batch, list[Batch]]:
            part = parse_batch(raw, index)
            return part, [part]

        first = next(tensors_in(inputs), None)
        input_device = first.device if isinstance(first, Tensor) else torch.device("cpu")
        device = input_device if self.device is None else torch.device(self.device)
        caller = Caller(self.model, self.model_name)
        capture = Capture(self.model, self.model_name, self.layer_names, device, caller, sink)
        with preserved_random_state([device]), capture:
            try:
                capture.forward(batch)
            except ProbeNeededError:
                finder.probe(batch, 0, split, [capture])
                outputs.clear()
                capture.forward(batch)
        return outputs

    def __repr__(self) -> str:
        return f"SimilarityModel({self.model_name!r}, {self.n_layers} layers)"
