"""What the masks of a batch say of its tokens."""

import pytest
import torch
from torch import nn

import simwidget as sw
from simwidget.data.masks import NO_MASKS, Masks, find_masks

REAL = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 1, 1]]).bool()
FULL = torch.ones(3, 3, dtype=torch.bool)
HIDES = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 1, 1]]).bool()

AS_GIVEN = {
    "integers": ("attention_mask", REAL.long()),
    "booleans": ("attention_mask", REAL),
    "floats": ("attention_mask", REAL.float()),
    "additive": ("attention_mask", torch.where(REAL, 0.0, -1e9)),
    "additive, infinite": ("attention_mask", torch.where(REAL, 0.0, -torch.inf)),
    "additive, half": ("attention_mask", torch.where(REAL, 0.0, torch.finfo(torch.float16).min).half()),
    "of an encoder": ("encoder_attention_mask", REAL.int()),
    "padding": ("src_key_padding_mask", ~REAL),
    "padding, bytes": ("key_padding_mask", (~REAL).byte()),
    "padding, additive": ("src_key_padding_mask", torch.where(REAL, 0.0, -torch.inf)),
}


@pytest.mark.parametrize("kind", AS_GIVEN)
def test_every_way_to_say_which_tokens_are_real(kind):
    key, mask = AS_GIVEN[kind]
    masks = find_masks({"x": torch.zeros(3, 3), key: mask}, 3, 0)
    assert torch.equal(masks.real[key], REAL)
    assert masks.any


@pytest.mark.parametrize(
    "inputs",
    [
        {"attention_mask": FULL.long()},
        {"src_key_padding_mask": ~FULL},
        {"attention_mask": torch.zeros(3, 3)},  # additive, with nothing to hide in this batch
    ],
    ids=repr,
)
def test_a_mask_may_hide_nothing(inputs):
    masks = find_masks(inputs, 3, 0)
    assert not masks.any
    assert torch.equal(masks.real[next(iter(inputs))], FULL)


@pytest.mark.parametrize(
    "inputs",
    [
        {"attention_mask": None},
        {"attention_mask": [1, 1]},
        {"attention_mask": REAL[:2]},
        {"attention_mask": REAL[:, None]},
        {"attention_mask": torch.zeros(0, 3)[:0]},
        {"global_attention_mask": REAL},
        {"memory_key_padding_mask": REAL},
        {"mask": REAL},
        {3: REAL},
        (REAL,),
        REAL,
    ],
    ids=repr,
)
def test_what_is_no_mask(inputs):
    assert find_masks(inputs, 3, 0) == NO_MASKS


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [
        ("attention_mask", "decoder_attention_mask"),
        ("src_key_padding_mask", "tgt_key_padding_mask"),
        ("query_attention_mask", "decoder_attention_mask_1"),
    ],
)
def test_each_input_has_its_own_mask(encoder, decoder):
    sign = (lambda mask: mask) if "attention" in encoder else torch.logical_not
    masks = find_masks({encoder: sign(REAL), decoder: sign(HIDES[:, :2])}, 3, 0)
    assert torch.equal(masks.real[encoder], REAL)
    assert torch.equal(masks.real[decoder], HIDES[:, :2])
    assert (masks.of_part(decoder=False), masks.of_part(decoder=True)) == (encoder, decoder)


@pytest.mark.parametrize("real", [REAL.flip(1).sort(1, descending=True).values, HIDES, ~(HIDES.flip(1))])
def test_a_padding_mask_of_which_libraries_disagree(real):
    """In torch, True is padding; in codecs, it is real. Sequences are padded at one end only."""
    if not bool(real[:, 0].all() or real[:, -1].all()):
        real = ~real
    for given in (real, ~real):
        assert torch.equal(find_masks({"padding_mask": given}, 3, 0).real["padding_mask"], real)


def test_a_decoder_alone_has_the_mask_of_the_batch():
    assert find_masks({"attention_mask": REAL}, 3, 0).of_part(decoder=True) == "attention_mask"
    assert NO_MASKS.of_part(decoder=True) is None


def test_a_sample_without_tokens_in_an_unusual_mask_is_known():
    masks = find_masks({"visual_attention_mask": torch.tensor([[1, 1], [0, 0]])}, 2, 0)
    assert masks.empty == {"visual_attention_mask": 1}


@pytest.mark.parametrize(
    ("key", "mask"),
    [
        ("attention_mask", torch.tensor([[1, 1], [0, 0]])),
        ("attention_mask", torch.tensor([[0.0, 0.0], [-1e9, -1e9]])),
        ("key_padding_mask", torch.tensor([[False, True], [True, True]])),
    ],
)
def test_a_sample_without_a_token_is_refused(key, mask):
    with pytest.raises(ValueError, match=f"^batch 7: sample 1 has no real token in '{key}'; leave it out$"):
        find_masks({key: mask}, 2, 7)


def test_moving_masks():
    masks = Masks({"attention_mask": REAL}, any=True).to(torch.device("meta"))
    assert masks.real["attention_mask"].device.type == "meta"
    assert masks.any


def test_a_mask_that_fits_a_convolution_along_a_line_is_taken_without_a_word():
    net = nn.Sequential(nn.Conv1d(4, 6, 1), nn.Conv1d(6, 5, 1))
    data = [
        {"x": torch.randn(32, 4, 7), "attention_mask": torch.arange(7) < torch.tensor([[4]] * 32)} for _ in range(2)
    ]

    def forward(model, batch):
        return model(batch["x"])

    options = {"representation": "mean", "measures": "cka", "device": "cpu", "forward": forward}
    result = sw.compare({"net": net}, data, **options).run(progress=False)
    assert not result.notes
    for batch in data:
        batch["x"][:, :, 4:] = torch.randn(32, 4, 3) * 100
    assert (sw.compare({"net": net}, data, **options).run(progress=False).matrix() == result.matrix()).all()
