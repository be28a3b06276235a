"""Which layers and blocks are named beside an axis of a heatmap, and where, so that no two names overlap.

Next to the cells is a column of names, of rows and of blocks; outside of it are columns of brackets, with the names of
larger blocks along them. Lengths are in points. Nothing here depends on matplotlib.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from simwidget.plots.shortening import name_within
from simwidget.result.layer_tree import Entry, LayerTree

MAX_BRACKET_LEVELS = 2
"""Columns of brackets outside of the names. Blocks that enclose these have no bracket."""
MIN_NAMED_CHILDREN = 4
"""A block of numbered parts gets a bracket if at least this many of the parts can be named beside the rows."""
MIN_NAMED_SHARE = 0.6
"""A block of blocks gets a bracket if the blocks in it that can be named have at least this share of its rows."""
MAX_BLOCK_NAME_WIDTH = 60.0
"""A bracket must be long enough for its block's name, of which at most this length counts; the rest is cut."""
PADDING = 4.0
"""Length of a bracket beyond the name along it."""
MIN_BRACKET_LENGTH = 3.0
"""Blocks without a name have a bracket if they are at least this long."""


@dataclass(frozen=True, eq=False)
class AxisNode:
    """A node of the tree beside an axis: a row, or a block with its children. It has the rows `first` to `last`."""

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
    """A name and the part of the axis that it is for, from `start` to `end`. Without a text, it is only a bracket."""

    text: str
    start: float
    end: float
    level: int
    """0 for names beside the rows, k for a bracket in the k-th column outside of them"""
    is_block: bool
    emphasized: bool = False

    @property
    def length(self) -> float:
        return self.end - self.start

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


class AxisRange:
    """An axis of some length in points that shows the rows from `low` to `high`, which may be fractions of rows."""

    def __init__(self, low: float, high: float, length: float) -> None:
        self._low, self._high = low, high
        self._step = length / (high - low)

    def span(self, node: AxisNode) -> tuple[float, float]:
        """Where the visible part of a node starts and ends, from the start of the axis."""
        start, end = (min(max(edge, self._low), self._high) for edge in (node.first - 0.5, node.last + 0.5))
        return (start - self._low) * self._step, (end - self._low) * self._step

    def middle(self, node: AxisNode) -> float:
        return sum(self.span(node)) / 2

    def length(self, node: AxisNode) -> float:
        start, end = self.span(node)
        return end - start


def axis_nodes(tree: LayerTree, entries: Sequence[Entry]) -> list[AxisNode]:
    """The blocks and rows of an axis as trees, from the start of the axis. Folded blocks are rows.

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
    """All nodes of the trees, parents before their children."""
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
    """The names and brackets of an axis.

    A block whose children can be named has its own name along a bracket, outside of their names; any other block is
    named beside the middle of its rows. Where names would be too close, some are left out. The order of priority is:
    emphasized rows, then blocks, then rows; among these, members of a numbered sequence come after others, and large
    ones before small ones.

    Args:
        nodes: made by `axis_nodes`.
        axis_range: the length of the axis and the rows that it shows.
        line_height: the least distance between two names beside the rows.
        text_width: a function from a text to its width.
        emphasized: rows that are named before all others.
        max_levels: the number of columns of brackets.
    """
    levels: dict[AxisNode, int] = {}
    beside: list[AxisNode] = []

    def assign_level(node: AxisNode) -> int:
        """Set the bracket levels of the node and all nodes in it; returns its own: 0 if it is named beside its rows."""
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
    """The sort key for the order of priority that `arrange_labels` describes."""
    in_sequence = node.parent is not None and _is_numbered(node.parent)
    return not node.children, in_sequence, 0 if in_sequence else -node.n_rows


def _without_collisions(nodes: Sequence[AxisNode], axis_range: AxisRange, line_height: float) -> list[AxisNode]:
    """The nodes, in order of priority, without those that would be too close to an earlier one."""
    kept: list[AxisNode] = []
    for node in nodes:
        if all(abs(axis_range.middle(node) - axis_range.middle(other)) >= line_height for other in kept):
            kept.append(node)
    return kept


def _shows_children(
    node: AxisNode, axis_range: AxisRange, line_height: float, text_width: Callable[[str], float]
) -> bool:
    """Whether a block gets a bracket because its children can be named: all, most, or enough of a numbered sequence."""
    length = axis_range.length(node)
    own = name_within(node.name, node.parent.name if node.parent else None)
    if not node.children or min(text_width(own), MAX_BLOCK_NAME_WIDTH) + PADDING > length:
        return False
    if _is_numbered(node) and length >= MIN_NAMED_CHILDREN * line_height:
        return True
    children = [child for child in _children_to_name(node) if axis_range.length(child) > 0]
    named = _without_collisions(sorted(children, key=_priority), axis_range, line_height)
    min_share = MIN_NAMED_SHARE if children[0].children else 1.0
    return sum(child.n_rows for child in named) >= min_share * sum(child.n_rows for child in children)


def _children_to_name(block: AxisNode) -> list[AxisNode]:
    """The children that are named for a block: only the blocks among them, if these have at least half of its rows."""
    blocks = [child for child in block.children if child.children]
    return blocks if 2 * sum(child.n_rows for child in blocks) >= block.n_rows else block.children


def _is_numbered(block: AxisNode) -> bool:
    """Whether the names of its children differ in a final number only ("layer1.0", ...): every k-th is enough."""
    names = [child.name for child in _children_to_name(block) if child.name != block.name]
    stems = {re.sub(r"\d+$", "", name) for name in names}
    return len(stems) == 1 and stems.isdisjoint(names)
