"""Patches that undo one fix each; `python -m tests.mutants` proves that the matching test fails."""
