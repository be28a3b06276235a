"""A run ends at a limit: of batches, samples or seconds, or of its standard errors."""

import math

import numpy as np
import pytest
import reference
import torch

import simwidget as sw
from simwidget.plan.limits import Limits
from simwidget.run.until_limit import UntilLimit


def batches(n, size=32, seed=0):
    return list(torch.randn(n, size, 6, generator=torch.Generator().manual_seed(seed)))


def compare(loader, **options):
    torch.manual_seed(0)
    models = {"a": reference.mlp([6, 8, 4]), "b": reference.mlp([6, 8, 4])}
    return sw.compare(models, loader, gram_batch=32, device="cpu", **options)


def errors(result):
    """Standard errors of all cells, collected independently of the package."""
    found = []
    for measure in result.measures:
        for view in ("xy", "xx", "yy"):
            stderr = result.stderr(measure, view)
            a, b = stderr.shape
            found += [stderr[i, j] for i in range(a) for j in range(b) if view == "xy" or i < j]
    return np.array(found)


def test_max_samples_ends_with_the_batch_that_reaches_it():
    result = compare(batches(9), max_samples=100).run(False)
    assert (result.n_batches, result.n_samples) == (4, 128)
    assert result.complete
    assert result.provenance["ended_by"] == "max_samples=100"


def test_max_samples_counts_those_that_wait_to_be_joined():
    torch.manual_seed(0)
    comparison = sw.compare({"a": reference.mlp([6, 8, 4])}, batches(9), gram_batch=200, device="cpu", max_samples=100)
    assert comparison.run(False).n_samples == 128


def test_max_seconds_counts_no_pauses(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("simwidget.run.runner.time.monotonic", lambda: clock[0])

    def later(batch):
        clock[0] += 2.0
        return batch

    comparison = compare(batches(9), max_seconds=5, inputs={"a": later})
    comparison.watch(lambda: clock.__setitem__(0, clock[0] + 100))  # between two batches
    result = comparison.run(False)
    assert result.n_batches == 3
    assert result.provenance["ended_by"] == "max_seconds=5"


def test_the_first_limit_counts():
    assert compare(batches(9), max_batches=5, max_samples=70).run(False).n_batches == 3
    assert compare(batches(9), max_batches=2, max_samples=70).run(False).n_batches == 2


def test_until_ends_when_every_error_is_small_enough():
    result = compare(batches(400), until=0.012).run(False)
    assert 16 < result.n_batches < 400
    assert errors(result).max() < 0.012
    assert result.provenance["ended_by"] == "until=0.012"
    assert result.provenance["options"]["until"] == 0.012
    # it is looked at after every twentieth more: not long before, they were too large
    before = compare(batches(400), max_batches=int(result.n_batches / 1.2)).run(False)
    assert errors(before).max() > 0.012


def test_until_a_share_of_the_cells_is_small_enough():
    all_cells = compare(batches(400), until=0.012).run(False)
    most = compare(batches(400), until=0.012, until_quantile=0.5).run(False)
    assert most.n_batches < all_cells.n_batches
    assert (errors(most) < 0.012).mean() >= 0.5
    assert errors(most).max() > 0.012


def test_until_waits_for_all_groups():
    assert compare(batches(60), until=1e9).run(False).n_batches == 16


def test_until_that_is_never_reached_takes_all():
    result = compare(batches(20), until=1e-9).run(False)
    assert result.n_batches == 20
    assert result.complete
    assert "ended_by" not in result.provenance


def test_until_looks_past_layers_without_numbers():
    class Constant(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = torch.nn.Linear(6, 4), torch.nn.Linear(6, 4)
            torch.nn.init.zeros_(self.b.weight)

        def forward(self, x):
            return self.a(x) + self.b(x)

    result = sw.compare({"a": Constant(), "b": Constant()}, batches(100), gram_batch=32, device="cpu", until=1e3).run(
        False
    )
    assert result.n_batches == 16


def test_the_same_batches_in_every_run():
    ends = {compare(batches(400), until=0.014).run(False).n_batches for _ in range(3)}
    assert len(ends) == 1


def test_a_resumed_run_ends_at_the_same_batch(tmp_path):
    path = tmp_path / "run.simw"
    expected = compare(batches(400), until=0.014).run(False)
    torch.manual_seed(0)
    models = {"a": reference.mlp([6, 8, 4]), "b": reference.mlp([6, 8, 4])}
    options = {"gram_batch": 32, "device": "cpu"}
    sw.compare(models, batches(400), checkpoint=path, max_batches=20, until=0.014, **options).run(False)
    result = sw.resume(path, models, batches(400), max_batches=None, device="cpu").run(False)
    assert result.n_batches == expected.n_batches
    np.testing.assert_array_equal(result.matrix("dcka"), expected.matrix("dcka"))


def test_the_time_left_is_that_until_the_limit():
    """Errors fall with the square root of the number of batches: at twice the limit, four times as many are needed."""
    watch = UntilLimit(Limits(until=0.01))
    result = compare(batches(20)).run(False)
    error = watch.error(result)
    assert error == pytest.approx(errors(result).max())
    assert not watch.look(result, 20)
    assert watch.n_batches_needed == math.ceil(20 * (error / 0.01) ** 2)

    comparison = compare(batches(1000), until=error / 2)
    seen = []
    comparison.watch(lambda: seen.append(comparison.progress) if comparison.state == "running" else None)
    end = comparison.run(False).n_batches
    late = [one for one in seen if one.n_batches_needed is not None]
    assert late
    assert seen[5].n_batches_likely == 1000
    assert all(one.n_batches_likely == min(1000, max(one.n_batches, one.n_batches_needed)) for one in late)
    assert late[len(late) // 2].n_batches_needed == pytest.approx(end, rel=0.5)
    one = late[len(late) // 2]
    assert one.seconds_left == pytest.approx((one.n_batches_likely - one.n_batches) * one.seconds / one.n_batches)


def test_limits_on_length_are_estimated_too():
    limits = Limits(max_samples=1000, max_seconds=50)
    assert limits.batches_needed(5, 100, 10.0, None) == 25  # 20 samples a batch would be 50, 2 s a batch 25
    assert limits.batches_needed(5, 100, 1.0, None) == 50
    assert limits.batches_needed(5, 100, 1.0, 7) == 7
    assert Limits().batches_needed(5, 100, 1.0, None) is None
    assert limits.batches_needed(0, 0, 0.0, None) is None


BAD = [
    ({"max_samples": 0}, "max_samples=0: give a whole number from 1 on"),
    ({"max_samples": True}, "max_samples=True"),
    ({"max_batches": 0}, "max_batches=0"),
    ({"max_seconds": -1}, "max_seconds=-1: give a number of seconds, above 0"),
    ({"max_seconds": "1 h"}, "max_seconds='1 h'"),
    ({"until": 0}, "until=0: give a standard error, such as 0.01, above 0"),
    ({"until": float("nan")}, "until=nan"),
    ({"until": 0.01, "until_quantile": 1.5}, "until_quantile=1.5: give the share of cells"),
    ({"until_quantile": 0}, "until_quantile=0"),
    ({"checkpoint_seconds": -1}, "checkpoint_seconds=-1"),
]


@pytest.mark.parametrize(("options", "text"), BAD)
def test_what_is_no_limit_is_refused_at_once(options, text):
    with pytest.raises(ValueError, match=r".") as found:
        compare([], **options)
    assert text in str(found.value)
