"""`NodePooling`: averages a layer's outputs for the nodes of graphs, so that each graph has one output."""

import weakref
from typing import Any

import torch
from torch import Tensor

from simwidget.data.batch import Batch
from simwidget.data.nested import map_tensors
from simwidget.restore.networks import tensor_version


class NodePooling:
    """Pools the outputs of one network's layers in batches of n graphs: (nodes, ...) becomes (n, ...).

    The result for a graph is the mean over the nodes of the graph. Outputs for graphs are not changed. In batches
    without graphs, no output is changed.

    In a batch with as many edges as nodes, an output (nodes, ...) may be an output for edges. Such an output is pooled
    only if the same call of the layer had an output for nodes in an earlier batch. Otherwise the output is not changed,
    and then has no dimension with the n samples.
    """

    def __init__(self) -> None:
        self._batch: Batch | None = None
        self._for_nodes: set[tuple[str, int]] = set()
        """(call of a layer, index of a tensor in its output) for each tensor that is known to be an output for nodes"""
        self._latest: tuple[weakref.ref[Tensor], int | None, Tensor] | None = None
        """the latest tensor that was pooled, the version of this tensor, and the result. If the next layer returns the
        same tensor, it gets the same result, so that `RepeatDetector` detects the repeat"""

    def begin(self, batch: Batch) -> None:
        """Begin the forward pass of a batch."""
        self._batch = batch if batch.graphs is not None else None
        self._latest = None

    def end(self) -> None:
        """Release the batch."""
        self._batch = self._latest = None

    def pool(self, call: str, output: Any) -> Any:
        """Return the output of a layer's call (named "layer" or "layer#k") with all tensors (nodes, ...) pooled."""
        batch = self._batch
        if batch is None or batch.graphs is None:
            return output
        graphs, place = batch.graphs, -1

        def pooled(tensor: Tensor) -> Tensor:
            nonlocal place
            place += 1
            if not _is_for_nodes(tensor, len(graphs.graph_of_node)):
                return tensor
            if graphs.are_nodes_clear:
                self._for_nodes.add((call, place))
            return self._pooled(tensor, batch, graphs.graph_of_node) if (call, place) in self._for_nodes else tensor

        return map_tensors(output, pooled)

    def _pooled(self, tensor: Tensor, batch: Batch, graph_of_node: Tensor) -> Tensor:
        version = tensor_version(tensor)
        if version is not None and self._latest is not None:
            latest, latest_version, result = self._latest
            if latest() is tensor and latest_version == version:
                return result
        result = mean_of_nodes(tensor, batch.uploads.to(graph_of_node, tensor.device), batch.n)
        self._latest = weakref.ref(tensor), version, result
        return result


def mean_of_nodes(tensor: Tensor, graph_of_node: Tensor, n: int) -> Tensor:
    """Return the mean of a tensor over the nodes of each graph: (nodes, ...) -> (n, ...).

    The mean of float16 or bfloat16 values is computed and returned in float32.

    Args:
        tensor: the tensor (nodes, ...).
        graph_of_node: (nodes,) int64: for each node, the index of its graph.
        n: the number of graphs.

    >>> mean_of_nodes(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([0, 0, 1]), 2)
    tensor([[2.],
            [5.]])
    """
    wide = tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
    sums = wide.new_zeros(n, *tensor.shape[1:]).index_add_(0, graph_of_node, wide)
    counts = torch.zeros(n, device=tensor.device).index_add_(0, graph_of_node, torch.ones_like(graph_of_node).float())
    return sums / counts.view(-1, *(1,) * (tensor.ndim - 1)).to(sums.dtype)


def _is_for_nodes(tensor: Tensor, n_nodes: int) -> bool:
    dense = tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_quantized
    numbers = tensor.is_floating_point() or tensor.is_complex()
    return dense and numbers and tensor.ndim > 0 and tensor.shape[0] == n_nodes
