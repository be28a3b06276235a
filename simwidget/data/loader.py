"""Functions that check and describe the user's loader, such as whether it can be iterated again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import GeneratorType
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, SequentialSampler

from simwidget.text.printable import describe_type


def check_loader(loader: Any) -> Iterable:
    """Return the loader to use for all models: `loader` itself, or the first of several equivalent loaders.

    Several loaders are accepted only if all are `DataLoader`s that read the same data set sequentially in batches of
    the same size. Loaders that are shuffled independently would give different samples to each model: the comparison
    would be wrong without any error.

    Raises:
        ValueError: `loader` is a list of loaders that may yield different batches.
        TypeError: `loader` is not an iterable of batches.
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
    """Return (id of the data set, batch size, drop_last). Two loaders with equal tuples yield the same batches.

    Return None if the loader's sampler is not a `SequentialSampler`, or if the loader has no fixed batch size.
    """
    if not isinstance(loader.sampler, SequentialSampler) or loader.batch_size is None:
        return None
    return id(loader.dataset), loader.batch_size, loader.drop_last


def length_of(loader: Any) -> int | None:
    """Return the number of batches of a loader; None if the loader has no length."""
    try:
        return len(loader)
    except TypeError:
        return None


def describe_loader(loader: Any) -> dict[str, Any]:
    """Return a description of a loader for the provenance of a result.

    For a `DataLoader` the description has the class names of the loader, its sampler and its data set, its batch size
    and drop_last. For any other loader it has only the class name.
    """
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
    """Return the random number generators of a loader and its samplers, without duplicates."""
    parts = (loader, getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None))
    found = [getattr(part, "generator", None) for part in parts]
    return list({id(one): one for one in found if isinstance(one, torch.Generator)}.values())


def is_one_shot(loader: Iterable) -> bool:
    """Whether a loader can be iterated only once, like a Python generator."""
    return isinstance(loader, Iterator)


def has_one_iterator(loader: Iterable) -> bool:
    """Whether `iter(loader)` always returns the same iterator.

    True for a loader that is an iterator itself, and for a `DataLoader` with persistent workers.
    """
    return is_one_shot(loader) or (isinstance(loader, DataLoader) and loader.persistent_workers)


def is_used_up(loader: Iterable) -> bool:
    """Whether a loader is a generator that has ended.

    False for all other iterators, because it is unknown whether they have ended.
    """
    return isinstance(loader, GeneratorType) and loader.gi_frame is None


def explain_no_batch(loader: Any) -> str:
    """Return an error message that says why a loader gave no batch.

    If the loader can be read only once, the message also says what to pass instead.
    """
    what, another = describe_type(loader), "make a new one, or pass a DataLoader or a list"
    if is_used_up(loader):
        why = f"this generator is used up, or ended before its first batch: it can be read only once; {another}"
    elif is_one_shot(loader):
        why = f"{what} can be read only once, and this one is used up or empty; {another}"
    elif isinstance(loader, DataLoader) and loader.drop_last and length_of(loader) == 0:
        why = f"drop_last=True leaves out the only one, which has less than batch_size={loader.batch_size} samples"
    else:
        why = f"it is {what} that has none"
    return f"the loader gave no batch: {why}"


def is_repeatable(loader: Any) -> bool:
    """Whether a loader certainly yields the same batches again if its random number generators are reset.

    True for a `DataLoader` over a map-style data set and for a sequence of batches.
    """
    if isinstance(loader, DataLoader):
        return not isinstance(loader.dataset, IterableDataset)
    return isinstance(loader, Sequence)
