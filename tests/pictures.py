"""Results to draw, and what is seen on their pictures: texts, names, brackets and hatching."""

from functools import cache
from itertools import combinations

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patches import PathPatch
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from results import made, resnet

import simwidget as sw
from simwidget.plots.axis import LayerNames

DEEP = resnet()
ODD = [
    "<img src=x onerror=alert(1)>",
    "a" * 300,
    "שכבה.ראשונה",
    "שכבה.שנייה",
    "طبقة",
    "层.卷积",
    "cost $x$ and $y",
    "\\frac{_^",
    "line\nbreak\ttab",
    "‮reversed",
    "x.y" * 100,
    "🦜",
    "",
    "plain",
]


@cache
def torchvision_names():
    from torchvision.models import densenet121, resnet101

    return [sw.SimilarityModel(make(), model_name="m").layer_names for make in (densenet121, resnet101)]


@cache
def case(name):
    """A result to draw, by name."""
    if name == "demo":
        models = sw.demo.load()[0]
        names = [sw.SimilarityModel(models[seed], model_name="m").layer_names for seed in ("seed 0", "seed 1")]
        return made(*names, models=("seed 0", "seed 1"))
    if name == "small":
        stages = [f"stage{k}.0.{part}" for k in (1, 2, 3) for part in ("conv1", "norm1", "conv2", "norm2")]
        layers = ["stem.0", "stem.1", *stages, "stage1", "classifier"]
        return made(layers, layers[:5])
    if name == "deep":
        return made(DEEP, DEEP[:36], models=("ResNet", "small"))
    if name == "torchvision":
        return made(*torchvision_names(), models=("densenet121", "resnet101"))
    return made(ODD, ODD[::-1], models=("$m$ <b> 模型", "long " * 60), missing=["plain"])


def boxes(figure):
    """The box of every text of a figure. All are horizontal or vertical, so their boxes are tight."""
    figure.canvas.draw()
    texts = [one for one in figure.findobj(Text) if one.get_visible() and one.get_text().strip()]
    assert {one.get_rotation() for one in texts} <= {0.0, 90.0}
    return [(one.get_text(), one.get_window_extent()) for one in texts]


def overlapping(figure):
    found = []
    for (one, a), (other, b) in combinations(boxes(figure), 2):
        common = Bbox.intersection(a, b)
        if common is not None and min(common.width, common.height) > 1e-3:
            found.append((one, other))
    return found


def names_of(ax, side):
    """The names beside the rows ("y") or the columns ("x"), in reading order."""
    ax.figure.canvas.draw()
    (names,) = [one for one in ax.findobj(LayerNames) if one._vertical == (side == "y")]
    return [one for one in names.get_children() if isinstance(one, Text)]


def texts_of(ax, side):
    return [one.get_text() for one in names_of(ax, side)]


def brackets_of(ax, side):
    """For each bracket, its two ends along the axis in pixels, and the pixel of its line across the axis."""
    ax.figure.canvas.draw()
    (names,) = [one for one in ax.findobj(LayerNames) if one._vertical == (side == "y")]
    (lines,) = [one for one in names.get_children() if isinstance(one, LineCollection)]
    along = 1 if side == "y" else 0
    paths = [path.vertices for path in lines.get_paths() if len(path.vertices) == 4]
    return [(path[:, along].min(), path[:, along].max(), path[1, 1 - along]) for path in paths]


def hatched(ax):
    """Each hatched patch, and the mask of the cells that it covers."""
    found = []
    shape = ax.images[0].get_array().shape
    centres = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), -1).reshape(-1, 2)
    for patch in ax.findobj(PathPatch):
        if patch.get_hatch():
            found.append((patch, patch.get_path().contains_points(centres).reshape(shape)))
    return found
