"""docs/performance.md from the benchmarks' figures: `python -m benchmarks.report [--folder out] [--out FILE.md]`.

Reads benchmarks.json, parts.json, live.json and, where they are, benchmarks-cuda.json and soak.json.
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
Machines are noisy, so all times are ratios taken within one run, medians of repeats that take turns; the bare pass is
timed right before each of them. Memory is the peak of a fresh process above that of the bare pass. Errors are the
largest of all cells, against a reference in float64 in which nothing is done in place; other tools keep the last call
of a module that runs several times, and are compared with that one. `make bench` measures, and
`python -m benchmarks.report` writes this page.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def machine(found: dict[str, Any]) -> str:
    about = found["machine"]
    where = about["gpu"] or f"{about['cpu']} ({about['instructions']}), {about['threads']} threads"
    command = re.sub(r" --out \S+", "", about["command"])
    return f"`{command}`, commit {about['commit']}, {where}, torch {about['torch']}.\n"


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
                ("", "time to bare forward", "least to most", "MB above bare forward", "largest error"),
                [
                    (
                        tool,
                        f"{row['ratio to bare forward']:.2f}",
                        f"{min(row['ratios']):.2f} to {max(row['ratios']):.2f}",
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
    ways = list(next(iter(found["cases"].values()))["ratios"])
    rows = [[way, *(f"{case['ratios'][way]:.2f}" for case in found["cases"].values())] for way in ways]
    return machine(found) + "\n" + table(("time to bare forward", *found["cases"]), rows)


def live(found: dict[str, Any]) -> str:
    rows = [
        (name, run["live over headless"], run["the same in processor time"], run["headless, s"], run["frames"])
        for name, run in found["runs"].items()
    ]
    head = ("", "live over headless", "in processor time", "headless, s", "frames sent")
    return machine(found) + "\n" + table(head, rows)


def soak(found: dict[str, Any]) -> str:
    return machine(found) + "\n" + table(("", "figure"), [(one["what"], one["text"]) for one in found["verdicts"]])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--folder", type=Path, default=Path("out"))
    options.add_argument("--out", type=Path, default=Path("docs/performance.md"))
    args = options.parse_args()

    def read(name: str) -> dict[str, Any] | None:
        path = args.folder / name
        return json.loads(path.read_text()) if path.exists() else None

    parts = [INTRODUCTION]
    benchmarks = read("benchmarks.json")
    if benchmarks is not None:
        parts.append("## On a CPU\n\n" + cases(benchmarks))
        if "growth" in benchmarks:
            parts.append(growth(benchmarks["growth"]))
    cuda = read("benchmarks-cuda.json")
    if cuda is not None:
        parts.append("## On a GPU\n\n" + cases(cuda))
    for name, title, write in (
        ("parts.json", "## Where the time goes", where_time_goes),
        ("live.json", "## Being watched", live),
        ("soak.json", "## Ten thousand batches", soak),
    ):
        found = read(name)
        if found is not None:
            parts.append(f"{title}\n\n{write(found)}")
    args.out.write_text("\n".join(part.rstrip() + "\n" for part in parts))


if __name__ == "__main__":
    main()
