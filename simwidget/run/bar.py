"""`show_bar`: the tqdm progress bar of a run on the calling thread."""

from collections.abc import Callable, Iterable

from simwidget.run.progress import Progress


def show_bar(batches: Iterable[None], progress: Callable[[], Progress], title: str, shown: bool) -> None:
    """Iterate over `batches`, and show a tqdm bar with the given title if `shown` is True.

    After each batch, the bar's total is set to `progress().n_batches_likely`.
    """
    from tqdm.auto import tqdm

    begun = progress()
    total, done = begun.n_batches_likely, begun.n_batches
    with tqdm(total=total, initial=done, unit="batch", desc=title, disable=not shown) as bar:
        for _ in batches:
            bar.total = progress().n_batches_likely
            bar.update()
