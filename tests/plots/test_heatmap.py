"""Pictures: the numbers, limits, names, brackets, marks."""

import io
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.patches import PathPatch
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from results import made, resnet

import simwidget as sw
from simwidget.plots.axis import LayerNames
from simwidget.result.layer_tree import LayerTree

DEEP = resnet()
ODD = [
    "<img src=x onerror=alert(1)>",
    "a" * 300,
    "שכבה.ראשונה",
    "שכבה.שנייה",
    "طبقة",
    "层.卷积",
    "cost $x$ and $y",
    "\\frac{_^",
    "line\nbreak\ttab",
    "‮reversed",
    "x.y" * 100,
    "🦜",
    "",
    "plain",
]


@cache
def torchvision_names():
    from torchvision.models import densenet121, resnet101

    return [sw.SimilarityModel(make(), model_name="m").layer_names for make in (densenet121, resnet101)]


@cache
def case(name):
    """A result, and what stands open on its axes."""
    if name == "demo":
        models = sw.demo.load()[0]
        names = [sw.SimilarityModel(models[seed], model_name="m").layer_names for seed in ("seed 0", "seed 1")]
        return made(*names, models=("seed 0", "seed 1"))
    if name == "small":
        stages = [f"stage{k}.0.{part}" for k in (1, 2, 3) for part in ("conv1", "norm1", "conv2", "norm2")]
        layers = ["stem.0", "stem.1", *stages, "stage1", "classifier"]
        return made(layers, layers[:5])
    if name == "deep":
        return made(DEEP, DEEP[:36], models=("ResNet", "small"))
    if name == "torchvision":
        return made(*torchvision_names(), models=("densenet121", "resnet101"))
    return made(ODD, ODD[::-1], models=("$m$ <b> 模型", "long " * 60), missing=["plain"])


def boxes(figure):
    """The box of every text of a figure; all are upright or turned by a right angle, so that their boxes are tight."""
    figure.canvas.draw()
    texts = [one for one in figure.findobj(Text) if one.get_visible() and one.get_text().strip()]
    assert {one.get_rotation() for one in texts} <= {0.0, 90.0}
    return [(one.get_text(), one.get_window_extent()) for one in texts]


def overlapping(figure):
    found = []
    for (one, a), (other, b) in combinations(boxes(figure), 2):
        common = Bbox.intersection(a, b)
        if common is not None and min(common.width, common.height) > 1e-3:
            found.append((one, other))
    return found


def names_of(ax, side):
    """The names beside the rows ("y") or the columns ("x"), in reading order."""
    ax.figure.canvas.draw()
    (names,) = [one for one in ax.findobj(LayerNames) if one._vertical == (side == "y")]
    return [one for one in names.get_children() if isinstance(one, Text)]


def texts_of(ax, side):
    return [one.get_text() for one in names_of(ax, side)]


def brackets_of(ax, side):
    """The two ends of each bracket along the axis, in pixels, and how far it is off the cells."""
    ax.figure.canvas.draw()
    (names,) = [one for one in ax.findobj(LayerNames) if one._vertical == (side == "y")]
    (lines,) = [one for one in names.get_children() if isinstance(one, LineCollection)]
    along = 1 if side == "y" else 0
    paths = [path.vertices for path in lines.get_paths() if len(path.vertices) == 4]
    return [(path[:, along].min(), path[:, along].max(), path[1, 1 - along]) for path in paths]


def hatched(ax):
    """For each hatching its patch, and the cells that it covers."""
    found = []
    shape = ax.images[0].get_array().shape
    centres = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), -1).reshape(-1, 2)
    for patch in ax.findobj(PathPatch):
        if patch.get_hatch():
            found.append((patch, patch.get_path().contains_points(centres).reshape(shape)))
    return found


# --- the numbers and their colours -----------------------------------------------------------------------------------


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


# --- names and brackets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(3, 3), (7.6, 6.6), (14, 14), (4, 10), (12, 3)])
@pytest.mark.parametrize("name", ["demo", "deep", "torchvision", "odd"])
def test_no_two_texts_overlap(name, size):
    result = case(name)
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    result.plot("cka", ax, view="xy", threshold=0.02, selection=(result.layers_x[1], result.layers_y[2]))
    assert overlapping(figure) == []
    assert len(names_of(ax, "y")) > 2
    assert len(names_of(ax, "x")) > 1
    inside = figure.bbox.padded(1)
    assert [text for text, box in boxes(figure) if not (inside.contains(*box.min) and inside.contains(*box.max))] == []


@pytest.mark.parametrize("name", ["demo", "deep", "torchvision", "odd"])
def test_folded_axes_have_no_overlaps_either(name):
    result = case(name)
    figure, axes = plt.subplots(2, 2, figsize=(9, 8), layout="constrained")
    for ax, view in zip(axes.flat, ("xy", "yx", "xx", "yy")):
        sides = [LayerTree(result.layers(result.models[i])) for i in result.positions(view)]
        open_x, open_y = (side.default_open() for side in sides)
        result.plot("cka-dcka", ax, view=view, open_x=open_x, open_y=open_y)
    assert overlapping(figure) == []


@pytest.mark.parametrize(
    ("name", "grid", "size", "layout"),
    [
        ("demo", (2, 2), (12, 10.5), "constrained"),
        ("demo", (2, 2), (9, 7.5), "constrained"),
        ("demo", (1, 3), (15.23, 3.734), "tight"),
        ("small", (2, 2), (8.292, 13.577), "tight"),
        ("small", (3, 1), (3.032, 9.712), "tight"),
    ],
)
def test_names_stay_in_the_room_that_a_layout_leaves(name, grid, size, layout):
    figure, axes = plt.subplots(*grid, figsize=size, dpi=100, layout=layout)
    for ax in axes.flat:
        case(name).plot("cka", ax)
    assert overlapping(figure) == []


@pytest.mark.parametrize("layout", ["constrained", None])
def test_names_are_laid_out_anew_for_another_size(layout):
    figure, ax = plt.subplots(figsize=(4, 4), layout=layout)
    case("deep").plot("cka", ax)
    few = len(names_of(ax, "y"))
    figure.set_size_inches(12, 12)
    assert overlapping(figure) == []
    assert len(names_of(ax, "y")) > 1.5 * few
    ends = [end for bracket in brackets_of(ax, "y") for end in bracket[:2]]
    assert (min(ends), max(ends)) == pytest.approx((ax.bbox.y0, ax.bbox.y1), abs=0.02 * ax.bbox.height)
    figure.set_dpi(60)
    assert overlapping(figure) == []
    ax.set_ylim(30.5, 9.5)  # as zooming does
    assert overlapping(figure) == []
    assert {"conv3", "bn3", "layer1.2", "layer2.0"} <= set(texts_of(ax, "y"))
    ax.set_ylim(-20, -10)  # where no layers are
    assert texts_of(ax, "y") == []


def test_blocks_have_brackets_with_their_names_at_the_middle():
    ax = case("deep").plot("cka")
    names = {one.get_text(): one.get_window_extent() for one in names_of(ax, "y")}
    brackets = brackets_of(ax, "y")
    top, step = ax.bbox.y1, ax.bbox.height / len(DEEP)
    for block in ("layer3", "layer3.4", "layer4.1"):
        rows = [k for k, layer in enumerate(DEEP) if layer == block or layer.startswith(f"{block}.")]
        start, end = top - step * (rows[-1] + 1), top - step * rows[0]
        near = [one for one in brackets if abs(one[0] - start) < 2 and abs(one[1] - end) < 2]
        assert len(near) == 1, block
        box = names[block]
        assert (box.y0 + box.y1) / 2 == pytest.approx((start + end) / 2, abs=1.5)
        assert box.x1 < near[0][2] < ax.bbox.x0  # the bracket stands between the name and the cells
    assert names["layer3"].x1 < names["layer3.4"].x0  # the outer block's name is further out


def test_few_columns_have_level_names(result):
    assert {one.get_rotation() for one in names_of(result.plot("cka"), "x")} == {0}
    assert {one.get_rotation() for one in names_of(result.plot("cka", view="xx"), "x")} == {0, 90}


def test_every_layer_is_drawn_unless_blocks_are_folded():
    result = case("deep")
    assert result.plot("cka").images[0].get_array().shape == (len(DEEP), 36)
    ax = result.plot("cka", open_x=["layer1", "layer3"], open_y=[])
    rows = ["conv1", "bn1", *(f"layer1.{k}" for k in range(3)), "layer2", *(f"layer3.{k}" for k in range(23)), "layer4"]
    rows += ["avgpool", "fc"]
    columns = ["conv1", "bn1", "layer1", DEEP[:36][-1]]  # layer2 has not given its own output, so its last layer stands
    cells = np.ix_([DEEP.index(name) if name in DEEP else _last(name) for name in rows], range(4))
    expected = result.matrix("cka")[:, [DEEP.index("conv1"), DEEP.index("bn1"), _last("layer1"), 35]][cells]
    assert columns[-1].startswith("layer2")
    assert np.array_equal(ax.images[0].get_array(), expected)
    assert texts_of(ax, "x") == ["conv1", "bn1", "▸ layer1", "▸ layer2"]
    assert "▸ layer3.7" in texts_of(ax, "y")
    assert "▸ layer4" in texts_of(ax, "y")


def _last(block):
    return max(k for k, layer in enumerate(DEEP) if layer == block or layer.startswith(f"{block}."))


def test_the_held_cell_is_outlined_and_its_layers_are_named():
    layer = "layer3.5.conv2"
    plain, held = (case("deep").plot("cka", **style) for style in ({}, {"selection": (layer, "conv1")}))
    assert not any("conv2" in text for text in texts_of(plain, "y"))
    (name,) = [one for one in names_of(held, "y") if one.get_fontweight() == "bold"]
    assert name.get_text() == "layer3.5.conv2"
    assert overlapping(held.figure) == []
    before, after = pixels(plain.figure), pixels(held.figure)
    x, y = held.transData.transform((0, DEEP.index(layer)))
    around = np.s_[before.shape[0] - int(y) - 14 : before.shape[0] - int(y) + 14, int(x) - 14 : int(x) + 14]
    inks = {tuple(pixel) for pixel in after[around].reshape(-1, 3)}
    assert {(0, 0, 0), (255, 255, 255)} <= inks
    folded = case("deep").plot("cka", selection=(layer, "conv1"), open_x=["layer3"])
    (name,) = [one for one in names_of(folded, "y") if one.get_fontweight() == "bold"]
    assert name.get_text() == "▸ layer3.5"  # the block that it is in


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def test_any_string_is_drawn_as_text():
    ax = case("odd").plot("cka")
    shown = texts_of(ax, "y")
    assert "cost $x$ and $y" in shown
    assert "<img src=x onerror=alert(1)>" in shown
    assert r"line\nbreak\ttab" in shown
    assert r"\u202ereversed" in shown
    assert r"\U0001f99c" in shown  # the font has no parrot: an escape tells it from others
    assert ax.get_ylabel() == r"$m$ <b> \u6a21\u578b"
    (long,) = [text for text in shown if text.startswith("aaa")]
    assert long.endswith("aaa")
    assert "…" in long
    assert "…" in ax.get_xlabel()
    assert not any(one.get_parse_math() for one in ax.figure.findobj(Text) if one.get_text() in shown)


def test_a_font_of_ones_own_is_asked_for_its_letters(monkeypatch):
    from simwidget.plots import figure_text

    class Font:
        def get_char_index(self, code):
            return code

    asked = []
    monkeypatch.setattr(figure_text, "findfont", lambda font: asked.append(font.get_family()))
    monkeypatch.setattr(figure_text, "get_font", lambda _: Font())
    font = figure_text.FontProperties(family=["DejaVu Sans", "Noto Sans CJK JP"])
    assert figure_text.escape_missing_glyphs("层\n", font) == "层\\n"
    assert asked == [["DejaVu Sans"], ["Noto Sans CJK JP"]]


# --- files, and what is wrong ----------------------------------------------------------------------------------------


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
