"""Which dimension of a batch holds the samples, where modules of torch want their steps first."""

import copy
import re

import numpy as np
import pytest
import torch
from kinds.nets import ids, noise, seeded
from torch import nn

import simwidget as sw
from simwidget.capture.batch_first import sequence_first_modules


class Net(nn.Module):
    """What comes before a recurrent layer of torch, which wants its steps first, and what comes after."""

    def __init__(self, before=None, after=lambda steps: steps[-1]):
        super().__init__()
        self.before = nn.Linear(4, 4) if before is None else before
        self.rnn = nn.GRU(4, 6)
        self.head = nn.Linear(6, 3)
        self.after = after

    def forward(self, x):
        return self.head(self.after(self.rnn(self.before(x))[0]))


class Turns(nn.Module):
    def forward(self, x):
        return x.transpose(0, 1)


def comparison(batches, net=Net, **options):
    options = {"measures": "cka", "device": "cpu", "layers": ["rnn", "head"], **options}
    return sw.compare({"net": seeded(net)}, batches, **options)


def run(batches, net=Net, **options):
    return comparison(batches, net, **options).run(progress=False)


SECOND = noise(7, 32, 4)


def turned_at_first(net=Net):
    """The same network for batches with their samples first."""
    return nn.Sequential(Turns(), seeded(net))


def values_of(batches, net=Net):
    """Of the numbers that are right: the samples are first, and the network turns them."""
    layers = ["1.rnn", "1.head"]
    turned = [batch.transpose(0, 1) for batch in batches]
    return sw.compare({"net": turned_at_first(net)}, turned, measures="cka", device="cpu", layers=layers).run(
        progress=False
    )


TEXT = (
    "batch 0: the input {} of model 'net' may be (samples, steps, ...) or (steps, samples, ...): layer 'rnn' (GRU, "
    "batch_first=False) gets {}, in which dimension 0 holds the steps for torch. Give batch_dim=1 if dimension 1 of "
    "the input holds the samples, or batch_dim=0 if dimension 0 does"
)
UNCLEAR = {
    "another layer first": (Net, lambda: noise(7, 32, 4), "(7, 32, 4)", "(7, 32, 4)"),
    "as many steps as samples": (Net, lambda: noise(32, 32, 4), "(32, 32, 4)", "(32, 32, 4)"),
    "token ids": (lambda: Net(nn.Embedding(40, 4)), lambda: ids(7, 32), "(7, 32)", "(7, 32, 4)"),
    "one step": (lambda: Net(nn.Identity()), lambda: noise(32, 1, 4), "(32, 1, 4)", "(32, 1, 4)"),
}


@pytest.mark.parametrize("kind", UNCLEAR)
def test_two_readings_are_refused(kind):
    net, batches, given, received = UNCLEAR[kind]
    said = f"^{re.escape(TEXT.format(given, received))}"
    with pytest.raises(ValueError, match=said):
        run(batches(), net)
    with pytest.raises(ValueError, match="batch 0: the input"):
        sw.describe(seeded(net), batches()[0], device="cpu")


def test_the_advice_for_samples_in_dimension_1_helps():
    found, wanted = run(SECOND, batch_dim=1), values_of(SECOND)
    assert found.n_samples == wanted.n_samples == 96
    np.testing.assert_allclose(found.matrix("cka"), wanted.matrix("cka"), atol=1e-6)


def test_the_advice_for_samples_in_dimension_0_helps():
    """A network that mixes its samples, as its author overlooked `batch_first`."""
    net = lambda: Net(after=lambda steps: steps[:, -1])  # noqa: E731
    result = run(noise(32, 7, 4), net, batch_dim=0)
    assert result.n_samples == 96
    assert not np.isnan(result.matrix("cka")).any()


def test_labels_tell_the_samples():
    labels = torch.arange(32) % 3
    second = run([(batch, labels) for batch in SECOND])
    np.testing.assert_array_equal(second.matrix("cka"), run(SECOND, batch_dim=1).matrix("cka"))
    net = lambda: Net(after=lambda steps: steps[:, -1])  # noqa: E731
    first = run([(batch, labels) for batch in noise(32, 7, 4)], net)
    np.testing.assert_array_equal(first.matrix("cka"), run(noise(32, 7, 4), net, batch_dim=0).matrix("cka"))
    assert first.n_samples == second.n_samples == 96


def test_a_batch_that_the_layer_gets_as_it_is():
    net = lambda: Net(nn.Identity())  # noqa: E731
    found = run(SECOND, net)
    np.testing.assert_array_equal(found.matrix("cka"), run(SECOND, net, batch_dim=1).matrix("cka"))
    by_name = run([{"x": batch} for batch in SECOND], net)
    by_function = run(SECOND, net, forward=lambda model, batch: model(batch))
    doubles = run([batch.double() for batch in SECOND], net)
    for same in (by_name, by_function, doubles):
        np.testing.assert_allclose(same.matrix("cka"), found.matrix("cka"), atol=1e-6)


def test_a_description_and_two_networks():
    net = seeded(lambda: Net(nn.Identity()))
    assert sw.describe(net, SECOND[0], device="cpu").n_samples == 32
    others = {"net": net, "mean": nn.Sequential(nn.Linear(4, 3))}
    with pytest.raises(ValueError, match=r"32 samples for model 'net' and 7 for 'mean'.*batch_dim="):
        sw.compare(others, SECOND, measures="cka", device="cpu").run(progress=False)
    result = sw.compare(others, SECOND, measures="cka", device="cpu", batch_dim=1).run(progress=False)
    assert result.n_samples == 96


def test_the_function_inputs_is_called_once_for_each_batch():
    seen = []
    run(SECOND, lambda: Net(nn.Identity()), inputs=lambda batch: seen.append(batch) or batch)
    assert len(seen) == len(SECOND)


class OfFixedLength(nn.Module):
    """Turns its input and takes all its samples at once."""

    def forward(self, x):
        return x.transpose(0, 1) + torch.zeros(1, 32, 1)


def test_as_many_steps_as_samples_where_half_of_them_do_not_pass():
    net = lambda: Net(OfFixedLength())  # noqa: E731
    with pytest.raises(ValueError, match=re.escape(TEXT.format("(32, 32, 4)", "(32, 32, 4)"))):
        run(noise(32, 32, 4), net)
    assert run(noise(32, 32, 4), net, layers=["head"], batch_dim=0).n_samples == 96
    assert run(noise(32, 7, 4), net).n_samples == 96


def test_the_look_is_taken_once():
    """Also where the layer gets packed sequences, which tell nothing."""
    calls = []

    class Packs(nn.Module):
        def forward(self, x):
            calls.append(len(x))
            return nn.utils.rnn.pack_padded_sequence(x.transpose(0, 1), torch.full((32,), 7))

    net = lambda: Net(Packs(), after=lambda packed: nn.utils.rnn.unpack_sequence(packed)[0])  # noqa: E731
    run(noise(32, 7, 4), net, layers=["rnn"])
    assert len(calls) == 1 + 3


def test_random_numbers_are_drawn_again_after_the_look():
    drawn = []

    class Noisy(nn.Module):
        def forward(self, x):
            drawn.append(float(torch.randn(1)))
            return x + drawn[-1]

    run(noise(32, 7, 4), lambda: Net(nn.Sequential(Turns(), Noisy())))
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == len(drawn) - 1 >= 3


def test_an_error_of_the_network_is_its_own():
    class Fails(nn.Module):
        def forward(self, x):
            raise KeyError("no such thing")

    with pytest.raises(KeyError, match="no such thing"):
        run(SECOND, lambda: Net(Fails()))


def test_the_network_is_as_before():
    net = seeded(lambda: Net(nn.Identity()))
    before = copy.deepcopy(net.state_dict())
    sw.compare({"net": net}, SECOND, measures="cka", device="cpu").run(progress=False)
    assert not net.rnn._forward_hooks
    assert not net.rnn._forward_hooks_with_kwargs
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())


def test_a_run_goes_on_after_a_checkpoint(tmp_path):
    net, path = seeded(lambda: Net(nn.Identity())), tmp_path / "run.simw"
    options = {"measures": "cka", "device": "cpu", "gram_batch": 16}
    whole = sw.compare({"net": net}, SECOND, **options).run(progress=False)
    sw.compare({"net": net}, SECOND, checkpoint=path, max_batches=2, **options).run(progress=False)
    rest = sw.resume(path, {"net": net}, SECOND, max_batches=None).run(progress=False)
    assert np.array_equal(rest.matrix("cka"), whole.matrix("cka"))


def test_the_outermost_modules_that_want_their_steps_first():
    model = nn.ModuleDict({"net": Net(), "layer": nn.TransformerEncoderLayer(8, 2, 8)})
    assert list(sequence_first_modules(model)) == ["net.rnn", "layer"]
    assert list(sequence_first_modules(nn.LSTM(2, 2))) == [""]
    assert not sequence_first_modules(nn.LSTM(2, 2, batch_first=True))
