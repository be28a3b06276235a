"""Random lines and docstrings of the code, to see whether the layout and the texts can be understood.

python docs/sample.py lines 40 --seed 1               # guess the file of each line from the layout alone
python docs/sample.py lines 40 --seed 1 --answers     # their files
python docs/sample.py docstrings 60 --seed 1          # read each once: was a second reading needed?
python docs/sample.py layout                          # the names of all files
"""

import argparse
import ast
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENDINGS = {".py", ".ts", ".css"}
SHORTEST = 25
"""Characters of a line that is worth a question."""


def files() -> list[str]:
    """The files of `simwidget/` and `js/` that git knows, tests left out."""
    listed = subprocess.run(
        ["git", "ls-files", "simwidget", "js"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [path for path in listed.stdout.split() if Path(path).suffix in ENDINGS]
    return [path for path in paths if not path.endswith(".test.ts")]


def lines() -> Iterator[tuple[str, str]]:
    """Every line of code that is long enough, with its file; imports and comments are left out."""
    for path in files():
        for line in (ROOT / path).read_text().splitlines():
            text = line.strip()
            if len(text) >= SHORTEST and not text.startswith(("import ", "from ", "#", "//", "*", "/*", '"""', "}")):
                yield text, path


def docstrings() -> Iterator[tuple[str, str]]:
    """Every docstring of Python, with the place of what it documents."""
    for path in files():
        if path.endswith(".py"):
            for node in ast.walk(ast.parse((ROOT / path).read_text())):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                    name = getattr(node, "name", "")
                    yield ast.get_docstring(node) or "", f"{path} {name}".strip()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=("lines", "docstrings", "layout"))
    options.add_argument("n", type=int, nargs="?", default=40)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--answers", action="store_true")
    given = options.parse_args()
    if given.what == "layout":
        print("\n".join(files()))
        return
    pool = list(lines() if given.what == "lines" else docstrings())
    for k, (text, place) in enumerate(random.Random(given.seed).sample(pool, given.n), 1):
        shown = f"{place}\n{text}" if given.what == "docstrings" else place if given.answers else text
        print(f"{k}. {shown}")


if __name__ == "__main__":
    main()
