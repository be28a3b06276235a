"""Saves and restores the state of random number generators, and gives a network a random stream of its own."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from simwidget.files.fields import MalformedError


class RandomState:
    """The state of the global random number generators of torch, Python and NumPy at the time of creation.

    Args:
        devices: the CUDA and MPS devices whose generators are included, in addition to the CPU's generator.
    """

    def __init__(self, devices: Sequence[torch.device]) -> None:
        self._torch = torch.get_rng_state()
        self._cuda = {one: torch.cuda.get_rng_state(one) for one in set(devices) if one.type == "cuda"}
        self._mps = torch.mps.get_rng_state() if any(one.type == "mps" for one in devices) else None
        self._python = random.getstate()
        self._numpy: Any = np.random.get_state()

    def restore(self) -> None:
        """Set the generators to this state; generators of devices that this machine lacks are skipped."""
        torch.set_rng_state(self._torch)
        for device, state in self._cuda.items():
            if (device.index or 0) < torch.cuda.device_count():  # a checkpoint may come from another machine
                torch.cuda.set_rng_state(state, device)
        if self._mps is not None and torch.backends.mps.is_available():
            torch.mps.set_rng_state(self._mps)
        random.setstate(self._python)
        np.random.set_state(self._numpy)

    def arrays(self) -> dict[str, Tensor]:
        """Return the state as named tensors, which `from_arrays` reads."""
        version, numbers, gauss = self._python
        found = {
            "torch": self._torch,
            **{f"cuda:{device.index or 0}": state for device, state in self._cuda.items()},
            **({} if self._mps is None else {"mps": self._mps}),
            "python": torch.tensor([version, *numbers]),
            "python_gauss": torch.tensor([gauss is not None, gauss or 0.0], dtype=torch.float64),
        }
        if isinstance(self._numpy, tuple) and self._numpy[0] == "MT19937":
            _, keys, place, has_gauss, numpy_gauss = self._numpy
            found["numpy"] = torch.from_numpy(np.append(keys.astype(np.int64), [place, has_gauss]))
            found["numpy_gauss"] = torch.tensor([numpy_gauss], dtype=torch.float64)
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Tensor]) -> "RandomState":
        """Return the state that the method `arrays` has returned as named tensors.

        If NumPy's state is missing, NumPy's state at the time of this call is used. States of CUDA and MPS generators
        may be missing; `restore` does not change a generator whose state is missing.

        Raises:
            MalformedError: the state of torch's CPU generator or of Python is missing, or a state is invalid.
        """
        made = cls([])
        try:
            made._torch = arrays["torch"].clone()
            torch.Generator().set_state(made._torch)
            made._cuda = {torch.device(name): one for name, one in arrays.items() if name.startswith("cuda")}
            made._mps = arrays.get("mps")
            version, *numbers = arrays["python"].tolist()
            has_gauss, gauss = arrays["python_gauss"].tolist()
            made._python = (version, tuple(numbers), gauss if has_gauss else None)
            random.Random().setstate(made._python)
            if "numpy" in arrays:
                *keys, place, has = arrays["numpy"].tolist()
                made._numpy = ("MT19937", np.array(keys, np.uint32), place, has, arrays["numpy_gauss"].item())
                np.random.RandomState().set_state(made._numpy)
        except (KeyError, RuntimeError, TypeError, ValueError, OverflowError, IndexError) as problem:
            raise MalformedError(f"its state of the random number generators is invalid ({problem})") from problem
        return made

    def is_current(self) -> bool:
        """Whether torch's generators still have the saved state. If so, torch has drawn nothing since the save."""
        cuda = all(torch.equal(state, torch.cuda.get_rng_state(device)) for device, state in self._cuda.items())
        mps = self._mps is None or torch.equal(self._mps, torch.mps.get_rng_state())
        return cuda and mps and torch.equal(self._torch, torch.get_rng_state())


class OwnRandomStream:
    """A stream of random numbers for one network, separate from the global generators that all other code uses.

    The stream starts with the state of the global generators at the first forward pass. This pass also shows whether
    the network draws random numbers with torch. If the network draws, the global generators are restored after every
    pass. If the network does not draw, the global generators are never restored, because restoring them would undo
    draws that other threads made during the pass.

    Args:
        device: the device of the network.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._draws: bool | None = None
        self._own: RandomState | None = None

    @property
    def draws(self) -> bool:
        """Whether the first forward pass drew random numbers with torch."""
        return bool(self._draws)

    def arrays(self) -> dict[str, Tensor]:
        """Return the state of the stream as named tensors, which `restore` reads."""
        draws = {} if self._draws is None else {"draws": torch.tensor(self._draws)}
        return draws if self._own is None else {**draws, **self._own.arrays()}

    def restore(self, arrays: Mapping[str, Tensor]) -> None:
        """Continue the stream of another run. `arrays` is what the method `arrays` of that stream returned.

        Raises:
            MalformedError: the state is invalid.
        """
        draws = arrays.get("draws")
        if draws is not None and draws.shape != ():
            raise MalformedError(f"its array 'draws' has the shape {tuple(draws.shape)}")
        self._draws = None if draws is None else bool(draws)
        self._own = RandomState.from_arrays(arrays) if "torch" in arrays else None

    def run(self, forward: Callable[[], None]) -> None:
        """Call `forward` so that it draws from this stream, then restore the global generators.

        If no random numbers are drawn with torch in the first forward pass, the global generators are not restored in
        this pass, and later passes only call `forward`.
        """
        if self._draws is False:
            forward()
            return
        outside = RandomState([self._device])
        if self._own is not None:
            self._own.restore()
        detector = RandomOpDetector()
        try:
            with detector if self._draws is None else ExitStack():
                forward()
        finally:
            if self._draws is None:
                self._draws = detector.seen and not outside.is_current()
            if self._draws:
                self._own = RandomState([self._device])
                outside.restore()


class RecordedStream:
    """Runs forward passes of a network; the attribute `drew` becomes True when a pass draws random numbers.

    Args:
        device: the device of the network.
        own: True if the network draws from an `OwnRandomStream`, False if it draws from the global generators.
    """

    def __init__(self, device: torch.device, own: bool) -> None:
        self._device = device
        self._own = OwnRandomStream(device) if own else None
        self.drew = False

    def run(self, forward: Callable[[], None]) -> None:
        """Call `forward`, which runs a forward pass, and update `drew`.

        Draws that other threads make from the global generators during the pass also set `drew` to True.
        """
        before = RandomState([self._device]).arrays()
        if self._own is None:
            forward()
        else:
            self._own.run(forward)
            self.drew = self.drew or self._own.draws
        after = RandomState([self._device]).arrays()
        self.drew = self.drew or any(not torch.equal(state, after[name]) for name, state in before.items())


class RandomOpDetector(TorchDispatchMode):
    """Context manager: the attribute `seen` becomes True when torch runs an operation that may draw random numbers.

    Only operations on the thread that entered the context are detected.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen = self.seen or torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


@contextmanager
def preserved_random_state(devices: Sequence[torch.device]) -> Iterator[None]:
    """Context manager: on exit, give the generators of torch, Python and NumPy the state that they had on entry.

    `devices` are the CUDA and MPS devices whose generators are included, in addition to the CPU's generator.
    """
    before = RandomState(devices)
    try:
        yield
    finally:
        before.restore()
