"""Undo each fix in turn and see its test fail: `python -m tests.mutants [NAME ...]`.

Every patch beside this file is named after the test of a `tests/test_traps*.py` that guards the fix, with an optional
`--variant`. Each is applied alone to a copy of the package, and that one test is run against the copy: it must fail.
The same test must pass on the unpatched copy, and every trap must have a patch.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def outcome(tree: Path, test: str) -> str:
    """ "passed", "failed", or what else pytest made of one test function and its parameters."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    traps = [str(path) for path in (tree / "tests").glob("test_traps*.py")]
    run = subprocess.run([*command, *traps, "-k", test], cwd=tree, capture_output=True, text=True, check=False)
    known = {0: "passed", 1: "failed"}
    return known.get(run.returncode, f"pytest exit {run.returncode}: {run.stdout[-800:]}")


def main(wanted: list[str]) -> int:
    traps = "\n".join(path.read_text() for path in sorted((ROOT / "tests").glob("test_traps*.py")))
    tests = re.findall(r"^def (test_\w+)", traps, re.MULTILINE)
    patches = sorted(HERE.glob("*.patch"))
    guarded = {patch.stem.partition("--")[0] for patch in patches}
    wrong = [f"{test} has no patch" for test in tests if test not in guarded]
    wrong += [f"{name} guards no test" for name in guarded if name not in tests]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for part in ("simwidget", "tests", "pyproject.toml"):
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, tree / part)
        if not wanted and outcome(tree, "test") != "passed":
            wrong.append("the tests do not pass without a patch")
        for patch in patches:
            if wanted and patch.stem not in wanted:
                continue
            shutil.rmtree(tree / "simwidget")
            shutil.copytree(ROOT / "simwidget", tree / "simwidget", ignore=shutil.ignore_patterns("__pycache__"))
            subprocess.run(["patch", "-s", "-p1", "-i", patch], cwd=tree, check=True)
            found = outcome(tree, patch.stem.partition("--")[0])
            print(f"{'ok  ' if found == 'failed' else 'FAIL'}  {patch.stem}: the test {found}", flush=True)
            if found != "failed":
                wrong.append(f"{patch.stem}: the fix is undone and its test {found}")
    print("\n".join(wrong) or "every fix is guarded by its test")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
