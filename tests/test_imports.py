"""Imports follow the rooms: data walks one way."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent / "simwidget"
DISPLAYS = {"widget", "plots", "charts", "extension"}
MAY_IMPORT_DISPLAYS = {"__init__", "__main__"}


def imports(path, everywhere):
    """Rooms of the package that a file imports; at module level only, or inside functions too."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if everywhere else tree.body
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("simwidget."):
            found.add(node.module.split(".")[1])
        if isinstance(node, ast.Import):
            found.update(name.name.split(".")[0] for name in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_nothing_below_imports_a_display():
    checked = 0
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room in DISPLAYS | MAY_IMPORT_DISPLAYS or path.stem in MAY_IMPORT_DISPLAYS:
            continue
        assert not imports(path, everywhere=False) & DISPLAYS, path
        checked += 1
    assert checked > 15


def test_displays_import_only_results_and_comparisons():
    allowed = {"result", "comparison", "inspection", "layer_tree", "progress", "suggestions"} | DISPLAYS
    rooms = {path.stem for path in ROOT.glob("*.py")} | {path.name for path in ROOT.iterdir() if path.is_dir()}
    paths = [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0].removesuffix(".py") in DISPLAYS]
    assert paths
    for path in paths:
        assert (imports(path, everywhere=True) & rooms) - {"simwidget"} <= allowed, path


def test_results_and_plots_never_import_torch():
    for name in (
        "result.py",
        "result_files.py",
        "validation.py",
        "report.py",
        "printable.py",
        "layer_tree.py",
        "inspection.py",
        "progress.py",
        "suggestions.py",
        "plots/heatmap.py",
    ):
        assert "torch" not in imports(ROOT / name, everywhere=True)
    code = "import sys, simwidget.result, simwidget.plots, simwidget.inspection; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_the_state_and_the_measures_do_not_know_the_run():
    for name in ("kernels.py", "rows.py", "accumulators.py", "jackknife.py", "grams.py"):
        assert not imports(ROOT / name, everywhere=True) & {"stream", "comparison", "evaluation", "result", "api"}
