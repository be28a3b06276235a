"""Results without a run: any names, smooth numbers with noise."""

import json

import numpy as np
from safetensors.numpy import save_file

from simwidget.files.container import checksum_of
from simwidget.result.cells import Cells, MeasureInfo
from simwidget.result.similarity_result import SimilarityResult

MEASURES = {"cka": ("CKA", "similarity"), "dcka": ("dCKA", "similarity"), "cka-dcka": ("CKA − dCKA", "difference")}


def made(layers_x, layers_y, models=("x", "y"), noise=0.01, missing=(), kinds=()):
    """A result of two models; `missing` are layers of the first one without numbers."""
    rng = np.random.default_rng(0)
    layers = (tuple(layers_x), tuple(layers_y))
    cells = {}
    for x, y in ((0, 0), (0, 1), (1, 1)):
        numbers = _numbers(len(layers[x]), len(layers[y]), noise, x == y, rng)
        for measure, (values, stderr) in numbers.items():
            if x == 0:
                rows = [layers[0].index(layer) for layer in missing]
                for part in (values, stderr):
                    part[rows] = np.nan
                    if y == 0:
                        part[:, rows] = np.nan
            cells[measure, x, y] = Cells(values, stderr, np.zeros(values.shape, bool))
    reasons = {models[0]: dict.fromkeys(missing, "never ran")} if missing else {}
    info = {name: MeasureInfo(title, kind, 15.0, reasons) for name, (title, kind) in MEASURES.items()}
    return SimilarityResult(models, ("cka", "dcka"), 1024, 16, True, (), {}, layers, info, cells, kinds)


def seal(arrays, path, header):
    """A file with any header, or a text for one, whose checksum is right if it can be."""
    if not isinstance(header, str):
        header.pop("checksum", None)
        header = json.dumps({**header, "checksum": checksum_of(json.loads(json.dumps(header)), arrays)})
    save_file(arrays, path, {"simwidget": header})


def _numbers(rows, columns, noise, symmetric, rng):
    a, b = np.linspace(0, 1, rows)[:, None], np.linspace(0, 1, columns)[None]

    def noisy(smooth, scale):
        found = smooth + scale * rng.standard_normal(smooth.shape)
        return np.triu(found) + np.triu(found, 1).T if symmetric else found

    stderr = 0.015 + 0.01 * np.cos(4 * (a - b))
    cka = noisy(0.9 * np.exp(-5 * (a - b) ** 2), noise)
    dcka = noisy(0.7 * np.exp(-8 * (a - b) ** 2) - 0.02, noise)
    return {
        "cka": (cka, np.abs(noisy(stderr, noise / 10))),
        "dcka": (dcka, np.abs(noisy(stderr, noise / 10))),
        "cka-dcka": (cka - dcka, np.abs(noisy(stderr / 3, noise / 10))),
    }


def resnet(counts=(3, 4, 23, 5)):
    """Names like those of a deep residual network."""
    parts = ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3")
    blocks = [f"layer{stage}.{k}" for stage, count in enumerate(counts, 1) for k in range(count)]
    inside = [name for block in blocks for name in (*(f"{block}.{part}" for part in parts), block)]
    return ["conv1", "bn1", *inside, "avgpool", "fc"]
