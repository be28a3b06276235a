"""Inner products of rows, in every way that they are made."""

import pytest
import torch

from simwidget.gram import cpu, products
from simwidget.gram.products import Products, mirror


@pytest.fixture(params=["Intel", "another"])
def maker(request, monkeypatch):
    """Whose CPU this is taken for, which decides whether features are multiplied in parts."""
    monkeypatch.setattr(products, "is_from_intel", lambda: request.param == "Intel")
    return request.param


@pytest.mark.parametrize("p", [1, 5, 2048, 5001, 8192])
@pytest.mark.parametrize("n", [1, 3, 16, 33, 64, 128, 257])
def test_of_any_size(n, p, maker):
    x = torch.randn(n, p, dtype=torch.float64)
    grams = torch.full((2, n, n), torch.nan, dtype=torch.float64)
    Products(x).write(grams[0], add=False)
    Products(x).write(grams[1], add=False)
    Products(2 * x).write(grams[1], add=True)
    mirror(grams)
    assert torch.allclose(grams[0], x @ x.T)
    assert torch.allclose(grams[1], 5 * x @ x.T)
    assert torch.equal(grams, grams.mT)


@pytest.mark.parametrize(("n", "p", "count"), [(128, 1000, 1), (128, 2048, 2), (100, 2048, 2), (128, 5000, 4)])
def test_blocks_are_for_products_that_are_worth_them(n, p, count):
    assert len(Products(torch.zeros(n, p))._blocks) == count


def test_what_lies_in_place_is_read_at_each_call(maker):
    rows = torch.zeros(40, 4096)
    made, gram = Products(rows), torch.empty(40, 40)
    for _ in range(2):
        rows.normal_()
        made.write(gram, add=False)
        mirror(gram[None])
        assert torch.allclose(gram, rows @ rows.T, rtol=1e-4, atol=1e-2)


def test_parts_are_for_processors_that_mkl_does_not_split_products_for(monkeypatch):
    monkeypatch.setattr(products, "is_from_intel", lambda: True)
    assert products.max_parts("cpu") == 1
    monkeypatch.setattr(products, "is_from_intel", lambda: False)
    assert products.max_parts("cuda") == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    assert products.max_parts("cpu") == (8 if torch.backends.mkl.is_available() else 1)


def test_what_a_processor_tells(monkeypatch):
    for text, intel, bfloat16 in (
        ("vendor_id : GenuineIntel\nflags : avx512f amx_bf16", True, True),
        ("vendor_id : GenuineIntel\nflags : avx2", True, False),
        ("vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16", False, False),
    ):
        monkeypatch.setattr(cpu, "_cpu_info", lambda text=text: text)
        cpu.is_from_intel.cache_clear()
        cpu.multiplies_bfloat16.cache_clear()
        assert (cpu.is_from_intel(), cpu.multiplies_bfloat16()) == (intel, bfloat16)
    monkeypatch.undo()
    cpu.is_from_intel.cache_clear()
    cpu.multiplies_bfloat16.cache_clear()
