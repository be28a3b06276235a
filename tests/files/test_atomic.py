"""Whatever happens while a file is written, the old one is there until the new one is complete."""

import io
import os
import resource
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from results import made

import simwidget as sw
from simwidget.files import lock
from simwidget.files.atomic import create_file, open_for_writing

RESULT = made(["a", "b", "c"], ["d", "e"])
WRITERS = {
    "result.simw": lambda path: RESULT.save(path),
    "result.csv": lambda path: RESULT.to_csv(path),
    "result.html": lambda path: RESULT.to_html(path),
    "export.png": lambda path: sw.SimilarityHeatmap(RESULT).export(path),
    "export.csv": lambda path: sw.SimilarityHeatmap(RESULT).export(path),
    "export.simw": lambda path: sw.SimilarityHeatmap(RESULT).export(path),
}


@contextmanager
def small_disk(size):
    """No file may grow beyond `size` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_old_file(name, tmp_path):
    path = tmp_path / name
    path.write_text("precious")
    with small_disk(100), pytest.raises(OSError, match="File too large"):
        WRITERS[name](path)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]
    WRITERS[name](path)
    assert path.stat().st_size > 100
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_while_it_is_made_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("precious")

    def write():
        with open_for_writing(path, "w") as file:
            file.write("half a li")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path = tmp_path / "r.simw"
    path.write_text("precious")
    seen = []

    def sync(handle):
        seen.append((stat.S_ISDIR(os.fstat(handle).st_mode), path.read_bytes()))

    monkeypatch.setattr("os.fsync", sync)
    RESULT.save(path)
    assert seen == [(False, b"precious"), (True, path.read_bytes())]


def test_readers_never_see_half_a_file(tmp_path):
    path = tmp_path / "r.simw"
    RESULT.save(path)
    sizes, done = set(), threading.Event()

    def read():
        while not done.is_set():
            sizes.add(len(path.read_bytes()))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(200):
        RESULT.save(path)
    done.set()
    reader.join()
    assert sizes == {path.stat().st_size}


def test_symbolic_links_go_on_pointing_to_the_file(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "real.simw", tmp_path / "link.simw"
    link.symlink_to(target)
    for _ in range(2):  # the target is made, then replaced
        RESULT.save(link)
        assert link.is_symlink()
        assert sw.SimilarityResult.load(target).models == RESULT.models
    assert list((tmp_path / "folder").iterdir()) == [target]


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o444 | stat.S_IWUSR])
def test_a_file_keeps_its_permissions(mode, tmp_path):
    path = tmp_path / "r.simw"
    path.touch()
    path.chmod(mode)
    RESULT.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        RESULT.save(tmp_path / "r.simw")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "r.simw").stat().st_mode) == 0o640


def test_a_file_that_may_not_be_written_to_is_left(tmp_path, monkeypatch):
    path = tmp_path / "r.simw"
    path.write_text("precious")
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write to anything
    with pytest.raises(PermissionError, match="may not be written to: change its permissions"):
        RESULT.save(path)
    assert path.read_text() == "precious"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as found:
        RESULT.save(tmp_path / "no" / "r.simw")
    assert found.value.filename == str(tmp_path / "no" / "r.simw")


def test_pipes_are_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    RESULT.to_csv(pipe)
    reader.join()
    assert found[0].startswith("model_x,layer_x")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_standard_output_is_written_to_even_where_it_is_a_file(tmp_path):
    code = """
from simwidget.files import lock
from simwidget.files.atomic import open_for_writing
print("before", flush=True)
with open_for_writing("/dev/stdout", "w") as file:
    pass
print("after", flush=True)
"""
    with open(tmp_path / "out", "a") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_text().endswith("after\n")
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_an_open_file_is_written_to_and_stays_open(tmp_path):
    text, binary = io.StringIO(), io.BytesIO()
    RESULT.to_csv(text)
    RESULT.save(binary)
    assert not text.closed
    RESULT.save(tmp_path / "r.simw")
    assert binary.getvalue() == (tmp_path / "r.simw").read_bytes()


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_replaces_nobodys(links, tmp_path, monkeypatch):
    def refuse(*names):
        raise OSError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr("os.link", refuse)
    path = tmp_path / "new"
    create_file(str(path), b"first")
    with pytest.raises(FileExistsError):
        create_file(str(path), b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_another_program_has_locked_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "run.simw"
    path.write_bytes(b"")
    monkeypatch.setattr(lock, "LOCK_WAITS", 0.05)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match=r"run.simw' is locked by another program"), lock.locked(str(path)):
            pass
    with lock.locked(str(path)):
        pass


def test_a_folder_that_cannot_be_read_has_the_file_all_the_same(tmp_path, monkeypatch):
    opened = os.open

    def refuse(path, flags, *more):
        if os.path.isdir(path):
            raise PermissionError(path)
        return opened(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    with open_for_writing(tmp_path / "a.txt", "w") as file:
        file.write("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
