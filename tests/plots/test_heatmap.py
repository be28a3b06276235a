"""Pictures of a result: the numbers, their colours, and files."""

import io

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib import pyplot as plt
from pictures import case, hatched
from results import made

import simwidget as sw


@pytest.fixture(scope="module")
def result():
    return made(
        [f"blocks.{k}" for k in range(70)] + ["unused"], ["0", "2"], ("deep $x$", "shallow"), missing=["unused"]
    )


def test_the_picture_is_the_matrix(result):
    ax = result.plot("cka")
    shown = ax.images[0].get_array()
    assert np.array_equal(shown.filled(np.nan), result.matrix("cka"), equal_nan=True)
    assert ax.images[0].get_clim() == (0, 1)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("shallow", "deep $x$")
    assert ax.get_title() == "CKA, 1,024 samples"
    assert shown.mask[-1].all()


def test_cells_without_a_number_are_drawn_as_missing(result):
    ((patch, cells),) = hatched(result.plot("cka"))
    assert np.array_equal(cells, np.isnan(result.matrix("cka")))
    red, green, blue, alpha = patch.get_facecolor()
    assert (red, green, alpha) == (green, pytest.approx(blue, abs=0.02), 1)  # grey, which no palette has


def test_it_draws_where_it_is_told_and_nowhere_else(result):
    figure, ax = plt.subplots()
    assert sw.plots.heatmap(result, ax=ax, colorbar=False) is ax
    assert plt.get_fignums() == [figure.number]
    assert figure.axes == [ax]
    with pytest.raises(TypeError):
        sw.plots.heatmap(result, "cka", "xy")  # everything but the measure is by keyword


def test_limits_are_fixed_whatever_the_data(result):
    assert result.plot("cka").images[0].get_clim() == (0, 1)
    assert result.plot("cka-dcka").images[0].get_clim() == (-1, 1)
    assert result.plot("cka", stderr=True).images[0].get_clim() == (0, 0.1)
    assert result.plot("cka", stderr=True, threshold=0.01).images[0].get_clim() == (0, 0.05)


@pytest.mark.parametrize(
    ("style", "note"),
    [
        ({"vmin": -1, "cmap": "coolwarm"}, "colours from −1.00 to 1.00"),
        ({"vmax": 0.5}, "colours from 0.00 to 0.50"),
        ({"log": True}, "colours by log(1 − s)"),
        ({"threshold": 0.02}, "hatched: ± over 0.02"),
        ({"stderr": True, "vmax": 0.01}, "colours from 0.000 to 0.010"),
    ],
)
def test_a_changed_scale_is_said_in_the_title(result, style, note):
    title = result.plot("cka", **style).get_title().replace("\n", ", ")
    what = "standard error of CKA" if "stderr" in style else "CKA"
    assert title == f"{what}, 1,024 samples, {note}"
    assert result.plot("cka", title="mine", **style).get_title() == "mine"


def test_errors_are_a_map_of_their_own(result):
    ax = result.plot("dcka", stderr=True, threshold=0.01)
    assert np.array_equal(ax.images[0].get_array().filled(np.nan), result.stderr("dcka"), equal_nan=True)
    assert len(hatched(ax)) == 1  # the missing ones
    assert ax.images[0].colorbar.ax.get_ylabel() == "standard error of dCKA"


def test_colours_by_logarithm(result):
    image = result.plot("cka", log=True).images[0]
    assert [image.norm(s) for s in (0, 0.9, 0.99, 0.999)] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert [text.get_text() for text in image.colorbar.ax.get_yticklabels()] == ["0", "0.9", "0.99", "0.999"]
    magma = colormaps["magma"]
    assert image.to_rgba(np.array([-1.0, 1.0, 2.0])) == pytest.approx(np.array([magma(0), magma(255), magma(255)]))


@pytest.mark.parametrize(
    ("limits", "extend"),
    [({}, "min"), ({"vmin": -1}, "neither"), ({"vmax": 0.5}, "both"), ({"vmin": -1, "vmax": 0.5}, "max")],
)
def test_a_pointed_end_says_that_values_lie_beyond(result, limits, extend):
    assert result.matrix("dcka")[:-1].min() < 0
    assert result.plot("dcka", **limits).images[0].colorbar.extend == extend


def test_cells_with_a_large_error_are_hatched(result):
    stderr = result.stderr("cka", "xx")
    ax = result.plot("cka", view="xx", threshold=0.02)
    (_, missing), *parts = hatched(ax)
    assert len(parts) == 2
    assert np.array_equal(sum(cells for _, cells in parts), ~missing & (stderr > 0.02))
    bright = ax.images[0].to_rgba(result.matrix("cka", "xx"))[..., :3] @ [0.299, 0.587, 0.114]
    of = {patch.get_edgecolor()[0]: bright[cells] for patch, cells in parts}
    assert of[0].min() > 0.5 > of[1].max()  # black on bright cells, white on dark ones


def test_before_there_are_errors_everything_is_uncertain():
    models = {"a": sw.demo.FashionNet()}
    loader = sw.demo.load()[1]
    result = sw.compare(models, loader, max_batches=1, device="cpu").run(False)
    assert np.isnan(result.stderr()).all()
    cells = sum(cells for _, cells in hatched(result.plot(threshold=0.02)))
    assert cells.all()


def test_a_partial_result_says_so():
    comparison = sw.compare({"a": sw.demo.FashionNet()}, sw.demo.load()[1], device="cpu")
    ax = comparison.result.plot("cka")
    assert ax.get_title() == "CKA, 0 samples, partial"
    assert hatched(ax)[0][1].all()


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_it_is_saved_as_vectors_with_the_cells_as_a_picture(kind):
    ax = case("torchvision").plot("cka", threshold=0.02)
    file = io.BytesIO()
    ax.figure.savefig(file, format=kind)
    content = file.getvalue()
    assert len(content) < 1_000_000
    if kind == "svg":
        text = content.decode()
        assert 3 <= text.count("<image") <= 6  # the cells, their hatching, the colour bar
        assert text.count("<use") > 200  # letters
        assert "resnet101" in text  # matplotlib notes what the letters say
    if kind == "pdf":
        assert b"/Subtype /Image" in content
        assert b"/Type /Font" in content


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ({"open_x": ["layer9"]}, r"open_x: 'ResNet' has no block 'layer9'\. .*'layer"),
        ({"open_y": ["conv1"]}, "open_y: 'small' has no block 'conv1'"),
        ({"selection": ("conv9", "conv1")}, r"selection: 'ResNet' has no layer 'conv9'\. .*'conv1'"),
        ({"vmin": 1}, "vmin=1, vmax=1"),
        ({"log": True, "vmax": 0.5}, "log=True"),
        ({"log": True, "stderr": True}, "log=True"),
        ({"view": "xz"}, "view='xz'"),
    ],
)
def test_what_makes_no_sense_is_refused(style, message):
    with pytest.raises(ValueError, match=message):
        case("deep").plot("cka", **style)
    assert plt.get_fignums() == []  # nothing is drawn before that
