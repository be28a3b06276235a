"""The embedded example: a thousand Fashion-MNIST test images and three small CNNs of one architecture.

Two of the networks were trained from different seeds; the third is not trained. `make.py` makes the files of images
and weights from the Fashion-MNIST data set. The file `LICENSE` contains the licence of the data set.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from simwidget.demo.network import CLASS_NAMES, FashionNet

__all__ = ["CLASS_NAMES", "Demo", "FashionNet", "load"]

_FILES = {"seed 0": "seed0", "seed 1": "seed1", "untrained": "untrained"}


class Demo(NamedTuple):
    """The return value of `load`: three networks by name, a loader of the images, and the labels of the images."""

    models: dict[str, FashionNet]
    loader: DataLoader[tuple[Tensor, ...]]
    """batches (images (n, 1, 28, 28) with values in [0, 1], labels (n,)), in one fixed shuffled order"""
    labels: Tensor
    """class labels (1000,), as indices into `CLASS_NAMES`, in the order of the data set; the loader's order differs"""


def load(batch_size: int = 64) -> Demo:
    """Return the three networks by name, a loader of the thousand images, and the labels of these images.

    Args:
        batch_size: number of images in a batch; the last batch may have fewer.

    >>> models, loader, labels = load()
    >>> list(models), len(loader.dataset)
    (['seed 0', 'seed 1', 'untrained'], 1000)
    """
    folder = Path(__file__).parent
    with np.load(folder / "images.npz", allow_pickle=False) as file:
        images = torch.from_numpy(file["images"]).unsqueeze(1).float() / 255
        labels = torch.from_numpy(file["labels"]).long()
    models = {}
    for name, stem in _FILES.items():
        models[name] = FashionNet().eval()
        models[name].load_state_dict(load_file(folder / f"{stem}.safetensors"))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0)).tolist()
    loader = DataLoader(TensorDataset(images, labels), batch_size=batch_size, sampler=_FixedOrder(order))
    return Demo(models, loader, labels)


class _FixedOrder(torch.utils.data.Sampler[int]):
    """A sampler that yields the same sequence of indices on every pass, so that the example's numbers never change."""

    def __init__(self, order: list[int]) -> None:
        self._order = order

    def __iter__(self) -> Iterator[int]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)
