"""`LayerTree`: groups the layers of a network into blocks, which can be folded on the axes of a heatmap.

A block is a module that contains at least two layers. It may contain smaller blocks. On the axis, a folded block has a
single row for all its layers. Every layer outside folded blocks has a row of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_ROWS = 25
"""Largest number of rows on an axis of a heatmap when the heatmap is first shown.

Exception: an axis that has more rows even with all blocks folded is shown with all blocks folded.
"""
MIN_ROWS = 12
"""Desired least number of rows on an axis of a heatmap when the heatmap is first shown.

Blocks are opened by whole nesting levels. If this gives fewer rows, some blocks of the next level are opened as well.
"""


@dataclass(frozen=True)
class LayerBlock:
    """A module that contains at least two of the layers on an axis of a heatmap."""

    path: str
    """dotted name of the module"""
    members: tuple[int, ...]
    """positions of the block's layers in the list of all layers; the module itself is included if it is a layer"""
    representative: int
    """the layer that is shown when the block is folded, as a position in the list of all layers. This is the module
    itself if it is a layer, otherwise the last layer of the block."""
    depth: int
    """number of blocks that contain this block; 0 for an outermost block"""


@dataclass(frozen=True)
class Entry:
    """One row of an axis of a heatmap: a layer, or a folded block, which is represented by one of its layers."""

    index: int
    """the layer, or the layer that represents the folded block, as a position in the list of all layers"""
    folded: str | None = None
    """path of the folded block that this row represents; None for a layer outside folded blocks"""


@dataclass(frozen=True)
class Bracket:
    """Consecutive rows on an axis that show layers of the same open block.

    `path` and `depth` are the path and depth of the block. `first` and `last` are the numbers of the first and last row
    in the range, counted from 0.
    """

    path: str
    first: int
    last: int
    depth: int


class LayerTree:
    """The blocks of a list of layers, found from the layers' dotted names.

    A block is a dotted prefix that at least two layers share, such as "layer3.0". A layer whose whole name equals the
    prefix counts as one of these layers. If several blocks contain the same layers, only the innermost block is kept.
    `js/map/layer_tree.ts` does the same for the HTML page. The tests of both implementations use the cases in
    `tests/layer_trees.json`.

    Args:
        names: the dotted names of the layers, in the order of the axis.

    >>> tree = LayerTree(["stem", "one.conv", "one.norm", "one", "two.conv", "two.norm"])
    >>> [block.path for block in tree.blocks.values()]
    ['one', 'two']
    >>> [tree.names[entry.index] for entry in tree.entries(["one"])]
    ['stem', 'one.conv', 'one.norm', 'one', 'two.norm']
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        members: dict[str, list[int]] = {}
        for index, name in enumerate(self.names):
            for path in paths_of(name):
                members.setdefault(path, []).append(index)
        self.blocks: dict[str, LayerBlock] = {}
        innermost: dict[tuple[int, ...], str] = {}
        for path, found in members.items():
            if len(found) > 1:
                found_before = innermost.get(tuple(found), "")
                innermost[tuple(found)] = max(found_before, path, key=len)
        kept = set(innermost.values())
        own = {name: index for index, name in enumerate(self.names)}
        for path, found in members.items():
            if path in kept:
                depth = sum(above in kept for above in paths_of(path)[:-1])
                self.blocks[path] = LayerBlock(path, tuple(found), own.get(path, found[-1]), depth)

    @property
    def depth(self) -> int:
        """Number of levels of nested blocks; 0 if there are no blocks."""
        return max((block.depth + 1 for block in self.blocks.values()), default=0)

    def to_depth(self, depth: int) -> list[str]:
        """Return the paths of all blocks in the outermost `depth` levels."""
        return [block.path for block in self.blocks.values() if block.depth < depth]

    def default_open(self) -> list[str]:
        """Return the paths of the blocks that are open when a heatmap is first shown.

        As many whole levels of blocks are open as fit into `MAX_ROWS` rows. If this gives fewer than `MIN_ROWS` rows,
        the blocks of the next level are tried in order of size, smallest first. Such a block is opened unless the axis
        would then have more than `MAX_ROWS` rows.
        """
        fitting = [k for k in range(self.depth + 1) if len(self.entries(self.to_depth(k))) <= MAX_ROWS]
        depth = max(fitting, default=0)
        opened = self.to_depth(depth)
        if len(self.entries(opened)) < MIN_ROWS:
            next_level = (block for block in self.blocks.values() if block.depth == depth)
            for block in sorted(next_level, key=lambda block: len(block.members)):
                if len(self.entries([*opened, block.path])) <= MAX_ROWS:
                    opened.append(block.path)
        return opened

    def entries(self, open_blocks: Iterable[str]) -> list[Entry]:
        """Return the rows of the axis, from top to bottom, if the blocks with the paths `open_blocks` are open.

        All other blocks are folded. Each layer outside folded blocks has a row. Each folded block has one row, in the
        place of its representative layer. Blocks inside a folded block have no rows.
        """
        opened = set(open_blocks)
        found = []
        for index, name in enumerate(self.names):
            folded = next((p for p in paths_of(name) if p in self.blocks and p not in opened), None)
            if folded is None:
                found.append(Entry(index))
            elif self.blocks[folded].representative == index:
                found.append(Entry(index, folded))
        return found

    def brackets(self, entries: Sequence[Entry]) -> list[Bracket]:
        """Return a `Bracket` for each range of at least two consecutive rows that belong to the same open block.

        `entries` are the rows of the axis. The brackets are sorted by first row. If two brackets have the same first
        row, the bracket of the outer block comes first.
        """
        found: list[Bracket] = []
        started: dict[str, int] = {}
        for position in range(len(entries) + 1):
            inside: list[str] = []
            if position < len(entries):
                entry = entries[position]
                paths = paths_of(self.names[entry.index])
                inside = [path for path in paths if path in self.blocks]
                if entry.folded is not None:
                    inside = inside[: inside.index(entry.folded)]
            for path in [path for path in started if path not in inside]:
                first = started.pop(path)
                if position - first > 1:
                    found.append(Bracket(path, first, position - 1, self.blocks[path].depth))
            for path in inside:
                started.setdefault(path, position)
        return sorted(found, key=lambda bracket: (bracket.first, bracket.depth))


def paths_of(name: str) -> list[str]:
    """Return all prefixes of a dotted name that end before a dot, shortest first, and then the name itself.

    >>> paths_of("a.b.c")
    ['a', 'a.b', 'a.b.c']
    """
    parts = name.split(".")
    return [".".join(parts[: k + 1]) for k in range(len(parts))]
