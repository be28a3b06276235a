"""How often the t intervals cover the truth: `python -m benchmarks.coverage`.

Simulates runs of batches from a linear Gaussian model whose population values are known, sends them down the real
path (Gram matrices, rows, group sums, jackknife), and counts the cells whose 95 % interval holds the truth. Fails
outside 93 to 97 %.

With linear kernels the population HSIC of two variables is the squared Frobenius norm of their covariance; CKA is the
cosine on the matrix of these, dCKA the cosine on its Schur complement of the confounder.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats

from simwidget.estimate.accumulators import GramAccumulator
from simwidget.estimate.jackknife import jackknife
from simwidget.gram.kernels import linear_gram
from simwidget.measures import make_measures
from simwidget.measures.base import MeasureOptions, RowSelection

LEVEL = 0.95
BOUNDS = (0.93, 0.97)


@dataclass(frozen=True)
class Population:
    """z confounds x = A z + B s + noise and y = C z + D s + noise; s is what x and y share beside z."""

    x: np.ndarray
    """loadings (p, latent) of x on all latent variables: z, s, own noise"""
    y: np.ndarray
    n_confounder: int

    @classmethod
    def draw(cls, seed: int = 0, p: int = 10, shared: float = 1.0, confounded: float = 0.7) -> "Population":
        rng = np.random.default_rng(seed)
        a, b, c, d = rng.normal(size=(4, p, 4))
        own, none = np.eye(p), np.zeros((p, p))
        x = np.hstack([confounded * a, shared * b, own, none])
        y = np.hstack([confounded * c, shared * (b + 0.5 * d), none, own])
        return cls(x, y, n_confounder=4)

    def truth(self) -> dict[str, float]:
        """Population CKA and dCKA."""
        z = np.eye(self.n_confounder, self.x.shape[1])
        hsic = np.array([[np.sum((f @ g.T) ** 2) for g in (z, self.x, self.y)] for f in (z, self.x, self.y)])
        left = hsic[1:, 1:] - np.outer(hsic[1:, 0], hsic[0, 1:]) / hsic[0, 0]
        return {
            "cka": hsic[1, 2] / np.sqrt(hsic[1, 1] * hsic[2, 2]),
            "dcka": left[0, 1] / np.sqrt(left[0, 0] * left[1, 1]),
        }

    def sample(self, n: int, generator: torch.Generator) -> list[torch.Tensor]:
        """N samples of the confounder, x and y."""
        latent = torch.randn(n, self.x.shape[1], generator=generator, dtype=torch.float64)
        return [latent[:, : self.n_confounder], *(latent @ torch.from_numpy(f.T) for f in (self.x, self.y))]


def coverage(runs: int, seed: int, batches: int = 32, n: int = 32, population: Population | None = None) -> dict:
    """The share of runs whose interval covers the truth, by measure."""
    population = population or Population.draw()
    truth = population.truth()
    measures = make_measures(("cka", "dcka"), MeasureOptions())
    selection = RowSelection(torch.tensor([1]), torch.tensor([2]), torch.full((3,), 1e-6, dtype=torch.float64), 1)
    generator = torch.Generator().manual_seed(seed)
    hits = dict.fromkeys(truth, 0)
    row_map = measures[0].rows
    for _ in range(runs):
        state = GramAccumulator(3, row_map.factor)
        for index in range(batches):
            grams = torch.stack([linear_gram(x) for x in population.sample(n, generator)])
            state.add(row_map(grams, 1), row_map.weight(n), index)
        sums = state.sums()
        for measure in measures:
            basis = measure.evaluate.basis(sums.products.sum(0), 1)
            estimate = jackknife(lambda s, w: measure.evaluate(s, w, selection, basis), sums)  # noqa: B023
            half = stats.t.ppf((1 + LEVEL) / 2, estimate.df) * estimate.stderr.item()
            hits[measure.name] += abs(estimate.values.item() - truth[measure.name]) <= half
    return {name: hit / runs for name, hit in hits.items()}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=2000)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--batches", type=int, default=32)
    options.add_argument("--samples", type=int, default=32, help="samples a batch")
    args = options.parse_args()
    truth = Population.draw().truth()
    print(f"{args.runs} runs of {args.batches} batches of {args.samples} samples; 95 % t intervals")
    print("truth: " + ", ".join(f"{name} {value:.3f}" for name, value in truth.items()))
    outside = 0
    for seed in range(args.seeds):
        found = coverage(args.runs, seed, args.batches, args.samples)
        outside += sum(not BOUNDS[0] <= share <= BOUNDS[1] for share in found.values())
        print(f"seed {seed}: " + ", ".join(f"{name} {share:.2%}" for name, share in found.items()), flush=True)
    print("all within 93 to 97 %" if not outside else f"{outside} figures outside 93 to 97 %")
    return int(outside > 0)


if __name__ == "__main__":
    sys.exit(main())
