"""What a page is told of single pairs of layers."""

import json

import numpy as np
import pytest
from publishing import PAIR, Page, inspection

import simwidget as sw
from simwidget.inspection.pair_inspection import Sample
from simwidget.widget import publisher as module
from simwidget.widget.pair_details import NO_PICTURE, encode_inside
from simwidget.widget.publisher import Publisher
from simwidget.widget.sources import StaticSource


def test_detail_of_the_held_pair_follows_the_run(sender, monkeypatch):
    monkeypatch.setattr(module, "DETAIL_EVERY", 0.0)
    monkeypatch.setattr(module, "DETAIL_SHARE", 1e9)
    publisher, page, source = sender
    page.selection = PAIR
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: page.of("detail"))
    detail = page.of("detail")[0]
    assert detail["pair"] == PAIR
    curve = {"n_batches": [1, 2], "values": [0.4, 0.5], "stderr": [None, 0.1]}
    assert detail["measures"] == [{"name": "cka", "value": 0.5, "stderr": 0.1, "curve": curve}]
    n = len(page.of("detail"))
    publisher.acknowledge("one", publisher.seq, False)
    source.step()
    assert page.wait_for(lambda: len(page.of("detail")) > n)
    publisher.ask_detail({**PAIR, "layer_x": "gone"})
    assert page.wait_for(lambda: page.of("detail")[-1]["measures"] == [])
    page.selection = {**PAIR, "layer_x": "gone"}
    n = len(page.of("detail"))
    publisher.ask_detail(page.selection)
    assert page.wait_for(lambda: len(page.of("detail")) > n)
    assert page.of("detail")[-1]["inside"] is None


def other(layer):
    return {**PAIR, "layer_y": layer}


def details_of(page, pair):
    return [one for one in page.of("detail") if one["pair"] == pair]


def test_only_the_held_pair_is_looked_into(sender):
    publisher, page, source = sender
    page.selection, page.pinned = PAIR, [other("pinned"), PAIR]
    publisher.ready("one", "", 0)
    publisher.ask_detail(other("asked"))
    pairs = (PAIR, other("pinned"), other("asked"))
    assert page.wait_for(lambda: all(details_of(page, pair) for pair in pairs))
    assert page.of("detail")[0]["pair"] == PAIR  # the held one first
    assert details_of(page, PAIR)[0]["inside"]["n_compared"] == 40
    assert all(one["inside"] is None and one["measures"] for pair in pairs[1:] for one in details_of(page, pair))
    assert set(source.inspected) == {(PAIR["layer_x"], PAIR["layer_y"], (PAIR["model_x"], PAIR["model_y"]))}
    buffers = {content["inside"] is None: buffers for content, buffers in page.sent if content["type"] == "detail"}
    assert buffers[True] is None
    assert [len(part) for part in buffers[False]] == [64, 64, 0]


def test_pinned_pairs_follow_the_run_and_asked_ones_do_not(sender, monkeypatch):
    monkeypatch.setattr(module, "DETAIL_EVERY", 0.0)
    monkeypatch.setattr(module, "DETAIL_SHARE", 1e9)
    publisher, page, source = sender
    page.selection, page.pinned = PAIR, [other("one"), other("two")]
    followed = [PAIR, *page.pinned]
    publisher.ready("one", "", 0)
    publisher.ask_detail(other("asked"))
    assert page.wait_for(lambda: all(details_of(page, pair) for pair in (*followed, other("asked"))))
    for _ in range(3):
        before = [len(details_of(page, pair)) for pair in followed]
        publisher.acknowledge("one", publisher.seq, False)
        source.step()
        more = lambda before=before: all(len(details_of(page, pair)) > n for pair, n in zip(followed, before))  # noqa: E731
        assert page.wait_for(more)
    assert len(details_of(page, other("asked"))) == 1


def test_details_take_only_a_share_of_the_run_s_time_together(sender, monkeypatch):
    monkeypatch.setattr(module, "DETAIL_EVERY", 0.0)
    publisher, page, source = sender
    page.selection, page.pinned = PAIR, [other("one")]
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: details_of(page, other("one")) and details_of(page, PAIR))
    for costs, again in (((1e5, 0.0), False), ((0.0, 1e5), False), ((0.0, 0.0), True)):
        for pair, cost in zip((PAIR, other("one")), costs):
            publisher._details.note_cost(pair, cost)
        n, frames = len(page.of("detail")), len(page.of("frame"))
        publisher.acknowledge("one", publisher.seq, False)
        source.step()
        assert page.wait_for(lambda frames=frames: len(page.of("frame")) > frames)
        publisher.ask_detail(other("asked"))
        pairs = [other("asked"), *([PAIR, other("one")] if again else [])]
        assert page.wait_for(lambda n=n, pairs=pairs: len(page.of("detail")) == n + len(pairs))


@pytest.mark.parametrize("state", ["paused", "finished"])
def test_details_of_a_run_that_holds_are_the_present_ones(sender, state):
    publisher, page, source = sender
    page.selection = PAIR
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: details_of(page, PAIR))
    publisher._details.note_cost(PAIR, 1e5)
    publisher.acknowledge("one", publisher.seq, False)
    source.step(state)
    assert page.wait_for(lambda: len(details_of(page, PAIR)) > 1)


def test_of_many_pairs_the_last_ones_are_answered(sender):
    publisher, page, _ = sender
    for k in range(30):  # before there is a page, nothing is sent
        publisher.ask_detail(other(str(k)))
    publisher.ask_detail(None)
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: details_of(page, other("29")))
    assert [one["pair"]["layer_y"] for one in page.of("detail")] == [str(k) for k in range(22, 30)]


def test_the_inside_is_python_s_numbers():
    models, loader, _ = sw.demo.load()
    comparison = sw.compare({name: models[name] for name in ("seed 0", "seed 1")}, loader, layers=["stage?"])
    comparison.inspect("stage1", "stage3")
    comparison.run(progress=False)
    found = comparison.inspect("stage1", "stage3")
    inside, buffers = encode_inside(found)
    gram_x, gram_y = (np.frombuffer(part, "<f4").reshape(inside["size"], inside["size"]) for part in buffers[:2])
    assert np.array_equal(gram_x, found.gram_x)
    assert np.array_equal(gram_y, found.gram_y)
    assert inside["labels"] == found.labels.tolist() == sorted(inside["labels"])
    assert inside["spectrum_x"] == found.spectrum_x.tolist()
    assert inside["dimension_y"] == found.dimension_y
    assert (inside["n_samples"], inside["n_compared"]) == (40, 1000)
    for name, samples in (("least", found.least), ("most", found.most)):
        assert inside[name] == [{"index": one.index, "label": one.label, "value": one.value} for one in samples]
    assert inside["thumbnail"] == (28, 28, 1)
    pictures = np.frombuffer(buffers[2], np.uint8).reshape(24, 28, 28, 1)
    assert np.array_equal(pictures, [one.thumbnail for one in (*found.least, *found.most)])


def test_large_gram_matrices_are_thinned_evenly():
    found = inspection(500)
    inside, (gram_x, gram_y, pictures) = encode_inside(found)
    assert inside["size"] == 128
    assert inside["n_samples"] == 500
    assert len(inside["spectrum_x"]) == 64
    assert inside["spectrum_y"] == found.spectrum_y[:64].tolist()
    shown = (np.frombuffer(gram_x, "<f4").reshape(128, 128)[0]).astype(int)
    assert (shown[0], shown[-1]) == (0, 499)
    assert set(np.diff(shown)) <= {3, 4, 5}
    assert np.array_equal(np.frombuffer(gram_x, "<f4").reshape(128, 128), found.gram_x[np.ix_(shown, shown)])
    assert np.array_equal(np.frombuffer(gram_y, "<f4").reshape(128, 128), found.gram_y[np.ix_(shown, shown)])
    assert inside["labels"] == (shown // 10).tolist()
    assert pictures == b""
    assert inside["thumbnail"] is None


def test_an_inside_without_numbers_is_json():
    nan = np.full(4, np.nan)
    inside, _ = encode_inside(inspection(4, labels=False, spectrum_x=nan, least=(), most=()))
    assert json.loads(json.dumps(inside, allow_nan=False)) == inside
    assert (inside["labels"], inside["spectrum_x"], inside["dimension_y"], inside["least"]) == (None, [], None, [])


def test_a_sample_without_a_picture_among_others_is_grey():
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    least = (Sample(5, None, 0.1, None), Sample(6, None, 0.2, picture))
    inside, buffers = encode_inside(inspection(4, least=least, most=least[1:]))
    assert inside["thumbnail"] == (2, 2, 3)
    assert buffers[2] == bytes([NO_PICTURE] * 12) + picture.tobytes() * 2


def test_a_result_has_nothing_inside(result):
    page = Page()
    page.selection = {**PAIR, "layer_y": "stage1.0"}
    publisher = Publisher(page, StaticSource(result))
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: page.of("detail"))
    assert page.of("detail")[0]["inside"] is None
    publisher.close()
