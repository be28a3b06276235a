"""Tokens or positions as samples: which of them are drawn, and what each layer has there."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simwidget.capture.outputs import RepresentationError
from simwidget.data.masks import Masks

Grid = tuple[int, ...]
"""How many positions an output has: (tokens,), or (height, width)."""


MAX_LEADING = 8
"""Tokens that stand before those of the places: a class token, registers."""


@dataclass(frozen=True)
class PositionOptions:
    """Which positions of a forward pass are its samples."""

    max_positions: int
    """positions that are drawn from each forward pass"""
    seed: int
    """of the draw"""


class Positions:
    """The positions of one forward pass that are its samples.

    The first layer that has positions settles them: of all real ones, `max_positions` are drawn without replacement,
    and every later layer, of every model, is read at the same places. A layer of another resolution is read in the
    cell that covers the place; a grid of another number of dimensions has no such cell. Tokens of one resolution are
    matched from the end, since class tokens and the like stand before them; where it is the first layer that has them,
    a layer without them has no such place.
    """

    def __init__(
        self, n: int, masks: Masks, options: PositionOptions, batch: int, on_drawn: Callable[[int], None]
    ) -> None:
        self._n = n
        self._masks = masks
        self._max_positions = options.max_positions
        mixed = np.random.SeedSequence((options.seed, batch)).generate_state(1)  # torch takes 32 bits of a seed
        self._generator = torch.Generator().manual_seed(int(mixed[0]))
        self._on_drawn = on_drawn
        self.grid: Grid | None = None
        self.sample_of_position: Tensor | None = None
        """(m,) on the CPU: the sample that each drawn position lies in"""
        self._cells: Tensor | None = None
        self._indices: dict[tuple[Grid, bool, torch.device], tuple[Tensor, ...]] = {}
        self._channels_first = False
        """whether that layer has its features first"""

    def read(self, decoder: bool, x: Tensor, axis: int) -> Tensor:
        """What an output (n, ...) with its features at `axis` has at the positions: (m, features)."""
        if x.ndim < 3:
            raise RepresentationError(
                f"its output {tuple(x.shape)} has no tokens or positions, only features: choose other layers, or "
                "another representation"
            )
        first = axis == 1
        x = x.movedim(axis, -1)
        grid = tuple(x.shape[1:-1])
        if self.grid is None:
            self._channels_first = first
            self._draw(decoder, grid)
        return self._gather(x, grid, tokens=x.ndim == 3 and not first)

    def drawn_samples(self) -> Tensor:
        """After the networks: the sample (m,) that each drawn position lies in."""
        if self.sample_of_position is None:
            raise ValueError(
                "no layer that ran has tokens or positions, only features: take another representation=, or choose "
                "other layers"
            )
        return self.sample_of_position

    def read_confounder(self, x: Tensor, axis: int) -> Tensor:
        """A confounder (n, ...): at the positions where it has as many dimensions, else its sample's, once for each."""
        assert self.grid is not None
        if x.ndim >= 3 and x.ndim - 2 == len(self.grid):
            x = x.movedim(axis, -1)
            return self._gather(x, tuple(x.shape[1:-1]), tokens=x.ndim == 3 and not self._channels_first)
        return x.flatten(1)[self.drawn_samples().to(x.device)]

    def confounder_axis(self, x: Tensor) -> int:
        """Where a confounder (n, ...) has its features: images have theirs first; of what lies along a line the number
        of places tells, else the first layer with positions.
        """
        if x.ndim != 3 or self.grid is None:
            return 1 if x.ndim > 3 else x.ndim - 1
        first, last = x.shape[2] == self.grid[0], x.shape[1] == self.grid[0]
        return 1 if (self._channels_first if first == last else first) else 2

    def _draw(self, decoder: bool, grid: Grid) -> None:
        mask = self._masks.matching(decoder, grid[0]) if len(grid) == 1 else None
        if mask is None:
            n_all = self._n * int(torch.tensor(grid).prod())
            drawn = torch.randperm(n_all, generator=self._generator)[: self._max_positions].sort().values
        else:
            real = mask.flatten().nonzero().flatten().cpu()
            drawn = real[torch.randperm(len(real), generator=self._generator)[: self._max_positions].sort().values]
        sample, *cells = torch.unravel_index(drawn, (self._n, *grid))
        self.grid, self.sample_of_position = grid, sample
        self._cells = torch.stack(cells) if cells else drawn.new_empty(0, len(drawn))
        self._on_drawn(len(drawn))

    def _gather(self, x: Tensor, grid: Grid, tokens: bool) -> Tensor:
        places = self._indices.get((grid, tokens, x.device))
        if places is None:
            places = (self.drawn_samples().to(x.device), *self._cells_at(grid, tokens).to(x.device))
            self._indices[grid, tokens, x.device] = places
        return x[places]

    def _cells_at(self, grid: Grid, tokens: bool) -> Tensor:
        """For each drawn position its cell at a resolution; of `tokens` a few may lead, as a class token does."""
        assert self.grid is not None
        assert self._cells is not None
        if grid == self.grid:
            return self._cells
        if len(grid) == len(self.grid) and not (tokens and _has_leading_tokens(grid[0], self.grid[0])):
            # the centre of a cell at one resolution -> the cell that covers it at the other
            sizes = torch.tensor([self.grid, grid])
            return ((2 * self._cells + 1) * sizes[1][:, None]) // (2 * sizes[0][:, None])
        surplus = grid[0] - self.grid[0]
        if len(grid) == len(self.grid) and 0 < surplus <= MAX_LEADING:
            return self._cells + surplus
        raise RepresentationError(
            f"its positions {grid} and those of the first layer {self.grid} have no places in common: compare "
            "layers of one kind, or give representation= a callable"
        )


def _has_leading_tokens(one: int, other: int) -> bool:
    """Whether two numbers of tokens are of one resolution, so that the one that is larger has others in front."""
    ratio = round(max(one, other) / min(one, other))
    return ratio < 2 or abs(max(one, other) - ratio * min(one, other)) >= ratio
