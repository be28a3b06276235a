"""Imports of the front end run one way: page > map, inspector > parts > state, and no two files import each other."""

import re
from pathlib import Path

import pytest

JS = Path(__file__).parent.parent / "js"
MAY_IMPORT = {
    "state": set(),
    "parts": {"state"},
    "map": {"parts", "state"},
    "inspector": {"parts", "state"},
    "page": {"map", "inspector", "parts", "state"},
    "": {"page", "map", "inspector", "parts", "state"},  # widget.ts, the entry
}
# `import ... from "./x"`, `export ... from "./x"` and `import "./x"`, over several lines too, of types or of values
IMPORT = re.compile(r'^(?:import|export)\b[^;"]*?"(\.[^"]+)"', re.MULTILINE)


def imports_of(root):
    """For each file, by its path without ending, the files of the front end that it imports."""
    found = {}
    for path in sorted(root.rglob("*.ts")):
        targets = [(path.parent / target).resolve() for target in IMPORT.findall(path.read_text())]
        found[path.relative_to(root).with_suffix("").as_posix()] = [
            target.relative_to(root.resolve()).as_posix() for target in targets
        ]
    return found


def folder_of(file):
    return file.rpartition("/")[0]


def arrows_against_the_order(imports):
    """Imports of another folder that is not below the file's own."""
    return [
        f"{file} -> {target}"
        for file, targets in imports.items()
        for target in targets
        if folder_of(target) != folder_of(file) and folder_of(target) not in MAY_IMPORT[folder_of(file)]
    ]


def circle(imports):
    """One circle of files, as the path around it; empty if there is none."""
    done = set()

    def walk(file, path):
        if file in path:
            return [*path[path.index(file) :], file]
        if file in done:
            return []
        for target in imports[file]:
            if around := walk(target, [*path, file]):
                return around
        done.add(file)
        return []

    return next((" -> ".join(around) for file in imports if (around := walk(file, []))), "")


def test_every_import_leads_to_a_file_of_a_known_folder():
    imports = imports_of(JS)
    assert len(imports) > 40
    assert {folder_of(file) for file in imports} == set(MAY_IMPORT)
    assert not {target for targets in imports.values() for target in targets} - set(imports)


def test_folders_import_only_those_below_them():
    assert not arrows_against_the_order(imports_of(JS))


def test_no_two_files_import_each_other():
    assert not circle(imports_of(JS))


TURNED = [
    ("state/pairs", 'import type { Plot } from "../map/plot";', "state/pairs -> map/plot"),
    ("parts/dom", 'import {\n  Panel,\n} from "../inspector/panel";', "parts/dom -> inspector/panel"),
    ("map/side", 'export * from "../inspector/names";', "map/side -> inspector/names"),
    ("inspector/names", 'import "../page/view";', "inspector/names -> page/view"),
]


@pytest.mark.parametrize(("file", "line", "arrow"), TURNED)
def test_an_arrow_that_is_turned_is_named(tmp_path, file, line, arrow):
    for path in JS.rglob("*.ts"):
        copy = tmp_path / path.relative_to(JS)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(path.read_text())
    path = tmp_path / f"{file}.ts"
    path.write_text(f"{line}\n{path.read_text()}")
    assert arrows_against_the_order(imports_of(tmp_path)) == [arrow]


def test_a_circle_is_named():
    imports = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["e"], "e": ["b"]}
    assert circle(imports) == "b -> d -> e -> b"
    assert circle({**imports, "e": []}) == ""
