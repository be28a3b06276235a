"""Rows for batches of graphs, which are objects of a library's class."""

import torch
from torch import nn

from kinds.kind import Case, Table
from kinds.nets import seeded

KINDS = Table()


class Graphs:
    """Several graphs as one, as graph libraries join them; it has no more than what networks use."""

    def __init__(self, sizes, seed=0, **more):
        generator = torch.Generator().manual_seed(seed)
        self.num_nodes = int(sum(sizes))
        self.x = torch.randn(self.num_nodes, 4, generator=generator)
        self.batch = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        firsts = torch.tensor([0, *sizes]).cumsum(0)[:-1]
        own = [torch.combinations(torch.arange(size), 2).T + first for size, first in zip(sizes, firsts)]
        edges = torch.cat(own, 1)
        self.edge_index = torch.cat([edges, edges.flip(0)], 1)
        self.y = torch.randint(0, 3, (len(sizes),), generator=generator)
        vars(self).update(more)

    def to(self, device):
        """Moves the tensors of this very object, as graph libraries do."""
        for name, value in vars(self).items():
            if isinstance(value, torch.Tensor):
                setattr(self, name, value.to(device))
        return self


class Counted(Graphs):
    @property
    def num_graphs(self):
        return int(self.batch[-1]) + 1


def graphs(kind=Counted, n=24, count=3, **more):
    """Batches of n graphs of two to five nodes."""
    sizes = torch.randint(2, 6, (count, n), generator=torch.Generator().manual_seed(5)).tolist()
    return [kind(one, seed, **more) for seed, one in enumerate(sizes)]


def mean_of_nodes(nodes, batch):
    return torch.stack([nodes[batch.batch == graph].mean(0) for graph in range(len(batch.y))])


class Net(nn.Module):
    """Passes messages, and writes into the batch as it goes, as such networks do."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 8)
        self.two = nn.Linear(8, 6)
        self.hidden = nn.Linear(6, 5)
        self.head = nn.Linear(5, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, data):
        data.x.mul_(2)
        for layer in (self.one, self.two):
            x = layer(data.x)
            source, target = data.edge_index
            data.x = self.relu(x + torch.zeros_like(x).index_add_(0, target, x[source]))
        sums = torch.zeros(len(data.y), 6).index_add_(0, data.batch, data.x)
        return self.head(torch.tanh(self.hidden(sums)))


LAYERS = ("hidden", "head")
NODES = ("one", "two", *LAYERS)


def by_node(output, batch):
    return mean_of_nodes(output, batch)


BY_NODE = {"one": by_node, "two": by_node}


def of_graphs(case):
    case.confounders = [lambda batch, outputs: mean_of_nodes(batch.x, batch)]
    case.options = {"confounder": lambda batch: mean_of_nodes(batch.x, batch), **case.options}
    return case


@KINDS.row("batch: graphs")
def objects():
    """Two networks: the second one gets the batch as the loader made it."""
    return of_graphs(Case({"a": seeded(Net), "b": seeded(Net, 1)}, graphs(), LAYERS))


@KINDS.row("batch: graphs, removed are their labels")
def labels_of_objects():
    same = lambda batch, outputs: torch.eye(3)[batch.y]  # noqa: E731
    return Case({"net": seeded(Net)}, graphs(), LAYERS, options={"confounder": "labels"}, confounders=[same])


@KINDS.row("batch: graphs that say their number under another name")
def counted_by_the_user():
    options = {"batch_size": lambda batch: len(batch.y)}
    return of_graphs(Case({"net": seeded(Net)}, graphs(Graphs), LAYERS, options=options))


class Parts(Net):
    """Takes the tensors of the graphs one by one."""

    def forward(self, x, edge_index, batch):
        more = Counted([1])
        more.x, more.edge_index, more.batch, more.y = x, edge_index, batch, torch.zeros(int(batch.max()) + 1)
        return super().forward(more)


@KINDS.row("batch: graphs, with forward=")
def by_a_function():
    call = lambda model, batch: model(batch.x, batch.edge_index, batch.batch)  # noqa: E731
    return of_graphs(Case({"net": seeded(Parts)}, graphs(), LAYERS, options={"forward": call}, call=call))


@KINDS.row("batch: (graphs, labels)")
def with_labels():
    case = of_graphs(Case({"net": seeded(Net)}, [(one, one.y) for one in graphs()], LAYERS))
    case.call = lambda model, batch: model(batch[0])
    case.confounders = [lambda batch, outputs: mean_of_nodes(batch[0].x, batch[0])]
    case.options = {"confounder": lambda batch: mean_of_nodes(batch[0].x, batch[0])}
    return case


@KINDS.row("batch: tensors of graphs, with batch_size=")
def tensors_of_graphs():
    """No tensor has as many entries as there are graphs."""
    batches = [(one.x, one.edge_index, one.batch) for one in graphs()]
    pooled = lambda batch: torch.stack([batch[0][batch[2] == graph].mean(0) for graph in range(24)])  # noqa: E731
    return Case(
        {"net": seeded(Parts)}, batches, LAYERS, call=lambda model, batch: model(*batch),
        options={"batch_size": lambda batch: int(batch[2].max()) + 1, "confounder": pooled},
        confounders=[lambda batch, outputs: pooled(batch)],
    )  # fmt: skip


@KINDS.row("batch: texts, with forward= and batch_size=")
def texts():
    """Nothing in the batch is a tensor."""
    numbers = torch.arange(72).view(3, 24).tolist()
    batches = [[f"text {number}" for number in batch] for batch in numbers]
    encode = lambda batch: torch.tensor([[len(one), int(one[5:]) % 7, int(one[5:]) % 5] for one in batch]).float()  # noqa: E731
    call = lambda model, batch: model(encode(batch))  # noqa: E731
    model = seeded(lambda: nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 4)))
    options = {"forward": call, "batch_size": len}
    return Case({"net": model}, batches, ["0", "2"], call=call, options=options)


@KINDS.row("layers for nodes beside layers for graphs")
def nodes():
    """Outputs for nodes are the mean over the nodes of each graph."""
    return of_graphs(Case({"a": seeded(Net), "b": seeded(Net, 1)}, graphs(), NODES, BY_NODE))


@KINDS.row("layers for nodes, with forward=")
def nodes_by_a_function():
    call = lambda model, batch: model(batch.x, batch.edge_index, batch.batch)  # noqa: E731
    return of_graphs(Case({"net": seeded(Parts)}, graphs(), NODES, BY_NODE, {"forward": call}, call))


class Edges(nn.Module):
    """One layer for edges, one for nodes, one for graphs."""

    def __init__(self):
        super().__init__()
        self.edges = nn.Linear(8, 6)
        self.nodes = nn.Linear(6, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, data):
        source, target = data.edge_index
        seen = torch.tanh(self.edges(torch.cat([data.x[source], data.x[target]], 1)))
        nodes = torch.tanh(self.nodes(torch.zeros(data.num_nodes, 6).index_add_(0, target, seen)))
        return self.head(torch.zeros(len(data.y), 5).index_add_(0, data.batch, nodes))


def with_edges(batches):
    reasons = {"net:edges": "has no tensor with the batch's 24 samples"}
    layers = ["edges", "nodes", "head"]
    return of_graphs(Case({"net": seeded(Edges)}, batches, layers, {"nodes": by_node}, reasons=reasons))


@KINDS.row("layers for edges, nodes and graphs")
def edges():
    return with_edges(graphs())


@KINDS.row("layers for edges and nodes, in one batch as many edges as nodes")
def as_many_edges():
    """The batches before tell which layer is for nodes."""
    first, second, third = graphs()
    third.edge_index = torch.stack([torch.arange(third.num_nodes).flip(0), torch.arange(third.num_nodes)])
    return with_edges([first, second, third])


@KINDS.row("layers for nodes of rings")
def rings():
    """As many edges as nodes, each one in the graph of the node at the same place."""
    batches = graphs()
    for batch in batches:
        following = torch.arange(batch.num_nodes) + 1
        ends = torch.cat([batch.batch.diff(), torch.ones(1)]) > 0
        starts = torch.cat([torch.ones(1), batch.batch.diff()]) > 0
        following[ends] = torch.arange(batch.num_nodes)[starts]
        batch.edge_index = torch.stack([torch.arange(batch.num_nodes), following])
    return of_graphs(Case({"net": seeded(Net)}, batches, NODES, BY_NODE))


@KINDS.row("layers for nodes, read by a function")
def nodes_read_by_a_function():
    """The function gets what the layer returned."""
    seen = []

    def most(output):
        index = seen[-1][:, None].expand_as(output)
        return torch.zeros(24, output.shape[1]).scatter_reduce(0, index, output, "amax", include_self=False)

    def call(model, batch):
        seen.append(batch.batch)
        return model(batch)

    read = lambda output, batch: torch.stack([output[batch.batch == one].amax(0) for one in range(24)])  # noqa: E731
    options = {"forward": call, "representation": {"one": most, "*": "flatten"}}
    return of_graphs(Case({"net": seeded(Net)}, graphs(), ["one", *LAYERS], {"one": read}, options, call))
