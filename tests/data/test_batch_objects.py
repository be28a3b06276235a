"""Batches that are objects of a class that nobody here knows."""

import io
import threading

import numpy as np
import pytest
import torch
from kinds.graphs import LAYERS, Counted, Graphs, Net, graphs, mean_of_nodes
from kinds.nets import seeded
from torch import nn

import simwidget as sw
from simwidget.data.batch_hash import hash_batch
from simwidget.data.batch_objects import copy_to, count_of_object, is_batch_object
from simwidget.data.parsing import parse_batch
from simwidget.data.splitting import take_samples

CPU = torch.device("cpu")


class Plain:
    """Holds what it is given."""

    def __init__(self, **given):
        vars(self).update(given)


class Breaks(Plain):
    @property
    def num_graphs(self):
        raise ValueError("the batch was not made of graphs")


def run(batches, net=Net, **options):
    options = {"measures": "cka", "device": "cpu", "layers": LAYERS, **options}
    return sw.compare({"net": seeded(net)}, batches, **options).run(progress=False)


def test_what_is_a_batch_object():
    for one in (graphs()[0], Plain(x=torch.zeros(2)), Plain(parts={"deep": [torch.zeros(2)]})):
        assert is_batch_object(one)
    others = (
        torch.zeros(2), {"x": torch.zeros(2)}, (torch.zeros(2),), "text", 3, None, np.zeros(3), Plain(text="some"),
        nn.Linear(2, 2), Net, io.BytesIO(),
    )  # fmt: skip
    assert not [one for one in others if is_batch_object(one)]


@pytest.mark.parametrize(
    ("value", "n"),
    [
        (Plain(num_graphs=3), 3), (Plain(batch_size=4), 4), (Plain(num_graphs=3, batch_size=3), 3),
        (Plain(num_graphs=3, batch_size=4), None), (Plain(num_graphs=3.5), None), (Plain(), None), (Breaks(), None),
    ],
)  # fmt: skip
def test_the_number_of_samples(value, n):
    assert count_of_object(value) == n


def test_labels_are_an_attribute():
    batch = graphs()[0]
    assert parse_batch(batch, 0).labels is batch.y
    assert parse_batch((batch, torch.zeros(24)), 0).labels is batch.y
    assert parse_batch(Plain(x=torch.zeros(5), num_graphs=3, y=torch.zeros(3)), 0).labels is None


def test_a_copy_shares_nothing_with_the_batch():
    batch = graphs()[0]
    copied = copy_to(batch, CPU)
    assert isinstance(copied, Counted)
    assert torch.equal(copied.x, batch.x)
    assert copied.x.data_ptr() != batch.x.data_ptr()
    without = Plain(x=torch.zeros(2))
    assert copy_to(without, CPU).x is not without.x


def test_the_copy_is_on_the_device_and_the_batch_is_not():
    batch = graphs()[0]
    assert copy_to(batch, torch.device("meta")).x.is_meta
    assert not batch.x.is_meta


def test_what_cannot_be_copied_is_refused_and_the_advice_helps():
    """A lock can belong to one object only."""
    batches = graphs(lock=threading.Lock())
    with pytest.raises(TypeError, match=r"the batch is a Counted, which cannot be copied \(.*\): pass inputs= a"):
        run(batches)
    net = lambda: nn.Sequential(nn.Linear(4, 3))  # noqa: E731
    result = run(batches, net, layers=["0"], inputs=lambda batch: mean_of_nodes(batch.x, batch))
    assert result.n_samples == 72


def test_the_advice_for_a_batch_of_unknown_number_helps():
    counted = run(graphs())
    told = run(graphs(Graphs), batch_size=lambda batch: len(batch.y))
    assert np.array_equal(told.matrix("cka"), counted.matrix("cka"))
    net = lambda: nn.Sequential(nn.Linear(4, 3))  # noqa: E731
    assert run(graphs(Graphs), net, layers=["0"], inputs=lambda batch: mean_of_nodes(batch.x, batch)).n_samples == 72


def test_the_function_counts_the_batches_of_the_loader():
    net = lambda: nn.Sequential(nn.Linear(4, 3))  # noqa: E731
    inputs = lambda batch: mean_of_nodes(batch.x, batch)  # noqa: E731
    options = {"layers": ["0"], "inputs": inputs, "batch_size": lambda batch: len(batch.y)}
    assert run(graphs(Graphs), net, **options).n_samples == 72


def test_what_the_function_raises_has_its_place():
    with pytest.raises(AttributeError, match="n_graphs") as error:
        run(graphs(Graphs), batch_size=lambda batch: batch.n_graphs)
    assert "in batch_size= for batch 0" in str(error.value.__notes__ if hasattr(error.value, "__notes__") else error)


def test_tensors_of_objects_are_hashed():
    first, again, other = graphs()[0], graphs()[0], graphs()[1]
    assert hash_batch(first) == hash_batch(again) != hash_batch(other)
    again.x[3] += 1
    assert hash_batch(first) != hash_batch(again)
    assert hash_batch((first, 1)) != hash_batch((other, 1))


def test_objects_cannot_be_split():
    batch = graphs()[0]
    for raw in (batch, (batch, batch.y), {"graphs": batch}):
        with pytest.raises(RuntimeError, match="a Counted cannot be split into smaller batches: use smaller batches"):
            take_samples(raw, parse_batch(raw, 0), slice(0, 12))
    raw = (batch.x, batch.edge_index, batch.batch)
    with pytest.raises(RuntimeError, match="batch_size= cannot be split into smaller batches: use smaller batches"):
        take_samples(raw, parse_batch(raw, 0, n_told=24), slice(0, 12))


def test_where_memory_runs_out_smaller_batches_help():
    class Large(Net):
        def forward(self, data):
            if len(data.y) > 12:
                raise torch.OutOfMemoryError("out of memory")
            return super().forward(data)

    with pytest.raises(RuntimeError, match="a Counted cannot be split into smaller batches: use smaller batches"):
        run(graphs(), Large, auto_batch=True)
    assert run(graphs(n=12), Large, auto_batch=True).n_samples == 36


@pytest.mark.parametrize("kind", [Counted, Graphs])
def test_a_run_goes_on_after_a_checkpoint(tmp_path, kind):
    torch.manual_seed(0)
    net, path = Net(), tmp_path / "run.simw"
    options = {} if kind is Counted else {"batch_size": lambda batch: len(batch.y)}
    plain = {"measures": "cka", "device": "cpu", "layers": LAYERS, "gram_batch": 16, **options}
    whole = sw.compare({"net": net}, graphs(kind), **plain).run(progress=False)
    sw.compare({"net": net}, graphs(kind), checkpoint=path, max_batches=2, **plain).run(progress=False)
    if options:
        with pytest.raises(ValueError, match=r"batch_size=, which a file cannot hold: give it again"):
            sw.resume(path, {"net": net}, graphs(kind), max_batches=None)
    rest = sw.resume(path, {"net": net}, graphs(kind), max_batches=None, **options).run(progress=False)
    assert np.array_equal(rest.matrix("cka"), whole.matrix("cka"))
    others = graphs(kind, count=4)[1:]
    with pytest.raises(ValueError, match="first batch of the loader differs"):
        sw.resume(path, {"net": net}, others, max_batches=None, **options).run(progress=False)


def test_the_function_belongs_to_the_run():
    def graphs_in(batch):
        return len(batch.y)

    result = run(graphs(Graphs), batch_size=graphs_in)
    assert result.provenance["options"]["batch_size"].endswith("graphs_in")
    assert "batch_size=" in result.report()
    assert "batch_size" not in run(graphs()).provenance["options"]


def test_a_description_of_a_network_of_graphs():
    for kind, options in ((Counted, {}), (Graphs, {"batch_size": lambda batch: len(batch.y)})):
        found = sw.describe(Net(), graphs(kind)[0], device="cpu", **options)
        assert found.n_samples == 24
        assert found["hidden"].output == (24, 5)


def test_the_input_is_no_tensor_and_the_advice_helps():
    with pytest.raises(ValueError, match=r"not one tensor .*give confounder= a callable from the batch"):
        run(graphs(), measures="dcka")
    removed = lambda batch: mean_of_nodes(batch.x, batch)  # noqa: E731
    result = run(graphs(), measures="dcka", confounder=removed)
    assert not np.isnan(result.matrix("dcka")).any()


def test_samples_of_objects_have_labels_and_no_pictures():
    batches = graphs()
    comparison = sw.compare({"net": Net()}, batches, measures="cka", device="cpu", layers=LAYERS, gram_batch=24)
    comparison.run(progress=False)
    found = comparison.inspect("hidden", "head")
    everything = torch.cat([batch.y for batch in batches])
    for sample in (*found.least, *found.most):
        assert sample.label == everything[sample.index]
        assert sample.thumbnail is None


def test_a_network_that_takes_parts_of_the_batch_is_called_by_the_users_function():
    class InParts(Net):
        def forward(self, x, edge_index, batch):
            return self.head(self.hidden(self.two(torch.relu(self.one(x)))))

    with pytest.raises(TypeError, match=r"; pass forward= a function .*, forward\(model, batch\)"):
        run(graphs(), InParts)
    result = run(graphs(), InParts, forward=lambda model, one: model(one.x, one.edge_index, one.batch))
    assert result.n_samples == 72
    assert not result.reasons("cka", "net")
