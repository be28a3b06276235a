"""The one sender: who gets what, and when."""

from dataclasses import replace

import numpy as np
import pytest
from publishing import PAIR, SECONDS, Page, Source, frames

from simwidget.widget import pacing
from simwidget.widget import publisher as module
from simwidget.widget.publisher import Publisher


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
    assert source.display_thread == "simwidget page"
    assert page.written[0]["run"]["n_batches"] == 1


def test_without_acknowledgement_there_is_no_second_frame_and_no_backlog(sender, monkeypatch):
    monkeypatch.setattr(pacing, "ACKNOWLEDGED_WITHIN", 1000)
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
    monkeypatch.setattr(pacing, "ACKNOWLEDGED_WITHIN", 1000)
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
    monkeypatch.setattr(pacing, "ACKNOWLEDGED_WITHIN", 0.01)
    publisher, page, source = sender
    for client in ("here", "gone"):
        publisher.ready(client, "", 0)
    for k in range(1, 8):
        assert page.wait_for(lambda k=k: len(page.of("frame")) >= k)
        publisher.acknowledge("here", page.of("frame")[-1]["seq"], False)
        source.step()
    assert page.wait_for(lambda: set(publisher._pacing.clients) == {"here"})


def test_the_last_frame_always_goes_out(sender, monkeypatch):
    monkeypatch.setattr(pacing, "ACKNOWLEDGED_WITHIN", 0.02)
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
    monkeypatch.setattr(module, "UNACKNOWLEDGED_AFTER", 0.1)
    monkeypatch.setattr(module, "UNACKNOWLEDGED_SAVE_EVERY", 0.02)
    publisher, page, source = sender
    publisher.begin()
    saved = lambda: [state for state in page.written if "snapshot" in state]  # noqa: E731
    for k in range(1, 4):
        source.step()
        assert page.wait_for(lambda k=k: len(saved()) >= k)
    assert saved()[-1]["snapshot_meta"]["n_batches"] == 3


def test_with_acknowledgements_it_is_not_needed(sender, monkeypatch):
    monkeypatch.setattr(module, "UNACKNOWLEDGED_AFTER", 0.05)
    monkeypatch.setattr(module, "UNACKNOWLEDGED_SAVE_EVERY", 0.01)
    publisher, page, source = sender
    publisher.ready("one", "", 0)
    assert page.wait_for(lambda: page.of("frame"))
    publisher.acknowledge("one", 1, False)
    source.step()
    assert not page.wait_for(lambda: any("snapshot" in state for state in page.written), seconds=0.4)


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
    monkeypatch.setattr(pacing, "ACKNOWLEDGED_WITHIN", 0.01)
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
    (at,) = [when for job, when in publisher._pending(0.0) if job == publisher._frame]
    assert at == pytest.approx(publisher._pacing.sent_at + 40.0 / module.SHARE)
    source.progress = replace(source.progress, state="finished")
    (at,) = [when for job, when in publisher._pending(0.0) if job == publisher._frame]
    assert at < publisher._pacing.sent_at + 1


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
