"""`explain_never_run`: finds layers that may never have run because the network did not get a part of the batch."""

from collections.abc import Mapping, Sequence

from simwidget.data.batch import Batch
from simwidget.data.entries import Entry, entries_of
from simwidget.plan.networks import Network
from simwidget.run.notes import Notes

MAX_NAMED = 4
"""The largest number of entries of a batch, and of parameters, that a text names."""


def explain_never_run(
    never_run: Mapping[int, Sequence[str]], networks: Sequence[Network], batches: Sequence[Batch], notes: Notes
) -> dict[int, str]:
    """Return why the layers of some networks never ran, and add a note for each of these networks.

    Args:
        never_run: position of a network -> the names of its layers that never ran.
        networks: the networks.
        batches: for each network, a batch with which it was called.
        notes: the notes of the run.

    Returns:
        Position of a network -> a text that says which entries of the batch the network did not get, and what to do.
        Networks that got all entries are left out, and so are networks whose parameters all got an argument.
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
    """Return a text that says which entries of a batch the network did not get, and how to pass them by name.

    Return None if the network got all entries that may be inputs, or if no parameter of its `forward` is left.
    """
    path = "batch" if network.prepare is None else "f(batch)"
    parameters = network.caller.parameters_without_input(batch)
    missed = network.caller.entries_not_passed(batch, path)
    if not parameters or not missed:
        return None
    paths = [one.path for one in missed]
    return (
        f"the model did not get {_listed(paths)}, and nothing was passed to {_listed(parameters)} of its forward: give "
        f"inputs= a function that returns a dict by parameter names{_example(network, batch, path, missed)}"
    )


def _example(network: Network, batch: Batch, path: str, missed: Sequence[Entry]) -> str:
    """Return the end of a sentence: an example of the option `inputs` that passes the entries in `missed` too.

    The entries are assigned in order to the parameters without an argument. Return an empty string if an argument of
    the network is not a tensor of the batch, because the example could not name such an argument.
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
