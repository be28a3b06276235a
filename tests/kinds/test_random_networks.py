"""Random networks on random batches: every number is that of an oracle, or is missing with a reason."""

import functools
import random
import warnings

import pytest
import torch

import simwidget as sw
from kinds import random_networks, random_sequences  # noqa: F401, they add families
from kinds.random_draw import FAMILIES, Draw
from kinds.random_oracle import Outcome, judged, rows_of
from kinds.random_parts import means

SEEDS = range(500)
ORDER = [*FAMILIES, "encoders", "encoder-decoders"]
"""The families in turn, two of them twice."""
MOST_MISSING = 0.1
"""The largest share of cells that may be missing."""
SHOWN = 3
"""So many of the wrong draws are told in full."""
MISTAKES = 5
"""So many times each mistake is made, to see that it is found."""


def squares(x):
    return x.square().flatten(1)


def every_other(x):
    return x.flatten(1)[:, ::2]


def largest(x):
    return x.flatten(1).amax(1, keepdim=True)


CALLABLES = [squares, every_other, largest]
WITHOUT_SAMPLES = {"nt p", "tn p", "real p", "some p"}
"""Layouts without a dimension of samples: a callable may get such an output as it is."""


def drawn(seed) -> Draw:
    """The networks and batches of a seed, with the representation of each layer and the samples of a Gram matrix."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    name = ORDER[seed % len(ORDER)]
    draw = FAMILIES[name](rng)
    draw.name = f"seed {seed}: {name}"
    for network in draw.networks.values():
        network.eval()
    keys = [(model, layer) for model, layers in draw.layers.items() for layer in layers]
    layouts = {draw.meaning(*key).layout for key in keys}
    choices = ["flatten", "mean", "mean", "cls", "last", *([] if layouts & WITHOUT_SAMPLES else CALLABLES)]
    common = rng.choice([*choices, None])
    draw.how = {key: common or rng.choice(choices) for key in keys}
    lengths = {tuple(mask.shape[1] for mask in masks.values()) for masks in draw.masks}
    draw.gram_batch = rng.choice([1, 2 * draw.n, 64]) if len(lengths) == 1 else 1  # else flat outputs cannot be joined
    return draw


def result_of(draw):
    how = {f"{model}:{layer}": one for (model, layer), one in draw.how.items()}
    options = {"representation": how, "measures": "cka", "device": "cpu", "gram_batch": draw.gram_batch}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the notes, of which there may be any
        return sw.compare(draw.networks, draw.batches, layers=draw.layers, **options).run(progress=False)


@functools.cache
def outcome(seed) -> Outcome:
    draw = drawn(seed)
    rows = rows_of(draw)
    try:
        result = result_of(draw)
    except Exception as error:
        return Outcome(draw, 0, 0, [f"{type(error).__name__}: {error}"])
    return judged(draw, rows, result)


@pytest.mark.parametrize("name", FAMILIES)
def test_numbers_are_right_or_missing_with_a_reason(name):
    found = [outcome(seed) for seed in SEEDS if ORDER[seed % len(ORDER)] == name]
    wrong = [one for one in found if one.wrong]
    if wrong:
        short = [f"{one.draw.name}: {', '.join(one.wrong)}" for one in wrong[SHOWN:]]
        text = "\n".join([*(f"{one}\n" for one in wrong[:SHOWN]), *short])
        pytest.fail(f"{len(wrong)} of {len(found)} draws have wrong layers\n{text}", pytrace=False)


def test_few_numbers_are_missing():
    found = [outcome(seed) for seed in SEEDS]
    share = sum(one.n_missing for one in found) / sum(one.n_cells for one in found)
    print(f"{share:.1%} of all cells are missing")
    assert share < MOST_MISSING


def test_most_draws_are_ones_that_go_wrong_easily():
    draws = [drawn(seed) for seed in SEEDS]
    assert sum(one.is_padded or one.is_square or one.has_tokens_first for one in draws) >= 400
    for trait in ("is_padded", "is_square", "has_tokens_first"):
        assert sum(getattr(one, trait) for one in draws) >= 200


def no_mask(draw, key):
    """The mean over padding, too."""
    masked = draw.how[key] == "mean" and draw.meaning(*key).layout in ("n t p", "t n p")
    padded = all(not masks[draw.meaning(*key).tokens].all() for masks in draw.masks) if masked else False
    return {"tokens": "all"} if padded else None


def tokens_for_samples(draw, key):
    """Samples first where tokens are, or the other way round."""
    turned = {"n t p": "t n p", "t n p": "n t p"}.get(draw.meaning(*key).layout)
    tokens = draw.meaning(*key).tokens
    square = turned and all(masks[tokens].shape[0] == masks[tokens].shape[1] for masks in draw.masks)
    return {"layout": turned} if square and draw.how[key] in ("flatten", "mean") else None


@pytest.mark.parametrize("mistake", [no_mask, tokens_for_samples])
def test_a_mistake_of_the_oracle_in_one_layer_is_found(mistake):
    """So that these tests can fail."""
    made = 0
    for seed in SEEDS:
        draw = drawn(seed)
        keys = [key for key in draw.how if len(draw.networks[key[0]].get_submodule(key[1]).meanings) == 1]
        key, change = next(((key, mistake(draw, key)) for key in keys if mistake(draw, key)), (None, None))
        if made == MISTAKES or change is None or outcome(seed).wrong:
            continue
        meaning = draw.meaning(*key)
        draw.masks = [{**masks, "all": torch.ones_like(masks[meaning.tokens])} for masks in draw.masks]
        means(draw.networks[key[0]].get_submodule(key[1]), meaning._replace(**change))
        assert judged(draw, rows_of(draw), result_of(draw)).wrong == [":".join(key)], draw
        made += 1
    assert made == MISTAKES
