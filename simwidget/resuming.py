"""The function `resume`, which continues a run of `compare` from its checkpoint file."""

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

from simwidget.api import Model, compare
from simwidget.files.fields import errors_name_file, expect, short_repr, shorten
from simwidget.run.checkpoint import read_checkpoint
from simwidget.run.comparison import Comparison
from simwidget.run.identity import AnotherRunError


def resume(
    path: str | PathLike[str],
    model_x: Model | Mapping[str, Model],
    model_y: Model | Iterable[Any] | None = None,
    loader: Iterable[Any] | None = None,
    **options: Any,
) -> Comparison:
    """Continue a run of `compare(..., checkpoint=path)` from the last checkpoint in the file `path`.

    The models, their weights and the loader must be the same as in the first run. The options of the first run are read
    from the file. The continued run reads the loader from its beginning and skips the batches that the first run
    completed before the checkpoint. It also sets the random number generators to their state at the checkpoint.

    The result is bit for bit the same as without interruption, under these conditions: both runs are on the CPU of the
    same machine, with the same number of threads and the same libraries, and the loader repeats its batches. If the
    loader is not certain to repeat its batches, the run continues, but its result has the note "not bit-reproducible".

    Args:
        path: the checkpoint file. The continued run writes its own checkpoints to the same file.
        model_x, model_y, loader: the same arguments as in the call of `compare`.
        options: keyword arguments of `compare`. Functions (`forward`, `inputs`, `batch_size`, ...) cannot be stored in
            a file and must be given again. `device` and the limits (`max_batches`, `until`, ...) may differ from those
            of the first run.

    Returns:
        A `Comparison` in the state "ready": call its `run()` or `start()`, or display it in a notebook.

    Raises:
        ValueError: the file is not a checkpoint, is damaged, or contains nothing to resume yet; a function of the first
            run is not given again; or the file belongs to other models, layers or options (the message says what
            differs). The data of the loader are not checked by `resume`, but at the start of the run.

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
