"""Stores the pairs of layers whose details must still be sent to the pages, and how long computing the details took."""

from collections.abc import Iterable

from simwidget.widget.protocol import Selection

MAX_PENDING = 8
"""Largest number of pending pairs of layers. If there are more, the pairs that were requested earliest are dropped."""

PairKey = tuple[str, ...]


class PendingDetails:
    """The pairs of layers whose details were requested but not sent yet, in the order of the requests.

    Each pair is stored once. The class also records how long computing the details of a pair took. The caller must hold
    a lock when calling `add` or `pop`.
    """

    def __init__(self) -> None:
        self._pairs: dict[PairKey, Selection] = {}
        self._seconds: dict[PairKey, float] = {}

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def add(self, pairs: Iterable[Selection]) -> None:
        """Add requested pairs of layers. A pair that is already pending moves to the end."""
        for pair in pairs:
            self._pairs.pop(key_of(pair), None)
            self._pairs[key_of(pair)] = pair
        for key in tuple(self._pairs)[:-MAX_PENDING]:
            del self._pairs[key]

    def pop(self, first: Selection | None) -> Selection:
        """Remove and return the pair `first` if it is pending, or else the pair that was requested earliest."""
        is_pending = first is not None and key_of(first) in self._pairs
        return self._pairs.pop(key_of(first) if first is not None and is_pending else next(iter(self._pairs)))

    def note_cost(self, pair: Selection, seconds: float) -> None:
        """Record that computing the details of a pair took this many seconds. Replaces an earlier time of the pair."""
        self._seconds[key_of(pair)] = seconds

    def cost_of(self, pairs: Iterable[Selection]) -> float:
        """Return how many seconds computing the details of all these pairs took, according to the recorded times.

        A pair without a recorded time counts as 0. This call also deletes the recorded times of all other pairs.
        """
        self._seconds = {key_of(pair): self._seconds.get(key_of(pair), 0.0) for pair in pairs}
        return sum(self._seconds.values())


def key_of(pair: Selection) -> PairKey:
    return pair["model_x"], pair["layer_x"], pair["model_y"], pair["layer_y"]
