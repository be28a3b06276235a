"""Curves over batches, the latest Gram matrices, and differences with their own errors."""

import numpy as np
import pytest
import reference
import torch

import simwidget as sw
from simwidget.estimate.history import History
from simwidget.estimate.jackknife import pseudo_values


@pytest.fixture(scope="module")
def models():
    return {name: reference.mlp([6, 8, 4], seed=seed) for seed, name in enumerate("ab")}


@pytest.fixture(scope="module")
def batches():
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(64, 6, generator=generator) for _ in range(40)]


def compared(models, batches, **options):
    comparison = sw.compare(models, batches, device="cpu", **options)
    comparison.run(False)
    return comparison


@pytest.mark.parametrize("options", [{}, {"average": "cka"}, {"confounder": ["input", lambda b: b[:, :2]]}])
def test_curve_is_what_shorter_runs_give(models, batches, options):
    comparison = compared(models, batches, **options)
    layer_x, layer_y = comparison.result.layers_x[1], comparison.result.layers_y[0]
    curves = comparison.convergence(layer_x, layer_y)
    assert set(curves) == {"cka", "dcka", "cka-dcka"}
    for k in (1, 2, 7, 40):
        shorter = compared(models, batches[:k], **options).result
        for measure, curve in curves.items():
            at = list(curve.n_batches).index(k)
            assert curve.values[at] == pytest.approx(shorter.matrix(measure)[1, 0], abs=1e-6)
    for measure, curve in curves.items():
        assert curve.stderr[-1] == pytest.approx(comparison.result.stderr(measure)[1, 0], abs=1e-12)


def test_errors_of_the_curve_are_jackknifes_of_blocks(models, batches):
    """Up to 16 batches each batch is a block of its own, as it is a group of its own in a shorter run."""
    comparison = compared(models, batches)
    curve = comparison.convergence("0", "2")["dcka"]
    shorter = compared(models, batches[:16]).result
    i, j = shorter.layers_x.index("0"), shorter.layers_y.index("2")
    assert curve.stderr[15] == pytest.approx(shorter.stderr("dcka")[i, j], rel=1e-3)
    assert np.isnan(curve.stderr[0])
    assert np.isfinite(curve.stderr[1:]).all()
    assert curve.stderr[30] < curve.stderr[3]


def test_a_long_run_keeps_few_moments():
    history = History(n_rows=3, max_points=20)
    for k in range(1, 1001):
        if history.count_gram():
            history.append(k, torch.eye(3) * k, float(k))
    kept = [point.n_batches for point in history.points]
    assert 10 <= len(kept) < 20
    assert len(set(np.diff(kept))) == 1
    assert 1000 - kept[-1] < kept[1] - kept[0]
    assert History(n_rows=5000)._max_points == 16


def test_a_moment_gives_the_products_of_some_rows():
    history, products = History(n_rows=5), torch.randn(5, 5)
    products = products + products.T
    history.count_gram()
    history.append(1, products, 1.0)
    rows = torch.tensor([0, 3, 1, 3])
    assert torch.equal(history.points[0].select(rows).products, products[rows][:, rows].double())


def test_the_error_of_a_difference_knows_that_both_share_their_batches(models, batches):
    result = compared(models, batches).result
    assert result.differences == ("cka-dcka",)
    assert result.title("cka-dcka") == "CKA − dCKA"
    assert result.kind("cka-dcka") == "difference"
    assert np.allclose(result.matrix("cka-dcka"), result.matrix("cka") - result.matrix("dcka"))
    # each batch's contribution left out by hand
    single_pass = sw.compare(models, batches, device="cpu")._held.single_pass
    with single_pass:
        for batch in batches:
            single_pass.step(batch)
    pass_state = single_pass.freeze()
    sums = next(iter(pass_state.sums.values()))

    def difference(products, weight):
        s = products.numpy()
        residual = s - np.outer(s[:, 0], s[0]) / s[0, 0]
        i, j = pass_state.layers[0][0], pass_state.layers[1][1]
        cka = s[i, j] / np.sqrt(s[i, i] * s[j, j])
        dcka = residual[i, j] / np.sqrt(residual[i, i] * residual[j, j])
        return torch.tensor([[cka - dcka]])

    expected = pseudo_values(difference, sums).estimate().stderr.item()
    assert result.stderr("cka-dcka")[0, 1] == pytest.approx(expected, rel=1e-9)
    apart = np.hypot(result.stderr("cka")[0, 1], result.stderr("dcka")[0, 1])
    assert abs(result.stderr("cka-dcka")[0, 1] - apart) > 0.05 * apart
    assert sw.compare(models, batches, measures="cka", device="cpu").result.differences == ()


def test_gram_matrix_of_the_latest_batch(models, batches):
    comparison = sw.compare(models, batches, device="cpu")
    assert comparison.gram("0") is None
    comparison.run(False)
    with torch.no_grad():
        x = models["b"][0](batches[-1])
    x = x - x.mean(0)
    assert np.allclose(comparison.gram("0", "b"), (x @ x.T).numpy(), atol=1e-4)
    with pytest.raises(ValueError, match="no layer 'nope'"):
        comparison.gram("nope")
    with pytest.raises(ValueError, match="no model 'c'"):
        comparison.gram("0", "c")


def test_large_gram_matrices_are_cut(models, batches, monkeypatch):
    monkeypatch.setattr("simwidget.run.single_pass.GRAM_BYTES", 5 * 10 * 10 * 4)
    gram = compared(models, batches[:2]).gram("0")
    assert gram.shape == (10, 10)


def test_curves_of_layers_without_numbers_are_missing(models, batches):
    flat = torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.Linear(3, 2))
    torch.nn.init.zeros_(flat[1].weight)
    comparison = compared({"flat": flat, "a": models["a"]}, batches[:3])
    curves = comparison.convergence("1", "0")
    assert all(np.isnan(curve.values).all() and np.isnan(curve.stderr).all() for curve in curves.values())
    assert np.isfinite(comparison.convergence("0", "0")["cka"].values).all()


def test_watchers_hear_of_batches_and_states(models, batches):
    comparison = sw.compare(models, batches[:3], device="cpu")
    heard = []
    leave = comparison.watch(lambda: heard.append((comparison.state, comparison.n_batches)))
    comparison.run(False)
    assert heard == [("running", 0), ("running", 1), ("running", 2), ("running", 3), ("finished", 3)]
    assert comparison.progress.n_samples == 192
    assert comparison.progress.seconds > 0
    leave()
    assert not comparison._lifecycle._watchers
