"""Which inputs are images, and their thumbnails."""

import numpy as np
import pytest
import torch

from simwidget.data.thumbnails import NO_IMAGE, thumbnail_size, thumbnails


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((2, 1, 28, 28), (28, 28, 1)),
        ((2, 3, 224, 224), (40, 40, 3)),
        ((2, 3, 100, 50), (40, 20, 3)),
        ((2, 1, 8, 4000), (1, 40, 1)),
        ((2, 3, 7, 40), NO_IMAGE),
        ((2, 4, 28, 28), NO_IMAGE),
        ((2, 28, 28), NO_IMAGE),
        ((0, 1, 28, 28), NO_IMAGE),
    ],
)
def test_what_is_an_image_and_how_large_its_picture(shape, size):
    assert thumbnail_size(torch.zeros(shape)) == size
    assert thumbnail_size(torch.zeros(shape, dtype=torch.uint8)) == size
    assert thumbnail_size(torch.zeros(shape, dtype=torch.long)) == NO_IMAGE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8])
def test_pictures_are_means_of_areas_in_their_own_range(dtype):
    images = torch.randint(0, 200, (4, 3, 16, 24)).to(dtype)
    expected = images.double().reshape(4, 3, 8, 2, 8, 3).mean((3, 5)).permute(0, 2, 3, 1).numpy()
    low, high = expected.min((1, 2, 3), keepdims=True), expected.max((1, 2, 3), keepdims=True)
    made = thumbnails(images, (8, 8, 3))
    assert made.dtype == torch.uint8
    assert np.abs(made.numpy() - 255 * (expected - low) / (high - low)).max() <= 0.51
    assert made.amin((1, 2, 3)).tolist() == [0] * 4
    assert made.amax((1, 2, 3)).tolist() == [255] * 4


def test_pictures_without_a_range_are_black():
    images = torch.rand(4, 1, 8, 8)
    images[0] = 3.0
    images[1, 0, 2, 2] = torch.nan
    images[2, 0, 2, 2] = -torch.inf
    made = thumbnails(images, (8, 8, 1))
    assert made.amax((1, 2, 3)).tolist() == [0, 0, 0, 255]
