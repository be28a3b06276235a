"""Random numbers: a run restores the global generators, and models that draw get different numbers in each batch."""

import random
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import simwidget as sw
from simwidget.restore.randomness import RandomOpDetector

WAIT = 60


def states():
    name, keys, *rest = np.random.get_state()
    return torch.get_rng_state().tolist(), random.getstate(), (name, keys.tolist(), *rest)


DRAWS = {
    "rand": lambda x: torch.rand(3),
    "randn_like": torch.randn_like,
    "randperm": lambda x: torch.randperm(5),
    "randint": lambda x: torch.randint(3, (4,)),
    "normal_": lambda x: torch.empty(3).normal_(),
    "bernoulli": lambda x: torch.bernoulli(torch.full((3,), 0.5)),
    "multinomial": lambda x: torch.multinomial(x.abs(), 2),
    "dropout": lambda x: F.dropout(x, 0.5, True),
    "alpha dropout in place": lambda x: F.alpha_dropout(x.clone(), 0.5, True, True),
    "rrelu": lambda x: F.rrelu(x, training=True),
    "attention": lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None], dropout_p=0.3),
    "gumbel": F.gumbel_softmax,
    "gamma": lambda x: torch.distributions.Gamma(torch.ones(3), 1.0).sample(),
    "recurrent": lambda x: nn.LSTM(4, 4, 2, dropout=0.5)(x),
    "weights": lambda x: nn.Linear(3, 3),
}


class Draw(nn.Module):
    def __init__(self, draw):
        super().__init__()
        self.part = nn.Linear(4, 4)
        self.draw = draw

    def forward(self, x):
        self.draw(x)
        return self.part(x)


@pytest.mark.parametrize("start", [False, True], ids=["run", "start"])
@pytest.mark.parametrize("name", DRAWS)
def test_what_a_network_draws_is_drawn_again(name, start):
    net, data = Draw(DRAWS[name]), [torch.randn(32, 4) for _ in range(3)]
    before = states()
    DRAWS[name](data[0])
    assert states() != before
    before = states()
    comparison = sw.compare({"net": net}, data, measures="cka", device="cpu")
    if start:
        comparison.start().wait(WAIT)
    else:
        comparison.run(progress=False)
    assert states() == before


@pytest.mark.parametrize("ending", ["finished", "failed", "stopped"])
def test_everything_drawn_in_a_run_is_drawn_again(ending):
    def draw(x):
        random.random(), np.random.rand(), torch.rand(1)

    def loader():
        for batch in range(3):
            draw(None)
            yield torch.randn(32, 5 if ending == "failed" and batch == 1 else 4)
            if ending == "stopped":
                comparison.stop()

    net = Draw(draw)
    before = states()
    comparison = sw.compare({"net": net}, loader(), measures="cka", device="cpu")
    if ending == "failed":
        with pytest.raises(RuntimeError):
            comparison.run(progress=False)
    else:
        comparison.run(progress=False)
    assert comparison.state == ending
    assert states() == before


def test_what_the_loader_draws_in_the_background_stays_drawn():
    def loader():
        for _ in range(4):
            yield torch.randn(32, 4)

    net = Draw(torch.randn_like)
    torch.manual_seed(7)
    for _ in loader():
        pass
    after = torch.get_rng_state()
    torch.manual_seed(7)
    sw.compare({"net": net}, loader(), measures="cka", device="cpu").start().wait(WAIT)
    assert torch.equal(torch.get_rng_state(), after)


class Apart:
    """Draws on another thread, as another cell of a notebook does while a forward pass is under way."""

    def __init__(self, own, others):
        self.passes = 0
        self.own, self.others = own, others

    def __call__(self, x):
        self.passes += 1
        self.own()
        if self.passes in self.others:
            thread = threading.Thread(target=torch.rand, args=(3,))
            thread.start()
            thread.join()


@pytest.mark.parametrize(("own", "others"), [("nothing", (1, 2)), ("a generator", (2, 3))])
def test_what_another_thread_draws_meanwhile_stays_drawn(own, others):
    """Of a network that draws nothing itself, or from a generator that it has."""
    generator = torch.Generator()
    net = Draw(Apart((lambda: None) if own == "nothing" else (lambda: torch.rand(3, generator=generator)), others))
    data = [torch.randn(32, 4) for _ in range(3)]
    before = torch.get_rng_state()
    for _ in others:
        torch.rand(3)
    after = torch.get_rng_state()
    torch.set_rng_state(before)
    sw.compare({"net": net}, data, measures="cka", device="cpu").start().wait(WAIT)
    assert torch.equal(torch.get_rng_state(), after)


def test_a_forward_pass_that_fails_in_the_background_gives_its_numbers_back():
    def fail(x):
        torch.rand(3)
        raise RuntimeError("no")

    net, data = Draw(fail), [torch.randn(32, 4)]
    before = states()
    with pytest.raises(RuntimeError, match=r"^no"):
        sw.compare({"net": net}, data, measures="cka", device="cpu").start().wait(WAIT)
    assert states() == before


@pytest.mark.parametrize("name", DRAWS)
def test_draws_are_seen(name):
    with RandomOpDetector() as detector:
        torch.zeros(3) + 1
        F.dropout(torch.zeros(3), 0.5, training=False)
        assert not detector.seen
        DRAWS[name](torch.ones(3, 4))
    assert detector.seen


class Noise(nn.Module):
    """Keeps the first random number of each pass."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.drawn = []

    def forward(self, x):
        noise = torch.rand_like(x)
        self.drawn.append(noise[0, 0].item())
        return self.linear(x + noise)


@pytest.mark.parametrize("background", [False, True], ids=["run", "start"])
def test_a_model_that_draws_draws_anew_in_every_batch(background):
    """One noise in all batches would make them depend on one another."""
    models = {"a": Noise(), "b": Noise()}
    comparison = sw.compare(models, [torch.randn(64, 6)] * 4, device="cpu")
    if background:
        comparison.start().wait(60)
    else:
        comparison.run(progress=False)
    for model in models.values():
        assert len(set(model.drawn)) == 4
