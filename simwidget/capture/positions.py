"""`Positions`: draws random positions (tokens or places of a feature map) and reads each output at these positions.

The drawn positions serve as samples in place of the samples of the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simwidget.capture.outputs import RepresentationError

Grid = tuple[int, ...]
"""The number of positions of an output in each dimension: (tokens,), (height, width), or (depth, height, width)."""
MAX_LEADING = 8
"""The largest number of extra tokens, such as a class token, that are assumed at the start of a sequence.

Extra tokens are those that the sequence from which the positions were drawn does not have.
"""


@dataclass(frozen=True)
class PositionOptions:
    """Options for the random choice of positions (tokens or places of a feature map) that serve as samples."""

    max_positions: int
    """the largest number of positions that are drawn from each forward pass"""
    seed: int
    """the seed of the random numbers that choose the positions"""


class Positions:
    """Randomly drawn positions (tokens or places of a feature map) that serve as the samples of one forward pass.

    The positions are drawn from the first output that has positions, whatever its layer and model. Up to
    `options.max_positions` positions are drawn without replacement, never from padding. How a later output is read
    depends on its grid (the number of positions in each spatial dimension):

    - Same grid: the output is read at the drawn positions.
    - Different grid with the same number of dimensions: for each drawn position, the output is read at the position
      whose area contains the centre of the drawn position.
    - Different number of dimensions: the output cannot be read.

    Exception: two sequences of tokens, (n, tokens, features), may have different lengths because of extra tokens, such
    as a class token. Extra tokens are assumed unless the longer length is nearly a multiple of the shorter length
    (twice, three times, ...). The two sequences are then aligned at their ends, because extra tokens are usually at the
    start. In this case, the later sequence cannot be read if it is shorter than the sequence from which the positions
    were drawn, or longer by more than `MAX_LEADING` tokens.

    Args:
        n: the number of samples of the batch.
        options: the largest number of positions to draw, and a seed.
        batch: the number of the batch in the loader. The seed and this number together determine the random numbers.
        on_drawn: called with the number m of drawn positions, once they are drawn.
    """

    def __init__(self, n: int, options: PositionOptions, batch: int, on_drawn: Callable[[int], None]) -> None:
        self._n = n
        self._max_positions = options.max_positions
        mixed = np.random.SeedSequence((options.seed, batch)).generate_state(1)  # torch takes 32 bits of a seed
        self._generator = torch.Generator().manual_seed(int(mixed[0]))
        self._on_drawn = on_drawn
        self.grid: Grid | None = None
        self.sample_of_position: Tensor | None = None
        """(m,) on the CPU: for each drawn position, the index of the sample that contains it; None before the draw"""
        self._cells: Tensor | None = None
        self._indices: dict[tuple[Grid, bool, torch.device], tuple[Tensor, ...]] = {}
        self._channels_first = False
        """whether the output from which the positions were drawn has its features in dimension 1"""
        self._source: str | None = None
        """for the output from which the positions were drawn: the argument `source` of `read`"""

    def read(self, x: Tensor, axis: int, mask: Tensor | None = None, source: str | None = None) -> Tensor:
        """Return the features of an output (n, ...) at the drawn positions: (m, features).

        The first call draws the positions.

        Args:
            x: the output.
            axis: the dimension of `x` that holds the features.
            mask: (n, tokens) bool, True for real tokens and False for padding. If None, no position is padding. Used
                only by the first call.
            source: the key of the mask whose tokens the output has; "" if these tokens have no mask; None if the key is
                not known. See `followed_mask`.

        Raises:
            RepresentationError: the output has no positions, or its positions do not correspond to the drawn positions.
        """
        if x.ndim < 3:
            raise RepresentationError(
                f"its output {tuple(x.shape)} has no tokens or positions, only features: choose other layers, or "
                "another representation"
            )
        first = axis == 1
        x = x.movedim(axis, -1)
        grid = tuple(x.shape[1:-1])
        if self.grid is None:
            self._channels_first, self._source = first, source
            self._draw(mask, grid)
        elif None not in (source, self._source) and source != self._source:
            raise RepresentationError(
                "its tokens come from another input than the tokens of the first layer: compare layers with the same "
                "tokens, or choose another representation"
            )
        return self._gather(x, grid, tokens=x.ndim == 3 and not first)

    def drawn_samples(self) -> Tensor:
        """Return, for each drawn position, the index of the sample that contains it: (m,).

        Raises ValueError if no output had positions.
        """
        if self.sample_of_position is None:
            raise ValueError(
                "no layer that ran has tokens or positions, only features: take another representation=, or choose "
                "other layers"
            )
        return self.sample_of_position

    def read_confounder(self, x: Tensor, axis: int) -> Tensor:
        """Return the values of a confounder (n, ...) for the drawn positions: (m, features).

        A confounder is a variable whose influence deconfounded CKA (dCKA) removes. If a confounder has as many spatial
        dimensions as the output from which the positions were drawn, it is read like a later output (see the class).
        If not, it is flattened to (n, features), and each position gets the values of the sample that contains it.

        Args:
            x: the confounder.
            axis: the dimension of `x` that holds the features.
        """
        assert self.grid is not None
        if x.ndim >= 3 and x.ndim - 2 == len(self.grid):
            x = x.movedim(axis, -1)
            return self._gather(x, tuple(x.shape[1:-1]), tokens=x.ndim == 3 and not self._channels_first)
        return x.flatten(1)[self.drawn_samples().to(x.device)]

    def confounder_axis(self, x: Tensor) -> int:
        """Return the dimension of a confounder (n, ...) that holds the features.

        A confounder is a variable whose influence deconfounded CKA (dCKA) removes. The result depends on the number of
        dimensions of the confounder:

        - One or two: the last dimension.
        - Three: dimension 1 or 2. Let T be the number of tokens in the output from which the positions were drawn. If
          exactly one of the two dimensions has size T, it holds the tokens and the other dimension holds the features.
          If both or neither have size T, the features are where they are in the output of which T is a size.
        - Four or more: dimension 1.

        Before the positions are drawn, the result for three dimensions is dimension 2.
        """
        if x.ndim != 3 or self.grid is None:
            return 1 if x.ndim > 3 else x.ndim - 1
        first, last = x.shape[2] == self.grid[0], x.shape[1] == self.grid[0]
        return 1 if (self._channels_first if first == last else first) else 2

    def _draw(self, mask: Tensor | None, grid: Grid) -> None:
        """Draw random positions from `grid`, never from padding, and store the positions in attributes."""
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
        """Return the features of x (n, *grid, features) at the drawn positions: (m, features)."""
        places = self._indices.get((grid, tokens, x.device))
        if places is None:
            places = (self.drawn_samples().to(x.device), *self._cells_at(grid, tokens).to(x.device))
            self._indices[grid, tokens, x.device] = places
        return x[places]

    def _cells_at(self, grid: Grid, tokens: bool) -> Tensor:
        """Return the coordinates of the drawn positions in another grid: (dimensions of the grid, m).

        `tokens` is True if the grid is a sequence of tokens, which may have extra tokens at its start. Raises
        RepresentationError if the positions in the two grids do not correspond.
        """
        assert self.grid is not None
        assert self._cells is not None
        if grid == self.grid:
            return self._cells
        if len(grid) == len(self.grid) and not (tokens and _has_leading_tokens(grid[0], self.grid[0])):
            # the centre of the drawn cell lies in this cell of the other grid
            sizes = torch.tensor([self.grid, grid])
            return ((2 * self._cells + 1) * sizes[1][:, None]) // (2 * sizes[0][:, None])
        surplus = grid[0] - self.grid[0]
        if len(grid) == len(self.grid) and 0 < surplus <= MAX_LEADING:
            return self._cells + surplus
        raise RepresentationError(
            f"its positions {grid} do not correspond to those of the first layer, {self.grid}: compare layers of one "
            "kind, or give representation= a callable"
        )


def _has_leading_tokens(one: int, other: int) -> bool:
    """Whether the difference of two sequence lengths is due to extra tokens at the start of the longer sequence.

    False if the longer length is about two, three, ... times the shorter length, because then the sequences are assumed
    to differ in resolution.
    """
    ratio = round(max(one, other) / min(one, other))
    return ratio < 2 or abs(max(one, other) - ratio * min(one, other)) >= ratio
