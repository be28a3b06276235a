"""What a pass keeps for looking into pairs of layers: its latest block, and the pairs that are being followed."""

from collections.abc import Mapping
from contextlib import suppress
from threading import Lock

from simwidget.gram.rows import Key
from simwidget.inspection.extremes import Extremes, Pair, WatchedPair
from simwidget.inspection.latest_block import LatestBlock

MAX_FOLLOWED_PAIRS = 4
"""Pairs of layers whose samples are compared block by block."""


class Inspector:
    """Keeps the latest block, and compares the layers of the followed pairs on the samples of every block.

    `lock` is that of the pass: it guards the latest block and the pairs together with the sums, so that a pair that is
    followed from now on meets each block exactly once. `rows` gives the row of each layer in a block.
    """

    def __init__(self, rows: Mapping[Key, int], lock: Lock) -> None:
        self._rows = rows
        self._lock = lock
        self._latest: LatestBlock | None = None
        self._watches: dict[Pair, WatchedPair] = {}

    @property
    def latest(self) -> LatestBlock | None:
        return self._latest

    @property
    def is_following(self) -> bool:
        return bool(self._watches)

    def add(self, block: LatestBlock, max_bytes: int) -> None:
        """Compare the followed pairs in a new block and keep it, with the lock held.

        Of a block whose Gram matrices take more than `max_bytes`, the first samples are kept.
        """
        for watch in self._watches.values():
            watch.add(self._extremes(block, watch))
        self._latest = block.limited_to(max_bytes)

    def follow(self, key_x: Key, key_y: Key) -> None:
        """Follow a pair from now on, beginning with the latest block; called without the lock.

        Of more than `MAX_FOLLOWED_PAIRS` pairs, the one for which this was called longest ago is dropped.
        """
        pair = Pair((key_x, key_y))
        with self._lock:
            known = self._watches.pop(pair, None)
            watch = self._watches[pair] = known or WatchedPair(key_x, key_y)
            for oldest in tuple(self._watches)[:-MAX_FOLLOWED_PAIRS]:
                del self._watches[oldest]
            latest = self._latest
        if known is None and latest is not None:
            extremes = self._extremes(latest, watch)
            with self._lock:
                watch.add(extremes)

    def extremes(self) -> dict[Pair, Extremes | None]:
        """For each followed pair the samples on which its layers agree least and most, with the lock held."""
        return {pair: watch.extremes for pair, watch in self._watches.items()}

    def release(self) -> None:
        """Keep thumbnails of the latest block's samples instead of the loader's own tensors."""
        with self._lock, suppress(Exception):  # a display's trouble is not the run's
            if self._latest is not None:
                self._latest.make_thumbnails()

    def _extremes(self, block: LatestBlock, watch: WatchedPair) -> Extremes:
        return block.extremes(self._rows[watch.key_x], self._rows[watch.key_y])
