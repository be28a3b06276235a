"""`ForwardPasses`: runs all networks on one batch, and passes the representations to a `Receiver`."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from simwidget.capture.hooks import Capture, Sink
from simwidget.capture.output_choice import describe_choice
from simwidget.capture.outputs import Layout, RepresentationError, UnclearFeaturesError
from simwidget.capture.positions import Positions
from simwidget.capture.probe import ProbeNeededError
from simwidget.capture.reading import Reading, ReadingContext
from simwidget.capture.sample_finder import CallKey, SampleFinder
from simwidget.capture.token_masks import TokenMasks
from simwidget.capture.tokens import Tokens
from simwidget.data.batch import Batch, token_counts
from simwidget.data.labels import find_labels
from simwidget.data.parsing import parse_batch
from simwidget.gram.rows import Key
from simwidget.plan.batch_order import settle_batch_dim
from simwidget.plan.confounders import Confounder
from simwidget.plan.options import Plan
from simwidget.restore.copies import CleanCopies
from simwidget.restore.randomness import RecordedStream
from simwidget.run.confounder_reader import ConfounderReader
from simwidget.run.input_checks import InputChecks
from simwidget.run.notes import Notes
from simwidget.run.random_streams import RandomStreams
from simwidget.run.receiver import Receiver, Representation


@dataclass
class _Pass:
    """The state that the hooks of all networks share while one batch passes through the networks."""

    index: int
    """the batch's number in the run"""
    receiver: Receiver
    context: ReadingContext = field(default_factory=lambda: ReadingContext(0))
    """the facts needed to read the running network's outputs, such as the number of samples, masks and positions"""
    layouts: dict[CallKey, Layout] = field(default_factory=dict)
    """for each call of a layer, where its output contains the samples"""
    previous: tuple[Key, Reading] | None = None
    """key and reading of the latest layer call in the running network. Calls of layers that are neither chosen nor a
    confounder do not count. None if there was no call that counts, or if the latest one has no representation or
    its layer is not chosen"""


class ForwardPasses(AbstractContextManager):
    """Passes one batch through all networks in each call of `run`. Forward hooks read the outputs of the layers.

    Use this class as a context manager: the hooks exist while the context is open.
    """

    def __init__(self, plan: Plan, notes: Notes, recorded: Sequence[RecordedStream] = ()) -> None:
        self._plan = plan
        self._networks = plan.networks
        self._notes = notes
        self._open = ExitStack()
        self._captures: list[Capture] = []
        self._clean_copies = CleanCopies(network.module for network in plan.networks)
        self._pass: _Pass | None = None
        """the state of the current batch, which the hooks use; None between two batches"""
        self.random = RandomStreams([one.device for one in plan.networks], recorded)
        self.finder = SampleFinder()
        self.confounders = ConfounderReader(plan, notes)
        self.inputs = InputChecks(plan, notes)
        self.choices: dict[CallKey, str] = {}
        """call of a layer whose output has several tensors with n samples -> the text of `describe_choice`"""

    def __enter__(self) -> "ForwardPasses":
        with ExitStack() as stack:
            for position, one in enumerate(self._networks):
                sink = self._sink(position)
                random = self.random.of(position)
                capture = Capture(
                    one.module, one.model, one.names, one.device, one.caller, sink, self, random, one.unpooled
                )
                self._captures.append(stack.enter_context(capture))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._captures.clear()
        self._open.close()

    def run(self, batch: Batch, batches: Sequence[Batch], index: int, receiver: Receiver) -> Tensor | None:
        """Pass one batch through all networks, and give the representations of layers and confounders to the receiver.

        Args:
            batch: the parsed batch, the first of the two values that `split` returned.
            batches: the batch for each network, the second of these values.
            index: the batch's number in the run, from 0. The number appears in messages. It is also part of the seed
                for drawing positions.
            receiver: gets the representations in execution order, each before a later layer can overwrite it.

        Raises:
            ProbeNeededError: a probing pass was needed to find the samples in an output, and has been made. Discard the
                representations that the receiver got, and call `run` again with the same batch. The random number
                generators have the state from before this call.

        Returns:
            A tensor (m,) if positions (tokens or places of a feature map) serve as samples: for each of the m drawn
            positions, the index in the batch of the sample that contains it. Otherwise None.
        """
        self._probe_tokens(batches, index)
        positions = self._new_positions(batch, index, receiver)
        now = self._pass = _Pass(index, receiver)
        self.confounders.begin(batch, index, receiver, positions)
        restore_random = self.random.recorded_state() if self.finder.is_first else None
        if positions is None:
            receiver.begin(batch.n)
        try:
            if positions is None:
                self.confounders.read_from_batch()  # before the forward passes, so that a wrong confounder fails early
            for position, own in enumerate(batches):
                capture, network = self._captures[position], self._networks[position]
                now.previous = None
                masks = TokenMasks(
                    own.masks.to(network.device),
                    network.mask_rules,
                    own,
                    self.finder.token_problems.get(position, ""),
                )
                lengths = set(own.token_counts())
                now.context = ReadingContext(batch.n, masks, own.raw, positions, problem=masks.problem, lengths=lengths)
                capture.forward(own)
                for call, axis in now.context.chosen_axes.items():
                    now.layouts[position, call] = now.layouts[position, call]._replace(axis=axis)
                by_name: dict[CallKey, Tokens | None] = {(position, call): one for call, one in masks.by_name.items()}
                self.finder.masks_by_name.update({key: one for key, one in by_name.items() if one is not None})
                self._notes.masks(by_name, masks.unmasked)
                if network.caller.has_custom_forward and not capture.any_layer_ran:
                    raise ValueError(
                        f"no chosen layer of model {network.model!r} ran in batch {index}: forward= must run the very "
                        "model that it is given, forward(model, batch)"
                    )
            if positions is not None:
                self.confounders.read_from_batch()
            self.confounders.check()
            self.inputs.check(batch, batches, self.confounders.embedding_of)
            self.finder.learn(now.layouts, batch.n)
            return None if positions is None else positions.drawn_samples()
        except ProbeNeededError:
            self._pass = None
            self.finder.probe(batch, index, self.split, self._captures)
            assert restore_random is not None
            restore_random()
            raise
        finally:
            batch.uploads.clear()
            self.confounders.end()
            self._pass = None  # release the batch

    def written(self) -> dict[str, str]:
        """Return the models whose forward passes wrote into their own parameters or large buffers.

        The result maps the name of each of these models to the name of the first parameter or buffer that was written
        into. `Capture.modified` defines which buffers are large.
        """
        found = {network.model: one.modified() for network, one in zip(self._networks, self._captures, strict=True)}
        return {model: names[0] for model, names in found.items() if names}

    def split(self, raw: Any, index: int) -> tuple[Batch, list[Batch]]:
        """Parse `raw`, batch number `index` of the loader.

        Returns:
            The parsed batch, from which confounders are computed, and the batch for each network. The batches of two
            networks can differ if the user gave functions that make a network's input from the loader's batch.

        Raises:
            ValueError: the numbers of samples differ between networks, or it is unclear whether dimension 0 or
                dimension 1 of a batch holds the samples.
        """
        batches = self._settle([network.make_batch(raw, index) for network in self._networks], index)
        first = batches[0]
        for network, batch in zip(self._networks, batches, strict=True):
            if batch.n != first.n:
                raise ValueError(
                    f"batch {index} has {first.n} samples for model {self._networks[0].model!r} and {batch.n} "
                    f"for {network.model!r}: inputs= must keep all samples in their order, and batch_dim= must say "
                    "where they are"
                )
            same_input = network.prepare is None and self._networks[0].prepare is None
            if same_input and batch.batch_dim != first.batch_dim and self._plan.as_given["batch_dim"] is None:
                raise ValueError(
                    f"batch {index}: model {self._networks[0].model!r} has the samples of its input in dimension "
                    f"{first.batch_dim}, and {network.model!r} in dimension {batch.batch_dim}: give batch_dim=, or "
                    "inputs= a function that turns the batch for one of them"
                )
        whole = first
        if self._networks[0].prepare is not None:
            with suppress(TypeError):  # only the user's function may be able to read the loader's batch
                given = parse_batch(raw, index)
                whole = given if given.n == first.n and given.input_tensor is not None else first
        for labels in (find_labels(raw, first.n), *(batch.labels for batch in batches)):
            whole = whole.with_labels(labels)
        shared = whole.uploads
        return replace(whole, raw=raw), [replace(batch, uploads=shared) for batch in batches]

    def _settle(self, batches: list[Batch], index: int) -> list[Batch]:
        """Return the batches, parsed again if `settle_batch_dim` finds their samples in dimension 1."""
        if not self._captures or not any(network.may_be_steps_first for network in self._networks):
            return batches
        restore_random = self.random.recorded_state()
        try:
            each = zip(self._networks, self._captures, batches, strict=True)
            return [settle_batch_dim(network, capture, batch, index) for network, capture, batch in each]
        finally:
            restore_random()

    def _new_positions(self, batch: Batch, index: int, receiver: Receiver) -> Positions | None:
        if self._plan.positions is None:
            return None
        return Positions(batch.n, self._plan.positions, index, receiver.begin)

    def _probe_tokens(self, batches: Sequence[Batch], index: int) -> None:
        """Make a pass over shorter sequences (see `TokenProbe`) with each network that needs such a pass."""
        restore_random = None
        for position, (network, batch) in enumerate(zip(self._networks, batches, strict=True)):
            if self.finder.may_probe_tokens(position, index, network.masks_needed(batch)):
                restore_random = restore_random or self.random.recorded_state()
                capture = self._captures[position]
                self.finder.probe_tokens(position, batch, index, network.parse, capture, network.mask_rules)
        if restore_random is not None:
            restore_random()

    def _sink(self, position: int) -> Sink:
        network = self._networks[position]
        confounding = self.confounders.of_layers(network)
        models = [model for model in self._plan.models if model.model_name in network.models]
        chosen = {name for model in models for name in model.layer_names}

        def sink(call: str, output: Any, inputs: Any) -> None:
            now = self._pass
            assert now is not None
            key, layer = (position, call), call.partition("#")[0]
            confounders = self.confounders.due(confounding[call], inputs) if call in confounding else []
            if layer not in chosen and not confounders:
                return
            reading, previous = network.readings[layer], now.previous
            now.previous = None
            try:
                x, repeats = self._read(now, key, reading, output, inputs)
            except RepresentationError as problem:
                if confounders and self._keep(now, key, confounders, reading, output):
                    confounders = []
                if confounders:
                    what = f"confounder {confounders[0].name!r}, layer {call!r}, batch {now.index}"
                    raise ValueError(f"{what}: {problem}") from problem
                if layer in chosen:
                    now.receiver.add_missing(key, str(problem))
                return
            except ValueError as problem:
                raise ValueError(f"layer {call!r}, batch {now.index}: {problem}") from problem
            # the same tensor read in the same way has the same Gram matrix
            original = previous[0] if repeats and previous is not None and reading.is_equivalent(previous[1]) else None
            original = self.confounders.add(confounders, x, original)
            if layer in chosen:
                now.receiver.add(Representation(key, x, original, repeats and layer in network.containers))
                now.previous = key, reading

        return sink

    def _keep(self, now: _Pass, key: Key, confounders: Sequence[Confounder], reading: Reading, output: Any) -> bool:
        """Store the output of a confounder's layer that has no positions. Return whether it was stored.

        See `ConfounderReader.keep`.
        """
        try:
            found = self.finder.find(key, reading, output, now.context.n, now.context.lengths, now.index)
        except RepresentationError:
            return False
        return self.confounders.keep(confounders, found.tensor)

    def _read(self, now: _Pass, key: Key, reading: Reading, output: Any, inputs: Any) -> tuple[Tensor, bool]:
        """Return a layer's representation (m, p), and whether its output repeats the output that was read just before.

        An output repeats another one if it is the same tensor object and was not written into in between.
        """
        context = now.context
        found = self.finder.find(key, reading, output, context.n, context.lengths, now.index)
        repeats = context.repeat_detector.is_repeat(found.source)
        if found.layout is not None:
            now.layouts[key] = found.layout
            if key not in self.finder.layouts:
                choice = describe_choice(output, found.layout, context.n, reading.dims)
                self.choices.update({} if choice is None else {key: choice})
            if found.tensor.ndim > 2:  # else it has features only
                context.lengths.update(token_counts(found.tensor))
        self._notes.read(reading, found, key[1], context.masks)
        try:
            return reading.represent(found, context, key[1], inputs), repeats
        except UnclearFeaturesError:
            position = key[0]
            assert isinstance(position, int)
            self.finder.want_features(position)
            raise
