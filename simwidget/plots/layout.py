"""Which names stand beside an axis, and where, so that none touches another. Lengths in points; no matplotlib here."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from simwidget.plots.text import below
from simwidget.result.layer_tree import Entry, LayerTree

LEVELS = 2
"""Columns of brackets outside of the names; blocks around these have none."""
NAMED_PARTS = 4
"""A block of numbered parts is opened where so many of them can be named."""
NAMED_SHARE = 0.6
"""A block of blocks is opened where those that can be named are so much of it."""
ENOUGH = 60.0
"""Room for a block's name, be it cut."""
AIR = 4.0
LEAST_BRACKET = 3.0


@dataclass(frozen=True, eq=False)
class Unit:
    """A row of the axis, or a block with the units in it."""

    name: str
    first: int
    last: int
    holder: "Unit | None" = None
    folded: bool = False
    parts: list["Unit"] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Label:
    """A name, and the stretch of the axis that it is for. One without a text is a bracket alone."""

    text: str
    start: float
    end: float
    level: int
    """0 beside the rows, k along a bracket in the k-th column outside of these names"""
    block: bool
    strong: bool = False

    @property
    def size(self) -> float:
        return self.end - self.start

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


class Stretch:
    """A length of an axis on which the rows from `low` to `high` are seen; both may be between rows."""

    def __init__(self, low: float, high: float, length: float) -> None:
        self._low, self._high = low, high
        self._step = length / (high - low)

    def span(self, unit: Unit) -> tuple[float, float]:
        """Where a unit starts and ends, as far as it is seen."""
        start, end = (min(max(edge, self._low), self._high) for edge in (unit.first - 0.5, unit.last + 0.5))
        return (start - self._low) * self._step, (end - self._low) * self._step

    def middle(self, unit: Unit) -> float:
        return sum(self.span(unit)) / 2

    def size(self, unit: Unit) -> float:
        start, end = self.span(unit)
        return end - start


def units_of(tree: LayerTree, entries: Sequence[Entry]) -> list[Unit]:
    """The blocks and rows of an axis, from its start.

    >>> tree = LayerTree(["stem", "one.conv", "one.norm", "two.a", "two.b"])
    >>> [(unit.name, len(unit.parts), unit.folded) for unit in units_of(tree, tree.entries(["one"]))]
    [('stem', 0, False), ('one', 2, False), ('two', 0, True)]
    """
    starting: dict[int, list[tuple[str, int]]] = {}
    for bracket in tree.brackets(entries):
        starting.setdefault(bracket.first, []).append((bracket.path, bracket.last))
    found: list[Unit] = []
    around: list[Unit] = []

    def put(unit: Unit) -> Unit:
        (unit.holder.parts if unit.holder else found).append(unit)
        return unit

    for position, entry in enumerate(entries):
        while around and around[-1].last < position:
            around.pop()
        for path, last in starting.get(position, ()):
            around.append(put(Unit(path, position, last, around[-1] if around else None)))
        name = tree.names[entry.index] if entry.folded is None else entry.folded
        put(Unit(name, position, position, around[-1] if around else None, entry.folded is not None))
    return found


def every(units: Sequence[Unit]) -> Iterator[Unit]:
    """All blocks and rows, a block before what lies in it."""
    for unit in units:
        yield unit
        yield from every(unit.parts)


def arranged(
    units: Sequence[Unit],
    stretch: Stretch,
    line: float,
    width: Callable[[str], float],
    strong: Collection[int] = (),
    most_levels: int = LEVELS,
) -> list[Label]:
    """The names and brackets of an axis.

    A block is named beside the middle of its rows, or, where what lies in it can be named instead, along a bracket
    outside of these names. Where names would stand too close, blocks go before rows, the members of a numbered sequence
    after others, and large ones before small ones.

    Args:
        units: as `units_of` makes them.
        stretch: where they are.
        line: the least distance of two names beside the rows.
        width: of a text.
        strong: rows that are named first of all.
        most_levels: columns of brackets outside of the names.
    """
    levels: dict[Unit, int] = {}
    beside: list[Unit] = []

    def settle(unit: Unit) -> int:
        """How many columns of brackets there are over a unit, its own among them."""
        if not stretch.size(unit) > 0:
            return 0
        if not _opens(unit, stretch, line, width):
            beside.append(unit)
            return 0
        levels[unit] = 1 + max(settle(part) for part in unit.parts)
        return levels[unit]

    def label(unit: Unit, level: int = 0) -> Label:
        holder = unit.holder
        while holder and not 0 < levels.get(holder, 0) <= most_levels:
            holder = holder.holder
        text = ("▸ " if unit.folded else "") + below(unit.name, holder.name if holder else None)
        is_strong = not unit.parts and unit.first in strong
        return Label(text, *stretch.span(unit), level, bool(unit.parts), is_strong)

    for unit in units:
        settle(unit)
    chosen = [unit for unit in every(units) if not unit.parts and unit.first in strong and stretch.size(unit) > 0]
    ranked = [*chosen, *sorted(beside, key=_rank)]
    named = _spaced(ranked, stretch, line)
    unnamed = [unit for unit in ranked if unit.parts and unit not in named and stretch.size(unit) >= LEAST_BRACKET]
    return [
        *(label(unit, level) for unit, level in levels.items() if level <= most_levels),
        *(label(unit) for unit in named),
        *(replace(label(unit), text="") for unit in unnamed),
    ]


def _rank(unit: Unit) -> tuple[bool, bool, int]:
    """Which names come first: see `arranged`."""
    counted = unit.holder is not None and _numbered(unit.holder)
    return not unit.parts, counted, 0 if counted else -unit.rows


def _spaced(units: Sequence[Unit], stretch: Stretch, line: float) -> list[Unit]:
    """Those of the units that keep their distance, the first before the others."""
    kept: list[Unit] = []
    for unit in units:
        if all(abs(stretch.middle(unit) - stretch.middle(other)) >= line for other in kept):
            kept.append(unit)
    return kept


def _opens(unit: Unit, stretch: Stretch, line: float, width: Callable[[str], float]) -> bool:
    """Whether what lies in a block is named: all of it, most of it, or enough of a numbered sequence."""
    size = stretch.size(unit)
    own = below(unit.name, unit.holder.name if unit.holder else None)
    if not unit.parts or min(width(own), ENOUGH) + AIR > size:
        return False
    if _numbered(unit) and size >= NAMED_PARTS * line:
        return True
    parts = [part for part in _to_name(unit) if stretch.size(part) > 0]
    named = _spaced(sorted(parts, key=_rank), stretch, line)
    least = NAMED_SHARE if parts[0].parts else 1.0
    return sum(part.rows for part in named) >= least * sum(part.rows for part in parts)


def _to_name(block: Unit) -> list[Unit]:
    """The parts by which a block is told: the blocks in it, if these are most of it."""
    blocks = [part for part in block.parts if part.parts]
    return blocks if 2 * sum(part.rows for part in blocks) >= block.rows else block.parts


def _numbered(block: Unit) -> bool:
    """Whether every k-th name of a block's parts tells the others: "layer1.0", "layer1.1", ..."""
    names = [part.name for part in _to_name(block) if part.name != block.name]
    stems = {re.sub(r"\d+$", "", name) for name in names}
    return len(stems) == 1 and stems.isdisjoint(names)
