"""What reading makes of damaged and of hostile files: `python -m benchmarks.fuzz [--files 200] [--seed 0]`.

A file that this package wrote is changed in one of many ways and then read, and what was read is used, in a process
that has a gigabyte of memory and ten seconds for each. There are two ways to come out of it well: the content is what
it was, or a ValueError names the file and says what is wrong with it. Another content that is read is a silent change.
Half of the files are forged: they are changed by someone who then makes the checksum right, so that every other check
is tried as well; another content that is valid is then as good. Anything else is printed and makes the exit status 1.
"""

import argparse
import importlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.changes import CHANGES, forged

MEMORY = 2**30
"""Bytes of address space beyond what reading the file as it was takes."""
SECONDS = 10
SAME, OTHER, REFUSED = "loaded the same", "forged, loaded with other content", "ValueError"
SILENT = "silent changes"
FINE = (SAME, OTHER, REFUSED)


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    what: str
    """what a refusal calls it"""
    make: Callable[[Path], Any]
    """writes a valid one"""
    load: Callable[[Path], Any]
    use: Callable[[Any], bytes]
    """does with what was loaded what people do with it, and gives it as a file again"""


# --- the kinds -------------------------------------------------------------------------------------------------------


def make_result(path: Path) -> None:
    import simwidget as sw

    models, loader, _ = sw.demo.load()
    pair = {name: models[name] for name in ("seed 0", "seed 1")}
    sw.compare(pair, loader, layers=["stem*", "stage?"], max_batches=2, device="cpu").run(progress=False).save(path)


def load_result(path: Path) -> Any:
    from simwidget import SimilarityResult

    return SimilarityResult.load(path)


def use_result(result: Any) -> bytes:
    from simwidget.widget.html_page import page_of

    assert f"{result!r}{result.report()}".replace("\n", "").isprintable()
    for view in result.views():
        table = io.StringIO()
        result.to_csv(table, view)
        (given,) = re.findall(r'id="given">(.*?)</script>', page_of(result, view=view), re.DOTALL)
        json.loads(given, parse_constant=_refuse)
    file = io.BytesIO()
    result.save(file)
    return file.getvalue()


def _refuse(number: str) -> None:
    raise ValueError(f"{number} is no JSON to a page")


def checkpointed(folder: Path) -> tuple[dict[str, Any], list[Any]]:
    """The models and the loader of the run of a checkpoint."""
    import torch

    torch.manual_seed(0)
    layers = (torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4))
    models = {"a": torch.nn.Sequential(*layers), "b": torch.nn.Sequential(*layers[:1])}
    return models, list(torch.randn(6, 16, 6))


def make_checkpoint(path: Path) -> None:
    import simwidget as sw

    models, loader = checkpointed(path)
    sw.compare(models, loader, gram_batch=16, checkpoint=path, max_batches=4, device="cpu").start().wait()


def load_checkpoint(path: Path) -> Any:
    """The run that has gone on to its end."""
    import simwidget as sw

    comparison = sw.resume(path, *checkpointed(path), device="cpu", max_batches=6)
    try:
        comparison.start().wait()
    except ValueError as error:  # other marks are those of other data
        raise ValueError(f"{path} is of another run: {error}") from error
    return path, comparison


def use_checkpoint(loaded: Any) -> bytes:
    """Its result, which must be one; and the checkpoint that it wrote, without the time that it took."""
    from simwidget.run.checkpoint import read_checkpoint, write_checkpoint

    path, comparison = loaded
    use_result(comparison.result)
    assert comparison.state == "finished"
    comparison.convergence("0", "2", "xx")
    found = read_checkpoint(path)
    write_checkpoint(path, {**found.header, "run": {}, "owner": ""}, found.arrays)
    return path.read_bytes()


RESULT = Kind("result", make_result, load_result, use_result)
CHECKPOINT = Kind("checkpoint", make_checkpoint, load_checkpoint, use_checkpoint)
KINDS = ("benchmarks.fuzz:RESULT", "benchmarks.fuzz:CHECKPOINT")
"""Where the kinds are, so that the process that reads can import them."""


def kind_at(place: str) -> Kind:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


# --- reading ---------------------------------------------------------------------------------------------------------


def limit_memory() -> None:
    """Leave this process `MEMORY` beyond what it has, where the system tells what that is."""
    import resource

    status = Path("/proc/self/statm")
    if status.exists():
        most = int(status.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def outcome_of(kind: Kind, path: Path, before: bytes) -> str:
    try:
        loaded = kind.load(path)
    except ValueError as error:
        named = str(error).startswith((f"{path} is not a simwidget {kind.what}: ", f"{path} is of another run"))
        return REFUSED if named and len(str(error)) < 1000 else f"ValueError that says too little or too much: {error}"
    except BaseException as error:  # safetensors' own panics are no Exception
        return f"{type(error).__name__} when it is loaded: {error}"
    try:
        content = kind.use(loaded)
        if content == before:
            return SAME
        path.write_bytes(content)
        return OTHER if kind.use(kind.load(path)) == content else "another content when it is saved and loaded again"
    except BaseException as error:
        return f"{type(error).__name__} when it is used: {error}"


def read_all(place: str, folder: Path, first: int) -> None:
    """In a process of its own: read the files from `first` on and print what comes of each."""
    kind = kind_at(place)
    warnings.simplefilter("error")
    before = kind.use(kind.load(folder / "valid"))
    limit_memory()
    for number in range(first, sum(1 for _ in folder.iterdir()) - 1):
        signal.alarm(SECONDS)
        print(json.dumps([number, outcome_of(kind, folder / str(number), before)[:300]]), flush=True)


def outcomes(place: str, folder: Path, n: int) -> dict[int, str]:
    """What comes of each file; a process that ends before its time is put down to the file that it was reading."""
    found: dict[int, str] = {}
    while len(found) < n:
        command = "import sys; from benchmarks import fuzz; sys.exit(fuzz.main())"
        given = ["--read", place, str(folder), str(len(found))]
        run = subprocess.run([sys.executable, "-c", command, *given], capture_output=True, text=True)
        found.update(json.loads(line) for line in run.stdout.splitlines())
        if len(found) < n:
            if run.returncode >= 0:
                raise RuntimeError(run.stderr)
            by = signal.Signals(-run.returncode).name
            found[len(found)] = f"over {SECONDS} s" if by == "SIGALRM" else f"ended by {by}"
    return found


def fuzz(place: str, files: int, seed: int, keep: Path | None = None) -> tuple[Counter[str], list[str]]:
    """Change and read so many files: how many came out how, and what was done to those that came out badly."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kind_at(place).make(folder / "valid")
        content = (folder / "valid").read_bytes()
        contents, done = [], []
        for number in range(files):
            change = CHANGES[number % len(CHANGES)]
            changed, what = change(content, rng)
            changed = forged(changed) if number % 2 else changed
            (folder / str(number)).write_bytes(changed)
            contents.append(changed)
            done.append(f"{change.__name__}: {what[:200]}")
        counts: Counter[str] = Counter()
        bad = []
        for number, outcome in outcomes(place, folder, files).items():
            if outcome == OTHER and not number % 2:
                outcome = SILENT
            counts[outcome if outcome in (*FINE, SILENT) else "anything else"] += 1
            if outcome not in FINE:
                bad.append(f"file {number} of seed {seed}, {done[number]}\n    {outcome}")
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{kind_at(place).what}-{seed}-{number}").write_bytes(contents[number])
    return counts, bad


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--files", type=int, default=200, help="files of each kind")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--keep", type=Path, help="a folder for the files that came out badly")
    options.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.read:
        read_all(args.read[0], Path(args.read[1]), int(args.read[2]))
        return 0
    failed = 0
    for place in KINDS:
        counts, bad = fuzz(place, args.files, args.seed, args.keep)
        listed = ", ".join(f"{counts[outcome]} {outcome}" for outcome in (*FINE, SILENT, "anything else"))
        print(f"{kind_at(place).what}: {args.files} files: {listed}")
        for one in bad:
            print(one)
        failed += len(bad)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
