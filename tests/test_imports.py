"""Imports run one way between the packages, files form no circles, and results need no torch."""

import ast
import subprocess
import sys

import pytest

from docs.house import FACES, ROOT, UPWARD, Import, circles, package_of, python_imports

PYTHON = {
    "text": "",
    "gram": "text",
    "measures": "gram text",
    "result": "text",
    "restore": "text",
    "data": "restore text",
    "capture": "data restore text",
    "inspection": "data gram text",
    "estimate": "inspection measures result gram text",
    "plan": "estimate capture data restore measures gram text",
    "run": "plan estimate inspection capture data restore measures result gram text",
    "plots": "result text",
    "widget": "run inspection result text",
    "demo": "public",
    "public": "widget plots run plan estimate capture measures result gram text demo",
}
"""What the files of each package may import of other packages; "public" are the files beside the packages."""


def wrong(imports, allowed):
    """Imports between packages that the list does not allow."""
    names = {FACES["simwidget"]: "public"}
    found = []
    for one in imports:
        source, target = (names.get(package, package) for package in one.packages)
        if source != target and target not in allowed[source].split() and tuple(one) not in UPWARD:
            found.append(f"{one.source} must not import {one.target}")
    return found


def test_packages_import_only_what_stands_below_them():
    imports = python_imports()
    assert len(imports) > 200
    assert not wrong(imports, PYTHON)


def test_each_package_has_a_list():
    folders = {path.name for path in (ROOT / "simwidget").iterdir() if (path / "__init__.py").is_file()}
    assert folders == set(PYTHON) - {"public"}


def test_the_lists_themselves_run_one_way():
    arrows = [(one, other) for one, others in PYTHON.items() for other in others.split()]
    assert circles(arrows) == [["demo", "public"]]  # the demo shows the public face, which offers the demo


def test_what_is_allowed_upward_is_imported_inside_a_method():
    imports = {tuple(one) for one in python_imports()}
    assert imports >= UPWARD
    for source, target in UPWARD:
        package = f"simwidget.{package_of(target)}"
        at_the_top = [node for node in ast.parse((ROOT / source).read_text()).body if isinstance(node, ast.ImportFrom)]
        assert at_the_top
        assert not [node.module for node in at_the_top if (node.module or "").startswith(package)]


def test_no_circle_between_files_of_different_packages():
    arrows = [tuple(one) for one in python_imports() if tuple(one) not in UPWARD]
    across = [one for one in circles(arrows) if len({package_of(path) for path in one}) > 1]
    demo = [one for one in across if "simwidget/demo/__main__.py" in one]
    assert across == demo


@pytest.mark.parametrize(
    "turned",
    [
        Import("simwidget/run/progress.py", "simwidget/widget/publisher.py"),
        Import("simwidget/gram/kernels.py", "simwidget/measures/cka.py"),
        Import("simwidget/data/nested.py", "simwidget/capture/outputs.py"),
        Import("simwidget/estimate/history.py", "simwidget/plan/memory.py"),
        Import("simwidget/result/similarity_result.py", "simwidget/run/single_pass.py"),
    ],
    ids=lambda one: f"{package_of(one.source)}-{package_of(one.target)}",
)
def test_a_turned_arrow_is_found(turned):
    assert (ROOT / turned.source).is_file()
    assert (ROOT / turned.target).is_file()
    assert wrong([*python_imports(), turned], PYTHON) == [f"{turned.source} must not import {turned.target}"]


def test_results_and_plots_never_import_torch():
    light = [*(ROOT / "simwidget" / "result").glob("*.py"), *(ROOT / "simwidget" / "text").glob("*.py")]
    light += [*(ROOT / "simwidget" / "plots").glob("*.py"), *(ROOT / "simwidget" / "widget").glob("*.py")]
    light += [ROOT / "simwidget" / name for name in ("inspection/pair.py", "run/progress.py")]
    assert len(light) > 25
    for path in light:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "torch"], path
    modules = "simwidget.result.similarity_result, simwidget.result.files, simwidget.plots, simwidget.inspection.pair"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
