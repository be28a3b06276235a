"""Pictures: limits, labels, missing cells."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from torch import nn

import simwidget as sw


@pytest.fixture(scope="module")
def result():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.Sequential(*(nn.Linear(6, 6) for _ in range(70)))
            self.unused = nn.Linear(6, 6)

        def forward(self, x):
            return self.blocks(x)

    models = {"deep $x$": Deep(), "shallow": nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))}
    return sw.compare(models, [torch.randn(64, 6) for _ in range(3)], device="cpu").run(False)


def test_the_picture_is_the_matrix(result):
    ax = result.plot("cka")
    shown = ax.images[0].get_array()
    assert np.array_equal(shown.filled(np.nan), result.matrix("cka"), equal_nan=True)
    assert ax.images[0].get_clim() == (0, 1)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("shallow", "deep $x$")
    assert shown.mask[-1].all()  # the layer that never ran is drawn as missing
    assert ax.patch.get_hatch()


def test_limits_are_fixed_whatever_the_data(result):
    for measure in result.measures:
        assert result.plot(measure).images[0].get_clim() == (0, 1)
    assert result.plot("dcka", vmin=-1, cmap="coolwarm").images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize("size", [(3, 3), (7.6, 6.6), (14, 14)])
def test_labels_do_not_overlap(result, size):
    figure, ax = plt.subplots(figsize=size)
    assert sw.plots.heatmap(result, "cka", view="xx", ax=ax) is ax
    figure.canvas.draw()
    for axis, side in ((ax.xaxis, "x"), (ax.yaxis, "y")):
        boxes = [label.get_window_extent() for label in axis.get_ticklabels()]
        ends = sorted((getattr(box, f"{side}0"), getattr(box, f"{side}1")) for box in boxes)
        assert len(ends) > 3
        assert all(first[1] <= second[0] for first, second in zip(ends, ends[1:]))
    names = [label.get_text() for label in ax.yaxis.get_ticklabels()]
    assert names[0] == "blocks.0"


def test_a_partial_result_says_so():
    comparison = sw.compare({"a": nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 5))}, [torch.randn(64, 6)], device="cpu")
    assert comparison.result.plot("cka").get_title() == "CKA, 0 samples, partial"
