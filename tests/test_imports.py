"""Imports run one way between the packages of Python and of js, files form no circles, and results need no torch."""

import ast
import shutil
import subprocess
import sys

import pytest

from docs.house import FACES, ROOT, UPWARD, Import, circles, js_imports, package_of, python_imports

PYTHON = {
    "text": "",
    "files": "text",
    "gram": "text",
    "measures": "gram text",
    "result": "files text",
    "restore": "files text",
    "data": "restore files text",
    "capture": "data restore text",
    "inspection": "data gram text",
    "estimate": "inspection measures result gram files text",
    "plan": "estimate capture data restore measures gram text",
    "run": "plan estimate inspection capture data restore measures result gram files text",
    "plots": "result text",
    "widget": "run inspection result files text",
    "demo": "files",
    "public": "widget plots run plan estimate capture measures result gram files text demo",
}
"""What the files of each Python package may import of others; "public" are the files beside the packages."""

JS = {
    "state": "",
    "parts": "state",
    "map": "parts state",
    "inspector": "parts state",
    "page": "map inspector parts state",
    "entry": "page map inspector parts state",
}
"""The same for the folders of js; "entry" is widget.ts."""

LISTS = {"simwidget": PYTHON, "js": JS}
NAMES = {FACES["simwidget"]: "public", FACES["js"]: "entry"}


def imports_of(top, root=ROOT):
    return python_imports(root) if top == "simwidget" else js_imports(root)


def wrong(imports, allowed):
    """Imports between packages that the list does not allow."""
    found = []
    for one in imports:
        source, target = (NAMES.get(package, package) for package in one.packages)
        if source != target and target not in allowed[source].split() and tuple(one) not in UPWARD:
            found.append(f"{one.source} must not import {one.target}")
    return found


@pytest.mark.parametrize("top", LISTS)
def test_packages_import_only_what_stands_below_them(top):
    imports = imports_of(top)
    assert len(imports) > 100
    assert not wrong(imports, LISTS[top])


@pytest.mark.parametrize("top", LISTS)
def test_each_package_has_a_list(top):
    ending = ".py" if top == "simwidget" else ".ts"
    folders = {path.parent.name for path in (ROOT / top).glob(f"*/*{ending}")}
    assert folders == set(LISTS[top]) - set(NAMES.values())


@pytest.mark.parametrize("top", LISTS)
def test_the_lists_themselves_run_one_way(top):
    assert circles((one, other) for one, others in LISTS[top].items() for other in others.split()) == []


def test_what_is_allowed_upward_is_imported_inside_a_method():
    imports = {tuple(one) for one in python_imports()}
    assert imports >= UPWARD
    inside_methods = {one for one in UPWARD if not one[0].endswith("__main__.py")}
    assert len(inside_methods) == 3
    for source, target in inside_methods:
        package = f"simwidget.{package_of(target)}"
        at_the_top = [node for node in ast.parse((ROOT / source).read_text()).body if isinstance(node, ast.ImportFrom)]
        assert at_the_top
        assert not [node.module for node in at_the_top if (node.module or "").startswith(package)]


def test_no_circle_between_python_files_of_different_packages():
    arrows = [tuple(one) for one in python_imports() if tuple(one) not in UPWARD]
    assert [one for one in circles(arrows) if len({package_of(path) for path in one}) > 1] == []


def test_no_circle_between_js_files():
    assert circles(map(tuple, js_imports())) == []


TURNED = [
    Import("simwidget/run/progress.py", "simwidget/widget/publisher.py"),
    Import("simwidget/gram/kernels.py", "simwidget/measures/cka.py"),
    Import("simwidget/data/nested.py", "simwidget/capture/outputs.py"),
    Import("simwidget/estimate/history.py", "simwidget/plan/memory.py"),
    Import("simwidget/result/similarity_result.py", "simwidget/run/single_pass.py"),
    Import("js/state/pairs.ts", "js/map/plot.ts"),
    Import("js/parts/dom.ts", "js/inspector/panel.ts"),
    Import("js/map/side.ts", "js/inspector/pair_names.ts"),
    Import("js/inspector/pair_names.ts", "js/page/view.ts"),
]


def line_of(turned):
    """The line that makes one file import the other."""
    if turned.target.endswith(".py"):
        return f"import {turned.target.removesuffix('.py').replace('/', '.')}\n"
    return f'import type {{\n  Any,\n}} from "../{turned.target.removeprefix("js/").removesuffix(".ts")}";\n'


@pytest.mark.parametrize("turned", TURNED, ids=lambda one: "-".join(one.packages))
def test_a_turned_arrow_is_named(tmp_path, turned):
    top = turned.source.partition("/")[0]
    shutil.copytree(ROOT / top, tmp_path / top, ignore=shutil.ignore_patterns("*.npz", "*.safetensors", "static"))
    path = tmp_path / turned.source
    path.write_text(line_of(turned) + path.read_text())
    assert wrong(imports_of(top, tmp_path), LISTS[top]) == [f"{turned.source} must not import {turned.target}"]


def test_a_circle_is_found():
    arrows = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e"), ("e", "b")]
    assert circles(arrows) == [["b", "d", "e"]]
    assert circles(arrows[:-1]) == []


def test_results_and_plots_never_import_torch():
    light = [path for name in ("result", "text", "files") for path in (ROOT / "simwidget" / name).glob("*.py")]
    light += [*(ROOT / "simwidget" / "plots").glob("*.py"), *(ROOT / "simwidget" / "widget").glob("*.py")]
    light += [ROOT / "simwidget" / name for name in ("inspection/pair_inspection.py", "run/progress.py")]
    assert len(light) > 25
    for path in light:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "torch"], path
    names = ("result.similarity_result", "result.saving", "plots", "inspection.pair_inspection")
    code = f"import sys, {', '.join(f'simwidget.{name}' for name in names)}; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
