"""`Inspector`: keeps the latest Gram matrices of a run, and compares pairs of layers sample by sample."""

from collections.abc import Mapping
from contextlib import suppress
from threading import Lock

from simwidget.gram.rows import Key
from simwidget.inspection.extremes import Extremes, Pair, WatchedPair
from simwidget.inspection.latest_block import LatestBlock

MAX_FOLLOWED_PAIRS = 4
"""Largest number of pairs of layers that are compared on each new sample of a run."""


class Inspector:
    """Keeps the latest block of a run, and compares pairs of layers on the samples of every block.

    A block consists of the samples of one batch, or of several small batches that were joined, and the Gram matrix of
    each layer on these samples. Only followed pairs are compared. The method `follow` makes a pair a followed pair.

    Args:
        rows: key of a layer -> index of its Gram matrix in a block.
        lock: the lock that guards the accumulated sums of the run. The same lock guards the latest block and the
            followed pairs, so that a newly followed pair is compared on each block exactly once.
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
        """Compare the two layers of each followed pair on the samples of a new block, and keep the block as the latest.

        If the block's Gram matrices take more than `max_bytes`, only as many of the block's first samples as fit are
        kept. The caller must hold the lock.
        """
        for watch in self._watches.values():
            watch.add(self._extremes(block, watch))
        self._latest = block.limited_to(max_bytes)

    def follow(self, key_x: Key, key_y: Key) -> None:
        """Follow a pair of layers: compare the layers on the samples of the latest block and of every later block.

        If more than `MAX_FOLLOWED_PAIRS` pairs are then followed, the pair least recently passed to `follow` is
        dropped. The caller must not hold the lock.
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
        """Return, for each followed pair of layers, the samples on which the two layers agree least and most.

        The value is None for a pair that has not been compared on any block yet. The caller must hold the lock.
        """
        return {pair: watch.extremes for pair, watch in self._watches.items()}

    def release(self) -> None:
        """Replace the loader's tensors in the latest block by thumbnails, which need less memory."""
        with self._lock, suppress(Exception):  # a display's trouble is not the run's
            if self._latest is not None:
                self._latest.make_thumbnails()

    def _extremes(self, block: LatestBlock, watch: WatchedPair) -> Extremes:
        return block.extremes(self._rows[watch.key_x], self._rows[watch.key_y])
