"""Tokens and places as samples: which are drawn, and what is read there."""

from collections import Counter
from fractions import Fraction
from itertools import product
from math import floor, prod

import numpy as np
import pytest
import torch
from torch import nn

import simwidget as sw
from simwidget.capture.outputs import RepresentationError
from simwidget.capture.positions import PositionOptions, Positions


def drawing(n=3, most=8, seed=0, batch=0):
    counts = []
    return Positions(n, PositionOptions(most, seed), batch, counts.append), counts


def numbered(n, grid):
    """(n, *grid, 1): every place holds its own number."""
    return torch.arange(float(n * prod(grid))).reshape(n, *grid, 1)


def places(positions, grid, n=3, mask=None):
    """The places that were read, as (sample, *cell)."""
    read = positions.read(numbered(n, grid), len(grid) + 1, mask)[:, 0]
    return [tuple(int(i) for i in np.unravel_index(int(one), (n, *grid))) for one in read]


@pytest.mark.parametrize("grid", [(5,), (4, 3), (2, 2, 3)])
@pytest.mark.parametrize("most", [1, 7, 1000])
def test_without_replacement_and_at_most_as_many(grid, most):
    positions, counts = drawing(most=most)
    drawn = places(positions, grid)
    assert len(drawn) == len(set(drawn)) == min(most, 3 * prod(grid))
    assert counts == [len(drawn)]
    assert positions.drawn_samples().tolist() == [sample for sample, *_ in drawn]


def test_every_place_is_as_likely():
    counts = Counter(place for batch in range(400) for place in places(drawing(most=5, batch=batch)[0], (2, 3)))
    assert sum(counts.values()) == 400 * 5
    share = 5 / 18
    deviation = (400 * share * (1 - share)) ** 0.5
    assert len(counts) == 18
    assert max(abs(count - 400 * share) for count in counts.values()) < 5 * deviation


def test_the_seed_and_the_batch_decide():
    def drawn(**options):
        return tuple(places(drawing(most=6, **options)[0], (5, 5)))

    assert drawn(seed=1, batch=2) == drawn(seed=1, batch=2)
    choices = [drawn(seed=seed, batch=batch) for seed in (0, 1, 2**31 - 1) for batch in range(4)]
    assert len(set(choices)) == len(choices)


def test_the_users_random_numbers_are_not_drawn():
    before = torch.get_rng_state()
    places(drawing()[0], (4, 4))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("most", [4, 1000])
def test_masked_tokens_are_never_drawn(most):
    mask = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1]]).bool()
    real = {(int(i), int(t)) for i, t in mask.nonzero()}
    for seed in range(20):
        drawn = places(drawing(most=most, seed=seed)[0], (4,), mask=mask)
        assert set(drawn) <= real
        assert len(drawn) == min(most, len(real))


def test_tokens_of_another_mask_are_refused():
    positions, _ = drawing()
    x = torch.randn(3, 4, 2)
    first = positions.read(x, 2, None, "attention_mask")
    assert torch.equal(positions.read(x, 2, None, "attention_mask"), first)
    assert torch.equal(positions.read(x, 2, None, None), first)
    for other in ("", "decoder_attention_mask"):
        with pytest.raises(RepresentationError, match="come from another input than the tokens of the first layer"):
            positions.read(x, 2, None, other)


def covering(place, grid, other):
    """The cell of the other grid in which the centre of this one's cell lies, by exact fractions."""
    return tuple(floor(Fraction(2 * cell + 1, 2 * size) * there) for cell, size, there in zip(place, grid, other))


PAIRS = [
    ((8,), (4,)), ((4,), (8,)), ((7,), (3,)), ((3,), (7,)), ((1,), (5,)), ((5,), (1,)), ((6, 4), (3, 2)),
    ((3, 2), (6, 4)), ((5, 7), (3, 4)), ((4, 6), (6, 4)), ((2, 3, 4), (4, 3, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("grid", "other"), PAIRS)
def test_another_resolution_is_read_in_the_cell_that_covers_the_place(grid, other):
    positions, _ = drawing(most=1000)
    first = places(positions, grid)
    expected = [(sample, *covering(place, grid, other)) for sample, *place in first]
    assert places(positions, other) == expected
    assert places(positions, grid) == first


def test_features_first_or_last_are_read_at_the_same_places():
    positions, _ = drawing(most=5)
    x = torch.randn(3, 4, 4, 2)
    last = positions.read(x, 3)
    assert last.shape == (5, 2)
    assert torch.equal(positions.read(x.movedim(3, 1), 1), last)
    assert torch.equal(positions.read(x.movedim(3, 1).contiguous(), 1), last)


def test_a_confounder_is_read_there_or_repeated():
    positions, _ = drawing(most=9)
    drawn = places(positions, (4, 4))
    maps, features, tokens = torch.randn(3, 2, 8, 8), torch.randn(3, 7), torch.randn(3, 5, 2)
    for row, (sample, *cell) in enumerate(drawn):
        at = covering(cell, (4, 4), (8, 8))
        assert torch.equal(positions.read_confounder(maps, 1)[row], maps[sample, :, at[0], at[1]])
        assert torch.equal(positions.read_confounder(features, 1)[row], features[sample])
        assert torch.equal(positions.read_confounder(features[:, :1], 1)[row], features[sample, :1])
        assert torch.equal(positions.read_confounder(tokens, 2)[row], tokens[sample].flatten())


def test_what_has_no_places():
    positions, counts = drawing()
    with pytest.raises(RepresentationError, match=r"^its output \(3, 6\) has no tokens or positions, only features"):
        positions.read(torch.zeros(3, 6), 1)
    with pytest.raises(ValueError, match=r"^no layer .*has tokens or positions"):
        positions.drawn_samples()
    assert not counts
    places(positions, (4, 4))
    text = r"^its positions \(5,\) do not correspond to those of the first layer, \(4, 4\): "
    with pytest.raises(RepresentationError, match=text):
        places(positions, (5,))


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        return self.three(torch.tanh(self.two(torch.tanh(self.one(x)))))


def explained_by(model, data, confounder, **options):
    result = sw.compare({"net": model}, data, device="cpu", confounder=confounder, **options).run(progress=False)
    return result.matrix("dcka")


@pytest.mark.parametrize("confounder", ["one", "three"], ids=["before", "after"])
def test_a_confounding_layer_is_read_at_the_places_too(confounder):
    """Whatever patterns the representation has; as many places as samples would hide that it is not."""
    model, data = Steps(), [torch.randn(16, 5, 4) for _ in range(3)]
    layers = [name for name in ("one", "two", "three") if name != confounder]
    options = {"layers": layers, "positions": 16, "gram_batch": 16}
    expected = explained_by(model, data, confounder, representation="tokens", **options)
    by_pattern = explained_by(model, data, confounder, representation=dict.fromkeys(layers, "tokens"), **options)
    assert np.array_equal(by_pattern, expected)


def test_an_input_along_a_line_with_its_channels_first():
    model = nn.Sequential(nn.Conv1d(3, 6, 1), nn.Conv1d(6, 5, 1))
    data = [torch.randn(16, 3, 7) for _ in range(3)]

    def there(batch):
        return batch.transpose(1, 2)

    options = {"representation": "positions"}
    expected = explained_by(model, data, there, **options)
    assert np.array_equal(explained_by(model, data, "input", **options), expected, equal_nan=True)


def test_all_layers_of_all_models_at_the_same_places():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last, self.turned = nn.Identity(), nn.Identity(), nn.Linear(3, 3, bias=False)
            nn.init.orthogonal_(self.turned.weight)

        def forward(self, x):
            self.last(self.turned(self.first(x).flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:]))

    class Larger(Both):
        def forward(self, x):
            super().forward(x.repeat_interleave(2, 2).repeat_interleave(3, 3))

    data = [torch.randn(8, 3, 6, 6) for _ in range(2)]
    options = {"layers": ["first", "last"], "measures": "cka", "device": "cpu", "positions": 40}
    run = sw.compare({"as it is": Both(), "larger": Larger()}, data, representation="positions", **options)
    assert np.allclose(run.run(progress=False).matrix(), 1, atol=1e-5)


def test_which_is_checked_by_hand():
    """The loop is no copy of the formula: on small grids both ends and the middle are known."""
    cells = {
        (grid, other): [covering(cell, grid, other) for cell in product(*map(range, grid))] for grid, other in PAIRS
    }
    assert cells[(8,), (4,)] == [(0,), (0,), (1,), (1,), (2,), (2,), (3,), (3,)]
    assert cells[(3,), (7,)] == [(1,), (3,), (5,)]
    assert cells[(5,), (1,)] == [(0,)] * 5
