"""The progress bar of a run on this thread."""

from collections.abc import Callable, Iterable

from simwidget.run.progress import Progress


def show_bar(batches: Iterable[None], progress: Callable[[], Progress], title: str, shown: bool) -> None:
    """Iterate over the batches under a tqdm bar, whose total follows the run's own estimate of its length."""
    from tqdm.auto import tqdm

    begun = progress()
    total, done = begun.n_batches_likely, begun.n_batches
    with tqdm(total=total, initial=done, unit="batch", desc=title, disable=not shown) as bar:
        for _ in batches:
            bar.total = progress().n_batches_likely
            bar.update()
