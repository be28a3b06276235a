"""The options `representation` and `batch_dim`: how the outputs of all layers become representations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simwidget.capture.patterns import check_patterns, matches
from simwidget.capture.representation_option import BY_POSITION, Representation, Representations
from simwidget.plan.similarity_model import SimilarityModel

BatchDim = None | int | Mapping[str, int]


@dataclass(frozen=True)
class ReadingOptions:
    """How a layer's output (n, ...) becomes its representation (n, p), for every layer of every model."""

    representations: Representations
    batch_dim: BatchDim
    position_representation: Representation | None
    """ "tokens" or "positions" if these are the samples, else None"""

    @staticmethod
    def of(
        representations: Representations, batch_dim: BatchDim, models: Sequence[SimilarityModel]
    ) -> "ReadingOptions":
        """Raise ValueError for a `batch_dim` that cannot be a dimension, or a pattern that matches no chosen layer."""
        _check_batch_dim(batch_dim, models)
        chosen = (representations.for_layer(model.model_name, layer) for model in models for layer in model.layer_names)
        return ReadingOptions(representations, batch_dim, next((one for one in chosen if one in BY_POSITION), None))

    @property
    def names_models(self) -> bool:
        """Whether a pattern names a model ("model:layer"), so that one module may be read in two ways."""
        by_model = isinstance(self.batch_dim, Mapping) and ":" in "".join(map(str, self.batch_dim))
        return self.representations.names_models or by_model

    def representation_of(self, model: str, layer: str) -> Representation:
        """The representation of a layer, chosen or confounder."""
        representation = self.representations.for_layer(model, layer)
        # a layer that is only a confounder may match no pattern
        if self.position_representation is not None and representation not in BY_POSITION:
            return self.position_representation
        return representation

    def dims_of(self, model: str, layer: str, sequence_first: bool) -> tuple[tuple[int, ...], bool]:
        """The dimensions that may hold the samples of a layer's output, and whether the user gave them.

        The first of them whose length is the number of samples is taken. `sequence_first` says whether the output is
        (tokens, n, features), as in torch's `batch_first=False` modules.
        """
        if isinstance(self.batch_dim, Mapping):
            for pattern, dim in self.batch_dim.items():
                if matches(pattern, model, layer):
                    return (dim,), True
        elif self.batch_dim is not None:
            return tuple(dict.fromkeys((self.batch_dim, 0))), True
        return ((1, 0) if sequence_first else (0, 1)), False


def _check_batch_dim(batch_dim: Any, models: Sequence[SimilarityModel]) -> None:
    given = batch_dim if isinstance(batch_dim, Mapping) else {} if batch_dim is None else {"": batch_dim}
    for pattern, dim in given.items():
        if not isinstance(dim, int) or isinstance(dim, bool) or dim < 0:
            at = f" for {pattern!r}" if isinstance(batch_dim, Mapping) else ""
            raise ValueError(
                f"batch_dim={dim!r}{at}: give the dimension that holds the samples, a whole number from 0 on, or a "
                "mapping from layer patterns to such numbers"
            )
    if isinstance(batch_dim, Mapping):
        layers = {model.model_name: model.layer_names for model in models}
        check_patterns("batch_dim", list(batch_dim), layers)
