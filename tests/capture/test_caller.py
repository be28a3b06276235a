"""How a network is called with a batch, and what with."""

from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import simwidget as sw
from simwidget.capture.caller import Caller
from simwidget.data.parsing import parse_batch

CPU = torch.device("cpu")
N = 4


class Recorder(nn.Module):
    """Keeps what it is called with."""

    def __init__(self, dtype=None):
        super().__init__()
        self.seen = None
        self.weight = nn.Parameter(torch.zeros(1, dtype=dtype))


class One(Recorder):
    def forward(self, x):
        self.seen = (x,)


class Optional(Recorder):
    def forward(self, x, mask=None, *, scale=1.0):
        self.seen = (x, mask, scale)


class Two(Recorder):
    def forward(self, image, text, temperature=None):
        self.seen = (image, text, temperature)


class Text(Recorder):
    def forward(self, input_ids, attention_mask=None, labels=None, **more):
        self.seen = {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels, **more}


class AnyWords(Recorder):
    def forward(self, *args, **kwargs):
        self.seen = (args, kwargs)


class Detector(Recorder):
    def forward(self, images, targets=None):
        self.seen = (images, targets)


Pair = namedtuple("Pair", ["x", "y"])


@dataclass
class Fields:
    input_ids: Any
    attention_mask: Any


def call(model, batch, forward=None, device=CPU, **options):
    caller = Caller(model, "net", forward)
    caller(model._call_impl, parse_batch(batch, 0, any_structure=caller.has_custom_forward, **options), device)
    return model.seen


def x(seed=0):
    return torch.randn(N, 3, generator=torch.Generator().manual_seed(seed))


def ids():
    return torch.arange(N * 3).reshape(N, 3)


LABELS = torch.arange(N)


@pytest.mark.parametrize(
    "batch",
    [
        x(), (x(),), [x(), LABELS], (x(), LABELS, "text"), Pair(x(), LABELS), {"pixels": x(), "labels": LABELS},
        {"x": x()},
    ],
    ids=["tensor", "tuple", "list", "three", "named", "one tensor beside labels", "its own name"],
)  # fmt: skip
def test_a_network_of_one_input(batch):
    (seen,) = call(One(), batch)
    assert torch.equal(seen, x())


def test_what_is_optional_is_not_filled_by_position():
    seen, mask, scale = call(Optional(), (x(), x(1), x(2)))
    assert torch.equal(seen, x())
    assert (mask, scale) == (None, 1.0)
    seen, mask, scale = call(Optional(), {"mask": x(1), "x": x(), "scale": 3.0})
    assert torch.equal(mask, x(1))
    assert scale == 3.0


@pytest.mark.parametrize(
    "batch", [(x(), x(1)), [x(), x(1), LABELS], ((x(), x(1)), LABELS), {"text": x(1), "image": x()}],
    ids=["two", "two and labels", "two in one", "by name"],
)  # fmt: skip
def test_a_network_of_two_inputs(batch):
    image, text, temperature = call(Two(), batch)
    assert torch.equal(image, x())
    assert torch.equal(text, x(1))
    assert temperature is None


def test_a_network_of_two_inputs_and_more():
    assert call(Two(), ((x(), x(1), 0.5), LABELS))[2] == 0.5


class Clip(Recorder):
    """Takes what a CLIP of the transformers library takes; nothing is required."""

    def forward(self, input_ids=None, pixel_values=None, attention_mask=None, position_ids=None, return_loss=False):
        self.seen = (input_ids, pixel_values, attention_mask, position_ids)


class Captioned(Recorder):
    def forward(self, image, text=None):
        self.seen = (image, text)


class Masked(Recorder):
    def forward(self, x, mask=None):
        self.seen = (x, mask)


class Bert(Recorder):
    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None):
        self.seen = (input_ids, attention_mask, token_type_ids)


def pixels():
    return torch.rand(N, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def keep():
    return (torch.arange(3) < torch.tensor([[1], [2], [3], [3]])).long()


SEVERAL_HOT = keep().repeat(1, 2)
PASSED = {
    "pixels and ids": (Clip, lambda: (pixels(), ids()), (1, 0), (0, 1)),
    "ids and pixels": (Clip, lambda: [ids(), pixels()], (0, 1), (0, 1)),
    "pixels, labels and ids": (Clip, lambda: (pixels(), LABELS, ids()), (2, 0), (0, 1)),
    "pixels and labels": (Clip, lambda: (pixels(), LABELS), (0,), (1,)),
    "pixels, ids and their mask": (Clip, lambda: (pixels(), ids(), keep()), (1, 0, 2), (0, 1, 2)),
    "pixels, ids and a mask of booleans": (Clip, lambda: (pixels(), ids(), keep() > 0), (1, 0, 2), (0, 1, 2)),
    "image and text": (Captioned, lambda: (pixels(), ids()), (0, 1), (0, 1)),
    "text and image": (Captioned, lambda: (ids(), pixels()), (1, 0), (0, 1)),
    "image, text and what nobody takes": (Captioned, lambda: (pixels(), ids(), x(), ["a"] * N), (0, 1), (0, 1)),
    "required, in another order": (Two, lambda: (ids(), pixels()), (1, 0), (0, 1)),
    "as many as parameters, beside labels": (Masked, lambda: (x(), LABELS, x(1)), (0, 2), (0, 1)),
    "image and labels": (Captioned, lambda: (pixels(), LABELS), (0,), (0,)),
    "input and labels": (Masked, lambda: (x(), LABELS), (0,), (0,)),
    "input and two labels": (Masked, lambda: (x(), LABELS, LABELS), (0,), (0,)),
    "input and a target": (Masked, lambda: (x(), x(1)), (0,), (0,)),
    "image and a target image": (Captioned, lambda: (pixels(), pixels()), (0,), (0,)),
    "image and several labels each": (Captioned, lambda: (pixels(), SEVERAL_HOT), (0,), (0,)),
    "image and two texts": (Captioned, lambda: (pixels(), ids(), ids() + 1), (0,), (0,)),
    "ids and the mask of their padding": (Bert, lambda: (ids() * keep(), keep(), LABELS), (0, 1), (0, 1)),
    "ids and types of tokens": (Bert, lambda: (ids(), keep(), LABELS), (0, 1), (0, 2)),
    "ids, types and a mask": (
        Bert,
        lambda: (ids() * keep(), 1 - keep().flip(1), keep()),
        (0, 1, 2),
        (0, 2, 1),
    ),
}
"""The network, the batch, the elements that are passed, and the parameters that get them."""


@pytest.mark.parametrize("kind", PASSED)
def test_elements_of_a_tuple_go_where_they_certainly_belong(kind):
    net, make, elements, places = PASSED[kind]
    batch = make()
    seen = call(net(), batch)
    assert [place for place, one in enumerate(seen) if one is not None] == sorted(places)
    for element, place in zip(elements, places):
        assert torch.equal(seen[place], batch[element])


@pytest.mark.parametrize("batch", [(pixels(), ids(), ids() + 1), (pixels(), pixels())], ids=["two texts", "two images"])
def test_elements_that_may_belong_elsewhere_are_refused_and_the_advice_helps(batch):
    said = (
        r"'net'.*float32 \(4, 3, 8, 8\).*input_ids, pixel_values.*pass inputs= .* a dict from parameter names to values"
    )
    with pytest.raises(TypeError, match=said):
        call(Clip(), batch)
    seen = call(Clip(), {"pixel_values": batch[0]})
    assert torch.equal(seen[1], batch[0])


def test_annotations_tell_which_parameters_take_tensors():
    class Annotated(Recorder):
        def forward(self, x: torch.Tensor, more: torch.Tensor | None = None, loud: bool | None = None):
            self.seen = (x, more)

    seen = call(Annotated(), (x(), LABELS, x(1)))
    assert torch.equal(seen[1], x(1))


@pytest.mark.parametrize(
    ("net", "batch", "names"),
    [
        (One, x(), ["x"]), (Two, (x(), x(1)), ["image", "text"]),
        (Clip, (pixels(), ids()), ["input_ids", "pixel_values"]),
        (Text, {"input_ids": ids(), "more": x(), "attention_mask": keep()}, ["input_ids", "attention_mask"]),
        (AnyWords, {"pixels": x(), "labels": LABELS}, ["pixels"]), (AnyWords, (x(), LABELS), ["args"]),
    ],
)  # fmt: skip
def test_the_arguments_by_name(net, batch, names):
    parsed = parse_batch(batch, 0)
    found = Caller(net(), "net").named_inputs(parsed)
    assert list(found) == names
    tensors = [*batch.values()] if isinstance(batch, dict) else batch if isinstance(batch, tuple) else [batch]
    assert all(any(one is tensor for tensor in tensors) for name, one in found.items() if name != "args")
    assert Caller(net(), "net", lambda model, batch: None).named_inputs(parsed) == {}


def test_arguments_that_are_not_accepted_have_no_names():
    with pytest.raises(TypeError, match=r"'net' cannot be called.*'text'.*pass inputs="):
        Caller(Two(), "net").named_inputs(parse_batch(x(), 0))


@pytest.mark.parametrize("kind", [dict, OrderedDict, UserDict, lambda **given: (given, LABELS)])
def test_entries_go_in_by_name(kind):
    model = Text()
    seen = call(model, kind(input_ids=ids(), attention_mask=ids() > 0))
    assert torch.equal(seen["input_ids"], ids())
    assert torch.equal(seen["attention_mask"], ids() > 0)
    assert seen["labels"] is None


def test_a_dataclass_goes_in_by_name():
    seen = call(Text(), Fields(ids(), ids() > 0))
    assert torch.equal(seen["attention_mask"], ids() > 0)


def test_entries_that_are_not_accepted_are_left_out():
    caller = Caller(Text(), "net")
    model = caller._module
    batch = parse_batch({"input_ids": ids(), "special": ids(), "text": ["some"] * N, "label": LABELS}, 0)
    caller(model._call_impl, batch, CPU)
    assert set(model.seen) == {"input_ids", "attention_mask", "labels"}
    assert caller.ignored_keys == ("special", "text")


def test_labels_go_in_where_they_are_asked_for():
    assert torch.equal(call(Text(), {"input_ids": ids(), "labels": LABELS})["labels"], LABELS)


def test_what_takes_any_words_gets_all_but_the_labels():
    args, kwargs = call(AnyWords(), {"pixels": x(), "more": 3, "labels": LABELS})
    assert args == ()
    assert set(kwargs) == {"pixels", "more"}
    args, kwargs = call(AnyWords(), (x(), LABELS))
    assert (len(args), kwargs) == (1, {})


def test_images_go_in_as_a_list():
    images = [torch.rand(3, 8, 9 + k) for k in range(N)]
    for batch in ((images, [{}] * N), [images], {"images": images}):
        seen, targets = call(Detector(), batch)
        assert isinstance(seen, list)
        assert all(torch.equal(one, image) for one, image in zip(seen, images, strict=True))
        assert targets is None


def test_packed_sequences_go_in_whole():
    packed = pack_sequence([torch.ones(2, 3), torch.ones(1, 3)])
    for batch in (packed, (packed, torch.zeros(2))):
        (seen,) = call(One(), batch)
        assert isinstance(seen, PackedSequence)


def test_the_users_own_function_gets_the_whole_batch_of_its_type():
    batch = Pair(x(), {"deep": [ids()], "text": "some"})
    calls = []

    def forward(model, given):
        calls.append((model, given))

    model = One()
    call(model, batch, forward)
    ((own, given),) = calls
    assert own is model
    assert isinstance(given, Pair)
    assert torch.equal(given.y["deep"][0], ids())
    assert given.y["text"] == "some"
    assert given.x.data_ptr() != batch.x.data_ptr()


def test_every_network_has_a_copy_of_its_own():
    class Writer(Recorder):
        def forward(self, x, more=None):
            x.zero_()

    given = x().requires_grad_()
    call(Writer(), given)
    assert torch.equal(given, x())
    given = {"x": x(), "more": 1}
    call(Writer(), given)
    assert torch.equal(given["x"], x())
    (seen,) = call(One(), x().requires_grad_())
    assert not seen.requires_grad


@pytest.mark.parametrize("own", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("given", [torch.float16, torch.float32, torch.float64], ids=str)
def test_floats_come_in_the_networks_own_precision(own, given):
    (seen,) = call(One(own), x().to(given))
    assert seen.dtype == own
    assert torch.equal(seen, x().to(given).to(own))
    assert call(One(own), ids())[0].dtype == torch.int64
    assert call(One(own), ids() > 0)[0].dtype == torch.bool
    seen = call(One(own), {"x": x().to(given), "labels": LABELS})[0]
    assert seen.dtype == own


def test_where_precisions_are_mixed_or_there_are_no_parameters_inputs_stay():
    model = One(torch.float16)
    model.other = nn.Parameter(torch.zeros(1))
    assert call(model, x().double())[0].dtype == torch.float64
    model = One()
    del model.weight
    assert call(model, x().half())[0].dtype == torch.float16


def test_under_autocast_inputs_stay():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert call(One(torch.float64), x())[0].dtype == torch.float32


def test_the_device_is_that_of_the_network(monkeypatch):
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: False)  # it knows no "meta"
    assert call(One(), (x(), LABELS), device=torch.device("meta"))[0].is_meta


def test_what_was_left_out_is_told_once():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.Linear(3, 3)

        def forward(self, x):
            return self.part(x)

    batch = {"x": torch.randn(32, 3), "labels": torch.zeros(32, dtype=torch.long), "weight": torch.ones(32)}
    with pytest.warns(UserWarning, match="weight"):
        result = sw.compare({"net": Net()}, [batch] * 2, measures="cka", device="cpu").run(progress=False)
    assert result.notes == ("model 'net' takes no argument for the batch's 'weight': they are not passed to it",)
