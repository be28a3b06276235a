"""A checkpoint file belongs to one run; nothing of anybody else's is written over."""

import threading

import pytest
from checkpoints import LOADERS, cut, mlp, steps_of

import simwidget as sw
from simwidget.run.checkpoint import owner_of, read_checkpoint

# few and small batches have their notes, which are not what is tested here
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def comparison_at(path, **options):
    options = {"gram_batch": 16, "device": "cpu", "checkpoint": path, "checkpoint_seconds": 0, **options}
    return sw.compare({"a": mlp(0)}, LOADERS["a list"](), **options)


def test_the_second_of_two_comparisons_is_refused_before_it_runs(tmp_path):
    """While a thread reads the file, which is whole at every moment."""
    path = tmp_path / "run.simw"
    first, second = comparison_at(path), comparison_at(path)
    owners, torn, done = set(), [], threading.Event()

    def read():
        while not done.is_set():
            try:
                owners.add(owner_of(path))
            except FileNotFoundError:
                continue
            except ValueError as error:
                torn.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    steps = steps_of(first)
    next(steps)
    with pytest.raises(FileExistsError, match=r"run.simw' exists by now: another run or program made it"):
        second.run(False)
    assert second.state == "failed"
    assert second.n_batches == 0
    for _ in steps:
        pass
    done.set()
    reader.join()
    assert not torn
    assert len(owners) == 1
    assert read_checkpoint(path).header["pass"]["n_batches"] == 10
    assert not first.result.notes
    assert [one.name for one in tmp_path.iterdir()] == ["run.simw"]


def test_a_file_made_in_between_is_left(tmp_path):
    path = tmp_path / "run.simw"
    comparison = comparison_at(path)
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="exists by now"):
        comparison.run(False)
    assert path.read_text() == "precious"
    path.unlink()
    assert comparison.run(False).n_batches == 10
    assert read_checkpoint(path).header["pass"]["n_batches"] == 10


def test_a_file_put_in_its_place_is_left_and_said(tmp_path):
    path = tmp_path / "run.simw"
    comparison = comparison_at(path)
    steps = steps_of(comparison)
    next(steps)
    path.write_text("precious")
    for _ in steps:
        pass
    assert comparison.state == "finished"
    assert path.read_text() == "precious"
    (note,) = comparison.result.notes
    assert "is not this run's any more (it is no checkpoint any more): it is left alone" in note


def test_part_files_of_the_users_are_left(tmp_path):
    (tmp_path / "run.simw.part").write_text("precious")
    comparison_at(tmp_path / "run.simw").run(False)
    assert (tmp_path / "run.simw.part").read_text() == "precious"


def test_a_file_that_vanished_is_made_again(tmp_path):
    path = tmp_path / "run.simw"
    comparison = comparison_at(path)
    steps = steps_of(comparison)
    next(steps)
    path.rename(tmp_path / "moved.simw")
    for _ in steps:
        pass
    assert not comparison.result.notes
    assert read_checkpoint(path).header["pass"]["n_batches"] == 10
    assert read_checkpoint(tmp_path / "moved.simw").header["pass"]["n_batches"] == 1


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    link, target = tmp_path / "run.simw", tmp_path / "disk" / "real.simw"
    link.symlink_to(target)
    comparison_at(link, max_batches=4).run(False)
    assert link.is_symlink()
    assert read_checkpoint(target).header["pass"]["n_batches"] == 4
    sw.resume(link, {"a": mlp(0)}, LOADERS["a list"](), device="cpu", max_batches=None).run(False)
    assert link.is_symlink()
    assert read_checkpoint(target).header["pass"]["n_batches"] == 10
    assert [one.name for one in (tmp_path / "disk").iterdir()] == ["real.simw"]


def test_of_two_that_resume_one_file_the_second_is_refused(tmp_path):
    models, loader = {"a": mlp(0)}, LOADERS["a list"]()
    path = cut(models, loader, tmp_path, gram_batch=16)
    first, second = (sw.resume(path, models, loader, device="cpu", checkpoint_seconds=0) for _ in range(2))
    steps = steps_of(first)
    next(steps)
    with pytest.raises(ValueError, match="was written again after it was read: another run uses it"):
        second.run(False)
    for _ in steps:
        pass
    assert not first.result.notes
    assert read_checkpoint(path).header["pass"]["n_batches"] == 10


def test_a_running_run_whose_file_is_resumed_leaves_it_and_says_so(tmp_path):
    path = tmp_path / "run.simw"
    first = comparison_at(path)
    steps = steps_of(first)
    for _ in range(3):
        next(steps)
    again = sw.resume(path, {"a": mlp(0)}, LOADERS["a list"](), device="cpu", max_batches=5)
    again.run(False)
    content = path.read_bytes()
    for _ in steps:
        pass
    assert path.read_bytes() == content
    assert read_checkpoint(path).header["pass"]["n_batches"] == 5
    (note,) = first.result.notes
    assert "is not this run's any more (another run has taken it over)" in note
    assert first.result.n_batches == 10


def test_what_has_no_block_yet_says_so_when_it_is_resumed(tmp_path):
    path = tmp_path / "run.simw"
    comparison = comparison_at(path, gram_batch=64)
    steps = steps_of(comparison)
    next(steps)
    with pytest.raises(ValueError, match=r"holds nothing to resume yet.* delete it and start again with compare"):
        sw.resume(path, {"a": mlp(0)}, LOADERS["a list"]())
    for _ in steps:
        pass
    assert read_checkpoint(path).header["pass"]["n_batches"] == 10


class Broken(list):
    def __iter__(self):
        raise RuntimeError("no data")


@pytest.mark.parametrize("stop", [False, True])
def test_a_run_that_ends_without_a_block_leaves_no_file(stop, tmp_path):
    path = tmp_path / "run.simw"
    options = {"gram_batch": 64, "device": "cpu", "checkpoint": path}
    comparison = sw.compare({"a": mlp(0)}, LOADERS["a list"]() if stop else Broken(), **options)
    if stop:
        comparison.watch(lambda: comparison.stop() if comparison.n_batches == 1 else None)
        comparison.run(False)
        assert comparison.state == "stopped"
    else:
        with pytest.raises(RuntimeError, match="no data"):
            comparison.run(False)
    assert not list(tmp_path.iterdir())
