"""`HeldRunner`: holds the runner of a comparison, or a stored state of the run once the runner has been dropped."""

from simwidget.estimate.pass_state import PassState
from simwidget.run.lifecycle import Lifecycle
from simwidget.run.progress import Progress
from simwidget.run.runner import Runner
from simwidget.run.single_pass import SinglePass
from simwidget.run.summary import RunSummary
from simwidget.text.errors import describe_error


class HeldRunner:
    """Holds the runner of a comparison, and answers questions about the run, even after the runner has been dropped.

    Until the runner is dropped, the answers come from the runner; afterwards they come from the state that `keep`
    stored. Dropping the runner releases the models and the loader. Every method may be called from any thread.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner: Runner | None = runner
        self._warned: tuple[str, ...] = ()
        self.keep()

    @property
    def runner(self) -> Runner | None:
        """The runner; None once it has been dropped."""
        return self._runner

    @property
    def single_pass(self) -> SinglePass | None:
        runner = self._runner
        return None if runner is None else runner.single_pass

    @property
    def n_batches(self) -> int:
        """The number of the loader's batches that have passed through the models."""
        single_pass = self.single_pass
        return self._pass_state.n_batches if single_pass is None else single_pass.n_batches

    @property
    def n_samples(self) -> int:
        """The number of samples that have been added to the run's sums."""
        single_pass = self.single_pass
        return self._pass_state.n_samples if single_pass is None else single_pass.n_samples

    @property
    def summary(self) -> RunSummary:
        runner = self._runner
        return self._summary if runner is None else RunSummary.of(runner)

    @property
    def warned(self) -> tuple[str, ...]:
        """The messages that the run had already issued as warnings when `keep` was last called."""
        return self._warned

    def progress(self, lifecycle: Lifecycle, n_expected: int | None) -> Progress:
        summary, error = self.summary, lifecycle.error
        return Progress(
            lifecycle.state,
            self.n_batches,
            n_expected,
            self.n_samples,
            summary.seconds,
            None if error is None else describe_error(error),
            summary.n_batches_needed,
        )

    def notes(self, error: BaseException | None) -> list[str]:
        """Return the notes on the run. If `error` is given, the last note says that the run failed with `error`."""
        notes = list(self.summary.notes)
        if error is not None:
            what = describe_error(error)
            notes.append(f"the run failed after {self.n_batches} batches ({what}); the numbers are those until then")
        return notes

    def freeze(self, sums: bool = True) -> PassState:
        """Return the state of the run at this moment as a `PassState`, which later batches do not change.

        `sums=False` makes the call cheap: the sums are left out, unless the runner has been dropped.
        """
        single_pass = self.single_pass
        return self._pass_state if single_pass is None else single_pass.freeze(sums)

    def keep(self) -> None:
        """Store the present state of the run, which answers all questions after the runner has been dropped."""
        runner = self._runner
        assert runner is not None
        self._pass_state = runner.single_pass.freeze()
        self._summary = RunSummary.of(runner)
        self._warned = runner.single_pass.warned

    def drop(self) -> None:
        self._runner = None
