"""Checks and properties of the user's loader: whether it can feed all models, and whether it repeats its batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, SequentialSampler

from simwidget.text.printable import describe_type


def check_loader(loader: Any) -> Iterable:
    """The loader to use for all models: `loader` itself, or the first of several equivalent loaders.

    Loaders that are shuffled independently would compare different samples without any error. Several loaders are
    therefore accepted only if they are `DataLoader`s that read the same data set sequentially in equal batches.

    Raises:
        ValueError: several loaders that may yield different batches.
        TypeError: no iterable of batches.
    """
    if isinstance(loader, tuple | list) and loader and all(isinstance(one, DataLoader) for one in loader):
        if len({_provable_order(one) for one in loader}) == 1 and _provable_order(loader[0]) is not None:
            return loader[0]
        raise ValueError(
            f"{len(loader)} loaders were given: shuffled independently, they would compare different samples. "
            "Pass one loader; all models get the same batches from it"
        )
    if isinstance(loader, torch.Tensor | str | Mapping) or not isinstance(loader, Iterable):
        raise TypeError(
            f"loader is {describe_type(loader)}: pass an iterable of batches, such as a DataLoader or a list"
        )
    return loader


def _provable_order(loader: DataLoader) -> tuple | None:
    """What determines the batches of a sequential loader; None if their order cannot be known beforehand."""
    if not isinstance(loader.sampler, SequentialSampler) or loader.batch_size is None:
        return None
    return id(loader.dataset), loader.batch_size, loader.drop_last


def length_of(loader: Any) -> int | None:
    """How many batches the loader has; None where it does not say."""
    try:
        return len(loader)
    except TypeError:
        return None


def describe_loader(loader: Any) -> dict[str, Any]:
    """The loader's class, sampler, batch size and data set, for the provenance of a result."""
    if not isinstance(loader, DataLoader):
        return {"loader": type(loader).__name__}
    return {
        "loader": type(loader).__name__,
        "sampler": type(loader.sampler).__name__,
        "batch_size": loader.batch_size,
        "drop_last": loader.drop_last,
        "dataset": type(loader.dataset).__name__,
    }


def generators(loader: Any) -> list[torch.Generator]:
    """The random number generators of a loader and its samplers, each once."""
    parts = (loader, getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None))
    found = [getattr(part, "generator", None) for part in parts]
    return list({id(one): one for one in found if isinstance(one, torch.Generator)}.values())


def is_one_shot(loader: Iterable) -> bool:
    """Whether a loader can be iterated only once, as generators can."""
    return isinstance(loader, Iterator)


def is_repeatable(loader: Any) -> bool:
    """Whether a loader certainly yields the same batches again from the same state of its random number generators."""
    if isinstance(loader, DataLoader):
        return not isinstance(loader.dataset, IterableDataset)
    return isinstance(loader, Sequence)
