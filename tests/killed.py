"""A run that is killed, and one that goes on: each in a process of its own, which the kill test starts."""

import numpy as np


def networks():
    import torch
    from torch import nn

    torch.manual_seed(0)
    return {name: nn.Sequential(*(nn.Linear(16, 16) for _ in range(40))) for name in ("a", "b")}


def loader():
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    samples = torch.randn(16 * N_BATCHES, 16, generator=torch.Generator().manual_seed(1))
    return DataLoader(TensorDataset(samples), batch_size=16, shuffle=True)


N_BATCHES = 56


def work(path, results, resumes):
    """Run to the end, or go on with the checkpoint if it exists; write the numbers down."""
    from pathlib import Path

    import torch

    import simwidget as sw

    torch.set_num_threads(1)
    torch.manual_seed(7)
    comparison = None
    if resumes and Path(path).exists():
        torch.manual_seed(99)
        try:
            comparison = sw.resume(path, networks(), loader(), device="cpu", checkpoint_seconds=0)
        except ValueError as error:  # killed before its first block: begun again, as the error says
            assert "holds nothing to resume yet" in str(error)  # noqa: PT017
            Path(path).unlink()
            torch.manual_seed(7)
    if comparison is None:
        comparison = sw.compare(
            networks(), loader(), gram_batch=16, device="cpu", checkpoint=path, checkpoint_seconds=0
        )
    begun = comparison.n_batches
    result = comparison.run(progress=False)
    arrays = {f"{measure} {view}": result.matrix(measure, view) for measure in ("cka", "dcka") for view in ("xy", "xx")}
    errors = {f"{name} stderr": result.stderr(*name.split()) for name in arrays}
    np.savez(results, begun=begun, n=result.n_batches, **arrays, **errors)
