"""`resume`: a checkpoint, the models and the loader -> the run that goes on where the checkpoint was written."""

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

from simwidget.api import Model, compare
from simwidget.run.checkpoint import read_checkpoint
from simwidget.run.comparison import Comparison
from simwidget.run.identity import AnotherRunError
from simwidget.text.untrusted import errors_name_file, expect, short_repr, shorten


def resume(
    path: str | PathLike[str],
    model_x: Model | Mapping[str, Model],
    model_y: Model | Iterable[Any] | None = None,
    loader: Iterable[Any] | None = None,
    **options: Any,
) -> Comparison:
    """Go on with a run that wrote a checkpoint: `compare(..., checkpoint=path)`.

    The models, the loader and the options must be those of the run; the options come from the file. The batches that
    the run had are read again and passed over, so that what follows is the same: on the CPU of the same machine, with
    as many threads and the same libraries, the run ends with the same numbers to the last bit. A loader that cannot be
    proven to repeat its batches is taken as well; the result then says "not bit-reproducible". The run's random numbers
    are set as they were, also where it runs in the background.

    Args:
        path: the checkpoint; it is written to again while the run goes on.
        model_x, model_y, loader: as `compare` had them.
        options: of `compare`. Those that a file cannot hold, functions, must be given again; `device` and limits
            (`max_batches`, `until`, ...) may be others than before.

    Returns:
        A run that is ready: call `run()` or `start()`, or show it.

    Raises:
        ValueError: the checkpoint is of other models, layers, options or data (the text says what differs), or the file
            is no checkpoint, or a damaged one. Whether the data are the same shows when the run starts.

    >>> import tempfile, torch, simwidget as sw
    >>> _ = torch.manual_seed(0)
    >>> net, batches = torch.nn.Sequential(torch.nn.Linear(8, 4)), [torch.randn(64, 8) for _ in range(4)]
    >>> path = tempfile.mkdtemp() + "/run.simw"
    >>> half = sw.compare({"net": net}, batches, checkpoint=path, max_batches=2).run(progress=False)
    >>> whole = sw.resume(path, {"net": net}, batches, max_batches=None).run(progress=False)
    >>> half.n_batches, whole.n_batches
    (2, 4)
    """
    checkpoint = read_checkpoint(path)
    given = checkpoint.header["given"]
    for name in given["functions"]:
        if name not in options:
            raise ValueError(f"the run had {name}=, which a file cannot hold: give it again, resume(..., {name}=...)")
    arguments = {**given["options"], **given["limits"], **options}
    names, layers = list(given["layers"]), given["layers"]
    if "layers" not in options and not {"layers_x", "layers_y"} & set(options):
        arguments["layers"] = layers
    if not isinstance(model_x, Mapping):
        arguments.setdefault("names", names)
    defaults = compare.__kwdefaults__ or {}
    unknown = (set(given["options"]) | set(given["limits"])) - set(defaults)
    with errors_name_file(path, "checkpoint"):
        expect(
            not unknown,
            f"it has options that this version does not know: {', '.join(map(short_repr, sorted(unknown)))}",
        )
    seconds = arguments.pop("checkpoint_seconds", defaults["checkpoint_seconds"])
    try:
        comparison = compare(model_x, model_y, loader, **arguments)
    except (TypeError, ValueError) as problem:
        raise ValueError(
            f"{path} is of another run, as its options do not fit this one: {shorten(problem)}"
        ) from problem
    try:
        with errors_name_file(path, "checkpoint"):
            comparison._restore(checkpoint, path, seconds)
    except AnotherRunError as problem:
        raise ValueError(f"{path} {problem}") from problem
    return comparison
