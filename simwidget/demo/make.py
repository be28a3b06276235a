"""Makes the files of the embedded example from the Fashion-MNIST data set: `python -m simwidget.demo.make`.

Reads the four files of Debian's package `dataset-fashion-mnist`, trains two networks, and writes a thousand test images
and the weights of three networks into the folder of this file. Prints the accuracy of each network on the nine thousand
test images that are not shipped. Fails if the accuracy of a trained network is under 80 %.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from simwidget.demo.network import FashionNet

N_SHIPPED = 1000
TRAINED_SEEDS = (0, 1)
UNTRAINED_SEED = 2


def read_idx(path: Path) -> Tensor:
    """Read a tensor of unsigned bytes from a gzipped file in the IDX format, which MNIST uses."""
    raw = gzip.decompress(path.read_bytes())
    n_dims = raw[3]
    shape = np.frombuffer(raw, ">i4", n_dims, offset=4)
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * n_dims).reshape(shape).copy())


def as_input(images: Tensor) -> Tensor:
    """Convert images (n, 28, 28) of bytes to the networks' input (n, 1, 28, 28), float32 with values in [0, 1]."""
    return images.unsqueeze(1).float() / 255


def train(seed: int, images: Tensor, labels: Tensor, epochs: int) -> FashionNet:
    """Train a network with AdamW on batches of 128 images, and return the network in evaluation mode.

    The seed determines the initial weights and the order of the images.
    """
    torch.manual_seed(seed)
    net = FashionNet().train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=1e-2)
    batches = (len(images) // 128) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1e-2, total_steps=batches)
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for indices in order.split(128):
            if len(indices) < 128:
                continue
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(as_input(images[indices])), labels[indices].long()).backward()
            optimiser.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def accuracy(net: FashionNet, images: Tensor, labels: Tensor) -> float:
    """Return the share of the images, from 0 to 1, that the network classifies correctly."""
    n_correct = sum(
        (net(as_input(x)).argmax(1) == y).sum().item()
        for x, y in zip(images.split(500), labels.split(500), strict=True)
    )
    return n_correct / len(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()

    train_images = read_idx(arguments.data / "train-images-idx3-ubyte.gz")
    train_labels = read_idx(arguments.data / "train-labels-idx1-ubyte.gz")
    test_images = read_idx(arguments.data / "t10k-images-idx3-ubyte.gz")
    test_labels = read_idx(arguments.data / "t10k-labels-idx1-ubyte.gz")
    np.savez_compressed(
        arguments.out / "images.npz", images=test_images[:N_SHIPPED].numpy(), labels=test_labels[:N_SHIPPED].numpy()
    )

    torch.manual_seed(UNTRAINED_SEED)
    nets = {"untrained": FashionNet().eval()}
    for seed in TRAINED_SEEDS:
        nets[f"seed{seed}"] = train(seed, train_images, train_labels, arguments.epochs)
    for name, net in nets.items():
        score = accuracy(net, test_images[N_SHIPPED:], test_labels[N_SHIPPED:])
        print(f"{name}: {score:.1%} on {len(test_images) - N_SHIPPED} images that are not shipped")
        if name != "untrained" and score < 0.8:
            raise SystemExit(f"the accuracy of {name} is under 80 %: train for more than {arguments.epochs} epochs")
        save_file(
            {key: value.contiguous() for key, value in net.state_dict().items()}, arguments.out / f"{name}.safetensors"
        )


if __name__ == "__main__":
    main()
