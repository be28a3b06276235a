"""The names and brackets beside a picture: none overlap, whatever the names and the size, and they are in place."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.text import Text
from pictures import DEEP, boxes, brackets_of, case, names_of, overlapping, texts_of
from results import made

from simwidget.result.layer_tree import LayerTree


@pytest.fixture(scope="module")
def result():
    return made(
        [f"blocks.{k}" for k in range(70)] + ["unused"], ["0", "2"], ("deep $x$", "shallow"), missing=["unused"]
    )


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
