"""docs/performance.md from the figures in docs/figures: `python -m benchmarks.report [--folder out] [--out FILE.md]`.

Reads benchmarks*.json, parts.json, live.json, soak.json and, of a GPU, parts-cuda.json and waits.json, where they are.
"""

import argparse
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

INTRODUCTION = """# Speed and memory

What a comparison costs next to the bare forward pass of both networks, which nobody can be faster than. This package
computes CKA and dCKA with standard errors, within and between both networks; the other tools compute CKA between them.
Machines are noisy, so all times are ratios taken within one run, medians of repeats that take turns, to the mean of the
bare passes right before and right after. What others do on a machine only ever makes it slower, so the fastest repeat
to the fastest of the bare passes beside the repeats is given too. Where the processor has no use for it,
`precision="high"` is the same computation as without: how far its row is from the one above it shows the noise.
Memory is the peak of a fresh process above that of the bare pass. Errors are the largest of all cells, against a
reference in float64 in which nothing is done in place; other tools keep the last call of a module that runs several
times, and are compared with that one. `make bench` measures (on a GPU `make bench-cuda`) into `out/`;
`python -m benchmarks.report` writes this page from `docs/figures/`.
"""

LIVE = """In one run a page with a held pair looks in every other turn of a few batches; each such turn is compared with
the mean of those around it. Medians, with their standard errors.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def machine(found: dict[str, Any]) -> str:
    about = found["machine"]
    where = about["gpu"] or f"{about['cpu']} ({about['instructions']}), {about['threads']} threads"
    command = re.sub(r" --out \S+", "", about["command"])
    note = f" {about['note']}" if "note" in about else ""
    return f"`{command}`, commit {about['commit']}, {where}, torch {about['torch']}.{note}\n"


def cases(found: dict[str, Any]) -> str:
    parts = [machine(found)]
    for case in found["cases"].values():
        a, b = case["layers"]
        parts.append(
            f"### {case['about']}\n\n{case['batch']} samples a batch, {a} and {b} modules; the bare pass takes "
            f"{case['bare forward, s a batch']:.3g} s a batch.\n"
        )
        parts.append(
            table(
                ("", "time to bare forward", "least to most", "fastest to fastest", "MB above bare forward", "error"),
                [
                    (
                        tool,
                        f"{row['ratio to bare forward']:.2f}",
                        f"{min(row['ratios']):.2f} to {max(row['ratios']):.2f}",
                        f"{row['fastest to fastest']:.2f}",
                        f"{row['peak MB above bare forward']:.0f}",
                        "" if row["largest error"] is None else f"{row['largest error']:.1e}",
                    )
                    for tool, row in case["tools"].items()
                ],
            )
        )
        for tool, problem in case["failed"].items():
            parts.append(f"{tool} does not run it: `{problem.splitlines()[0]}`\n")
    return "\n".join(parts)


def growth(rows: list[dict[str, Any]]) -> str:
    keys = list(rows[0])
    return (
        "### (f) growth\n\n"
        "Two perceptrons of linear layers, 256 wide; milliseconds a batch, and above the bare pass.\n\n"
        + table(
            keys, [[f"{row[key]:.3g}" if isinstance(row[key], float) else row[key] for key in keys] for row in rows]
        )
    )


def where_time_goes(found: dict[str, Any]) -> str:
    every = found["cases"].values()
    ways = list(next(iter(every))["ratios"])
    rows = [[way, *(f"{case['ratios'][way]:.2f}" for case in every)] for way in ways]
    return machine(found) + "\n" + table(("time to bare forward", *found["cases"]), rows)


def live(found: dict[str, Any]) -> str:
    rows = [
        (
            name,
            f"{run['watched over unwatched']:.3f} ± {run['standard error']:.3f}",
            f"{run['unwatched, s a batch']:.3g}",
            run["batches a turn"],
            run["frames a watched turn"],
        )
        for name, run in found["runs"].items()
    ]
    head = ("", "watched over unwatched", "unwatched, s a batch", "batches a turn", "frames a watched turn")
    return machine(found) + "\n" + LIVE + "\n" + table(head, rows)


def waits(found: dict[str, Any]) -> str:
    rows = [
        (name, tool, ", ".join(f"{what}: {number:g}" for what, number in counts.items()) or "nothing")
        for name, case in found["cases"].items()
        for tool, counts in case.items()
    ]
    return machine(found) + "\n" + table(("", "", "waits in each batch"), rows)


def soak(found: dict[str, Any]) -> str:
    return machine(found) + "\n" + table(("", "figure"), [(one["what"], one["text"]) for one in found["verdicts"]])


def page(folder: Path) -> str:
    """The page of the figures in a folder."""

    def read(name: str) -> dict[str, Any] | None:
        path = folder / name
        return json.loads(path.read_text()) if path.exists() else None

    parts = [INTRODUCTION]
    files = sorted(folder.glob("benchmarks*.json"), key=lambda path: path.stem)
    every = [json.loads(path.read_text()) for path in files]
    for title, on_gpu in (("## On a CPU\n", False), ("## On a GPU\n", True)):
        here = [found for found in every if (found["machine"]["gpu"] is not None) == on_gpu]
        parts += [title] * bool(here)
        for found in here:
            parts.append(cases(found))
            if "growth" in found:
                parts.append(growth(found["growth"]))
    for name, title, write in (
        ("parts.json", "## Where the time goes", where_time_goes),
        ("parts-cuda.json", "## Where the time goes on a GPU", where_time_goes),
        ("waits.json", "## What waits for the GPU", waits),
        ("live.json", "## Being watched", live),
        ("soak.json", "## Ten thousand batches", soak),
    ):
        found = read(name)
        if found is not None:
            parts.append(f"{title}\n\n{write(found)}")
    return "\n".join(part.rstrip() + "\n" for part in parts)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--folder", type=Path, default=Path("docs/figures"))
    options.add_argument("--out", type=Path, default=Path("docs/performance.md"))
    args = options.parse_args()
    args.out.write_text(page(args.folder))


if __name__ == "__main__":
    main()
