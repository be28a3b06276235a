"""Representations with an offset far above their spread: their numbers, and what is said where rounding hides them."""

import re
from fractions import Fraction
from operator import mul

import numpy as np
import pytest
import reference
import torch
from passes import batches, within
from torch import nn

from simwidget.functional import cka

SIZES = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8]
LAYERS = ["linear", "part"]
ROUNDED = "constant up to rounding errors in float32: to see whether the layer varies, run model and batches in float64"
HIDDEN = r"float32 cannot tell whether some features vary .* in layer 'part'"
quiet = pytest.mark.filterwarnings("ignore:.*scatter widely", f"ignore:{HIDDEN}")


class Offset(nn.Module):
    """A linear layer, and its outputs with a large offset."""

    def __init__(self, where, size, dtype=None):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.part = nn.Linear(8, 8), nn.Identity()
        self.where, self.size, self.dtype = where, size, dtype

    def forward(self, x):
        y = self.linear(x)
        if self.where == "feature":
            y = torch.cat([y, y[:, :1] + self.size], 1)
        elif self.where == "all features":
            y = y + self.size
        else:
            y = y.clone()
            y[len(y) // 2] *= self.size
        return self.part(y if self.dtype is None else y.to(self.dtype))


def data(dtype=torch.float32):
    return [x for n in (40, 33, 17, 24) for x in batches(1, n, seed=n, dtype=dtype)]


def exact_hsic(x, y):
    """The product of n (n - 3) and HSIC_1, in exact numbers: float64 loses digits where one sample is huge."""
    n = len(x)
    k, l = ([[sum(map(mul, a, b)) for b in rows] for a in rows] for rows in map(whole_numbers, (x, y)))  # noqa: E741
    for i in range(n):
        k[i][i] = l[i][i] = 0
    sums = [sum(row) for row in k], [sum(row) for row in l]
    trace = sum(sum(map(mul, *rows)) for rows in zip(k, l))
    total = sum(sums[0]) * sum(sums[1])
    return trace + Fraction(total, (n - 1) * (n - 2)) - Fraction(2 * sum(map(mul, *sums)), n - 2)


def whole_numbers(x):
    return [[int(value * 2.0**80) for value in row] for row in x.tolist()]


def expected(model, given):
    """CKA of both layers from the outputs as the network computes them."""
    layers = [list(reference.representations(model, x, LAYERS).values()) for x in given]
    xy, xx, yy = (sum(exact_hsic(one[i], one[j]) for one in layers) for i, j in ((0, 1), (0, 0), (1, 1)))
    return float(xy / xx) * float(xx / yy) ** 0.5


def found(model, given, **options):
    return within(model, given, layers=LAYERS, gram_batch=1, **options)


@quiet
@pytest.mark.parametrize("where", ["feature", "sample"])
@pytest.mark.parametrize("size", SIZES)
def test_one_feature_or_sample_far_from_the_others(where, size):
    """There is a note where a feature's spread is a few steps of float32, and none where it is many or none."""
    model = Offset(where, size)
    result = found(model, data())
    assert result.matrix()[0, 1] == pytest.approx(expected(model, data()), abs=1e-6)
    is_hidden = where == "feature" and 1e6 <= size <= 1e7
    assert any(re.match(HIDDEN, note) for note in result.notes) == is_hidden


@quiet
@pytest.mark.parametrize("size", SIZES)
def test_all_features_far_from_zero(size):
    """At 1e6 the spread is some steps of float32, as rounding errors are; at 1e8 it is less than one."""
    model = Offset("all features", size)
    result = found(model, data())
    if size < 1e6:
        assert result.matrix()[0, 1] == pytest.approx(expected(model, data()), abs=1e-6)
        return
    reason = ROUNDED if size < 1e8 else "constant representation"
    assert result.reasons("cka", "net") == {"part": reason}
    model.double()
    result = found(model, data(torch.float64))
    assert result.reasons("cka", "net") == {}
    assert result.matrix()[0, 1] == pytest.approx(1, abs=1e-5)


@quiet
@pytest.mark.parametrize("where", ["feature", "sample"])
@pytest.mark.parametrize(("dtype", "size"), [(torch.float16, 100.0), (torch.float16, 2e4), (torch.bfloat16, 1e6)])
def test_half_precision(where, dtype, size):
    model = Offset(where, size, dtype)
    assert found(model, data()).matrix()[0, 1] == pytest.approx(expected(model, data()), abs=1e-6)


@quiet
@pytest.mark.parametrize("where", ["feature", "sample"])
def test_reduced_products(where):
    """Subtracting the offset in float32 leaves bfloat16 and TF32 products the digits that they have without one."""
    model, given = Offset(where, 1e7), batches(2, 256)
    layers = [list(reference.representations(model, x, LAYERS).values()) for x in given]
    result = found(model, given, precision="high")
    assert result.matrix()[0, 1] == pytest.approx(reference.cka(layers)[0, 1], abs=2e-3)


@pytest.mark.parametrize("where", ["feature", "sample"])
@pytest.mark.parametrize("unbiased", [True, False])
def test_arrays(where, unbiased):
    x = data()[0]
    with torch.no_grad():
        y = Offset(where, 1e6)(x)
    value = reference.cka([[x.numpy(), y.numpy()]], unbiased)[0, 1]
    assert cka(x, y, unbiased=unbiased) == pytest.approx(value, abs=1e-6)


@pytest.mark.filterwarnings("ignore:.*scatter widely")
def test_a_feature_that_may_be_rounding_has_a_note():
    """The feature's steps are data of the network; the note says how to find out whether they are more."""
    model = Offset("feature", 1e7)
    with pytest.warns(UserWarning, match=HIDDEN):
        result = found(model, data())
    (note,) = result.notes
    assert note.endswith("compared as they are: to see whether they vary, run model and batches in float64")
    assert np.isfinite(result.matrix()).all()
    result = found(model.double(), data(torch.float64))
    assert not result.notes
    assert result.matrix()[0, 1] == pytest.approx(expected(model, data(torch.float64)), abs=1e-6)


class Parts(nn.Module):
    """Layers that are constant in some or all features, exactly or but for rounding."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.live, self.exact, self.rounded, self.mixed = (nn.Identity() for _ in range(4))

    def forward(self, x):
        self.live(x)
        level = torch.linspace(-3, 3, 50).expand(len(x), -1)
        self.exact(level)
        noise = 1 + torch.randint(-3, 4, (len(x), 50), generator=torch.Generator().manual_seed(1)) * 2.0**-24
        self.rounded(level * noise)
        return self.mixed(torch.cat([level * noise, x], 1))


@pytest.mark.filterwarnings("error", "ignore:.*scatter widely")
def test_constant_layers_have_a_reason_and_constant_features_do_not_matter():
    result = within(Parts(), data(), layers=["live", "exact", "rounded", "mixed"], gram_batch=1)
    assert result.reasons("cka", "net") == {
        "exact": "constant representation",
        "rounded": ROUNDED,
    }
    assert result.matrix()[0, 3] == pytest.approx(1, abs=1e-6)


def test_an_untrained_deep_network_is_constant_but_for_rounding():
    torch.manual_seed(0)
    layers = [layer for _ in range(30) for layer in (nn.Linear(256, 256), nn.ReLU())]
    result = within(nn.Sequential(*layers), batches(3, 64, 256), layers=["0", "58", "59"])
    assert result.reasons("cka", "net") == {"58": ROUNDED, "59": ROUNDED}
    in_float64 = batches(3, 64, 256, dtype=torch.float64)
    result = within(nn.Sequential(*layers).double(), in_float64, layers=["0", "58", "59"])
    assert result.reasons("cka", "net") == {}
