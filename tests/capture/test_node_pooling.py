"""Outputs for the nodes of graphs, as outputs for the graphs."""

import pytest
import torch
from kinds.graphs import LAYERS, NODES, Counted, Edges, Net, graphs, mean_of_nodes
from kinds.nets import seeded
from torch import nn

import simwidget as sw
from simwidget.capture.node_pooling import NodePooling
from simwidget.data.graphs import find_graphs
from simwidget.data.parsing import parse_batch


def run(batches, net=Net, **options):
    options = {"measures": "cka", "device": "cpu", **options}
    return sw.compare({"net": seeded(net)}, batches, **options).run(progress=False)


def pool(output, batch=None, call="layer"):
    pooling = NodePooling()
    pooling.begin(parse_batch(graphs()[0] if batch is None else batch, 0))
    return pooling.pool(call, output)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64])
@pytest.mark.parametrize("shape", [(), (5,), (2, 5)])
def test_the_mean_over_the_nodes_of_each_graph(dtype, shape):
    batch = graphs()[0]
    output = torch.randn(batch.num_nodes, *shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    wide = output.to(torch.complex128 if dtype.is_complex else torch.float64)
    torch.testing.assert_close(pool(output).to(wide.dtype), mean_of_nodes(wide, batch), rtol=0, atol=1e-6)


def test_what_is_not_for_nodes_stays_as_it_is():
    batch = graphs()[0]
    others = torch.randn(24, 5), torch.randn(batch.edge_index.shape[1], 5), torch.arange(batch.num_nodes), "text", None
    assert all(one is other for one, other in zip(pool(others), others, strict=True))
    nodes = torch.randn(batch.num_nodes, 5)
    assert pool({"nodes": nodes, "graphs": others[0]})["nodes"].shape == (24, 5)
    assert pool(nodes, torch.randn(24, 3)) is nodes


def test_the_same_output_is_pooled_once():
    """So that a block that returns the output of its last layer repeats that layer."""
    pooling, batch = NodePooling(), graphs()[0]
    pooling.begin(parse_batch(batch, 0))
    nodes = torch.randn(batch.num_nodes, 5)
    first = pooling.pool("block.last", nodes)
    assert pooling.pool("block", nodes) is first
    nodes.relu_()
    assert pooling.pool("after", nodes) is not first

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(4, 8)

        def forward(self, x):
            return self.last(x)

    class Blocks(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Block()

        def forward(self, data):
            return self.block(data.x)

    assert run(graphs(), Blocks).layers("net") == ("block.last",)


def test_which_batches_have_nodes():
    batch = graphs()[0]
    assert torch.equal(find_graphs(batch, 24, 0).graph_of_node, batch.batch)
    assert find_graphs(batch, 23, 0) is None
    assert find_graphs(Counted([1] * 24), 24, 0) is None
    assert find_graphs({"batch": batch.batch}, 24, 0) is None
    batch.batch = batch.batch.flip(0)
    assert find_graphs(batch, 24, 0) is None
    del batch.batch
    assert find_graphs(batch, 24, 0) is None


def as_many_edges(batch, count):
    nodes = torch.arange(count)
    batch.edge_index = torch.stack([nodes.flip(0), nodes])
    return batch


def test_as_many_edges_as_nodes_from_the_first_batch_on_have_a_reason_and_the_advice_helps():
    batches = [as_many_edges(one, one.num_nodes) for one in graphs()]
    result = run(batches, Edges, layers=["edges", "nodes", "head"])
    for layer in ("edges", "nodes"):
        assert "representation= a callable for this layer" in result.reasons("cka", "net")[layer]
    now = []

    def mean(output):
        return mean_of_nodes(output, now[-1])

    def forward(model, batch):
        now.append(batch)
        return model(batch)

    options = {"forward": forward, "representation": {"nodes": mean, "*": "flatten"}}
    result = run(batches, Edges, layers=["nodes", "head"], **options)
    assert not result.reasons("cka", "net")


def test_as_many_edges_as_graphs_are_refused_and_the_advice_helps():
    batches = [as_many_edges(one, 24) for one in graphs()]
    with pytest.raises(ValueError, match=r"batch 0 has 24 graphs and 24 edges.*use batches of another size"):
        run(batches, Edges, layers=["head"])
    sizes = [2] * 30
    larger = [as_many_edges(Counted(sizes, seed), 24) for seed in range(3)]
    assert run(larger, Edges, layers=["edges", "head"]).reasons("cka", "net").keys() == {"edges"}


def test_one_edge_in_each_graph_is_as_good_as_the_graph():
    batches = [Counted([2] * 24, seed) for seed in range(3)]
    for batch in batches:
        batch.edge_index = batch.edge_index[:, :24]
    assert not run(batches, Edges, layers=["edges", "nodes", "head"]).reasons("cka", "net")


def test_a_description_has_the_pooled_outputs():
    found = sw.describe(Net(), graphs()[0], device="cpu")
    assert [found[layer].output for layer in NODES] == [(24, 8), (24, 6), (24, 5), (24, 3)]


def test_a_layer_for_nodes_is_a_confounder():
    result = run(graphs(), measures="dcka", confounder="one", layers=LAYERS)
    assert not result.reasons("dcka", "net")
