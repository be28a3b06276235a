"""The options `representation`, `batch_dim` and `masks`: how the outputs of all layers become representations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simwidget.capture.patterns import check_patterns, matches
from simwidget.capture.representation_option import BY_POSITION, Representation, Representations
from simwidget.plan.similarity_model import SimilarityModel

BatchDim = None | int | Mapping[str, int]
MasksOption = None | Mapping[str, str | None]


@dataclass(frozen=True)
class ReadingOptions:
    """Defines how a layer's output (n, ...) becomes its representation (n, p), for every layer of every model.

    n is the number of samples, and p the number of features.
    """

    representations: Representations
    batch_dim: BatchDim
    position_representation: Representation | None
    """ "tokens" or "positions" if each token or each spatial position is a sample, else None"""
    masks: tuple[tuple[str, str | None], ...] = ()
    """pairs of a layer pattern and the key of the mask of the layer's tokens, or None for no mask

    A mask says which tokens of the batch are padding. For each layer, the first pair with a matching pattern applies.
    """

    @staticmethod
    def of(
        representations: Representations, batch_dim: BatchDim, masks: MasksOption, models: Sequence[SimilarityModel]
    ) -> "ReadingOptions":
        """Check `batch_dim` and `masks` for the given models, and return a `ReadingOptions` with the three options.

        Raises:
            ValueError: a dimension is not a whole number from 0 on, or a pattern in `batch_dim` or `masks` matches no
                layer that is compared.
            TypeError: `masks` is not a mapping; or a pattern in `batch_dim` or `masks`, or the key of a mask, is not a
                string.
        """
        _check_batch_dim(batch_dim, models)
        _check_masks(masks, models)
        chosen = (representations.for_layer(model.model_name, layer) for model in models for layer in model.layer_names)
        by_position = next((one for one in chosen if one in BY_POSITION), None)
        return ReadingOptions(representations, batch_dim, by_position, tuple((masks or {}).items()))

    @property
    def names_models(self) -> bool:
        """Whether a layer pattern in `representation`, `batch_dim` or `masks` names a model, as in "model:layer".

        If so, two models that share a module may need different representations of the same layer.
        """
        by_model = isinstance(self.batch_dim, Mapping) and ":" in "".join(map(str, self.batch_dim))
        return self.representations.names_models or by_model or any(":" in pattern for pattern, _ in self.masks)

    def representation_of(self, model: str, layer: str) -> Representation:
        """Return the representation, such as "mean", of a layer that is compared or used as a confounder."""
        representation = self.representations.for_layer(model, layer)
        # a layer that is only a confounder may match no pattern
        if self.position_representation is not None and representation not in BY_POSITION:
            return self.position_representation
        return representation

    def dims_of(self, model: str, layer: str, sequence_first: bool) -> tuple[tuple[int, ...], bool]:
        """Return which dimensions of a layer's output may index the samples, and whether the user specified them.

        The dimensions are in order of preference. `sequence_first` says whether the output is (tokens, samples,
        features), as in torch modules with `batch_first=False`.
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


def _check_masks(masks: Any, models: Sequence[SimilarityModel]) -> None:
    if masks is None:
        return
    what = 'a mapping from layer patterns to the key of a mask in the batch, or to None for no mask: {"vision.*": None}'
    if not isinstance(masks, Mapping):
        raise TypeError(f"masks={masks!r}: give {what}")
    for pattern, key in masks.items():
        if key is not None and not isinstance(key, str):
            raise TypeError(f"masks={key!r} for {pattern!r}: give {what}")
    check_patterns("masks", list(masks), {model.model_name: model.layer_names for model in models})
