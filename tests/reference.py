"""Slow float64 oracles, written from the papers' formulas and sharing no code with the package.

A batch is a list of representations (n, p) of the same n samples; batches is a list of those.
"""

import copy

import numpy as np
import torch
from torch import nn


def gram(x):
    """Linear Gram matrix, uncentred, float64."""
    x = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
    return x @ x.T


def hsic1(k, l):  # noqa: E741
    """Song et al. (2012), equation 5: the unbiased estimator in its three terms."""
    n = len(k)
    k, l = k.copy(), l.copy()  # noqa: E741
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    one = np.ones(n)
    first = np.trace(k @ l)
    second = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    third = 2 / (n - 2) * (one @ k @ l @ one)
    return (first + second - third) / (n * (n - 3))


def hsic0(k, l):  # noqa: E741
    """Gretton et al. (2005): tr(K H L H) / (n - 1)^2."""
    n = len(k)
    h = np.eye(n) - 1 / n
    return np.trace(k @ h @ l @ h) / (n - 1) ** 2


def cka(batches, unbiased=True):
    """CKA of every pair of representations: weighted sums of HSIC over the batches, one ratio at the end."""
    hsic = hsic1 if unbiased else hsic0
    size = len(batches[0])
    total = np.zeros((size, size))
    for batch in batches:
        grams = [gram(x - np.asarray(x, dtype=np.float64).mean(0)) for x in batch]
        n = len(grams[0])
        weight = n * (n - 3) if unbiased else (n - 1) ** 2
        total += weight * np.array([[hsic(k, l) for l in grams] for k in grams])  # noqa: E741
    scale = np.sqrt(np.diag(total))
    return total / np.outer(scale, scale)


def dcka(batches, confounders):
    """Deconfounded CKA by explicit regression.

    Off the diagonal, each batch's Gram matrix is regressed on an effect for every row and column (the unbiased
    estimator's centring) by least squares; the residuals of all batches together are regressed on those of the
    confounders, and what is left is compared by cosine.
    """
    layers = np.concatenate([_without_margins(batch) for batch in batches])
    nuisance = np.concatenate([_without_margins(batch) for batch in confounders])
    coefficients, *_ = np.linalg.lstsq(nuisance, layers, rcond=None)
    residual = layers - nuisance @ coefficients
    length = np.linalg.norm(residual, axis=0)
    return residual.T @ residual / np.outer(length, length)


def _without_margins(batch):
    """(n (n - 1), representations): off-diagonal Gram entries without row and column effects."""
    n = len(batch[0])
    i, j = np.nonzero(~np.eye(n, dtype=bool))
    effects = np.zeros((len(i), n))
    effects[np.arange(len(i)), i] += 1
    effects[np.arange(len(i)), j] += 1
    entries = np.stack([gram(x - np.asarray(x, dtype=np.float64).mean(0))[i, j] for x in batch], axis=1)
    coefficients, *_ = np.linalg.lstsq(effects, entries, rcond=None)
    return entries - effects @ coefficients


def without_inplace(model):
    """A copy of the model in which nothing works in place."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return model


@torch.no_grad()
def representations(model, x, names):
    """Copies of the named modules' outputs as float64 arrays, by call (`relu`, `relu#1`), in execution order."""
    kept = {}

    def keep(name):
        def hook(module, args, output):
            calls = sum(call.partition("#")[0] == name for call in kept)
            kept[f"{name}#{calls}" if calls else name] = output.detach().clone().double().flatten(1).numpy()

        return hook

    modules = dict(model.named_modules())
    handles = [modules[name].register_forward_hook(keep(name)) for name in names]
    try:
        model.eval()(x)
    finally:
        for handle in handles:
            handle.remove()
    return kept


def mlp(sizes, seed=0, inplace=True, dtype=torch.float32):
    """A plain network with in-place ReLUs for the tests."""
    torch.manual_seed(seed)
    layers = []
    for p, q in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(p, q), nn.ReLU(inplace=inplace)]
    return nn.Sequential(*layers[:-1]).to(dtype)


def centred_gram(x):
    """H X X^T H with the centring matrix H, float64."""
    h = np.eye(len(x)) - 1 / len(x)
    return h @ gram(x) @ h


def agreement(x, y):
    """For each sample the cosine of its rows of two centred Gram matrices, one sample at a time; NaN for a zero row."""
    k, l = centred_gram(x), centred_gram(y)  # noqa: E741
    lengths = [(np.linalg.norm(a), np.linalg.norm(b)) for a, b in zip(k, l)]
    return np.array([a @ b / (p * q) if p and q else np.nan for a, b, (p, q) in zip(k, l, lengths)])


def spectrum(x):
    """The eigenvalues of the centred Gram matrix over their sum, the largest first, from the singular values of x."""
    x = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
    values = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    return np.pad(values, (0, len(x) - len(values))) / values.sum()


def participation_ratio(x):
    """tr(K)^2 / tr(K K) of the centred Gram matrix K, without eigenvalues."""
    k = centred_gram(x)
    return np.trace(k) ** 2 / np.trace(k @ k)
