"""The runner of a comparison while the run can go on, and what is kept of it afterwards."""

from simwidget.estimate.pass_state import PassState
from simwidget.run.runner import Runner
from simwidget.run.single_pass import SinglePass
from simwidget.run.summary import RunSummary


class HeldRunner:
    """Answers from the live runner as long as there is one, then from the state in which it ended.

    Dropping the runner releases the models and the loader. Every method may be called from any thread.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner: Runner | None = runner
        self._warned: tuple[str, ...] = ()
        self.keep()

    @property
    def runner(self) -> Runner | None:
        """None once it was dropped."""
        return self._runner

    @property
    def single_pass(self) -> SinglePass | None:
        runner = self._runner
        return None if runner is None else runner.single_pass

    @property
    def n_batches(self) -> int:
        """Batches of the loader that have gone through the models."""
        single_pass = self.single_pass
        return self._pass_state.n_batches if single_pass is None else single_pass.n_batches

    @property
    def n_samples(self) -> int:
        """Samples in the sums."""
        single_pass = self.single_pass
        return self._pass_state.n_samples if single_pass is None else single_pass.n_samples

    @property
    def summary(self) -> RunSummary:
        runner = self._runner
        return self._summary if runner is None else RunSummary.of(runner)

    @property
    def warned(self) -> tuple[str, ...]:
        """Notes of which the user was warned during the run; those known at its latest end."""
        return self._warned

    def freeze(self, sums: bool = True) -> PassState:
        """The pass at this moment; without the sums it takes no time."""
        single_pass = self.single_pass
        return self._pass_state if single_pass is None else single_pass.freeze(sums)

    def keep(self) -> None:
        """Remember the present state, as what answers once the runner is dropped."""
        runner = self._runner
        assert runner is not None
        self._pass_state = runner.single_pass.freeze()
        self._summary = RunSummary.of(runner)
        self._warned = runner.single_pass.warned

    def drop(self) -> None:
        self._runner = None
