"""`Graphs`: which node of a batch of graphs belongs to which graph."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from simwidget.data.batch_objects import attribute, is_batch_object

INTEGERS = (torch.int64, torch.int32)


@dataclass(frozen=True)
class Graphs:
    """The graphs of a batch object, which are its samples, and their nodes."""

    graph_of_node: Tensor
    """(nodes,) int64: for each node the index of its graph, in ascending order"""
    are_nodes_clear: bool
    """whether an output with as many entries as there are nodes is certain to be one for nodes, not one for edges"""


def find_graphs(inputs: Any, n: int, index: int) -> Graphs | None:
    """Return the `Graphs` of a network's input if this is a batch object with n graphs; otherwise None.

    The attribute `batch` of the object gives the graph of each node, and the attribute `edge_index` (2, edges) the two
    nodes of each edge, as in PyTorch Geometric. Every graph must have a node. If every graph has one node, an output
    for nodes is one for graphs, and the result is None.

    Raises:
        ValueError: there are as many edges as graphs, so that outputs for edges look like outputs for graphs. The
            message gives the number of the batch (`index`).
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
            f"batch {index} has {n} graphs and {n} edges, so that the outputs for graphs and for edges cannot be told "
            "apart: use batches of another size"
        )
    are_nodes_clear = len(graph_of_edge) != len(graph_of_node) or torch.equal(graph_of_edge, graph_of_node)
    return Graphs(graph_of_node, are_nodes_clear)
