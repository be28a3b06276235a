"""The networks, data and layers that are timed."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass(frozen=True)
class Case:
    """Two networks by name, square images, and the layers of interest (None for every module)."""

    networks: tuple[str, str]
    pixels: int
    batch: int
    n_batches: int
    layers: tuple[str, ...] | None
    slow_peers: bool
    """whether tools that form every Gram matrix once for every pair finish in reasonable time"""

    def build(self, device: str) -> tuple[nn.Module, nn.Module]:
        import torchvision

        torch.manual_seed(0)
        first, second = (getattr(torchvision.models, name)(weights=None).eval().to(device) for name in self.networks)
        return first, second

    def loader(self, n_batches: int | None = None) -> DataLoader:
        n = (self.n_batches if n_batches is None else n_batches) * self.batch
        images = torch.randn(n, 3, self.pixels, self.pixels, generator=torch.Generator().manual_seed(1))
        return DataLoader(TensorDataset(images, torch.zeros(n, dtype=torch.long)), batch_size=self.batch)


MAIN_PATH = tuple(f"layer{stage}.{block}.conv{conv}" for stage in range(1, 5) for block in range(2) for conv in (1, 2))

CASES = {
    "resnet18": Case(("resnet18", "resnet18"), 32, 128, 16, ("conv1", *MAIN_PATH, "fc"), True),
    "resnet50-101": Case(("resnet50", "resnet101"), 128, 16, 6, None, False),
}
