"""The one sender: who gets what, and when."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

import simwidget as sw
from simwidget.inspection import Inspection, Sample
from simwidget.progress import Progress
from simwidget.widget import publisher as module
from simwidget.widget.details import NO_PICTURE, encode_inside
from simwidget.widget.publisher import Publisher
from simwidget.widget.sources import Still

PAIR = {"model_x": "seed 0", "layer_x": "stem.0", "model_y": "<img src=x onerror=alert(1)>", "layer_y": "stage1.0"}
SECONDS = 10.0


class Page:
    """Notes what it is sent; a test waits for it."""

    def __init__(self):
        self.measure, self.view, self.selection, self.pinned = "cka", (0, 1), None, []
        self.sent, self.written, self.kept = [], [], []
        self.fails = 0
        self._heard = threading.Condition()

    def _note(self, where, what):
        with self._heard:
            where.append(what)
            self._heard.notify_all()

    def send(self, content, buffers=None):
        if self.fails:
            self.fails -= 1
            raise OSError("the channel is gone")
        self._note(self.sent, (content, buffers))

    def write(self, **state):
        self._note(self.written, state)

    def keep(self, result):
        self._note(self.kept, result)

    def wait_for(self, condition, seconds=SECONDS):
        with self._heard:
            return self._heard.wait_for(condition, seconds)

    def of(self, kind):
        return [content for content, _ in self.sent if content["type"] == kind]


class Source:
    """A run by hand."""

    def __init__(self, result):
        self.result = result
        self.progress = Progress("running", 0, 9, 0, 1.0)
        self.asked, self.inspected = [], []
        self.watchers = []

    def attend(self):
        self.attended = threading.current_thread().name

    def watch(self, callback):
        self.watchers.append(callback)
        return lambda: self.watchers.remove(callback)

    def step(self, state="running"):
        n = self.progress.n_batches + 1
        self.progress = replace(self.progress, n_batches=n, n_samples=64 * n, state=state)
        self.result = replace(self.result, n_batches=n, n_samples=64 * n, complete=state == "finished")
        for call in self.watchers:
            call()

    def snapshot(self, measures=None, pairs=None):
        self.asked.append((measures, pairs))
        return self.result

    def convergence(self, layer_x, layer_y, view):
        if layer_x == "gone":
            raise ValueError("no such layer")
        curve = type("Curve", (), {})()
        curve.n_batches = np.array([1, 2])
        curve.values, curve.stderr = np.array([0.4, 0.5]), np.array([np.nan, 0.1])
        return {"cka": curve}

    def inspect(self, layer_x, layer_y, view):
        self.inspected.append((layer_x, layer_y, view))
        return inspection(4)


def inspection(m, thumbnail=None, labels=True, **changes):
    """Two layers that differ in everything, on m samples."""
    gram = np.arange(m * m, dtype=np.float32).reshape(m, m)
    ends = [tuple(Sample(k, k % 3, sign * k / 40, thumbnail) for k in range(12)) for sign in (-1, 1)]
    known = {
        "gram_x": gram,
        "gram_y": -gram,
        "samples": np.arange(m),
        "labels": np.arange(m) // 10 if labels else None,
        "spectrum_x": np.linspace(1, 0, m) / m,
        "spectrum_y": np.linspace(2, 0, m) / m,
        "dimension_x": 3.5,
        "dimension_y": float("nan"),
        "least": ends[0],
        "most": ends[1],
        "n_compared": 10 * m,
    }
    return Inspection("seed 0", "stem.0", "seed 1", "stage1.0", **{**known, **changes})


@pytest.fixture
def sender(result):
    """A publisher with a page, as fast as it can."""
    page, source = Page(), Source(result)
    publisher = Publisher(page, source, frames_per_second=1000)
    yield publisher, page, source
    publisher.close()
    thread = publisher._thread
    if thread:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert not source.watchers


def frames(page):
    return [content["n_batches"] for content in page.of("frame")]


def test_a_page_that_comes_gets_what_is_shown(sender, result):
    publisher, page, source = sender
    source.step()
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: page.of("frame"))
    frame, buffers = next(one for one in page.sent if one[0]["type"] == "frame")
    assert frame["shape"] == (len(result.layers_x), len(result.layers_y))
    values, stderr = (np.frombuffer(part, "<f4").reshape(frame["shape"]) for part in buffers)
    assert np.array_equal(values, result.matrix("cka").astype("f4"), equal_nan=True)
    assert np.array_equal(stderr, result.stderr("cka").astype("f4"), equal_nan=True)
    assert source.asked == [(["cka"], [(0, 1)])]  # nothing else was evaluated
    assert source.attended == "simwidget page"
    assert page.written[0]["run"]["n_batches"] == 1


def test_without_acknowledgement_there_is_no_second_frame_and_no_backlog(sender, monkeypatch):
    monkeypatch.setattr(module, "ACKNOWLEDGED_WITHIN", 1000)
    publisher, page, source = sender
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: page.of("frame"))
    for _ in range(50):
        source.step()
    publisher.ask_detail(PAIR)
    assert page.wait_for(lambda: page.of("detail"))  # the sender has looked at everything since
    assert len(page.of("frame")) == 1
    publisher.acknowledge("one", page.of("frame")[0]["seq"], False)
    assert page.wait_for(lambda: len(page.of("frame")) == 2)
    assert frames(page)[-1] == 50  # the latest, not the oldest


def test_a_hidden_page_holds_nobody_back(sender, monkeypatch):
    monkeypatch.setattr(module, "ACKNOWLEDGED_WITHIN", 1000)
    publisher, page, source = sender
    for client in ("seen", "hidden"):
        publisher.ready(client, "", 0)
    assert page.wait_for(lambda: page.of("frame"))
    publisher.acknowledge("hidden", 0, True)
    for _ in range(3):
        n = len(page.of("frame"))
        publisher.acknowledge("seen", page.of("frame")[-1]["seq"], False)
        source.step()
        assert page.wait_for(lambda n=n: len(page.of("frame")) > n)


def test_a_page_that_is_gone_is_forgotten(sender, monkeypatch):
    monkeypatch.setattr(module, "ACKNOWLEDGED_WITHIN", 0.01)
    publisher, page, source = sender
    for client in ("here", "gone"):
        publisher.ready(client, "", 0)
    for k in range(1, 8):
        assert page.wait_for(lambda k=k: len(page.of("frame")) >= k)
        publisher.acknowledge("here", page.of("frame")[-1]["seq"], False)
        source.step()
    assert page.wait_for(lambda: set(publisher._clients) == {"here"})


def test_the_last_frame_always_goes_out(sender, monkeypatch):
    monkeypatch.setattr(module, "ACKNOWLEDGED_WITHIN", 0.02)
    publisher, page, source = sender
    publisher.ready("deaf", "", 0)
    for _ in range(30):
        source.step()
    source.step("finished")
    assert page.wait_for(lambda: 31 in frames(page))
    assert page.wait_for(lambda: page.kept)
    assert page.kept[-1].n_batches == 31
    saved = [state for state in page.written if "snapshot" in state][-1]
    assert saved["snapshot_meta"]["n_batches"] == 31
    assert saved["run"]["state"] == "finished"


def test_a_pause_is_saved_and_kept(sender):
    publisher, page, source = sender
    publisher.begin()
    source.step()
    source.step("paused")
    assert page.wait_for(lambda: page.kept)
    assert page.kept[-1].n_batches == 2
    assert [state for state in page.written if "snapshot" in state][-1]["run"]["state"] == "paused"


def test_another_measure_is_sent_at_once(sender, result, monkeypatch):
    publisher, page, source = sender
    publisher._interval = 1000.0
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: page.of("frame"))
    publisher.acknowledge("one", 1, False)
    page.measure, page.view = "cka-dcka", (1, 0)
    publisher.ask()
    assert page.wait_for(lambda: len(page.of("frame")) == 2)
    frame, buffers = page.sent[-1]
    assert (frame["measure"], frame["view"]) == ("cka-dcka", (1, 0))
    values = np.frombuffer(buffers[0], "<f4").reshape(frame["shape"])
    assert np.array_equal(values, result.matrix("cka-dcka", "yx").astype("f4"), equal_nan=True)
    assert source.asked[-1] == (["cka-dcka"], [(0, 1)])


def test_beats_while_the_run_goes_on_and_not_after(sender, monkeypatch):
    monkeypatch.setattr(module, "BEAT_EVERY", 0.02)
    publisher, page, source = sender
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: len(page.of("beat")) >= 3)
    source.step("finished")
    assert page.wait_for(lambda: page.kept)
    n = len(page.of("beat"))
    assert not page.wait_for(lambda: len(page.of("beat")) > n, seconds=0.2)


def test_without_any_acknowledgement_the_saved_state_stands_in(sender, monkeypatch):
    monkeypatch.setattr(module, "DEAF_AFTER", 0.1)
    monkeypatch.setattr(module, "DEAF_SAVE_EVERY", 0.02)
    publisher, page, source = sender
    publisher.begin()
    saved = lambda: [state for state in page.written if "snapshot" in state]  # noqa: E731
    for k in range(1, 4):
        source.step()
        assert page.wait_for(lambda k=k: len(saved()) >= k)
    assert saved()[-1]["snapshot_meta"]["n_batches"] == 3


def test_with_acknowledgements_it_is_not_needed(sender, monkeypatch):
    monkeypatch.setattr(module, "DEAF_AFTER", 0.05)
    monkeypatch.setattr(module, "DEAF_SAVE_EVERY", 0.01)
    publisher, page, source = sender
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: page.of("frame"))
    publisher.acknowledge("one", 1, False)
    source.step()
    assert not page.wait_for(lambda: any("snapshot" in state for state in page.written), seconds=0.4)


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


def told(page, pair):
    return [one for one in page.of("detail") if one["pair"] == pair]


def test_only_the_held_pair_is_looked_into(sender):
    publisher, page, source = sender
    page.selection, page.pinned = PAIR, [other("pinned"), PAIR]
    publisher.ready("one", "", 0)
    publisher.ask_detail(other("asked"))
    pairs = (PAIR, other("pinned"), other("asked"))
    assert page.wait_for(lambda: all(told(page, pair) for pair in pairs))
    assert page.of("detail")[0]["pair"] == PAIR  # the held one first
    assert told(page, PAIR)[0]["inside"]["n_compared"] == 40
    assert all(one["inside"] is None and one["measures"] for pair in pairs[1:] for one in told(page, pair))
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
    assert page.wait_for(lambda: all(told(page, pair) for pair in (*followed, other("asked"))))
    for _ in range(3):
        before = [len(told(page, pair)) for pair in followed]
        publisher.acknowledge("one", publisher.seq, False)
        source.step()
        more = lambda before=before: all(len(told(page, pair)) > n for pair, n in zip(followed, before))  # noqa: E731
        assert page.wait_for(more)
    assert len(told(page, other("asked"))) == 1


def test_details_take_only_a_share_of_the_run_s_time_together(sender, monkeypatch):
    monkeypatch.setattr(module, "DETAIL_EVERY", 0.0)
    publisher, page, source = sender
    page.selection, page.pinned = PAIR, [other("one")]
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: told(page, other("one")) and told(page, PAIR))
    for costs, again in (((1e5, 0.0), False), ((0.0, 1e5), False), ((0.0, 0.0), True)):
        publisher._detail_costs = {module.key_of(pair): cost for pair, cost in zip((PAIR, other("one")), costs)}
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
    assert page.wait_for(lambda: told(page, PAIR))
    publisher._detail_costs[module.key_of(PAIR)] = 1e5
    publisher.acknowledge("one", publisher.seq, False)
    source.step(state)
    assert page.wait_for(lambda: len(told(page, PAIR)) > 1)


def test_of_many_pairs_the_last_ones_are_answered(sender):
    publisher, page, _ = sender
    for k in range(30):  # before there is a page, nothing is sent
        publisher.ask_detail(other(str(k)))
    publisher.ask_detail(None)
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: told(page, other("29")))
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
    publisher = Publisher(page, Still(result))
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: page.of("detail"))
    assert page.of("detail")[0]["inside"] is None
    publisher.close()


def test_a_page_that_has_the_latest_frame_is_not_sent_it_again(sender):
    publisher, page, source = sender
    source.step("finished")
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: page.kept and page.of("frame"))
    page.selection = PAIR
    publisher.ready("again", publisher.run_id, publisher.seq)
    assert page.wait_for(lambda: page.of("detail"))
    assert len(page.of("frame")) == 1
    publisher.ready("other", "another run", 99)
    assert page.wait_for(lambda: len(page.of("frame")) == 2)


def test_a_failing_channel_does_not_end_the_sender(sender, caplog, monkeypatch):
    monkeypatch.setattr(module, "ACKNOWLEDGED_WITHIN", 0.01)
    publisher, page, source = sender
    page.fails = 2
    publisher.ready("one", "", 0)
    source.step()
    publisher.ask()
    assert page.wait_for(lambda: page.of("frame"))
    assert caplog.text.count("could not be updated") == 1


def test_evaluating_takes_only_a_share_of_the_run_s_time(sender, monkeypatch):
    publisher, page, source = sender
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: page.of("frame"))
    publisher.acknowledge("one", publisher.seq, False)
    publisher._cost = 40.0
    source.step()
    (due,) = [when for job, when in publisher._due(0.0) if job == publisher._frame]
    assert due == pytest.approx(publisher._sent_at + 40.0 / module.SHARE)
    source.progress = replace(source.progress, state="finished")
    (due,) = [when for job, when in publisher._due(0.0) if job == publisher._frame]
    assert due < publisher._sent_at + 1


def test_what_a_run_has_ended_with_is_stored_at_the_end_of_a_cell(sender):
    publisher, page, source = sender
    source.step()
    publisher.settle()
    assert (page.kept, page.written) == ([], [])  # it goes on: the sender has time
    source.step("finished")
    publisher.settle()
    assert [result.n_batches for result in page.kept] == [2]
    assert [state["snapshot_meta"]["n_batches"] for state in page.written] == [2]
    publisher.settle()
    assert len(page.kept) == 1


class Clock:
    """Stands in for the module `time`, so that an hour passes in a second."""

    now = 0.0

    def monotonic(self):
        return self.now

    time = monotonic


class Link:
    """A way to one page that carries one frame at a time; the page answers at once."""

    def __init__(self, client, seconds, hidden=False):
        self.client, self.seconds, self.hidden = client, seconds, hidden
        self.under_way, self.free_at, self.longest, self.lags = [], 0.0, 0, []

    def put(self, seq, now):
        self.free_at = max(self.free_at, now) + self.seconds
        self.under_way.append((seq, now, self.free_at))
        self.longest = max(self.longest, len(self.under_way))

    def deliver(self, publisher, now):
        while self.under_way and self.under_way[0][2] <= now:
            seq, sent, arrived = self.under_way.pop(0)
            self.lags.append(arrived - sent)
            publisher.acknowledge(self.client, seq, self.hidden)


class Played:
    """A sender without its thread: it does what is due, while the run makes a batch at every tick."""

    def __init__(self, result, clock):
        self.page, self.source, self.clock = Page(), Source(result), clock
        self.publisher = Publisher(self.page, self.source)
        self.publisher.begin = lambda: None
        self.links = []

    def come(self, *links):
        self.links = list(links)
        for link in links:
            self.publisher.ready(link.client, "", 0)

    def play(self, seconds, tick=0.05):
        ends = self.clock.now + seconds
        while self.clock.now < ends:
            self.clock.now += tick
            if not self.source.progress.ended:
                self.source.step()
            for link in self.links:
                link.deliver(self.publisher, self.clock.now)
            self.work()

    def work(self):
        while jobs := [job for job, due in self.publisher._due(self.clock.now) if due <= self.clock.now]:
            before = self.publisher.seq
            jobs[0]()
            if self.publisher.seq > before:
                for link in self.links:
                    link.put(self.publisher.seq, self.clock.now)


@pytest.fixture
def played(result, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    one = Played(result, clock)
    yield one
    one.publisher.close()


@pytest.mark.parametrize("hidden", [False, True])
def test_a_slow_link_gets_fewer_frames_and_never_a_backlog(played, hidden):
    link = Link("slow", 3.0, hidden)
    played.come(link)
    played.play(60)
    assert link.longest <= module.LOST_AFTER + 2  # until it is known how slow it is
    link.longest, link.lags = 0, []
    played.play(300)
    assert link.longest == 1
    assert max(link.lags) < 3.01
    assert len(link.lags) >= 90  # and it is never idle


def test_a_slow_link_becomes_a_fast_one(played):
    link = Link("changing", 3.0)
    played.come(link)
    played.play(60)
    link.seconds, link.lags = 0.01, []
    played.play(60)
    assert len(link.lags) > 300


def test_the_slowest_page_that_is_looked_at_sets_the_pace(played):
    slow, fast = Link("slow", 3.0), Link("fast", 0.01)
    played.come(slow, fast)
    played.play(60)
    slow.longest = 0
    played.play(60)
    assert slow.longest == 1
    slow.hidden, fast.lags = True, []
    played.play(3)  # its next answer says that it is hidden
    fast.lags = []
    played.play(10)
    assert len(fast.lags) > 50


def test_a_page_that_is_gone_is_sent_little_and_a_page_that_comes_everything(played):
    """A server keeps all messages for a page that may come back."""
    link = Link("page", 0.01)
    played.come(link)
    played.play(10)
    assert len(played.page.of("frame")) > 50
    played.links = []
    n, saved = len(played.page.of("frame")), len(played.page.written)
    played.play(3600, tick=0.1)
    frames = len(played.page.of("frame")) - n
    assert 20 < frames < 80
    assert len(played.page.written) - saved - frames < 60
    link.lags = []
    played.come(link)
    played.play(2)
    assert len(link.lags) > 10


@pytest.mark.parametrize("state", ["paused", "finished"])
def test_how_a_run_has_ended_waits_for_no_page(played, state):
    played.come(Link("page", 0.01))
    played.play(1)
    played.links = []
    played.play(3600, tick=0.1)
    played.source.step(state)
    held = played.source.progress.n_batches
    for _ in range(15):
        played.clock.now += 0.1
        played.work()
    assert frames(played.page)[-1] == held
    assert played.page.kept[-1].n_batches == held
    assert [one for one in played.page.written if "snapshot" in one][-1]["snapshot_meta"]["n_batches"] == held


def test_a_closed_publisher_lets_the_source_go(sender):
    publisher, page, _ = sender
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: page.of("frame"))
    publisher.close()
    publisher._thread.join(SECONDS)
    assert not hasattr(publisher, "_source")
    publisher.ask()
    publisher.settle()
    publisher.ready("two", "", 0)
    publisher.close()
    assert page.kept == []


def test_a_publisher_that_never_began_lets_the_source_go(result):
    publisher = Publisher(Page(), Source(result))
    publisher.close()
    assert not hasattr(publisher, "_source")
    publisher.begin()
    assert not publisher.running
