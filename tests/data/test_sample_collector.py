"""The samples of joined batches, and what is held of their inputs."""

import weakref

import torch

from simwidget.data.parsing import parse_batch
from simwidget.data.sample_collector import SampleCollector
from simwidget.data.samples import Samples


def test_images_of_another_size_are_brought_to_the_first_one_s():
    samples, device = SampleCollector(), torch.device("cpu")
    batches = [torch.rand(2, 3, 60, 80), torch.rand(2, 3, 16, 16), torch.rand(2, 1, 60, 80), torch.rand(2, 6)]
    for index, inputs in enumerate(batches):
        samples.open(parse_batch(inputs, index))
        samples.close(make_thumbnails=False)
    joined = Samples.join([one.samples(device) for one in samples.take()])
    assert joined.thumbnails.shape == (8, 30, 40, 3)
    assert joined.has_thumbnail.tolist() == [True] * 4 + [False] * 4
    assert joined.labels.isnan().all()
    assert joined.indices.tolist() == list(range(8))


def test_only_images_are_held():
    text = torch.randn(4, 6)
    watched = weakref.ref(text)
    samples = SampleCollector()
    samples.open(parse_batch(text, 0))
    samples.close(make_thumbnails=False)
    del text
    assert watched() is None
