"""`ForwardPasses`: runs all networks on one batch, and passes the representations to a `Receiver`."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from simwidget.capture.hooks import Capture, Sink
from simwidget.capture.outputs import RepresentationError
from simwidget.capture.pooling import flatten
from simwidget.capture.positions import Positions
from simwidget.capture.reading import Reading, ReadingContext
from simwidget.data.batch import Batch
from simwidget.data.labels import find_labels
from simwidget.data.masks import NO_MASKS
from simwidget.data.parsing import parse_batch
from simwidget.gram.kernels import same_class_kernel
from simwidget.gram.rows import Key
from simwidget.plan.confounders import Confounder
from simwidget.plan.options import Plan
from simwidget.restore.copies import CleanCopies
from simwidget.restore.randomness import OwnRandomStream, RecordedStream
from simwidget.run.notes import Notes
from simwidget.run.receiver import Receiver, Representation


@dataclass
class _Pass:
    """The state that the hooks of all networks share while one batch passes through the networks."""

    batch: Batch
    index: int
    """the batch's number in the run"""
    receiver: Receiver
    positions: Positions | None
    confounders_read: set[str] = field(default_factory=set)
    """names of the confounders whose representation was handed to the receiver"""
    kept: dict[str, Tensor] = field(default_factory=dict)
    """if positions are samples: name of a confounder whose layer has no positions -> the layer's output (n, p)"""
    context: ReadingContext = field(default_factory=lambda: ReadingContext(0))
    """how outputs of the running network are read: the batch's number of samples, masks and positions"""
    previous: tuple[Key, Reading] | None = None
    """key and reading of the previous call of a chosen layer in the running network; None if there was no such call, or
    if that call has no representation"""


class ForwardPasses(AbstractContextManager):
    """Context manager with forward hooks on the layers of all networks; `run` passes one batch through the networks.

    The hooks exist while the context is open.
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
        self._recorded = recorded
        self._random: list[OwnRandomStream | None] = [None] * len(self._networks)
        self.batch_dims: dict[Key, int] = {}
        """call of a layer -> the dimension of its output that contains the samples"""
        self.stand_in: Confounder | None = None
        """the confounder "input", if the output of an embedding layer replaces the input as confounder since the input
        holds token ids; otherwise None"""

    def __enter__(self) -> "ForwardPasses":
        with ExitStack() as stack:
            for position, one in enumerate(self._networks):
                sink = self._sink(position)
                random = self._recorded[position] if self._recorded else self._random[position]
                capture = Capture(one.module, one.model, one.names, one.device, one.caller, sink, self, random)
                self._captures.append(stack.enter_context(capture))
            self._open = stack.pop_all()
        return self

    def use_own_random_stream(self) -> None:
        """Give each network a random stream of its own; call this before the context is opened.

        A background run needs this, because other threads may draw from the global generators at the same time.
        """
        self._random = [
            known or OwnRandomStream(one.device) for one, known in zip(self._networks, self._random, strict=True)
        ]

    @property
    def has_own_random_streams(self) -> bool:
        return None not in self._random

    def random_arrays(self) -> dict[str, Tensor]:
        """Return the state of the networks' own random streams, as named tensors that `restore_random` reads."""
        return {
            f"random/{position}/{name}": tensor
            for position, one in enumerate(self._random)
            if one is not None
            for name, tensor in one.arrays().items()
        }

    def restore_random(self, arrays: Mapping[str, Tensor]) -> None:
        """Continue the random streams that `random_arrays` saved.

        Networks for which no stream was saved draw from the global generators.
        """
        for position, network in enumerate(self._networks):
            begin = f"random/{position}/"
            own = {name.removeprefix(begin): one for name, one in arrays.items() if name.startswith(begin)}
            if own:
                random = self._random[position] = OwnRandomStream(network.device)
                random.restore(own)

    def __exit__(self, *exc: object) -> None:
        self._captures.clear()
        self._open.close()

    def run(self, batch: Batch, batches: Sequence[Batch], index: int, receiver: Receiver) -> Tensor | None:
        """Pass one batch through all networks and hand its representations to the receiver.

        Args:
            batch: the batch, as `split` returned it.
            batches: for each network the batch that it gets, as `split` returned them.
            index: the batch's number in the run, from 0: it seeds the draw of positions and appears in messages.
            receiver: called with each representation in execution order, before a later layer can overwrite it.

        Returns:
            If positions (tokens, or places of a feature map) are the samples of the Gram matrices: for each of the m
            positions the index of its sample in the batch, (m,). Otherwise None.
        """
        positions = self._new_positions(batch, batches, index, receiver)
        now = self._pass = _Pass(batch, index, receiver, positions)
        if positions is None:
            receiver.begin(batch.n)
        try:
            if positions is None:
                self._read_confounders(now)  # so that a wrong confounder fails before a forward pass
            for capture, network, own in zip(self._captures, self._networks, batches, strict=True):
                now.previous = None
                now.context = ReadingContext(batch.n, own.masks.to(network.device), positions)
                capture.forward(own)
                if network.caller.has_custom_forward and not capture.any_layer_ran:
                    raise ValueError(
                        f"no chosen layer of model {network.model!r} ran in batch {index}: forward= must run the very "
                        "model that it is given, forward(model, batch)"
                    )
            if positions is not None:
                self._read_confounders(now)
            self._check_confounders(now)
            self._note_unknown_keys()
            return None if positions is None else positions.drawn_samples()
        finally:
            batch.uploads.clear()
            self._pass = None  # release the batch

    def written(self) -> dict[str, str]:
        """Return model name -> name of a parameter or large buffer, for each model whose forward pass wrote into one.

        See `Capture.modified` for what counts as large.
        """
        found = {network.model: one.modified() for network, one in zip(self._networks, self._captures, strict=True)}
        return {model: names[0] for model, names in found.items() if names}

    def split(self, raw: Any, index: int) -> tuple[Batch, list[Batch]]:
        """Parse `raw`, batch number `index` of the loader.

        Returns:
            The batch itself, and for each network the batch that the network gets.

        Raises:
            ValueError: the numbers of samples differ between networks.
        """
        batches = [network.make_batch(raw, index) for network in self._networks]
        first = batches[0]
        for network, batch in zip(self._networks, batches, strict=True):
            if batch.n != first.n:
                raise ValueError(
                    f"batch {index} has {first.n} samples for model {self._networks[0].model!r} and {batch.n} "
                    f"for {network.model!r}: inputs= must keep all samples in their order, and batch_dim= must say "
                    "where they are"
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

    def _new_positions(
        self, batch: Batch, batches: Sequence[Batch], index: int, receiver: Receiver
    ) -> Positions | None:
        if self._plan.positions is None:
            return None
        masks = next((one.masks for one in batches if one.masks.any), NO_MASKS)
        return Positions(batch.n, masks, self._plan.positions, index, receiver.begin)

    def _sink(self, position: int) -> Sink:
        network = self._networks[position]
        confounding: dict[str, list[Confounder]] = {}
        for confounder in self._plan.confounders:
            if confounder.layer is not None and confounder.layer[0] in network.models:
                confounding.setdefault(confounder.layer[1], []).append(confounder)
        models = [model for model in self._plan.models if model.model_name in network.models]
        chosen = {name for model in models for name in model.layer_names}

        def sink(call: str, output: Any, inputs: Any) -> None:
            now = self._pass
            assert now is not None
            key, layer = (position, call), call.partition("#")[0]
            confounders = [one for one in confounding[call] if one.uses_layer(now.batch)] if call in confounding else []
            if layer not in chosen and not confounders:
                return
            reading, previous = network.readings[layer], now.previous
            now.previous = None
            try:
                x, repeats = self._read(now, key, reading, output, inputs)
            except RepresentationError as problem:
                if confounders and self._keep_without_positions(now, confounders, reading, output):
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
            for one in confounders:
                self._add_confounder(now, one, x, original)
                original = original or ("confounder", one.name)
            if layer in chosen:
                now.receiver.add(Representation(key, x, original, repeats and layer in network.containers))
                now.previous = key, reading

        return sink

    def _keep_without_positions(
        self, now: _Pass, confounders: Sequence[Confounder], reading: Reading, output: Any
    ) -> bool:
        """Keep the output (n, p) of a layer that is a confounder, if positions are samples but the output has none.

        The output has one row for each of the n samples. `_read_confounders` later repeats each row for all positions
        of its sample.

        Returns:
            Whether the output was kept.
        """
        try:
            x = reading.output(output, now.context.n).tensor
        except RepresentationError:
            return False
        if now.positions is None or x.ndim > 2:
            return False
        now.kept.update({one.name: flatten(x).clone() for one in confounders})
        self._note_stand_in(confounders)
        return True

    def _add_confounder(self, now: _Pass, confounder: Confounder, x: Tensor, original: Key | None) -> None:
        """Pass a layer's representation x (m, p) to the receiver as the representation of `confounder`."""
        self._note_stand_in([confounder])
        now.confounders_read.add(confounder.name)
        now.receiver.add(Representation(("confounder", confounder.name), x, original))

    def _note_stand_in(self, confounders: Sequence[Confounder]) -> None:
        for one in confounders:
            if one.kind == "input":
                self.stand_in = one
                self._notes.say("tokens", one.note())

    def _read(self, now: _Pass, key: Key, reading: Reading, output: Any, inputs: Any) -> tuple[Tensor, bool]:
        """Return a layer's representation (m, p), and whether the previous layer returned the same output tensor."""
        context = now.context
        found = reading.output(output, context.n)
        repeats = context.repeat_detector.is_repeat(found.source)
        known = self.batch_dims.setdefault(key, found.batch_dim)
        if known != found.batch_dim:
            raise RepresentationError(
                f"its samples were in dimension {known} before, and are in {found.batch_dim} in batch {now.index}: "
                "give batch_dim="
            )
        self._notes.read(reading, found, key[1], context.masks)
        return reading.represent(found, context, key[1], inputs), repeats

    def _read_confounders(self, now: _Pass) -> None:
        """Pass the confounders that are computed from the batch to the receiver.

        The hooks pass the confounders that are outputs of layers, except for the outputs in `now.kept`: this method
        passes those, too. If positions are samples, call it after the forward passes, which draw the positions.
        """
        for confounder in self._plan.confounders:
            if confounder.name in now.kept:
                values = now.kept[confounder.name]
            elif confounder.uses_layer(now.batch):
                continue
            else:
                values = now.batch.uploads.to(confounder.values(now.batch), self._plan.device)
            if now.positions is not None:
                values = now.positions.read_confounder(values, now.positions.confounder_axis(values))
            kernel = same_class_kernel if confounder.kind == "labels" else None
            now.confounders_read.add(confounder.name)
            now.receiver.add(Representation(("confounder", confounder.name), flatten(values), kernel=kernel))

    def _note_unknown_keys(self) -> None:
        for network in self._networks:
            keys = network.caller.ignored_keys
            if keys:
                named = ", ".join(map(repr, keys[:6]))
                self._notes.say(
                    f"keys {network.model}",
                    f"model {network.model!r} takes no argument for the batch's {named}: they are not passed to it",
                )

    def _check_confounders(self, now: _Pass) -> None:
        for confounder in self._plan.confounders:
            if confounder.name not in now.confounders_read:
                model, layer = confounder.layer or ("", "")
                raise ValueError(
                    f"confounder {confounder.name!r}, batch {now.index}: layer {layer!r} of {model!r} did not run, "
                    "so there is nothing to remove; give another layer"
                )
