"""Torch's fast path for transformer layers is off during a forward pass, and afterwards as it was."""

import pytest
import torch
from torch import nn

import simwidget as sw
from simwidget.restore.fused_layers import fused_layers_disabled


@pytest.fixture
def _fast_path():
    before = torch.backends.mha.get_fastpath_enabled()
    yield
    torch.backends.mha.set_fastpath_enabled(before)


@pytest.mark.usefixtures("_fast_path")
@pytest.mark.parametrize("was", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_switch_of_fused_layers(was, fails):
    net = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    seen = []

    def look(module, args):
        seen.append(torch.backends.mha.get_fastpath_enabled())
        if fails:
            raise RuntimeError("no")

    net.linear1.register_forward_pre_hook(look)
    torch.backends.mha.set_fastpath_enabled(was)
    comparison = sw.compare({"net": net}, [torch.randn(32, 3, 4)], measures="cka", device="cpu")
    if fails:
        with pytest.raises(RuntimeError, match=r"^no"):
            comparison.run(progress=False)
    else:
        assert {"linear1", "self_attn"} <= set(comparison.run(progress=False).layers("net"))
    assert seen == [False]
    assert torch.backends.mha.get_fastpath_enabled() == was


@pytest.mark.usefixtures("_fast_path")
@pytest.mark.parametrize("was", [True, False])
def test_the_switch_comes_back(was):
    torch.backends.mha.set_fastpath_enabled(was)
    seen = []

    def fail():
        with fused_layers_disabled():
            seen.append(torch.backends.mha.get_fastpath_enabled())
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match=r"^no$"):
        fail()
    assert seen == [False]
    assert torch.backends.mha.get_fastpath_enabled() == was
