"""`Graphs`: which node belongs to which graph, in a batch object whose samples are graphs."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from simwidget.data.batch_objects import attribute, is_batch_object

INTEGERS = (torch.int64, torch.int32)


@dataclass(frozen=True)
class Graphs:
    """The nodes of n graphs, which are the samples of a batch object."""

    graph_of_node: Tensor
    """(nodes,) int64, in ascending order: for each node, the index of its graph"""
    are_nodes_clear: bool
    """whether an output (nodes, ...) is certain to be an output for nodes. If not, it may be an output for edges."""


def find_graphs(inputs: Any, n: int, index: int) -> Graphs | None:
    """Return the `Graphs` of a network's input, if it is a batch object with n graphs; otherwise None.

    As in PyTorch Geometric, the attribute `batch` (nodes,) of the object gives the graph of each node, and the
    attribute `edge_index` (2, edges) gives the two nodes of each edge. The result is None if a graph has no node. It is
    also None if every graph has exactly one node, because an output for nodes is then an output for graphs.

    Args:
        inputs: the network's input.
        n: the number of samples of the batch.
        index: the number of the batch in the loader, for the error message.

    Raises:
        ValueError: there are as many edges as graphs, so that outputs for edges look like outputs for graphs.
            Exception: each graph has exactly one edge, in the order of the graphs.
    """
    graph_of_node = attribute(inputs, "batch") if is_batch_object(inputs) else None
    if not isinstance(graph_of_node, Tensor) or graph_of_node.dtype not in INTEGERS or graph_of_node.ndim != 1:
        return None
    graph_of_node = graph_of_node.long()
    everything = torch.arange(n, device=graph_of_node.device)
    if not torch.equal(graph_of_node.unique_consecutive(), everything) or len(graph_of_node) == n:
        return None
    edges = attribute(inputs, "edge_index")
    if not isinstance(edges, Tensor) or edges.dtype not in INTEGERS or edges.ndim != 2 or len(edges) != 2:
        return Graphs(graph_of_node, True)
    graph_of_edge = graph_of_node[edges[0]]
    if len(graph_of_edge) == n and not torch.equal(graph_of_edge, everything):
        raise ValueError(
            f"batch {index} has {n} graphs and {n} edges, so that outputs for graphs cannot be told from outputs for "
            "edges: use batches of another size"
        )
    are_nodes_clear = len(graph_of_edge) != len(graph_of_node) or torch.equal(graph_of_edge, graph_of_node)
    return Graphs(graph_of_node, are_nodes_clear)
