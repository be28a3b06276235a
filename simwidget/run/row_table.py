"""`RowTable`: describes the rows of a run's sums. Each row belongs to a confounder or to a call of a layer.

In each block of samples, each of the R confounders and layer calls has one Gram matrix. The sums are matrices (R, R):
the products of each two of these Gram matrices, summed over all blocks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from torch import Tensor

from simwidget.files.fields import MalformedError, get_field, get_int, short_repr
from simwidget.gram.rows import Key, Row
from simwidget.plan.options import Plan
from simwidget.plan.similarity_model import SimilarityModel

NEVER_RAN = "never ran"


class RowTable:
    """A table of the confounders and the calls of layers, in the order of the rows of the sums.

    The confounders come first, then the calls of layers in execution order, then the layers that never ran. Rows are
    added during the first forward passes. Then `fix` closes the table, and the sums get the same number of rows.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._networks = plan.networks
        self._rows: list[Row] = []
        self._index: dict[Key, int] = {}
        self._repeating: set[Key] = set()
        """keys of the calls in which a container module returned its last child's output unchanged"""
        self._fixed = False
        self._not_yet_run = {
            (plan.network_of(model.model_name), name) for model in plan.models for name in model.layer_names
        }
        """the chosen layers that have no row yet"""
        self.index: Mapping[Key, int] = MappingProxyType(self._index)
        """key of each confounder or layer call -> the index of its row; a read-only view, kept up to date"""
        for confounder in plan.confounders:
            self._add(("confounder", confounder.name))

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def _add(self, key: Key, missing: str | None = None) -> Row:
        position, call = key
        kinds = {} if isinstance(position, str) else self._networks[position].kinds
        row = Row(key, kind=kinds.get(call.partition("#")[0], ""), missing=missing)
        self._index[key] = len(self._rows)
        self._rows.append(row)
        self._not_yet_run.discard(key)
        return row

    @property
    def n_expected(self) -> int:
        """A lower bound of the final number of rows: the present rows, plus one for each chosen layer without a row."""
        return len(self._rows) + len(self._not_yet_run)

    # --- during the pass ---------------------------------------------------------------------------------------------

    def add_representation(self, key: Key, x: Tensor, repeats_child: bool) -> bool:
        """Record a representation in the row of its confounder or layer call, and add this row if it is missing.

        Args:
            key: the confounder or layer call.
            x: the representation (n, p). The row keeps the number of features p and the dtype of the first
                representation.
            repeats_child: whether the layer is a container module that returned its last child's output unchanged.

        Returns:
            Whether the key has a row. A layer call that first occurs after `fix` gets no row.
        """
        if key not in self._index and self._fixed:
            return False
        row = self._rows[self._index[key]] if key in self._index else self._add(key)
        if not row.dtype:
            row.n_features, row.dtype = x.shape[1], str(x.dtype).removeprefix("torch.")
            row.reduced = x.dtype.itemsize < 4 or (self._plan.grams.precision != "highest" and row.dtype == "float32")
        if repeats_child and not self._fixed:
            self._repeating.add(key)
        return True

    def add_missing(self, key: Key, reason: str) -> None:
        """Record the reason why a layer has no representation, unless a reason is already recorded."""
        if key in self._index:
            row = self._rows[self._index[key]]
            row.missing = row.missing or reason
        elif not self._fixed:
            self._add(key, reason)

    def never_run(self) -> dict[int, list[str]]:
        """Return a dict from the position of each network to the names of its chosen layers that have not run.

        Networks without such layers are left out.
        """
        found: dict[int, list[str]] = {}
        for model in self._plan.models:
            position = self._plan.network_of(model.model_name)
            for name in model.layer_names:
                if (position, name) in self._not_yet_run and name not in found.setdefault(position, []):
                    found[position].append(name)
        return {position: names for position, names in found.items() if names}

    def add_never_run(self, why: Mapping[int, str] = MappingProxyType({})) -> None:
        """Add rows for the chosen layers that have not run; called after the first forward passes.

        Args:
            why: position of a network -> the reason why its layers have not run, if this is known.
        """
        for position, names in self.never_run().items():
            for name in names:
                self._add((position, name), f"{NEVER_RAN}: {why[position]}" if position in why else NEVER_RAN)

    def fix(self) -> None:
        """Close the table: no rows are added from now on."""
        self._fixed = True

    def note_absent(self, present: frozenset[Key], batch: int) -> None:
        """Record, for each row whose key is not in `present`, that its layer did not run in every forward pass.

        Args:
            present: the keys that had a representation in every forward pass of a block (the samples of one Gram
                matrix).
            batch: the number of the last batch of the block, for the message.
        """
        for row in self._rows:
            if row.missing is None and row.key not in present:
                row.missing = f"did not run in every forward pass (batch {batch})"

    # --- read access -----------------------------------------------------------------------------------------------

    def copies(self) -> tuple[Row, ...]:
        """Return copies of the rows; before `fix`, return one expected row for each confounder and chosen layer."""
        return tuple(Row(**vars(row)) for row in (self._rows if self._fixed else self._expected()))

    def layers(self) -> tuple[tuple[int, ...], ...]:
        """Return for each model the indices of the rows in `copies()` that belong to the model's layers.

        After `fix` the indices are in execution order. Layers that were chosen by default are left out if they never
        ran, or if their output is the unchanged output of their last child.
        """
        rows = self._rows if self._fixed else self._expected()
        return tuple(self._layers_of(model, rows) for model in self._plan.models)

    def _expected(self) -> list[Row]:
        """Return rows for the confounders, followed by rows for the chosen layers in the order of their modules."""
        keys = dict.fromkeys(
            (self._plan.network_of(model.model_name), name) for model in self._plan.models for name in model.layer_names
        )
        layers = [Row((position, name), kind=self._networks[position].kinds[name]) for position, name in keys]
        return [row for row in self._rows if row.key[0] == "confounder"] + layers

    def _layers_of(self, model: SimilarityModel, rows: Sequence[Row]) -> tuple[int, ...]:
        position = self._plan.network_of(model.model_name)
        chosen = set(model.layer_names)
        found = []
        for index, row in enumerate(rows):
            network, call = row.key
            asked_for = network == position and call.partition("#")[0] in chosen
            if asked_for and not (model.chosen_by_default and (row.key in self._repeating or _never_ran(row))):
                found.append(index)
        return tuple(found)

    def rows_of(self, model: SimilarityModel) -> list[Row]:
        """Return the rows of the chosen layers of a model, one for each layer: that of the layer's first call."""
        position = self._plan.network_of(model.model_name)
        return [row for row in self._rows if row.key[0] == position and row.key[1] in model.layer_names]

    def left_out(self, model: SimilarityModel) -> dict[str, list[str]]:
        """Return, for the provenance, the layers that were chosen by default and left out because they never ran.

        Returns:
            {"left_out_because_never_run": names of these layers}, or an empty dictionary if there are none.
        """
        never = [row.key[1] for row in self.rows_of(model) if _never_ran(row)]
        return {"left_out_because_never_run": never} if never and model.chosen_by_default else {}

    # --- to a file and back ------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return the table as a dictionary of JSON values, for `restore`."""
        return {
            "rows": [{**asdict(row), "key": list(row.key)} for row in self._rows],
            "repeating": [list(key) for key in self._repeating],
        }

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Replace the rows by those in `facts`, and close the table.

        `facts` is the dictionary that `state` returned in an earlier run with the same plan.

        Raises:
            MalformedError: the rows are not those of a run with this plan.
        """
        rows = [self._row_of(given) for given in get_field(facts, "rows", list)]
        expected = [row.key for row in self._rows]
        if [row.key for row in rows[: len(expected)]] != expected or len({row.key for row in rows}) < len(rows):
            raise MalformedError("its rows are not those of this run")
        self._rows[:] = rows
        self._index.clear()
        self._index.update({row.key: place for place, row in enumerate(rows)})
        self._repeating = {self.known(key) for key in facts["repeating"]}
        self._not_yet_run.clear()
        self._fixed = True

    def _row_of(self, given: Any) -> Row:
        missing = None if given["missing"] is None else get_field(given, "missing", str, "a row")
        return Row(
            self.known(given["key"]),
            get_int(given, "n_features", "a row"),
            get_field(given, "dtype", str, "a row"),
            get_field(given, "reduced", bool, "a row"),
            get_field(given, "kind", str, "a row"),
            missing,
        )

    def known(self, key: Sequence[Any]) -> Key:
        """Convert a key from a file (a list) to a tuple, and check that it belongs to this plan.

        Raises:
            MalformedError: the plan has no confounder or layer with this key.
        """
        position, call = key
        if position == "confounder" and any(one.name == call for one in self._plan.confounders):
            return position, call
        layer = str(call).partition("#")[0]
        is_network = isinstance(position, int) and 0 <= position < len(self._networks)
        if is_network and layer in self._networks[position].names:
            return position, str(call)
        raise MalformedError(f"it has a row of {short_repr(call)}, which this run does not have")


def _never_ran(row: Row) -> bool:
    return row.missing is not None and row.missing.startswith(NEVER_RAN)
