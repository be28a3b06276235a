"""Which names and brackets stand beside an axis. Lengths are points; a letter is four wide, a line nine high."""

import pytest
from results import resnet

from simwidget.plots.axis_layout import AxisRange, arrange_labels, axis_nodes, walk
from simwidget.result.layer_tree import LayerTree

LINE = 9.0


def labels(names, length, open_blocks=None, emphasized=(), window=None, max_levels=2):
    tree = LayerTree(names)
    entries = tree.entries(tree.blocks if open_blocks is None else open_blocks)
    low, high = window or (-0.5, len(entries) - 0.5)
    return arrange_labels(
        axis_nodes(tree, entries),
        AxisRange(low, high, length),
        LINE,
        lambda text: 4.0 * len(text),
        emphasized,
        max_levels,
    )


def texts(found, level=0):
    return [one.text for one in sorted(found, key=lambda one: one.start) if one.level == level and one.text]


def test_every_layer_is_named_where_there_is_room():
    names = ["stem", "one.conv", "one.norm", "one.conv#1", "one", "head"]
    found = labels(names, 6 * 10)
    assert texts(found) == ["stem", "conv", "norm", "conv#1", "one", "head"]
    assert [(one.text, one.start, one.end) for one in found if one.level == 1] == [("one", 10, 50)]


def test_blocks_are_named_where_their_layers_have_no_room():
    found = labels(resnet(), 480)
    assert texts(found, 1) == ["layer1", "layer2", "layer3", "layer4"]
    assert texts(found)[:5] == ["conv1", "layer1.0", "layer1.1", "layer1.2", "layer2.0"]
    shown = [one for one in found if one.text == "layer3.7"]
    assert [one.is_block for one in shown] == [True]
    assert shown[0].length == pytest.approx(480 * 7 / 249)


def test_of_a_numbered_sequence_every_kth_is_named():
    names = [f"blocks.{k}.{part}" for k in range(48) for part in "abcd"]
    assert texts(labels(names, 240)) == [f"blocks.{k}" for k in range(0, 48, 2)]
    assert sum(not one.text for one in labels(names, 240)) == 24  # the others have their brackets
    assert texts(labels(names, 120)) == [f"blocks.{k}" for k in range(0, 48, 4)]
    assert sum(not one.text for one in labels(names, 120)) == 0  # which are too small here
    assert texts(labels(names, 30)) == ["blocks"]


def test_other_blocks_are_named_in_full_or_not_opened():
    parts = ["query", "key", "value", "output"]
    names = [f"layer.{k}.{part}" for k in range(3) for part in parts]
    assert texts(labels(names, 12 * LINE)) == 3 * parts
    assert texts(labels(names, 12 * LINE - 1)) == ["layer.0", "layer.1", "layer.2"]


def test_a_block_is_not_opened_where_its_own_name_has_no_room():
    names = [f"averylongname.{k}" for k in range(5)]  # 52 points
    assert texts(labels(names, 5 * 12), 1) == ["averylongname"]
    assert texts(labels(names, 5 * 11)) == ["averylongname"]


def test_large_blocks_are_named_before_small_ones_and_rows_last():
    names = ["first", *(f"big.{k}x" for k in range(9)), "small.x", "small.y", *(f"large.{k}x" for k in range(8)), "end"]
    assert texts(labels(names, 60)) == ["first", "big", "small", "large", "end"]
    assert texts(labels(names, 30)) == ["big", "large"]


def test_names_are_whole_where_no_bracket_says_the_rest():
    names = [f"net.body.stage{s}.{k}.{part}" for s in (1, 2) for k in range(2) for part in "ab"] + ["net.head", "out"]
    found = labels(names, 300)
    assert texts(found) == ["a", "b"] * 4 + ["net.head", "out"]
    assert texts(found, 1) == ["stage1.0", "stage1.1", "stage2.0", "stage2.1"]
    assert texts(found, 2) == ["net.body.stage1", "net.body.stage2"]  # "net" and "net.body" have no bracket
    assert max(one.level for one in found) == 2


def test_brackets_take_no_more_columns_than_there_are():
    names = [f"stage{s}.{k}.{part}" for s in (1, 2) for k in range(2) for part in "ab"]
    found = [labels(names, 300, max_levels=most) for most in (2, 1, 0)]
    assert [max(one.level for one in some) for some in found] == [2, 1, 0]
    assert texts(found[0], 2) == ["stage1", "stage2"]
    assert texts(found[1], 1) == ["stage1.0", "stage1.1", "stage2.0", "stage2.1"]
    assert texts(found[2])[:2] == ["stage1.0.a", "stage1.0.b"]


def test_emphasized_rows_are_named_first_of_all():
    found = labels(resnet(), 480, emphasized=[10])
    (label,) = [one for one in found if one.emphasized]
    assert label.text == resnet()[10] == "layer1.1.bn1"
    assert "layer1.1" not in texts(found)  # it would stand in the way
    assert sum(one.emphasized for one in labels(["a"] * 3, 90, emphasized=[1])) == 1


def test_a_folded_block_is_a_row_with_a_mark():
    found = labels(resnet(), 300, open_blocks=["layer4"])
    assert texts(found)[:6] == ["conv1", "bn1", "▸ layer1", "▸ layer2", "▸ layer3", "▸ layer4.0"]
    assert texts(found, 1) == ["layer4"]


def test_a_window_shows_what_lies_in_it():
    found = labels(resnet(), 300, window=(15.5, 29.5))
    assert {"layer1.2", "layer2.0"} <= set(texts(found, 1))
    assert all(0 <= one.start < one.end <= 300 for one in found)
    assert "conv1" in texts(found)
    assert "avgpool" not in texts(found)


@pytest.mark.parametrize("length", [30, 100, 217, 480, 1000, 3000])
@pytest.mark.parametrize(
    "names", [resnet(), resnet()[:36], [f"l{k}" for k in range(150)], ["x.y" * k for k in range(9)]]
)
def test_names_never_touch(names, length):
    found = labels(names, length, emphasized=[5])
    middles = sorted(one.middle for one in found if one.level == 0 and one.text)
    assert middles
    assert all(after - before >= LINE for before, after in zip(middles, middles[1:]))
    for level in (1, 2):
        spans = sorted((one.start, one.end) for one in found if one.level == level)
        assert all(before[1] <= after[0] + 1e-9 for before, after in zip(spans, spans[1:]))


def test_nodes_are_the_tree_s_rows_and_brackets():
    tree = LayerTree(resnet())
    entries = tree.entries(tree.blocks)
    nodes = list(walk(axis_nodes(tree, entries)))
    assert [node.name for node in nodes if not node.children] == resnet()
    brackets = [(one.path, one.first, one.last) for one in tree.brackets(entries)]
    assert [(node.name, node.first, node.last) for node in nodes if node.children] == brackets
