"""`parse_batch`: finds the network's input, labels, masks and number of samples in a batch of the loader."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from simwidget.data.batch import Batch
from simwidget.data.batch_objects import count_of_object, is_batch_object
from simwidget.data.graphs import find_graphs
from simwidget.data.images import is_image_list
from simwidget.data.labels import LABEL_KEYS, find_labels
from simwidget.data.masks import find_masks
from simwidget.data.nested import as_mapping, is_dataclass_instance, is_sequence, tensors_in
from simwidget.text.printable import describe_type

MAX_NAMED = 6
"""The largest number of tensors that an error message names."""
MIN_IMAGES = 3
"""A list of at least this many images is treated as a batch of images.

A shorter list is treated as (input, labels). To pass fewer images as a batch, put their list into a tuple: `(images,)`.
"""


def parse_batch(
    batch: Any, index: int, batch_dim: int = 0, any_structure: bool = False, n_told: int | None = None
) -> Batch:
    """Find the network's input, the labels and the masks in a batch, count its samples, and return all as a `Batch`.

    The network's input is a tensor, a mapping, a dataclass, a packed sequence, a list of images (c, h, w) or a batch
    object (see `is_batch_object`).

    Args:
        batch: the network's input; or a tuple or list that starts with this input. In a tuple or list, the second
            element may be class labels (n,).
        index: the number of the batch in the loader, for error messages.
        batch_dim: the dimension of the batch's tensors that indexes the samples. In a tensor that lacks this dimension,
            the first dimension is used.
        any_structure: whether to accept batches of other structures as well. In such a batch the first tensor gives the
            number of samples. Set this for a network with a `forward=` function, which may use the batch in any way.
        n_told: the number of samples, counted by the user's function `batch_size`; None without this function.

    Raises:
        TypeError: the number of samples cannot be determined, or the batch holds no input for a network.
        ValueError: a mask marks all tokens of a sample as padding (see `find_masks`), or a batch of graphs has as many
            edges as graphs (see `find_graphs`).
    """
    inputs = batch
    if is_sequence(batch) and batch and not (len(batch) >= MIN_IMAGES and is_image_list(batch)):
        inputs = batch[0]
    if isinstance(inputs, Mapping) or is_dataclass_instance(inputs):
        inputs = as_mapping(inputs)
    try:
        n = count_samples(inputs, batch_dim)
    except UnclearCountError as problem:
        if n_told is None:
            raise TypeError(f"batch {index}: {problem}") from None
        n = n_told
    if n is None and any_structure:
        n = next((found for one in tensors_in(batch) if (found := count_samples(one, batch_dim)) is not None), None)
    if n_told is not None and (n is not None or any_structure or is_batch_object(inputs)):
        n = n_told
    if n is None and is_batch_object(inputs):
        raise TypeError(
            f"batch {index} is {describe_batch(batch)}, and its number of samples is unknown, because it has no "
            "attribute num_graphs or batch_size, or the two attributes differ: pass batch_size= a function from the "
            "batch to its number of samples, or inputs= a function that converts the batch"
        )
    if n is None:
        raise TypeError(
            f"batch {index} is {describe_batch(batch)}: the loader must give tensors (n, ...), mappings of them, "
            "lists of images (c, h, w), or tuples (input, ...) whose first element is one of these; or pass "
            "inputs= a function that converts the batch"
        )
    masks = find_masks(inputs, n, index)
    graphs = find_graphs(inputs, n, index)
    return Batch(n, batch, inputs, batch_dim, find_labels(batch, n), masks, n_told is not None, graphs)


class UnclearCountError(ValueError):
    """Raised if the tensors of a batch have different numbers of entries, so that the number of samples is unclear."""


def count_samples(inputs: Any, batch_dim: int = 0) -> int | None:
    """Return the number of samples in a network's input; None if it cannot be determined.

    In a mapping, the most frequent number of entries is the number of samples. Tensors with one entry do not count,
    unless all have one entry. If several numbers are equally frequent, the labels decide. If `batch_dim` is not 0, the
    first tensor decides.

    Raises:
        UnclearCountError: in a mapping, several numbers of entries are equally frequent, and no labels decide.
    """
    if isinstance(inputs, PackedSequence):
        return int(inputs.batch_sizes[0])
    if isinstance(inputs, Tensor):
        # `shape` raises for nested tensors, `size(dim)` works
        return inputs.size(batch_dim if batch_dim < inputs.ndim else 0) if inputs.ndim else None
    if is_sequence(inputs) and is_image_list(inputs):
        return len(inputs)
    if isinstance(inputs, Mapping):
        return _most_frequent_count(inputs, batch_dim)
    if not is_sequence(inputs):
        return count_of_object(inputs) if is_batch_object(inputs) else None
    return next((n for one in inputs if (n := count_samples(one, batch_dim)) is not None), None)


def _most_frequent_count(inputs: Mapping[Any, Any], batch_dim: int) -> int | None:
    every = {key: n for key, value in inputs.items() if (n := count_samples(value, batch_dim)) is not None}
    found = {key: n for key, n in every.items() if key not in LABEL_KEYS}
    if not found:
        return None
    if batch_dim:  # masks have the samples in dimension 0 all the same, so that other numbers are frequent
        return next(iter(found.values()))
    counts = Counter(n for n in found.values() if n > 1) or Counter(found.values())
    most = max(counts.values())
    likely = [n for n, times in counts.items() if times == most]
    labelled = [n for n in likely if n in (every[key] for key in every if key in LABEL_KEYS)]
    if len(likely) > 1 and len(labelled) != 1:
        entries = ", ".join(f"{key!r} {n}" for key, n in list(found.items())[:MAX_NAMED])
        raise UnclearCountError(
            f"its tensors have different numbers of entries ({entries}), so its number of samples is unclear: pass "
            "batch_size= a function from the batch to its number of samples"
        )
    return (labelled or likely)[0]


def describe_batch(batch: Any) -> str:
    """Return a description of a batch of an unsupported structure, for an error message."""
    if isinstance(batch, Mapping):
        return f"a mapping without tensors, with keys {list(batch)[:8]}"
    if is_sequence(batch):
        return f"{describe_type(batch)} of {', '.join(type(one).__name__ for one in batch[:4]) or 'nothing'}"
    if isinstance(batch, Tensor):
        return "a tensor without dimensions"
    return describe_type(batch)
