"""Every kind of model and batch in the table: its numbers against an oracle, and what a run leaves as it was."""

import re
import warnings
from contextlib import contextmanager

import numpy as np
import pytest

import simwidget as sw
from kinds import (
    batches,
    calls,
    confounders,
    graphs,
    libraries,
    masks,
    models,
    oracle,
    outputs,
    promises,
    representations,
    sequences,
    space,
    speech,
    squares,
    wrapped,
)

TABLES = (
    outputs, sequences, representations, masks, squares, speech, space, batches, graphs, calls, libraries, wrapped,
    models, confounders,
)  # fmt: skip
KINDS = [kind for table in TABLES for kind in table.KINDS]
TOLERANCE = 1e-4
LONG = 60.0
"""Seconds: a background run that takes longer hangs."""
every_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.id for kind in KINDS])


@pytest.fixture
def case(kind):
    case = kind.build()
    yield case
    case.after()


def comparison(case, loader):
    options = {"measures": case.measures, "device": "cpu", **case.options}
    return sw.compare(dict(case.models), loader, layers=case.layers, **options)


@contextmanager
def noted(case):
    """Notes become warnings, which fail a test: those that the row tells of may come, and no others."""
    with warnings.catch_warnings():
        for text in (*case.notes, *case.foreign):
            warnings.filterwarnings("ignore", f".*{text}")
        yield


def test_the_table_is_large():
    assert len(KINDS) >= 40
    assert len({kind.id for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("how", ["run", "start"])
@every_kind
def test_values(case, how):
    networks = oracle.copies(case)
    with noted(case):
        with case.around():
            run = comparison(case, case.loader(case.batches))
            result = run.run(progress=False) if how == "run" else run.start()
        if how == "start":
            result = run.wait(LONG)
        with case.around():
            values, keys = oracle.expected(case, networks)
    assert [(model, layer) for model in result.models for layer in result.layers(model)] == keys
    assert set(result.measures) == set(values)
    for measure, value in values.items():
        for x in result.models:
            for y in result.models:
                wanted = value[np.ix_(_of(keys, x), _of(keys, y))]
                np.testing.assert_allclose(
                    result.matrix(measure, (x, y)), wanted, rtol=0, atol=TOLERANCE, err_msg=f"{measure} of {x} and {y}"
                )
        given = {f"{x}:{layer}": text for x in result.models for layer, text in result.reasons(measure, x).items()}
        why = {**case.reasons, **dict.fromkeys(case.explained if measure == "dcka" else (), "explained by")}
        assert given.keys() == why.keys()
        assert all(text in given[layer] for layer, text in why.items())
    for pattern in case.notes:
        assert any(re.search(pattern, note) for note in result.notes), pattern


def _of(keys, model):
    return [position for position, (name, _) in enumerate(keys) if name == model]


class BrokenError(Exception):
    pass


def breaks_in(batch, case, at):
    """In that batch of the loader, raise in the last layer of the last model, when all others have run."""
    name = list(case.models)[-1]

    def hook(module, args):
        if at["batch"] == batch:
            raise BrokenError

    last = [layer for layer in case.layers_of(name) if f"{name}:{layer}" not in case.reasons][-1]
    case.original(name).get_submodule(last).register_forward_pre_hook(hook)


@pytest.mark.parametrize("ending", ["finished", "failed", "stopped"])
@every_kind
def test_promises(case, ending):
    at = {"batch": -1}

    def drawing():
        for number, batch in enumerate(case.batches):
            at["batch"] = number
            promises.draw()
            yield batch

    if ending == "failed":
        breaks_in(2, case, at)
    models = [*case.models.values(), *case.plain.values()]
    promises.use(models)
    run = comparison(case, drawing())
    before = promises.record(models, case.batches)
    with noted(case), case.around():
        around = promises.record([], [])
        if ending == "stopped":
            run.watch(lambda: run.stop() if run.n_batches == 2 else None)
        if ending == "failed":
            with pytest.raises(BrokenError):
                run.run(progress=False)
        else:
            run.run(progress=False)
        assert promises.record([], []) == around
    after = promises.record(models, case.batches)
    assert run.state == ending
    assert run.n_batches == {"finished": len(case.batches), "failed": 2, "stopped": 2}[ending]
    for place, was in before.items():
        assert after[place] == was, place


@every_kind
def test_promises_in_the_background(case):
    """Where the loader draws, other cells may be drawing too; what the models draw is put back."""
    models = [*case.models.values(), *case.plain.values()]
    promises.use(models)
    before = promises.record(models, case.batches)
    with noted(case):
        with case.around():
            run = comparison(case, case.batches).start()
        run.wait(LONG)
    after = promises.record(models, case.batches)
    if case.draws_late:
        assert after["process"].pop("torch") != before["process"].pop("torch")
    for place, was in before.items():
        assert after[place] == was, place
