"""Random lines and docstrings of the code, to see whether the layout and the texts can be understood.

python docs/sample.py lines 40 --seed 1               # guess the file of each line from the layout alone
python docs/sample.py lines 40 --seed 1 --answers     # their files
python docs/sample.py docstrings 60 --seed 1          # read each once: was a second reading needed?
python docs/sample.py layout                          # the names of all files
"""

import argparse
import ast
import random
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENDINGS = {".py", ".ts", ".css"}
SKIPPED = ("import ", "from ", "export {", "export type {", "#", "//", "*", "/*", '"""', "}")
DEFINITION = re.compile(
    r"(?:export )?(?:async )?(?:def|class|function|interface|type|const) (\w+)"  # both languages
    r"|(?:(?:private|static|get|set|async) )*(#?\w+)\([^;]*\{$"  # a method of TypeScript
    r"|([.:\w][^;]*)\{$"  # a selector of CSS
)
STATEMENTS = {"if", "for", "while", "switch", "catch", "else", "return"}


def files() -> list[str]:
    """The files of `simwidget/` and `js/` that git knows, tests left out."""
    listed = subprocess.run(
        ["git", "ls-files", "simwidget", "js"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [path for path in listed.stdout.split() if Path(path).suffix in ENDINGS]
    return [path for path in paths if not path.endswith(".test.ts")]


def words(text: str) -> set[str]:
    """The names in a line of code."""
    return set(re.findall(r"[A-Za-z_][\w-]{3,}", text))


def in_python_docstring(path: str) -> set[int]:
    """The numbers of the lines that belong to docstrings and other loose strings."""
    if not path.endswith(".py"):
        return set()
    tree = ast.parse((ROOT / path).read_text())
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    return {k for node in texts for k in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def lines() -> Iterator[tuple[str, str]]:
    """Lines of code that have a name of which their file has more than all other files together, with their file.

    A line without such a name (`return None`, `for layer in layers:`) has no place that could be guessed. Each comes
    with the definitions that it stands in, outermost first.
    """
    texts = {path: (ROOT / path).read_text() for path in files()}
    everywhere = Counter(name for text in texts.values() for name in re.findall(r"[A-Za-z_][\w-]{3,}", text))
    for path, text in texts.items():
        here = Counter(re.findall(r"[A-Za-z_][\w-]{3,}", text))
        loose = in_python_docstring(path)
        within: list[tuple[int, str]] = []
        for number, line in enumerate(text.splitlines(), 1):
            code = line.strip()
            if not code or number in loose or code.startswith(SKIPPED):
                continue
            indent = len(line) - len(line.lstrip())
            within = [(depth, name) for depth, name in within if depth < indent]
            if any(2 * here[name] > everywhere[name] for name in words(code)):
                yield " > ".join([name for _, name in within] + [code]), path
            found = DEFINITION.match(code)
            name = next((part for part in found.groups() if part), "").strip() if found else ""
            if name and name not in STATEMENTS:
                within.append((indent, name))


def docstrings() -> Iterator[tuple[str, str]]:
    """Every docstring of Python, with its file and the signature that it stands below, inside its classes."""
    for path in files():
        if path.endswith(".py"):
            tree = ast.parse((ROOT / path).read_text())
            yield from ((text, f"{path}{place}") for text, place in _docstrings_in(tree, ""))


def _docstrings_in(node: ast.AST, classes: str) -> Iterator[tuple[str, str]]:
    """The docstrings of a definition and of all definitions in it; `classes` are the names of the classes around it."""
    place, within = classes, classes
    if isinstance(node, ast.ClassDef):
        place, within = f"{classes} class {node.name}:", f"{classes} class {node.name}:"
    elif isinstance(node, ast.FunctionDef):
        returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        place = f"{classes} def {node.name}({ast.unparse(node.args)}){returned}"
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
        yield text, place
    for child in ast.iter_child_nodes(node):
        yield from _docstrings_in(child, within)


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
