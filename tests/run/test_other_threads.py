"""Other threads use the networks of a run while runs begin and end; copies that are made during a run."""

from benchmarks.threads import use_during_runs


def test_nothing_is_ever_missing_for_other_threads():
    uses = use_during_runs(n_runs=10, n_modules=600)
    assert [use.problem for use in uses] == [None] * 3
    assert min(use.count for use in uses) > 0
