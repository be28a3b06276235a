"""What is shipped."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import simwidget

ROOT = Path(__file__).parent.parent
SHIPPED = {
    "simwidget/py.typed",
    "simwidget/static/heatmap.js",
    "simwidget/static/heatmap.css",
    "simwidget/static/loader.js",
    "simwidget/demo/images.npz",
    "simwidget/demo/seed0.safetensors",
    "simwidget/demo/seed1.safetensors",
    "simwidget/demo/untrained.safetensors",
    "simwidget/demo/LICENSE",
}
LIMIT = 180_000


def test_styles_stay_inside_the_heatmap():
    sheets = "".join(path.read_text() for path in sorted((ROOT / "js").rglob("*.css")))
    styles = re.sub(r"/\*.*?\*/|@import .*?;", "", sheets, flags=re.DOTALL)
    selectors = [one.strip() for group in re.findall(r"([^{}]+)\{", styles) for one in group.split(",\n")]
    rules = [one for one in selectors if not one.startswith("@")]
    assert len(rules) > 200
    outside = [one for one in rules if not re.match(r"(body(\[|:)[^ ]+ )?\.simwidget-heatmap\b", one)]
    assert not outside


def test_one_version_for_python_and_javascript():
    package = json.loads((ROOT / "package.json").read_text())
    assert package["version"] == simwidget.__version__
    assert json.loads((ROOT / "package-lock.json").read_text())["version"] == simwidget.__version__


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """A source distribution built from a clean copy: without anything built before."""
    folder = tmp_path_factory.mktemp("build")
    tree = folder / "tree"
    skipped = shutil.ignore_patterns(
        ".venv", "node_modules", "static", "out", "dist", ".git", "__pycache__", ".*_cache"
    )
    shutil.copytree(ROOT, tree, ignore=skipped)
    subprocess.run(
        [sys.executable, "-m", "build", "--sdist", "--outdir", folder, tree], check=True, capture_output=True
    )
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist):
    """The wheel made from that source distribution where there is no Node."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", sdist.parent, sdist]
    path = os.pathsep.join(
        folder for folder in os.environ["PATH"].split(os.pathsep) if not any(Path(folder).glob("np[mx]"))
    )
    assert shutil.which("npm", path=path) is None
    subprocess.run(command, check=True, env={**os.environ, "PATH": path}, capture_output=True)
    return next(sdist.parent.glob("*.whl"))


def test_the_wheel_carries_the_front_end_and_the_example(wheel):
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    assert set(sizes) >= SHIPPED
    assert not any(name.startswith(("tests", "js", "benchmarks")) for name in sizes)
    assert 5_000 < sizes["simwidget/static/heatmap.js"] + sizes["simwidget/static/heatmap.css"] < LIMIT
