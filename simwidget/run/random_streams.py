"""`RandomStreams`: chooses the random number generators that each network of a run draws from."""

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from simwidget.restore.randomness import OwnRandomStream, RandomState, RecordedStream


class RandomStreams:
    """The random streams of the networks of a run. By default all networks draw from the global generators.

    Args:
        devices: the device of each network.
        recorded: a `RecordedStream` for each network, if the caller needs to know which networks draw random numbers;
            otherwise empty.
    """

    def __init__(self, devices: Sequence[torch.device], recorded: Sequence[RecordedStream] = ()) -> None:
        self._devices = devices
        self._recorded = recorded
        self._own: list[OwnRandomStream | None] = [None] * len(devices)

    def use_own(self) -> None:
        """Give each network a random stream of its own; call this before the first forward pass.

        A background run needs this, because other threads may draw from the global generators at the same time.
        """
        self._own = [known or OwnRandomStream(device) for device, known in zip(self._devices, self._own, strict=True)]

    @property
    def has_own(self) -> bool:
        """Whether each network has a random stream of its own."""
        return None not in self._own

    def of(self, position: int) -> OwnRandomStream | RecordedStream | None:
        """Return the stream of the network at index `position`; None if this network has no stream."""
        return self._recorded[position] if self._recorded else self._own[position]

    def recorded_state(self) -> Callable[[], None]:
        """Record the state of all generators that the networks use. Return a function that restores this state."""
        streams = [one for one in self._recorded or self._own if one is not None]
        own = [(one, copy.deepcopy(vars(one))) for one in streams]
        shared = None if self.has_own else RandomState(self._devices)

        def restore() -> None:
            for stream, state in own:
                vars(stream).update(state)
            if shared is not None:
                shared.restore()

        return restore

    def arrays(self) -> dict[str, Tensor]:
        """Return the state of the networks' own streams as named tensors, which `restore` reads."""
        return {
            f"random/{position}/{name}": tensor
            for position, one in enumerate(self._own)
            if one is not None
            for name, tensor in one.arrays().items()
        }

    def restore(self, arrays: Mapping[str, Tensor]) -> None:
        """Continue the streams whose state is in `arrays`, as the method `arrays` returned it.

        Networks without a saved stream are unchanged.
        """
        for position, device in enumerate(self._devices):
            begin = f"random/{position}/"
            own = {name.removeprefix(begin): one for name, one in arrays.items() if name.startswith(begin)}
            if own:
                stream = self._own[position] = OwnRandomStream(device)
                stream.restore(own)
