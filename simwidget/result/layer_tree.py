"""The blocks of a network from the dotted names of its layers, and the rows of an axis when some blocks are folded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_ROWS = 25
"""Largest number of rows that an axis shows at first, if folding can achieve that."""
MIN_ROWS = 12
"""If opening whole levels of blocks gives fewer rows than this, some blocks of the next level are opened too."""


@dataclass(frozen=True)
class Block:
    """A module that contains at least two layers of the axis."""

    path: str
    """dotted name"""
    members: tuple[int, ...]
    """positions of its layers, its own output included"""
    representative: int
    """position of the layer shown when the block is folded: its own output if that is a layer, else its last layer"""
    depth: int
    """number of blocks that contain it"""


@dataclass(frozen=True)
class Entry:
    """One row of an axis."""

    index: int
    """position of the layer"""
    folded: str | None = None
    """path of the folded block that this row represents, if it represents one"""


@dataclass(frozen=True)
class Bracket:
    """The range of consecutive rows that belong to an open block; both ends included."""

    path: str
    first: int
    last: int
    depth: int


class LayerTree:
    """The blocks of a list of layers, from their dotted names.

    A block is a prefix of names, ending at a dot or at the end, that at least two layers share. Of several blocks with
    the same layers only the innermost is kept. `js/map/layer_tree.ts` implements the same for the page, and
    `tests/layer_trees.json` tests both.

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
        self.blocks: dict[str, Block] = {}
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
                self.blocks[path] = Block(path, tuple(found), own.get(path, found[-1]), depth)

    @property
    def depth(self) -> int:
        """Number of levels of blocks."""
        return max((block.depth + 1 for block in self.blocks.values()), default=0)

    def to_depth(self, depth: int) -> list[str]:
        """Paths of the blocks of the outermost `depth` levels."""
        return [block.path for block in self.blocks.values() if block.depth < depth]

    def default_open(self) -> list[str]:
        """Paths of the blocks that are open at first, which gives about 25 rows.

        As many whole levels as fit into `MAX_ROWS` rows; if that gives fewer than `MIN_ROWS` rows, also the smallest
        blocks of the next level, as far as they fit.
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
        """The rows of the axis: layers outside folded blocks, and for each folded block its representative."""
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
        """The ranges of at least two consecutive rows in one open block, in order of rows, outer blocks first."""
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
    """All prefixes of a dotted name that end before a dot, and the name itself.

    >>> paths_of("a.b.c")
    ['a', 'a.b', 'a.b.c']
    """
    parts = name.split(".")
    return [".".join(parts[: k + 1]) for k in range(len(parts))]
