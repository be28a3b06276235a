"""A forward pass that does not fit into memory: what is said, and batches that are halved until they fit."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import simwidget as sw
from simwidget.plan.out_of_memory import is_out_of_memory


class Trouble(Exception):  # noqa: N818
    pass


class Hungry(nn.Module):
    """A network for which more than some samples at once do not fit into memory."""

    def __init__(self, fits):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 4)
        self.fits = fits
        self.sizes = []

    def forward(self, x):
        x = self.first(x)
        self.sizes.append(len(x))
        if len(x) > self.fits:
            raise torch.OutOfMemoryError("out of memory")
        return self.second(x)


def test_out_of_memory_says_what_may_fit():
    comparison = sw.compare({"a": Hungry(20)}, [torch.randn(64, 6)] * 2, device="cpu")
    with pytest.raises(torch.OutOfMemoryError):
        comparison.run(False)
    assert comparison.progress.error == (
        "OutOfMemoryError: out of memory [in the forward pass of model 'a' after layer 'first'; 64 samples at once did "
        "not fit into memory: give batches of 32 samples (gram_batch= joins them again), auto_batch=True, which halves "
        "batches until they fit, or fewer layers with layers=; in batch 0 of the loader]"
    )


def labelled(batch):
    return (batch, torch.arange(len(batch)) % 5)


FORMS = {
    "tensor": lambda batch: batch,
    "pair": labelled,
    "mapping": lambda batch: {"x": batch, "labels": torch.arange(len(batch)) % 5},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_auto_batch_halves_what_does_not_fit(form):
    """The parts make the same Gram matrices as if the loader had given them."""
    batches = torch.randn(3, 64, 6)
    hungry = Hungry(20)
    with pytest.warns(UserWarning, match="did not fit into memory: smaller parts ran instead"):
        result = sw.compare(
            {"a": hungry}, [form(x) for x in batches], device="cpu", gram_batch=16, auto_batch=True
        ).run(False)
    assert hungry.sizes[:3] == [64, 32, 16]
    assert set(hungry.sizes[3:]) == {16}
    assert result.n_batches == 3
    parts = sw.compare({"a": Hungry(64)}, [form(x) for x in batches.reshape(12, 16, 6)], device="cpu", gram_batch=16)
    other = parts.run(False)
    assert result.n_samples == other.n_samples == 192
    np.testing.assert_array_equal(result.matrix("dcka"), other.matrix("dcka"))
    np.testing.assert_array_equal(result.stderr("dcka"), other.stderr("dcka"))


def test_auto_batch_joins_the_parts_again():
    batches = torch.randn(3, 64, 6)
    with pytest.warns(UserWarning, match="smaller parts"):
        result = sw.compare({"a": Hungry(20)}, list(batches), device="cpu", auto_batch=True).run(False)
    other = sw.compare({"a": Hungry(64)}, list(batches), device="cpu").run(False)
    np.testing.assert_allclose(result.matrix("dcka"), other.matrix("dcka"), rtol=1e-5)
    assert result.n_batches == other.n_batches


def test_a_part_is_of_its_batch():
    """What is not finite in a part is told with the number of the batch that it is of."""
    batches = [torch.randn(64, 6) for _ in range(3)]
    batches[1][:16] = torch.inf
    options = {"measures": "cka", "device": "cpu", "gram_batch": 16, "auto_batch": True}
    with pytest.warns(UserWarning, match="smaller parts"):
        result = sw.compare({"a": Hungry(20)}, batches, **options).run(False)
    assert result.reasons("cka", "a")["first"] == "non-finite values in batch 1 (float32)"


def test_auto_batch_gives_up_in_the_end():
    comparison = sw.compare({"a": Hungry(0)}, [torch.randn(64, 6)], device="cpu", auto_batch=True)
    with pytest.raises(torch.OutOfMemoryError):
        comparison.run(False)
    assert comparison.state == "failed"


def test_a_failure_between_two_parts_does_not_count_the_first_twice():
    class Fails(Hungry):
        broken = True

        def forward(self, x):
            if len(self.sizes) == 4 and self.broken:
                raise Trouble("broken")
            return super().forward(x)

    model = Fails(20)
    batches = list(torch.randn(2, 64, 6))
    comparison = sw.compare({"a": model}, batches, device="cpu", gram_batch=16, auto_batch=True)
    with pytest.raises(Trouble):
        comparison.run(False)
    model.broken = False
    with pytest.warns(UserWarning, match="smaller parts"):
        result = comparison.run(False)
    other = sw.compare({"a": Hungry(64)}, list(torch.stack(batches).reshape(8, 16, 6)), device="cpu", gram_batch=16)
    np.testing.assert_array_equal(result.matrix("cka"), other.run(False).matrix("cka"))
    assert result.n_samples == 128


@pytest.mark.parametrize("options", [{"unbiased": False}, {"average": "cka"}])
def test_auto_batch_needs_estimates_that_do_not_depend_on_it(options):
    with pytest.raises(ValueError, match="auto_batch=True splits batches"):
        sw.compare({"a": Hungry(0)}, [], auto_batch=True, **options)


TEXTS = [
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "4503599627370496 bytes. Error code 12 (Cannot allocate memory)",
    "[enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: not enough memory: you tried to allocate 31850496 "
    "bytes.",
    "std::bad_alloc",
    "MPS backend out of memory (MPS allocated: 5.56 GB, other allocations: 1.10 GB, max allowed: 6.80 GB). Tried to "
    "allocate 768.00 MB on private pool.",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_torch_says_when_memory_runs_out(text):
    assert is_out_of_memory(RuntimeError(text))
    assert not is_out_of_memory(ValueError(text))


def test_other_errors_are_not_out_of_memory():
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied (64x6 and 8x4)"))
    assert not is_out_of_memory(RuntimeError("[enforce fail at inline_container.cc:603] . unexpected pos"))


def test_more_than_any_machine_has_is_out_of_memory():
    for takes in (lambda: torch.empty(2**50), lambda: np.empty(2**50), lambda: bytearray(2**60)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            takes()
        assert is_out_of_memory(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to its limit")
@pytest.mark.parametrize("takes", ["tensor", "bytes"])
def test_memory_that_runs_out_on_a_cpu(takes):
    """A batch of 64 does not fit, one of 16 does: the words and auto_batch are those of a GPU."""
    path = os.pathsep.join(sys.path)
    code = f"import limited_memory; limited_memory.main({takes!r})"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    fails, halves = found["fails"], found["halves"]
    assert fails["state"] == "failed"
    assert fails["error"].startswith("RuntimeError: [enforce fail" if takes == "tensor" else "MemoryError: ")
    assert "after layer 'first'; 64 samples at once did not fit into memory: give batches of 32" in fails["error"]
    assert fails["numbers"] == found["small"]["numbers"]
    assert fails["n_samples"] == 16
    assert halves["state"] == "finished"
    assert "batches of 64 samples did not fit into memory: smaller parts ran instead" in halves["notes"]
    for measure, numbers in halves["numbers"].items():
        np.testing.assert_allclose(numbers, found["large"]["numbers"][measure], atol=1e-6)


def test_a_loader_that_runs_out_of_memory_is_no_forward_pass():
    """Halves of a batch that the loader cannot make do not help."""

    def loader():
        yield torch.randn(64, 6)
        raise MemoryError("the loader's")

    comparison = sw.compare({"a": Hungry(64)}, loader(), device="cpu")
    with pytest.raises(MemoryError):
        comparison.run(False)
    assert comparison.progress.error == "MemoryError: the loader's [in batch 1 of the loader]"
