"""`SampleFinder`: finds the samples and the tokens in each layer's output, with additional forward passes if needed.

A probing pass is a forward pass over fewer samples: the dimension that indexes the samples becomes smaller in it. A
pass over shorter sequences shows in the same way which dimensions hold the tokens of a mask, see `TokenProbe`. A mask
says which tokens of an input are padding.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from simwidget.capture.hooks import Capture
from simwidget.capture.outputs import Evidence, Layout, OtherTensorsError, Output, RepresentationError, UnclearError
from simwidget.capture.probe import ProbedOutput, ProbeNeededError
from simwidget.capture.probing_pass import ProbeFailedError, Split, probing_pass
from simwidget.capture.reading import Reading
from simwidget.capture.token_masks import MaskRules
from simwidget.capture.token_probe import Parse, TokenProbe, TokenProbeError, probe_tokens
from simwidget.capture.tokens import Tokens
from simwidget.data.batch import Batch

CallKey = tuple[int | str, str]
"""Key of a call of a layer: (position of the network, name of the call).

The name is "layer", or "layer#k" for repeated calls.
"""


class SampleFinder:
    """Finds in each layer's output the tensor to compare, and the dimensions that hold its samples and tokens.

    In the first batch, the shape of an output determines where the samples are. If the shape is ambiguous, a probing
    pass over fewer samples decides. In later batches, the samples must be in the same place as in the first batch.

    If the batch has masks that a representation needs, call `probe_tokens` before the forward pass, as
    `may_probe_tokens` says.
    """

    def __init__(self) -> None:
        self.layouts: dict[CallKey, Layout] = {}
        """call of a layer -> where its output contains the samples"""
        self._probed: Sequence[Mapping[str, ProbedOutput]] | None = None
        """for each network, the records of its outputs in the probing pass; None before a probing pass"""
        self._has_probed = False
        self._failure = ""
        """why the probing pass failed; empty if it did not fail"""
        self.token_probes: dict[int, TokenProbe] = {}
        """position of a network -> the shapes of its outputs in the pass over shorter sequences of the present batch"""
        self._token_batch: int | None = None
        self._token_keys: dict[int, frozenset[str]] = {}
        """position of a network -> the keys of the masks in its latest pass over shorter sequences, failed or not"""
        self._wanting: set[int] = set()
        """positions of networks for which `want_features` has asked for a pass that has not been made yet"""
        self._wanted: set[int] = set()
        """positions of networks for which `want_features` has ever asked for a pass"""
        self.token_problems: dict[int, str] = {}
        """position of a network -> why its latest pass over shorter sequences failed; only if this pass failed"""
        self.masks_by_name: dict[CallKey, Tokens] = {}
        """call of a layer -> the mask that was chosen without a pass over shorter sequences"""

    @property
    def may_probe(self) -> bool:
        """Whether `find` may raise ProbeNeededError: True until a layout is known or a probing pass was made."""
        return self._probed is None and not self.layouts

    @property
    def is_first(self) -> bool:
        """Whether no layout is known yet. A ProbeNeededError can be raised only in this case."""
        return not self.layouts

    def want_features(self, position: int) -> None:
        """Ask for a pass over shorter sequences to tell the tokens from the features in an output (n, p, p).

        Do nothing if a layout is already known, or if this was asked before for the same network.

        Args:
            position: the position of the network.

        Raises:
            ProbeNeededError: the pass was asked for. The next call of `may_probe_tokens` returns True.
        """
        if self.is_first and position not in self._wanted:
            self._wanting.add(position)
            self._wanted.add(position)
            raise ProbeNeededError

    @property
    def has_probed(self) -> bool:
        """Whether a probing pass has succeeded, in this run or in the run that it continues."""
        return self._has_probed or (self._probed is not None and not self._failure)

    def state(self) -> dict[str, Any]:
        """Return the layouts and facts about the additional passes as a dictionary of JSON values, for `restore`."""
        return {
            "layouts": [[*key, *layout] for key, layout in self.layouts.items()],
            "probed": self.has_probed,
            "masks_by_name": [[*key, *tokens] for key, tokens in self.masks_by_name.items()],
            "token_problems": [list(one) for one in self.token_problems.items()],
            "token_keys": [[position, *sorted(keys)] for position, keys in self._token_keys.items()],
        }

    def restore(self, state: Mapping[str, Any], known: Callable[[Sequence[Any]], CallKey]) -> None:
        """Continue from `state`, a dictionary that the method `state` returned in an earlier run.

        Args:
            state: the dictionary.
            known: returns the key of a call as a tuple; raises an error if this run has no such call.

        Raises:
            KeyError, TypeError, ValueError: `state` is not from the method `state`.
        """
        for position, call, *layout in state["layouts"]:
            self.layouts[known((position, call))] = Layout.from_json(layout)
        for position, call, key, name in state["masks_by_name"]:
            self.masks_by_name[known((position, call))] = Tokens(str(key), str(name))
        self._has_probed = bool(state["probed"])
        self.token_problems = {int(position): str(problem) for position, problem in state["token_problems"]}
        self._token_keys = {int(position): frozenset(map(str, keys)) for position, *keys in state["token_keys"]}

    def find(self, key: CallKey, reading: Reading, output: Any, n: int, lengths: Collection[int], index: int) -> Output:
        """Return the tensor to compare in a layer's output.

        Args:
            key: the call of the layer.
            reading: how the layer's output is turned into a representation.
            output: what the layer returned.
            n: the number of samples of the batch.
            lengths: the numbers of tokens per sample that occur in the inputs and in other outputs.
            index: the number of the batch in the loader, for error messages.

        Raises:
            ProbeNeededError: only a probing pass can tell where the output contains the samples.
            RepresentationError: no tensor contains the n samples, the dimension of the samples remains ambiguous, or
                the samples are not in the same place as in an earlier batch.
        """
        position, call = key
        assert isinstance(position, int)
        known = self.layouts.get(key)
        probed = None if self._probed is None else self._probed[position].get(call)
        try:
            found = reading.output(output, n, Evidence(known, probed, lengths))
        except UnclearError as problem:
            if self.may_probe:
                raise ProbeNeededError from None
            if self._failure:
                raise RepresentationError(f"{problem} (a pass over fewer samples failed: {self._failure})") from None
            raise
        except OtherTensorsError:
            raise
        except RepresentationError:
            if known is None:
                raise
            elsewhere = reading.output(output, n)
            raise RepresentationError(
                f"its samples were in dimension {known.dim} before, and are in {elsewhere.batch_dim} in batch {index}: "
                "give batch_dim="
            ) from None
        if found.is_unclear and self.may_probe:
            raise ProbeNeededError
        shape = tuple(found.tensor.shape) if found.is_unclear else ()
        if shape and shape[0] == shape[1]:
            why = f" ({self._failure})" if self._failure else ""
            raise RepresentationError(
                f"its output {shape} has {n} entries in two dimensions, as many as the batch has samples, and a "
                f"pass over fewer samples did not tell them apart{why}: give batch_dim="
            )
        return self._with_tokens(key, found)

    def may_probe_tokens(self, position: int, index: int, keys: Collection[str]) -> bool:
        """Whether a network needs a pass over shorter sequences: `want_features` asked for it, or a mask is new.

        A mask is new if its key was not in the latest pass of this network. If the batch is another one than in the
        latest pass, discard the shapes recorded in that pass.

        Args:
            position: the position of the network.
            index: the number of the batch in the loader.
            keys: the keys of the batch's masks that a representation needs.
        """
        if index != self._token_batch:  # the shapes of another batch tell nothing about this one
            self.token_probes.clear()
        if position in self._wanting:
            return True
        return bool(keys) and not self._token_keys.get(position, frozenset()).issuperset(keys)

    def probe_tokens(
        self, position: int, batch: Batch, index: int, parse: Parse, capture: Capture, rules: MaskRules
    ) -> None:
        """Make a pass over shorter sequences with one network, and record the shapes. If it fails, record the reason.

        Args:
            position: the position of the network.
            batch: the network's batch.
            index: the number of the batch in the loader.
            parse: parses a batch for this network.
            capture: the network with its hooks.
            rules: the `MaskRules` of the network.
        """
        self._token_batch = index
        self._token_keys[position] = frozenset(batch.masks.real)
        self.token_problems.pop(position, None)
        unmasked = position in self._wanting
        self._wanting.discard(position)
        try:
            self.token_probes[position] = probe_tokens(batch, parse, capture, rules.maps, unmasked)
        except TokenProbeError as problem:
            self.token_problems[position] = str(problem)

    def _with_tokens(self, key: CallKey, found: Output) -> Output:
        """Return `found` with the `TokenDims` of the output, if they are known.

        The `TokenDims` are known from a pass over shorter sequences of the present batch, or from an earlier batch.
        """
        known, layout, position = self.layouts.get(key), found.layout, key[0]
        if layout is None:
            return found
        probe = self.token_probes.get(position) if isinstance(position, int) else None
        if probe is None or found.lengths is not None:
            return found if known is None else found._replace(layout=known)
        tensor = found.tensor[..., 0] if found.complex else found.tensor
        tokens = probe.tokens(key[1], layout.place, layout.dim, layout.flattened, tensor)
        if tokens is None and known is not None:
            tokens = known.tokens
        return found._replace(layout=layout._replace(tokens=tokens))

    def probe(self, batch: Batch, index: int, split: Split, captures: Sequence[Capture]) -> None:
        """Make a probing pass; the arguments are those of `probing_pass`. If the pass fails, record the reason.

        Do nothing if `want_features` has asked for a pass over shorter sequences.
        """
        if self._wanting:
            return
        try:
            self._probed = probing_pass(batch, index, split, captures)
        except ProbeFailedError as problem:
            self._probed, self._failure = [{}] * len(captures), str(problem)

    def learn(self, layouts: Mapping[CallKey, Layout], n: int) -> None:
        """Record the layouts found in a batch of n samples, for calls without a known layout.

        A known layout gets the `TokenDims` of this batch, and the dimension of the features if it had none. If n is 1,
        record nothing.
        """
        self.token_probes.clear()
        if n > 1:  # a single sample does not tell its dimension from others of length 1
            for key, layout in layouts.items():
                known = self.layouts.get(key, layout)
                tokens = known.tokens if layout.tokens is None else layout.tokens
                axis = layout.axis if known.axis is None else known.axis
                self.layouts[key] = known._replace(tokens=tokens, axis=axis)
