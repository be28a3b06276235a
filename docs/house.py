"""Which files import which, read from the code; `make house` draws the packages with their imports: docs/house.svg.

Packages are the folders of `simwidget/` and of `js/`; the files beside them are the public face there and the entry of
the front end here. `tests/test_imports.py` checks the same imports against the lists of what is allowed.
"""

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FACES = {"simwidget": "public face", "js": "widget.ts"}
"""What the files are called that lie in no package."""
JS_IMPORT = re.compile(r'^(?:import|export)\b[^;"]*?"(\.[^"]+)"', re.MULTILINE)
"""`import ... from "./x"`, `export ... from "./x"` and `import "./x"`, of values or types, over several lines too."""


class Import(NamedTuple):
    """One file imports another; paths from the root of the project."""

    source: str
    target: str

    @property
    def packages(self) -> tuple[str, str]:
        return package_of(self.source), package_of(self.target)


def package_of(path: str) -> str:
    """ "run" for simwidget/run/comparison.py, "map" for js/map/plot.ts, and a face for a file in no package."""
    top, *inner = Path(path).parts
    return inner[0] if len(inner) > 1 else FACES[top]


def python_imports(root: Path = ROOT) -> list[Import]:
    """Every import of one file of `simwidget/` by another, those inside functions and for type checks too."""
    found = []
    for path in sorted((root / "simwidget").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names: Iterable[str] = ()
            if isinstance(node, ast.Import):
                names = (one.name for one in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = (f"{node.module}.{one.name}" for one in node.names)
            targets = [_python_file(root, name) for name in names if name.split(".")[0] == "simwidget"]
            found += [Import(str(path.relative_to(root)), one) for one in targets if one is not None]
    return _sorted(found)


def _python_file(root: Path, name: str) -> str | None:
    """The file that "simwidget.run.comparison.Comparison" comes from: the longest part of it that is a module."""
    parts = name.split(".")
    while parts:
        for path in (Path(*parts).with_suffix(".py"), Path(*parts, "__init__.py")):
            if (root / path).is_file():
                return str(path)
        parts.pop()
    return None


def js_imports(root: Path = ROOT) -> list[Import]:
    """Every import of one TypeScript file of `js/` by another, types too; tests are left out."""
    found = []
    for path in sorted((root / "js").rglob("*.ts")):
        if path.name.endswith(".test.ts"):
            continue
        for name in JS_IMPORT.findall(path.read_text()):
            target = (path.parent / f"{name}.ts").resolve()
            assert target.is_file(), f"{path} imports {name}, which is no file"
            found.append(Import(str(path.relative_to(root)), str(target.relative_to(root.resolve()))))
    return _sorted(found)


def _sorted(found: Iterable[Import]) -> list[Import]:
    return sorted({one for one in found if one.source != one.target})


def circles(arrows: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The sets of nodes that reach one another along the arrows (strongly connected components of two or more)."""
    following: dict[str, set[str]] = {}
    for source, target in arrows:
        following.setdefault(source, set()).add(target)
        following.setdefault(target, set())
    reached = {node: _reached(node, following) for node in following}
    found = {frozenset({node} | {one for one in reached[node] if node in reached[one]}) for node in following}
    return sorted(sorted(one) for one in found if len(one) > 1)


def _reached(start: str, following: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for node in following[waiting.pop()] - seen:
            seen.add(node)
            waiting.append(node)
    return seen


def floors(arrows: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Packages from the top down: each stands one floor above the highest of those that it imports."""
    arrows = [(source, target) for source, target in arrows if source != target]
    height = dict.fromkeys((node for arrow in arrows for node in arrow), 0)
    for _ in height:
        for source, target in arrows:
            height[source] = max(height[source], height[target] + 1)
    return [sorted(node for node in height if height[node] == floor) for floor in range(max(height.values()), -1, -1)]


def needed(arrows: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The arrows that no path over other packages implies, so that the picture can be read."""
    every = {(source, target) for source, target in arrows if source != target}
    following = {node: {target for source, target in every if source == node} for arrow in every for node in arrow}
    return sorted(
        (source, target)
        for source, target in every
        if not any(target in _reached(between, following) for between in following[source] - {target})
    )


def draw(path: Path) -> None:
    """The packages of both languages with their files, and an arrow from each to what it imports."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.hashsalt": "simwidget", "svg.fonttype": "none", "font.size": 8}):
        figure, axes = pyplot.subplots(1, 2, figsize=(14, 10.5), width_ratios=(3, 2))
        for ax, top, imports in zip(axes, FACES, (python_imports(), js_imports()), strict=True):
            _draw_packages(ax, top, imports)
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})


def _draw_packages(ax, top: str, imports: list[Import]) -> None:
    levels = floors(downward(imports))
    files: dict[str, list[str]] = {}
    for one in sorted({path for pair in imports for path in (pair.source, pair.target)}):
        name = Path(one).stem
        files.setdefault(package_of(one), []).extend([name] if name not in ("__init__", "__main__") else [])
    place = {}
    for floor, packages in enumerate(levels):
        for index, package in enumerate(packages):
            x, y = (index + 0.5) / len(packages), -floor
            place[package] = x, y
            width = 0.94 / len(packages)
            ax.text(x, y + 0.22, package, ha="center", va="center", weight="bold", size=10, zorder=4)
            text = _wrapped(files[package], int(width * 90))
            ax.text(x, y - 0.07, text, ha="center", va="center", size=6.5, zorder=4)
            ax.add_patch(_box((x - width / 2, y - 0.32), width, 0.64))
    for source, target in needed(downward(imports)):
        (x, y), (to_x, to_y) = place[source], place[target]
        arrow = {"arrowstyle": "->", "color": "0.45", "shrinkA": 0}
        ax.annotate("", (to_x, to_y + 0.33), (x, y - 0.32), arrowprops=arrow, zorder=1)
    ax.set(xlim=(0, 1), ylim=(0.55 - len(levels), 0.45), title=f"{top}/")
    ax.axis("off")


def _box(corner: tuple[float, float], width: float, height: float):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, facecolor="white", edgecolor="0.3", linewidth=0.8, zorder=3)


def _wrapped(names: list[str], width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(", ".join(names), max(width, 12)))


UPWARD = {
    ("simwidget/result/similarity_result.py", "simwidget/plots/heatmap.py"),
    ("simwidget/result/similarity_result.py", "simwidget/widget/html_page.py"),
    ("simwidget/run/comparison.py", "simwidget/widget/__init__.py"),
    ("simwidget/demo/__main__.py", "simwidget/__init__.py"),
}
"""The only imports of what stands above: `plot`, `to_html` and the display of a comparison, each inside its method, and
the demo's command, which uses the public face."""


def downward(imports: Iterable[Import]) -> list[tuple[str, str]]:
    """The arrows between packages, without those in `UPWARD`."""
    return [one.packages for one in imports if tuple(one) not in UPWARD]


if __name__ == "__main__":
    draw(ROOT / "docs" / "house.svg")
