"""The networks, data and layers that are timed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

Layers = tuple[Sequence[str], Sequence[str]]
"""The names of the layers of the first and of the second network."""


@dataclass(frozen=True)
class Size:
    """How much of a case runs on a kind of device: the shape of one sample, samples a batch, batches, repeats."""

    sample: tuple[int, ...]
    batch: int
    n_batches: int
    repeats: int


@dataclass(frozen=True)
class Case:
    about: str
    networks: tuple[Callable[[], nn.Module], Callable[[], nn.Module]]
    cpu: Size
    cuda: Size
    layers: tuple[str, ...]
    """globs; "*" is every module"""
    slow_peers: bool = True
    """whether tools that form every Gram matrix once for every pair finish in reasonable time"""

    def build(self, device: str) -> tuple[nn.Module, nn.Module]:
        torch.manual_seed(0)
        first, second = (make().eval().to(device) for make in self.networks)
        return first, second

    def size(self, device: str) -> Size:
        return self.cuda if device == "cuda" else self.cpu

    def loader(self, device: str, n_batches: int | None = None) -> DataLoader:
        size = self.size(device)
        n = (size.n_batches if n_batches is None else n_batches) * size.batch
        samples = torch.randn(n, *size.sample, generator=torch.Generator().manual_seed(1))
        return DataLoader(TensorDataset(samples, torch.zeros(n, dtype=torch.long)), batch_size=size.batch)

    def chosen(self, networks: tuple[nn.Module, nn.Module]) -> Layers:
        """The modules that the globs match, in their order."""
        first, second = (
            [name for name, _ in net.named_modules() if name and any(fnmatchcase(name, one) for one in self.layers)]
            for net in networks
        )
        return first, second


def vision(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import torchvision

        return getattr(torchvision.models, name)(weights=None)

    return make


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(1024, 16, 4096, activation="gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, 24, enable_nested_tensor=False)


MAIN_PATH = tuple(f"layer{stage}.{block}.conv{conv}" for stage in range(1, 5) for block in range(2) for conv in (1, 2))

CASES = {
    "resnet18": Case(
        "(a) resnet18 twice, 18 layers, 32 px",
        (vision("resnet18"), vision("resnet18")),
        cpu=Size((3, 32, 32), 128, 8, 15),
        cuda=Size((3, 32, 32), 128, 100, 7),
        layers=("conv1", *MAIN_PATH, "fc"),
    ),
    "densenet121-resnet101": Case(
        "(b) densenet121 and resnet101, layers named *conv*, *classifier* or *fc*, 64 px",
        (vision("densenet121"), vision("resnet101")),
        cpu=Size((3, 64, 64), 64, 4, 9),
        cuda=Size((3, 64, 64), 128, 30, 5),
        layers=("*conv*", "*classifier*", "*fc*"),
    ),
    "resnet50-101": Case(
        "(c) resnet50 and resnet101, every module, 128 px (CUDA: 224 px)",
        (vision("resnet50"), vision("resnet101")),
        cpu=Size((3, 128, 128), 16, 6, 9),
        cuda=Size((3, 224, 224), 64, 20, 5),
        layers=("*",),
        slow_peers=False,
    ),
    "vit-b-16": Case(
        "(d) ViT-B/16 twice, every block and its MLP, 224 px",
        (vision("vit_b_16"), vision("vit_b_16")),
        cpu=Size((3, 224, 224), 8, 2, 3),
        cuda=Size((3, 224, 224), 64, 20, 5),
        layers=("encoder.layers.encoder_layer_*[0-9]", "encoder.layers.*.mlp"),
    ),
    "encoder-24": Case(
        "(e) two transformer encoders of 24 layers, 1,024 wide, every layer, 512 tokens",
        (encoder, encoder),
        cpu=Size((512, 1024), 4, 1, 3),
        cuda=Size((512, 1024), 32, 10, 5),
        layers=("layers.?", "layers.??"),
    ),
}
