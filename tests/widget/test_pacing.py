"""How many frames a link gets: as many as it carries, and never a backlog."""

import pytest
from publishing import Page, Source, frames

from simwidget.widget import publisher as module
from simwidget.widget.pacing import LOST_AFTER
from simwidget.widget.publisher import Publisher


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
    """A sender without its thread: it does what is pending, while the run makes a batch at every tick."""

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
        while jobs := [job for job, at in self.publisher._pending(self.clock.now) if at <= self.clock.now]:
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
    assert link.longest <= LOST_AFTER + 2  # until it is known how slow it is
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
