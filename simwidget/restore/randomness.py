"""Random number generators: as they were before a run, and a network's own."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from simwidget.text.untrusted import MalformedError


class RandomState:
    """The random number generators of torch, Python and NumPy, as they were when this was made."""

    def __init__(self, devices: Sequence[torch.device]) -> None:
        self._torch = torch.get_rng_state()
        self._cuda = {one: torch.cuda.get_rng_state(one) for one in set(devices) if one.type == "cuda"}
        self._mps = torch.mps.get_rng_state() if any(one.type == "mps" for one in devices) else None
        self._python = random.getstate()
        self._numpy: Any = np.random.get_state()

    def restore(self) -> None:
        torch.set_rng_state(self._torch)
        for device, state in self._cuda.items():
            if (device.index or 0) < torch.cuda.device_count():  # the state may come from another machine
                torch.cuda.set_rng_state(state, device)
        if self._mps is not None and torch.backends.mps.is_available():
            torch.mps.set_rng_state(self._mps)
        random.setstate(self._python)
        np.random.set_state(self._numpy)

    def arrays(self) -> dict[str, Tensor]:
        """All of it as tensors, from which `of` makes it again."""
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
        """The state that `arrays` told, the rest as it is now. Raises MalformedError for what is none."""
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
            raise MalformedError(f"its state of the random number generators is not one ({problem})") from problem
        return made

    def is_current(self) -> bool:
        """Whether torch has drawn nothing since."""
        cuda = all(torch.equal(state, torch.cuda.get_rng_state(device)) for device, state in self._cuda.items())
        mps = self._mps is None or torch.equal(self._mps, torch.mps.get_rng_state())
        return cuda and mps and torch.equal(self._torch, torch.get_rng_state())


class OwnRandomStream:
    """A stream of random numbers of a network's own, beside the one that everything else draws from.

    It begins where the generators stand at the first forward pass. That pass also tells whether the network draws any:
    of one that does not, nothing is put back later, for what other threads draw meanwhile would be drawn again.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._draws: bool | None = None
        self._own: RandomState | None = None

    def arrays(self) -> dict[str, Tensor]:
        """As tensors, from which `restore` makes it again."""
        draws = {} if self._draws is None else {"draws": torch.tensor(self._draws)}
        return draws if self._own is None else {**draws, **self._own.arrays()}

    def restore(self, arrays: Mapping[str, Tensor]) -> None:
        draws = arrays.get("draws")
        if draws is not None and draws.shape != ():
            raise MalformedError(f"its array 'draws' has the shape {tuple(draws.shape)}")
        self._draws = None if draws is None else bool(draws)
        self._own = RandomState.from_arrays(arrays) if "torch" in arrays else None

    def run(self, forward: Callable[[], None]) -> None:
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


class RandomOpDetector(TorchDispatchMode):
    """Watches this thread for operations of torch that may draw random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen = self.seen or torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


@contextmanager
def preserved_random_state(devices: Sequence[torch.device]) -> Iterator[None]:
    """Whatever is drawn inside is drawn again afterwards."""
    before = RandomState(devices)
    try:
        yield
    finally:
        before.restore()
