"""`note_on_input`: says which of several inputs dCKA removes, and how to remove the other inputs too."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from simwidget.data.batch import Batch
from simwidget.data.entries import Entry, entries_of, has_samples, is_input_name, may_be_input
from simwidget.data.nested import tensors_in
from simwidget.plan.networks import Network

EmbeddingOf = Callable[[Tensor], tuple[str, str] | None]
"""Type of a function that returns the model and layer name of the embedding that gets a tensor of token ids."""


def note_on_input(
    batch: Batch, networks: Sequence[Network], batches: Sequence[Batch], embedding_of: EmbeddingOf
) -> str | None:
    """Return a note on the confounder "input" if the networks have inputs that dCKA does not remove.

    The confounder "input" is only one tensor. An input is a tensor with n samples of the loader's batch that a network
    gets. Labels, masks, position ids and token type ids are no inputs. It is unknown which tensors a network gets if
    the network has a `forward=` function, or an `inputs=` function that makes new tensors. In this case, all tensors
    for which `may_be_input` is true are treated as inputs.

    Args:
        batch: the batch from which the confounder is computed; `batch.raw` is the loader's batch.
        networks: the networks.
        batches: for each network, its batch.
        embedding_of: returns the embedding that gets a tensor of token ids; None if there is none.

    Returns:
        The note; None if the confounder is the only input, or if it is not one of the tensors of the batch.
    """
    entries, where = list(entries_of(batch.raw, "batch")), ""
    if all(one.tensor is not batch.input_entry for one in entries):  # an inputs= function has made the confounder
        networks, batches = networks[:1], batches[:1]
        entries, where = list(entries_of(batches[0].raw, "f(batch)")), f", where f is inputs= of {networks[0].model!r}"
    removed = next((one for one in entries if one.tensor is batch.input_entry), None)
    received = [_received(network, own) for network, own in zip(networks, batches, strict=True)]
    is_known = all(ids and ids <= {id(one.tensor) for one in entries} for ids in received)
    if is_known:
        inputs = [one for one in entries if any(id(one.tensor) in ids for ids in received)]
    else:
        inputs = [one for one in entries if may_be_input(one, batch)]
    others = [one for one in inputs if one is not removed]
    if removed is None or not others:
        return None
    what = "inputs" if is_known else "tensors with its samples"
    said = f"the batch has {len(inputs)} {what}, and dCKA removes only {removed.path}"
    if removed not in inputs:
        said = f"dCKA removes {removed.path}, which no model gets as an input"
    return f"{said}: {'; '.join(_advice(removed, inputs, batch, where, embedding_of))}"


def _received(network: Network, batch: Batch) -> set[int]:
    """Return the ids of the tensors that a network gets as inputs; empty if this is unknown."""
    named = network.caller.named_inputs(batch)
    found = ((name, tensor) for name, value in named.items() for tensor in tensors_in(value))
    return {id(tensor) for name, tensor in found if is_input_name(name) and has_samples(tensor, batch)}


def _holds_token_ids(tensor: Tensor) -> bool:
    return tensor.ndim > 1 and tensor.dtype in (torch.int64, torch.int32, torch.int16)


def _advice(removed: Entry, inputs: Sequence[Entry], batch: Batch, where: str, embedding_of: EmbeddingOf) -> list[str]:
    """Return texts that say how dCKA removes other inputs than `removed`.

    A callable removes an input of numbers. For token ids, the confounder is the layer that embeds the token ids.

    Args:
        confounder: the confounder "input".
        removed: the entry of the batch that is the confounder.
        inputs: the entries that are inputs.
        batch: the batch from which the confounder is computed.
        where: text that explains the name f in the paths of the entries; empty if this name does not occur.
    """
    others = [one for one in inputs if one is not removed]
    layers = {one.path: embedding_of(one.tensor) for one in others if not one.tensor.is_floating_point()}
    layers = {path: layer for path, layer in layers.items() if layer is not None}
    left = [one for one in others if one.path not in layers]
    token_ids = [one.path for one in left if _holds_token_ids(one.tensor)]
    choices = [f"lambda batch: {_samples_first(one, batch)}" for one in left if not _holds_token_ids(one.tensor)]
    advice = []
    choices += dict.fromkeys(repr(":".join(layer)) for layer in layers.values() if layer is not None)
    if choices:
        own = ["'input'"] if removed in inputs else []
        advice.append(f"to choose, give confounder=[{', '.join(own + choices)}] or a part of this list{where}")
    if token_ids:
        advice.append(
            f"to remove {' and '.join(token_ids)} too, give confounder= a list of 'input' and the layers that embed "
            "these ids"
        )
    return advice


def _samples_first(entry: Entry, batch: Batch) -> str:
    """Return the Python expression that gives an entry with the samples in dimension 0."""
    turned = batch.batch_dim and batch.batch_dim < entry.tensor.ndim
    return f"{entry.path}.movedim({batch.batch_dim}, 0)" if turned else entry.path
