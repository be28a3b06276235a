"""`compare`: what people ask for -> a run."""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from torch import nn

from simwidget.capture.representations import RepresentationOption
from simwidget.gram.precision import Precision
from simwidget.plan.confounders import ConfounderOption
from simwidget.plan.model import SimilarityModel
from simwidget.plan.options import DeviceOption, ForwardOption, InputsOption, Options
from simwidget.plan.reading_options import BatchDim
from simwidget.run.comparison import Comparison
from simwidget.text.suggestions import did_you_mean

Model = nn.Module | SimilarityModel
Layers = Sequence[str] | str | None


def compare(
    model_x: Model | Mapping[str, Model],
    model_y: Model | Iterable[Any] | None = None,
    loader: Iterable[Any] | None = None,
    *,
    measures: Sequence[str] | str = ("cka", "dcka"),
    layers_x: Layers = None,
    layers_y: Layers = None,
    layers: Layers | Mapping[str, Layers] = None,
    names: Sequence[str] | None = None,
    device: DeviceOption = None,
    representation: RepresentationOption = "flatten",
    confounder: ConfounderOption = "input",
    forward: ForwardOption = None,
    inputs: InputsOption = None,
    batch_dim: BatchDim = None,
    unbiased: bool = True,
    gram_batch: int = 64,
    average: Literal["hsic", "cka"] = "hsic",
    precision: Precision = "highest",
    positions: int = 256,
    seed: int = 0,
    max_batches: int | None = None,
    max_samples: int | None = None,
    max_seconds: float | None = None,
    until: float | None = None,
    until_quantile: float = 1.0,
    auto_batch: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
) -> Comparison:
    """Compare the layers of two models, or of any number of named ones, in one pass over the data.

    Nothing runs yet: call `run()` to block until the result is there, or `start()` to work in the background.

    Args:
        model_x, model_y: `nn.Module` or `SimilarityModel`. Or, as the first argument, a mapping from names to such
            models, followed by the loader: all models share one pass and one state.
        loader: gives the batches, and the same batch feeds all models. A tensor (n, ...); a mapping (`BatchEncoding`
            too), whose entries go to the parameters of these names; a list of images; or a tuple whose first element
            is one of these and whose second may be class labels. A model that needs k inputs gets the first k.
        measures: "cka", "dcka".
        layers_x, layers_y: exact module names and globs (`"layer3.*"`) for each of two models. By default layers with
            parameters of their own and block outputs.
        layers: the same for all models, or a mapping from model names.
        names: the two models' names; by default those of the `SimilarityModel`s, or the class names.
        device: where the models run, one for all or one for each; by default the accelerator that a model is on, else
            CUDA, then MPS, then the CPU. Models return to where they were.
        representation: what a layer's output (n, ...) is to its representation (n, p):
            "flatten": all of it;
            "mean": its mean over space or tokens, of real tokens where the batch has a mask ("attention_mask", or
            torch's "src_key_padding_mask");
            "cls", "last": the first and the last real token;
            "tokens" or "positions", the same thing under two names: every token or place is a sample, see `positions`;
            a callable from the output (n, ...) to (n, p);
            or a mapping from layer patterns ("*.attn", "model:layer") to these; the first that matches counts.
        confounder: what dCKA removes: "input"; "labels" (samples of one class are alike); a layer ("embeddings", or
            "model:embeddings"); a callable from the loader's batch to a tensor (n, ...); or a list of these. None when
            no measure needs one. Where the input holds token ids, "input" is the output of the first embedding.
        forward: a function called as forward(model, batch) where calling the model needs more; for all models, or one
            for each. It gets the whole batch, on the device.
        inputs: a function from the loader's batch to a model's own batch, for all models or one for each, so that one
            pass feeds models with different preprocessing.
        batch_dim: where the samples lie in outputs and in the batch, when that is not the first dimension; or a mapping
            from layer patterns. torch's `batch_first=False` modules are known.
        unbiased: HSIC_1 (Song et al. 2012) instead of the biased HSIC_0.
        gram_batch: representations of consecutive forward passes are joined until a Gram matrix has this many samples.
        average: "hsic" sums HSIC over the batches and takes the ratio once (Nguyen et al. 2021); "cka" takes the mean
            of the batches' own ratios, for comparison with published numbers.
        precision: of the products of float32 features: "highest" is float32; "high" rounds the centred features to TF32
            on CUDA, and to bfloat16 on a CPU with units for it from 256 samples on, where that is faster, and adds up
            in float32. The setting is local to these products: the models run as they do without.
        positions: with "tokens" or "positions", how many of them are drawn from each forward pass, without replacement
            and in the same places for every layer; a layer of another resolution is read in the cell that covers one.
        seed: of that draw.
        max_batches, max_samples, max_seconds: the run has enough after so many batches of the loader, samples or
            seconds; time in pauses does not count.
        until: the run has enough when the standard error of every cell of every measure is below this, but not before
            16 groups of batches have data. The time left is then an estimate of that moment.
        until_quantile: the share of cells whose error must be below `until`.
        auto_batch: where a forward pass runs out of memory, take the batch in halves, quarters, ... from then on. Needs
            unbiased estimates, which do not depend on how the samples are divided.
        checkpoint: a file to which the state of the run is written, at most every `checkpoint_seconds` (0 for after
            every batch), when it is paused and when it ends: `simwidget.resume` goes on from there. A file that exists
            is not written over.

    Raises:
        ValueError: an unknown layer, measure or option, with near names; paired loaders of unprovable order; a
            checkpoint that exists.
        TypeError: models or a loader of the wrong kind.

    >>> import torch, simwidget as sw
    >>> _ = torch.manual_seed(0)
    >>> net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    >>> batches = [torch.randn(64, 8) for _ in range(4)]
    >>> result = sw.compare(net, net, batches, names=("a", "b")).run(progress=False)
    >>> result.matrix("cka").diagonal().round(6)
    array([1., 1.])
    """
    named: dict[str, Any]
    batches: Any
    if isinstance(model_x, Mapping):
        if loader is not None or layers_x is not None or layers_y is not None or names is not None:
            raise TypeError("with a mapping of models: compare(models, loader, layers=...); their names are its keys")
        named, batches = dict(model_x), model_y
        if not named:
            raise ValueError("the mapping of models is empty")
        layers_of = {name: layers.get(name) if isinstance(layers, Mapping) else layers for name in named}
        _check_names(layers, tuple(named))
    else:
        if layers is not None and (layers_x is not None or layers_y is not None):
            raise TypeError("give layers (for both models) or layers_x and layers_y, not both")
        if model_y is None or loader is None:
            raise TypeError("compare takes two models and a loader, or a mapping of named models and a loader")
        named = dict(zip(_two_names(model_x, model_y, names), (model_x, model_y), strict=True))
        batches = loader
        _check_names(layers, tuple(named))
        for_all = [layers.get(name) if isinstance(layers, Mapping) else layers for name in named]
        per_model = [layers_x if layers_x is not None else for_all[0], layers_y if layers_y is not None else for_all[1]]
        layers_of = dict(zip(named, per_model, strict=True))
    models = [_named_model(name, model, layers_of[name]) for name, model in named.items()]
    options = Options(
        measures=measures,
        device=device,
        representation=representation,
        confounder=confounder,
        forward=forward,
        inputs=inputs,
        batch_dim=batch_dim,
        unbiased=unbiased,
        gram_batch=gram_batch,
        average=average,
        precision=precision,
        positions=positions,
        seed=seed,
        max_batches=max_batches,
        max_samples=max_samples,
        max_seconds=max_seconds,
        until=until,
        until_quantile=until_quantile,
        auto_batch=auto_batch,
        checkpoint=checkpoint,
        checkpoint_seconds=checkpoint_seconds,
    )
    if isinstance(checkpoint, str | PathLike) and Path(checkpoint).exists():
        path = str(checkpoint)
        raise ValueError(
            f"checkpoint={path!r} exists: go on with its run, simwidget.resume({path!r}, ...), or remove it first"
        )
    return Comparison(models, batches, options)


def _two_names(model_x: Any, model_y: Any, names: Sequence[str] | None) -> tuple[str, str]:
    if names is not None:
        if isinstance(names, str) or len(names) != 2 or names[0] == names[1]:
            raise ValueError(f"names={names!r}: give two different names, one for each model")
        return str(names[0]), str(names[1])
    x, y = (m.model_name if isinstance(m, SimilarityModel) else SimilarityModel.name_of(m) for m in (model_x, model_y))
    return (f"{x} (x)", f"{y} (y)") if x == y else (x, y)


def _named_model(name: str, model: Any, layers: Layers) -> SimilarityModel:
    if isinstance(model, SimilarityModel):
        return model.renamed(name, layers)
    return SimilarityModel(model, name, layers=layers)


def _check_names(layers: Any, known: tuple[str, ...]) -> None:
    for name in layers if isinstance(layers, Mapping) else ():
        if name not in known:
            raise ValueError(f"layers names a model {name!r} that is not compared.{did_you_mean(str(name), known)}")
