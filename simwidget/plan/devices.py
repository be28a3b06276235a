"""The option `device`: the device on which each network runs."""

import torch

from simwidget.restore.networks import single_device

Device = torch.device | str | None


def choose_device(device: Device, network: torch.nn.Module | None = None) -> torch.device:
    """Return the device on which a network runs.

    The result is the first of these that exists: the argument `device`, the accelerator that holds all tensors of the
    network, CUDA, MPS, the CPU.
    """
    if device is not None:
        return _with_index(torch.device(device))
    current = None if network is None else single_device(network)
    if current is not None and current.type not in ("cpu", "meta"):
        return current
    if torch.cuda.is_available():
        return _with_index(torch.device("cuda"))
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def check_device(device: Device, model: str) -> None:
    """Raise ValueError if torch does not know the device, or if this machine does not have it.

    `model` is the name of the model, for the error message.
    """
    if device is None:
        return
    try:
        found = torch.device(device)
    except RuntimeError as problem:
        raise ValueError(
            f"device={device!r} of {model!r} is not a device of torch: give 'cpu', 'cuda', 'cuda:1' or 'mps'"
        ) from problem
    missing = (found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count()) or (
        found.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise ValueError(f"device={device!r} of {model!r}: this machine has no such device; give another one, or none")


def _with_index(device: torch.device) -> torch.device:
    """Add the index of the current CUDA device to a CUDA device without index; return other devices unchanged.

    torch regards "cuda" and "cuda:0" as different, and the device of a CUDA tensor always has an index.
    """
    if device.type == "cuda" and device.index is None and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return device
