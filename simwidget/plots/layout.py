"""Which names stand beside an axis, and where, so that none touches another. Lengths in points; no matplotlib here."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from simwidget.plots.text import name_within
from simwidget.result.layer_tree import Entry, LayerTree

MAX_BRACKET_LEVELS = 2
"""Columns of brackets outside of the names; blocks around these have none."""
MIN_NAMED_CHILDREN = 4
"""A block of numbered parts is opened where so many of them can be named."""
MIN_NAMED_SHARE = 0.6
"""A block of blocks is opened where those that can be named are so much of it."""
MAX_BLOCK_NAME_WIDTH = 60.0
"""Room for a block's name, be it cut."""
PADDING = 4.0
MIN_BRACKET_LENGTH = 3.0


@dataclass(frozen=True, eq=False)
class AxisNode:
    """A row of the axis, or a block with the nodes in it."""

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
    """A name, and the stretch of the axis that it is for. One without a text is a bracket alone."""

    text: str
    start: float
    end: float
    level: int
    """0 beside the rows, k along a bracket in the k-th column outside of these names"""
    is_block: bool
    emphasized: bool = False

    @property
    def length(self) -> float:
        return self.end - self.start

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


class AxisRange:
    """A length of an axis on which the rows from `low` to `high` are seen; both may be between rows."""

    def __init__(self, low: float, high: float, length: float) -> None:
        self._low, self._high = low, high
        self._step = length / (high - low)

    def span(self, node: AxisNode) -> tuple[float, float]:
        """Where a node starts and ends, as far as it is seen."""
        start, end = (min(max(edge, self._low), self._high) for edge in (node.first - 0.5, node.last + 0.5))
        return (start - self._low) * self._step, (end - self._low) * self._step

    def middle(self, node: AxisNode) -> float:
        return sum(self.span(node)) / 2

    def length(self, node: AxisNode) -> float:
        start, end = self.span(node)
        return end - start


def axis_nodes(tree: LayerTree, entries: Sequence[Entry]) -> list[AxisNode]:
    """The blocks and rows of an axis, from its start.

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
    """All blocks and rows, a block before what lies in it."""
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

    A block is named beside the middle of its rows, or, where what lies in it can be named instead, along a bracket
    outside of these names. Where names would stand too close, blocks go before rows, the members of a numbered sequence
    after others, and large ones before small ones.

    Args:
        nodes: as `axis_nodes` makes them.
        axis_range: where they are.
        line_height: the least distance of two names beside the rows.
        text_width: of a text.
        emphasized: rows that are named first of all.
        max_levels: columns of brackets outside of the names.
    """
    levels: dict[AxisNode, int] = {}
    beside: list[AxisNode] = []

    def assign_level(node: AxisNode) -> int:
        """How many columns of brackets there are over a node, its own among them."""
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
    """Which names come first: see `arrange_labels`."""
    in_sequence = node.parent is not None and _is_numbered(node.parent)
    return not node.children, in_sequence, 0 if in_sequence else -node.n_rows


def _without_collisions(nodes: Sequence[AxisNode], axis_range: AxisRange, line_height: float) -> list[AxisNode]:
    """Those of the nodes that keep their distance, the first before the others."""
    kept: list[AxisNode] = []
    for node in nodes:
        if all(abs(axis_range.middle(node) - axis_range.middle(other)) >= line_height for other in kept):
            kept.append(node)
    return kept


def _shows_children(
    node: AxisNode, axis_range: AxisRange, line_height: float, text_width: Callable[[str], float]
) -> bool:
    """Whether what lies in a block is named: all of it, most of it, or enough of a numbered sequence."""
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
    """The parts by which a block is told: the blocks in it, if these are most of it."""
    blocks = [child for child in block.children if child.children]
    return blocks if 2 * sum(child.n_rows for child in blocks) >= block.n_rows else block.children


def _is_numbered(block: AxisNode) -> bool:
    """Whether every k-th name of a block's parts tells the others: "layer1.0", "layer1.1", ..."""
    names = [child.name for child in _children_to_name(block) if child.name != block.name]
    stems = {re.sub(r"\d+$", "", name) for name in names}
    return len(stems) == 1 and stems.isdisjoint(names)
