"""The interface of simtorch, as in code that was written for simtorch."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import simwidget as sw

torchvision = pytest.importorskip("torchvision")


@pytest.fixture(scope="module")
def torch_dataloader():
    generator = torch.Generator().manual_seed(0)
    return DataLoader(TensorDataset(torch.randn(32, 3, 64, 64, generator=generator), torch.zeros(32)), batch_size=16)


def test_the_readme_of_simtorch_runs_verbatim(torch_dataloader):
    model1 = torchvision.models.densenet121()
    model2 = torchvision.models.resnet101()

    sim_model1 = sw.SimilarityModel(model1, model_name="DenseNet 121", layers_to_include=["conv", "classifier"])
    sim_model2 = sw.SimilarityModel(model2, model_name="ResNet 101", layers_to_include=["conv", "fc"])
    sim_cka = sw.CKA(sim_model1, sim_model2, device="cpu")
    cka_matrix = sim_cka.compute(torch_dataloader)
    ax = sim_cka.plot_similarity()
    dcka_matrix = sw.DeltaCKA(sim_model1, sim_model2).compute(torch_dataloader)

    assert cka_matrix.shape == dcka_matrix.shape == (sim_model1.n_layers, sim_model2.n_layers) == (121, 101)
    assert cka_matrix.dtype == np.float64
    assert np.isfinite(cka_matrix).all()
    assert np.isfinite(dcka_matrix).all()
    assert np.abs(cka_matrix - dcka_matrix).max() > 0.01
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("DenseNet 121", "ResNet 101")
    assert ax.get_title() == "CKA: DenseNet 121 vs ResNet 101"
    assert np.array_equal(sim_cka.sim_matrix, cka_matrix)
    # S[i, j]: layer i of the first model, layer j of the second
    i, j = sim_cka.result.layers_x.index("features.conv0"), sim_cka.result.layers_y.index("fc")
    alone = sw.compare(model1, model2, torch_dataloader, layers_x=["features.conv0"], layers_y=["fc"], device="cpu")
    assert alone.run(False).matrix("cka")[0, 0] == pytest.approx(cka_matrix[i, j], abs=1e-12)


@pytest.fixture
def small():
    models = [nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)) for _ in range(2)]
    sims = [sw.SimilarityModel(model, name, layers_to_include=["0", "2"]) for model, name in zip(models, "ab")]
    return sw.CKA(*sims), [torch.randn(64, 4) for _ in range(2)]


def test_keywords_of_plot_similarity(small, tmp_path):
    similarity, batches = small
    similarity.compute(batches)
    ax = similarity.plot_similarity(
        title="My title", xlabel="X", ylabel="Y", savefig=True, save_path=tmp_path / "new", plot_cmap="viridis"
    )
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("My title", "X", "Y")
    assert ax.images[0].get_cmap().name == "viridis"
    assert (tmp_path / "new" / "My_title.png").read_bytes().startswith(b"\x89PNG")


def test_matrix_can_be_changed_without_changing_the_result(small):
    similarity, batches = small
    matrix = similarity.compute(batches)
    matrix[0, 0] = 5
    assert similarity.result.matrix()[0, 0] != 5


def test_plotting_before_computing_says_what_to_do(small):
    with pytest.raises(RuntimeError, match="call compute"):
        small[0].plot_similarity()


def test_a_bare_module_is_refused_with_the_remedy():
    with pytest.raises(TypeError, match="sim_model2 is a Linear: wrap it in SimilarityModel"):
        sw.CKA(sw.SimilarityModel(nn.Sequential(nn.Linear(2, 2))), nn.Linear(2, 2))


def test_one_name_for_both_models_is_told_apart():
    sims = [sw.SimilarityModel(nn.Sequential(nn.Linear(4, 6)), "net") for _ in range(2)]
    similarity = sw.CKA(*sims)
    similarity.compute([torch.randn(64, 4)])
    assert similarity.result.models == ("net (x)", "net (y)")
    assert similarity.plot_similarity().get_xlabel() == "net"


def test_projection_needs_per_batch_ratios():
    sims = [sw.SimilarityModel(nn.Sequential(nn.Linear(4, 6)), name) for name in "ab"]
    with pytest.raises(ValueError, match='needs unbiased=False and average="cka"'):
        sw.DeltaCKA(*sims, remove_negative_eig=True)


def test_further_options_are_those_of_compare():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 6)

        def forward(self, x):
            return self.linear(x)

    sims = [sw.SimilarityModel(Tokens(), name) for name in "ab"]
    x = torch.randn(64, 5, 4)
    found = sw.CKA(*sims, representation="mean").compute([x])
    a, b = (sim.model.linear(x).mean(1).detach().double() for sim in sims)
    assert found[0, 0] == pytest.approx(sw.functional.cka(a, b), abs=1e-5)
    with pytest.raises(TypeError, match=r"unknown option 'representatoin'\. Did you mean 'representation'"):
        sw.DeltaCKA(*sims, representatoin="mean")
