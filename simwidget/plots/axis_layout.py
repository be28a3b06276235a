"""Chooses which layers and blocks are named beside an axis of a heatmap, and where, so that no two names overlap.

The rows of the vertical axis are the rows of the heatmap; the rows of the horizontal axis are its columns. A block is
a module that contains several rows. The names of rows and of some blocks are in one column next to the cells. Columns
of brackets are farther from the cells. A bracket spans the rows of a block, and the name of the block is written along
the bracket. Lengths are in points. This module does not depend on matplotlib.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from simwidget.plots.shortening import name_within
from simwidget.result.layer_tree import Entry, LayerTree

MAX_BRACKET_LEVELS = 2
"""Largest number of columns of brackets. A block whose bracket would need one more column is not named."""
MIN_LABELLED_CHILDREN = 4
"""A block whose children are numbered gets a bracket if at least this many names fit beside the rows of the block."""
MIN_NAMED_SHARE = 0.6
"""A block whose children are blocks gets a bracket only if enough of these child blocks can be named: together, the
named ones must have at least this share of the rows of all child blocks."""
MAX_BLOCK_NAME_WIDTH = 60.0
"""A bracket must be at least as long as the name of its block, or this long if the name is longer."""
PADDING = 4.0
"""Extra length of a bracket, added to the least length that `MAX_BLOCK_NAME_WIDTH` describes."""
MIN_BRACKET_LENGTH = 3.0
"""Least length of a bracket without a name. Such a bracket marks a block whose name does not fit next to the cells."""


@dataclass(frozen=True, eq=False)
class AxisNode:
    """A node in the tree of an axis: one row, or a block with child nodes.

    Spans the rows `first` to `last`, inclusive.
    """

    name: str
    first: int
    last: int
    parent: "AxisNode | None" = None
    folded: bool = False
    children: list["AxisNode"] = field(default_factory=list)

    @property
    def n_rows(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Label:
    """A name for the part of an axis from `start` to `end`, in points. If `text` is empty: a bracket without a name."""

    text: str
    start: float
    end: float
    level: int
    """0 for a name next to the cells; k for a name in column k of brackets, counted from the cells"""
    is_block: bool
    emphasized: bool = False

    @property
    def length(self) -> float:
        return self.end - self.start

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


class AxisRange:
    """An axis of `length` points that shows the rows from `low` to `high`; row k extends from k - 0.5 to k + 0.5."""

    def __init__(self, low: float, high: float, length: float) -> None:
        self._low, self._high = low, high
        self._step = length / (high - low)

    def span(self, node: AxisNode) -> tuple[float, float]:
        """Return the start and the end of the visible part of a node, in points from the start of the axis."""
        start, end = (min(max(edge, self._low), self._high) for edge in (node.first - 0.5, node.last + 0.5))
        return (start - self._low) * self._step, (end - self._low) * self._step

    def middle(self, node: AxisNode) -> float:
        return sum(self.span(node)) / 2

    def length(self, node: AxisNode) -> float:
        start, end = self.span(node)
        return end - start


def axis_nodes(tree: LayerTree, entries: Sequence[Entry]) -> list[AxisNode]:
    """Return the blocks and rows of an axis as a list of trees, in order along the axis. A folded block is one row.

    >>> tree = LayerTree(["stem", "one.conv", "one.norm", "two.a", "two.b"])
    >>> [(node.name, len(node.children), node.folded) for node in axis_nodes(tree, tree.entries(["one"]))]
    [('stem', 0, False), ('one', 2, False), ('two', 0, True)]
    """
    brackets_at: dict[int, list[tuple[str, int]]] = {}
    for bracket in tree.brackets(entries):
        brackets_at.setdefault(bracket.first, []).append((bracket.path, bracket.last))
    top_level: list[AxisNode] = []
    enclosing: list[AxisNode] = []

    def add(node: AxisNode) -> AxisNode:
        (node.parent.children if node.parent else top_level).append(node)
        return node

    for position, entry in enumerate(entries):
        while enclosing and enclosing[-1].last < position:
            enclosing.pop()
        for path, last in brackets_at.get(position, ()):
            enclosing.append(add(AxisNode(path, position, last, enclosing[-1] if enclosing else None)))
        name = tree.names[entry.index] if entry.folded is None else entry.folded
        add(AxisNode(name, position, position, enclosing[-1] if enclosing else None, entry.folded is not None))
    return top_level


def walk(nodes: Sequence[AxisNode]) -> Iterator[AxisNode]:
    """Yield all nodes of the trees, each parent before its children."""
    for node in nodes:
        yield node
        yield from walk(node.children)


def arrange_labels(
    nodes: Sequence[AxisNode],
    axis_range: AxisRange,
    line_height: float,
    text_width: Callable[[str], float],
    emphasized: Collection[int] = (),
    max_levels: int = MAX_BRACKET_LEVELS,
) -> list[Label]:
    """Choose the names and brackets beside an axis, and return them as labels.

    The name of a block is written along a bracket if enough children of the block can be named. The bracket is farther
    from the cells than the children's names. The name of any other block is written next to the cells, at the middle of
    the block's rows. If two names next to the cells would be too close, the name of lower priority is left out. The
    order of priority is:

    1. emphasized rows
    2. blocks outside a numbered sequence ("layer1.0", "layer1.1", ...), largest first
    3. blocks in a numbered sequence
    4. other rows outside a numbered sequence
    5. other rows in a numbered sequence

    Args:
        nodes: the trees of rows and blocks, made by `axis_nodes`.
        axis_range: the length of the axis and the rows that it shows.
        line_height: the least distance between two names next to the cells.
        text_width: a function from a text to its width.
        emphasized: positions of the rows with the highest priority.
        max_levels: the largest number of columns of brackets.
    """
    levels: dict[AxisNode, int] = {}
    beside: list[AxisNode] = []

    def assign_level(node: AxisNode) -> int:
        """Set the bracket levels of a node and its descendants; return the node's level, or 0 if it has no bracket."""
        if not axis_range.length(node) > 0:
            return 0
        if not _shows_children(node, axis_range, line_height, text_width):
            beside.append(node)
            return 0
        levels[node] = 1 + max(assign_level(child) for child in node.children)
        return levels[node]

    def make_label(node: AxisNode, level: int = 0) -> Label:
        parent = node.parent
        while parent and not 0 < levels.get(parent, 0) <= max_levels:
            parent = parent.parent
        text = ("▸ " if node.folded else "") + name_within(node.name, parent.name if parent else None)
        is_emphasized = not node.children and node.first in emphasized
        return Label(text, *axis_range.span(node), level, bool(node.children), is_emphasized)

    for node in nodes:
        assign_level(node)
    emphasized_rows = [
        node for node in walk(nodes) if not node.children and node.first in emphasized and axis_range.length(node) > 0
    ]
    ranked = [*emphasized_rows, *sorted(beside, key=_priority)]
    named = _without_collisions(ranked, axis_range, line_height)
    unnamed = [
        node for node in ranked if node.children and node not in named and axis_range.length(node) >= MIN_BRACKET_LENGTH
    ]
    return [
        *(make_label(node, level) for node, level in levels.items() if level <= max_levels),
        *(make_label(node) for node in named),
        *(replace(make_label(node), text="") for node in unnamed),
    ]


def _priority(node: AxisNode) -> tuple[bool, bool, int]:
    """Return the sort key of a node for the order of priority that `arrange_labels` describes."""
    in_sequence = node.parent is not None and _is_numbered(node.parent)
    return not node.children, in_sequence, 0 if in_sequence else -node.n_rows


def _without_collisions(nodes: Sequence[AxisNode], axis_range: AxisRange, line_height: float) -> list[AxisNode]:
    """Return the nodes that are named if names must be at least `line_height` apart.

    `nodes` must be in order of priority. A node is left out if it is too close to a named node of higher priority.
    """
    kept: list[AxisNode] = []
    for node in nodes:
        if all(abs(axis_range.middle(node) - axis_range.middle(other)) >= line_height for other in kept):
            kept.append(node)
    return kept


def _shows_children(
    node: AxisNode, axis_range: AxisRange, line_height: float, text_width: Callable[[str], float]
) -> bool:
    """Return whether a block gets a bracket.

    The name of the block must fit along the bracket, and one of these conditions must hold:

    - The children are numbered, and at least `MIN_LABELLED_CHILDREN` names fit beside the block.
    - The candidates of `_children_to_name` are blocks, and the candidates that can be named have at least the share
      `MIN_NAMED_SHARE` of all candidates' rows.
    - The candidates of `_children_to_name` are single rows, and all candidates can be named.

    Only visible candidates count. If there are blocks and single rows, the first candidate decides which condition
    applies.
    """
    length = axis_range.length(node)
    own = name_within(node.name, node.parent.name if node.parent else None)
    if not node.children or min(text_width(own), MAX_BLOCK_NAME_WIDTH) + PADDING > length:
        return False
    if _is_numbered(node) and length >= MIN_LABELLED_CHILDREN * line_height:
        return True
    children = [child for child in _children_to_name(node) if axis_range.length(child) > 0]
    named = _without_collisions(sorted(children, key=_priority), axis_range, line_height)
    min_share = MIN_NAMED_SHARE if children[0].children else 1.0
    return sum(child.n_rows for child in named) >= min_share * sum(child.n_rows for child in children)


def _children_to_name(block: AxisNode) -> list[AxisNode]:
    """Return the candidates for names among the children of a block.

    The candidates are the child blocks if these together have at least half of the rows of the block. Otherwise all
    children are candidates.
    """
    blocks = [child for child in block.children if child.children]
    return blocks if 2 * sum(child.n_rows for child in blocks) >= block.n_rows else block.children


def _is_numbered(block: AxisNode) -> bool:
    """Return whether the names of a block's children differ only in a final number ("layer1.0", "layer1.1", ...).

    Such a block may have a bracket even if only some of its children are named.
    """
    names = [child.name for child in _children_to_name(block) if child.name != block.name]
    stems = {re.sub(r"\d+$", "", name) for name in names}
    return len(stems) == 1 and stems.isdisjoint(names)
