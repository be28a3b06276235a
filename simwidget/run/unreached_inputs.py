"""`explain_never_run`: finds out whether layers never ran because a network did not get a part of the batch."""

from collections.abc import Mapping, Sequence

from simwidget.data.batch import Batch
from simwidget.data.entries import Entry, entries_of
from simwidget.plan.networks import Network
from simwidget.run.notes import Notes

MAX_NAMED = 4
"""The largest number of entries, and of parameters, that a text names."""


def explain_never_run(
    never_run: Mapping[int, Sequence[str]], networks: Sequence[Network], batches: Sequence[Batch], notes: Notes
) -> dict[int, str]:
    """Return why the layers of some networks never ran, and add a note for each of these networks.

    Args:
        never_run: for the position of a network, the names of its layers that never ran.
        networks: the networks.
        batches: for each network, a batch with which it was called.
        notes: the notes of the run.

    Returns:
        For the position of a network, which entries of the batch it did not get, and what to do. A network that got
        everything is left out.
    """
    found = {}
    for position, layers in never_run.items():
        why = _unreached_inputs(networks[position], batches[position])
        if why is not None:
            found[position] = why
            more = f" and {len(layers) - 1} more" if len(layers) > 1 else ""
            model = networks[position].model
            notes.say(f"unreached {model}", f"layer {layers[0]!r}{more} of model {model!r} never ran: {why}")
    return found


def _unreached_inputs(network: Network, batch: Batch) -> str | None:
    """Return which entries of a batch the network did not get, and how to pass them by name.

    Return None if it got all entries that may be inputs, or if all parameters of its `forward` have got something.
    """
    path = "batch" if network.prepare is None else "f(batch)"
    parameters = network.caller.parameters_without_input(batch)
    missed = network.caller.entries_not_passed(batch, path)
    if not parameters or not missed:
        return None
    paths = [one.path for one in missed]
    return (
        f"{_listed(paths)} did not reach it, and {_listed(parameters)} of its forward got nothing: give inputs= a "
        f"function that returns a mapping by parameter names{_example(network, batch, path, missed)}"
    )


def _example(network: Network, batch: Batch, path: str, missed: Sequence[Entry]) -> str:
    """Return an example of such a function. The entries that were missed fill the open parameters in their order.

    Return an empty string if the network gets other values than tensors of the batch.
    """
    paths = {id(one.tensor): one.path for one in entries_of(batch.raw, path)}
    named = network.caller.named_inputs(batch)
    if not all(id(value) in paths for value in named.values()):
        return ""
    given = {name: paths[id(value)] for name, value in named.items()}
    given |= zip(network.caller.parameters_without_input(batch), (one.path for one in missed), strict=False)
    function = f"lambda batch: {{{', '.join(f'{name!r}: {path}' for name, path in given.items())}}}"
    where = "" if network.prepare is None else f", where f is the present inputs= of {network.model!r}"
    return f", such as inputs={{{', '.join(f'{model!r}: {function}' for model in network.models)}}}{where}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
