"""Which tensors of a batch are shortened together with a mask."""

from dataclasses import replace

import pytest
import torch

from simwidget.data.parsing import parse_batch
from simwidget.data.token_groups import Group, TokenGroups, shorten, shorter_lengths

IDS = torch.ones(4, 6, dtype=torch.long)
BOXES = torch.zeros(4, 6, 4)


def stages(batch, unmasked=False):
    parsed = parse_batch(batch, 0)
    found = TokenGroups(replace(parsed, named=parsed.inputs)).stages(unmasked)
    return [[{key: set(group.names) for key, group in one.items()} for one in stage] for stage in found]


@pytest.mark.parametrize(
    ("batch", "first"),
    [
        (
            {"input_ids": IDS, "token_type_ids": IDS, "attention_mask": IDS, "image": torch.zeros(4, 3, 8, 8)},
            {"attention_mask": {"attention_mask", "input_ids", "token_type_ids"}},
        ),
        (
            {"input_ids": IDS, "attention_mask": IDS, "decoder_input_ids": IDS, "decoder_attention_mask": IDS},
            {
                "attention_mask": {"attention_mask", "input_ids"},
                "decoder_attention_mask": {"decoder_attention_mask", "decoder_input_ids"},
            },
        ),
        (
            {"input_ids": IDS, "attention_mask": IDS, "visual_embeds": BOXES, "visual_attention_mask": IDS},
            {
                "attention_mask": {"attention_mask", "input_ids"},
                "visual_attention_mask": {"visual_attention_mask", "visual_embeds"},
            },
        ),
        (
            {"src": BOXES, "src_key_padding_mask": IDS == 0, "src_mask": torch.zeros(6, 6), "tgt": BOXES},
            {"src_key_padding_mask": {"src_key_padding_mask", "src", "src_mask"}, "tgt": {"tgt"}},
        ),
        ({"x": BOXES, "attention_mask": IDS}, {"attention_mask": {"attention_mask", "x"}}),
        (
            {"input_ids": IDS, "attention_mask": IDS, "patches": BOXES},
            {"attention_mask": {"attention_mask", "input_ids"}},
        ),
    ],
)
def test_what_is_tried_first(batch, first):
    assert stages(batch)[0] == [first]


def test_tensors_of_unknown_names_are_tried_one_by_one_and_together():
    found = stages({"x": BOXES, "y": BOXES, "attention_mask": IDS})
    mask = "attention_mask"
    assert found == [[{mask: {mask, "x"}}, {mask: {mask, "y"}}], [{mask: {mask, "x", "y"}}]]


def test_more_tensors_are_tried_if_the_certain_ones_are_too_few():
    found = stages({"input_ids": IDS, "bbox": BOXES, "attention_mask": IDS})
    assert found[1] == [{"attention_mask": {"attention_mask", "input_ids", "bbox"}}]


def test_labels_may_be_those_of_the_same_tokens():
    found = stages({"input_ids": IDS, "labels": IDS, "attention_mask": IDS})
    assert found[0] == [{"attention_mask": {"attention_mask", "input_ids"}, "labels": {"labels"}}]
    assert found[-1] == [{"attention_mask": {"attention_mask", "input_ids", "labels"}}]


def test_inputs_without_a_mask_have_their_own_tokens_or_those_of_their_length():
    batch = {"input_ids": IDS, "attention_mask": IDS, "x": BOXES, "y": BOXES, "z": torch.zeros(4, 5)}
    found = stages(batch, unmasked=True)
    masked = {"attention_mask": {"attention_mask", "input_ids"}}
    assert found[0] == [{**masked, "x": {"x"}, "y": {"y"}, "z": {"z"}}]
    assert found[1] == [{"attention_mask": {"attention_mask", "input_ids", "x", "y"}, "z": {"z"}}]
    assert stages({"image": torch.zeros(4, 3, 8, 8)}, unmasked=True) == []


@pytest.mark.parametrize("cut_half", [True, False])
@pytest.mark.parametrize("sizes", [(8, 8), (8, 4), (20, 10, 5), (3, 3), (12, 6), (7,)])
def test_each_mask_loses_another_number_of_tokens(sizes, cut_half):
    groups = {str(k): Group(size, ()) for k, size in enumerate(sizes)}
    cuts = [before - after for before, after in shorter_lengths(groups, cut_half).values()]
    assert len(cuts) == len(sizes)
    assert all(0 < cut < size - 1 for cut, size in zip(cuts, sizes))
    if sizes != (3, 3):  # where only one token can be spared
        assert len(set(cuts)) == len(cuts)


def test_two_tokens_are_not_shortened():
    assert shorter_lengths({"attention_mask": Group(2, ())}, True) == {}


def test_shortened_batches():
    given = {
        "src": torch.arange(6.0)[:, None, None] * torch.ones(6, 4, 6),  # tokens first, and as many features
        "src_key_padding_mask": IDS == 0,
        "src_mask": torch.zeros(6, 6),
        "image": torch.arange(4)[:, None],
    }
    batch = parse_batch((given, torch.tensor([3, 1, 4, 1])), 0, batch_dim=1)
    key = "src_key_padding_mask"
    small = shorten(replace(batch, named=batch.inputs), {key: Group(6, (key, "src", "src_mask"))}, {key: (6, 4)})
    assert small.inputs["src"].shape == small.named["src"].shape == (4, 4, 6)
    assert small.inputs["src"][:, 0, 0].tolist() == [0, 1, 2, 3]
    assert small.inputs[key].shape == (4, 4)
    assert small.inputs["src_mask"].shape == (4, 4)
    assert small.raw[0]["src"].shape == (4, 4, 6)
    assert small.raw[1].tolist() == [3, 1, 4, 1]
    assert given["src"].shape == (6, 4, 6)
