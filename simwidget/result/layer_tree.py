"""Layer names -> blocks, and which layers stand on an axis when some blocks are folded. No torch here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_ROWS = 25
"""An axis opens with at most so many rows, if folding can do that."""
MIN_ROWS = 12
"""With fewer an axis opens some blocks of the next level too."""


@dataclass(frozen=True)
class Block:
    """A module with layers inside it, as far as they are on the axis."""

    path: str
    members: tuple[int, ...]
    """positions of its layers, its own output among them"""
    representative: int
    """the layer that stands for it when it is folded: its own output, else its last layer"""
    depth: int
    """how many blocks it lies in"""


@dataclass(frozen=True)
class Entry:
    """One row of an axis."""

    index: int
    """position of its layer"""
    folded: str | None = None
    """the block that it stands for, if that is folded"""


@dataclass(frozen=True)
class Bracket:
    """The run of rows that an open block covers."""

    path: str
    first: int
    last: int
    depth: int


class LayerTree:
    """The blocks of some layers, from their dotted names.

    A block is a part of a name under which at least two layers stand. Of several blocks with the same layers only the
    innermost is kept. `js/map/tree.ts` does the same in the page; both are held by `tests/layer_trees.json`.

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
        """How many levels of blocks there are."""
        return max((block.depth + 1 for block in self.blocks.values()), default=0)

    def to_depth(self, depth: int) -> list[str]:
        """The blocks that are open when `depth` levels are."""
        return [block.path for block in self.blocks.values() if block.depth < depth]

    def default_open(self) -> list[str]:
        """The blocks to open first, for about 25 rows.

        All levels that fit into `MAX_ROWS`; if that gives fewer than `MIN_ROWS`, the smallest blocks of the next one.
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
        """The rows of the axis: layers in no folded block, and for each folded block the layer that stands for it."""
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
        """The runs of at least two rows in the same open block, the outer ones first."""
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
    """The parts of a name that end at a dot, and the name itself.

    >>> paths_of("a.b.c")
    ['a', 'a.b', 'a.b.c']
    """
    parts = name.split(".")
    return [".".join(parts[: k + 1]) for k in range(len(parts))]
