"""Blocks from names, and the rows of an axis."""

import json
from pathlib import Path

import pytest

from simwidget.result.layer_tree import MAX_ROWS, LayerTree

CASES = json.loads((Path(__file__).parents[1] / "layer_trees.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["about"] for case in CASES])
def test_cases_shared_with_the_page(case):
    tree = LayerTree(case["names"])
    blocks = sorted([block.path, block.representative, block.depth] for block in tree.blocks.values())
    assert blocks == sorted(case["blocks"])
    entries = tree.entries(case["open"])
    assert [[entry.index, entry.folded] for entry in entries] == case["entries"]
    assert [[b.path, b.first, b.last, b.depth] for b in tree.brackets(entries)] == case["brackets"]
    assert tree.default_open() == sorted(case["default"], key=list(tree.blocks).index)


def resnet(*blocks):
    names = ["conv1", "bn1"]
    for stage, count in enumerate(blocks, 1):
        for block in range(count):
            names += [f"layer{stage}.{block}.{part}" for part in ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3")]
            names.append(f"layer{stage}.{block}")
    return [*names, "fc"]


def test_an_axis_opens_to_about_25_rows():
    deep = LayerTree(resnet(3, 4, 23, 3))
    assert len(deep.names) == 3 + 33 * 7
    assert len(deep.entries(deep.default_open())) == 3 + 3 + 4 + 1 + 3  # layer3 has 23 blocks and stays folded
    assert "layer3" not in deep.default_open()
    even = LayerTree(resnet(3, 4, 6, 3))
    assert len(even.entries(even.default_open())) == 3 + 3 + 4 + 6 + 3
    assert len(deep.entries([])) == 7
    flat = LayerTree([f"layer{i}" for i in range(300)])
    assert len(flat.entries(flat.default_open())) == 300  # there is nothing to fold
    wide = LayerTree([f"block{i}.layer{j}" for i in range(MAX_ROWS + 10) for j in range(4)])
    assert len(wide.entries(wide.default_open())) == MAX_ROWS + 10  # even folded
    assert wide.default_open() == []


def test_every_layer_is_on_a_wholly_open_axis():
    tree = LayerTree(resnet(2, 2, 2, 2))
    assert [entry.index for entry in tree.entries(tree.to_depth(tree.depth))] == list(range(len(tree.names)))
