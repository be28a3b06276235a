"""The pairs of layers whose details a page is still to get, and what the details cost."""

from collections.abc import Iterable

from simwidget.widget.protocol import Selection

MAX_PENDING = 8
"""Pairs that may be pending; of more, those that were asked for first are dropped."""

PairKey = tuple[str, ...]


class PendingDetails:
    """Pairs in the order in which they were asked for, each once. The caller holds a lock."""

    def __init__(self) -> None:
        self._pairs: dict[PairKey, Selection] = {}
        self._seconds: dict[PairKey, float] = {}

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def add(self, pairs: Iterable[Selection]) -> None:
        """Ask for pairs; one that is pending already moves to the end."""
        for pair in pairs:
            self._pairs.pop(key_of(pair), None)
            self._pairs[key_of(pair)] = pair
        for key in tuple(self._pairs)[:-MAX_PENDING]:
            del self._pairs[key]

    def pop(self, first: Selection | None) -> Selection:
        """Take the pair `first` if it is pending, else the one that was asked for earliest."""
        is_pending = first is not None and key_of(first) in self._pairs
        return self._pairs.pop(key_of(first) if first is not None and is_pending else next(iter(self._pairs)))

    def note_cost(self, pair: Selection, seconds: float) -> None:
        """Record how long it took to compute a pair's details."""
        self._seconds[key_of(pair)] = seconds

    def cost_of(self, pairs: Iterable[Selection]) -> float:
        """The seconds that the details of these pairs took last, added up. The costs of all other pairs are deleted."""
        self._seconds = {key_of(pair): self._seconds.get(key_of(pair), 0.0) for pair in pairs}
        return sum(self._seconds.values())


def key_of(pair: Selection) -> PairKey:
    return pair["model_x"], pair["layer_x"], pair["model_y"], pair["layer_y"]
