"""The function `compare`, the entry point for comparing networks. It returns a `Comparison`, which runs the models."""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from torch import nn

from simwidget.capture.representation_option import RepresentationOption
from simwidget.gram.precision import Precision
from simwidget.plan.batch_size import BatchSize
from simwidget.plan.confounders import ConfounderOption
from simwidget.plan.options import DeviceOption, ForwardOption, InputsOption, Options
from simwidget.plan.reading_options import BatchDim, MasksOption
from simwidget.plan.similarity_model import SimilarityModel
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
    masks: MasksOption = None,
    batch_size: BatchSize | None = None,
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
    """Compare the layers of two models, or of any number of named models, in one pass over the data.

    `compare` checks its arguments but does not run the models. Call `run()` on the returned `Comparison` to compute and
    wait for the result, or `start()` to compute in the background. In a notebook, displaying the `Comparison` starts
    the computation.

    Args:
        model_x, model_y: two models, each an `nn.Module` or a `SimilarityModel`. For any number of models, pass a
            mapping from names to models as the first argument and the loader as the second.
        loader: an iterable of batches; every batch is fed to all models. In all shapes, n is the number of samples.
            A batch is
            a tensor (n, ...);
            a mapping (such as a `BatchEncoding`), whose entries are passed to the parameters with the same names;
            a list of images;
            an object that holds tensors as attributes, such as a batch of graphs (see `batch_size`);
            or a tuple whose first element is one of these.
            The second element of a tuple may be class labels. A model whose forward requires k >= 2 arguments gets the
            first k elements of the tuple. Exception: if the kinds of the elements (such as images and token ids) and
            the names of the parameters show with certainty which parameter each element is for, the elements are
            passed by name, also to optional parameters.
        measures: "cka", "dcka", or both.
        layers_x, layers_y: the layers of the first and of the second model: exact module names and globs
            (`"layer3.*"`). By default a `SimilarityModel` keeps its own layers. The default layers of an `nn.Module`
            are all modules with parameters of their own, and all blocks. A block is a module that contains other
            modules and is not a plain container such as `nn.Sequential`.
        layers: the layers of all models, or a mapping from model names to layers.
        names: names of the two models. By default a `SimilarityModel` keeps its name, and an `nn.Module` gets its class
            name.
        device: the device on which the models run: one device for all models, or one for each. By default, a model that
            is on an accelerator runs on this accelerator. Any other model runs on CUDA if available, otherwise on MPS
            if available, otherwise on the CPU. After the run each model is back on its original device.
        representation: how a layer's output (n, ...) becomes its representation (n, p):
            "flatten": all values of a sample;
            "mean": the mean over space or tokens, without padding tokens if the batch has a padding mask
            ("attention_mask", or torch's "src_key_padding_mask");
            "cls": the first token;
            "last": the last token that is not padding;
            "tokens" or "positions" (synonyms): tokens or positions serve as samples (see `positions` below);
            a callable from the output (n, ...) to a tensor (n, p). A callable with two or three required parameters is
            called with (output, batch) or (output, batch, mask). Here `batch` is the model's batch, and `mask` is the
            padding mask of the input whose tokens the layer processes: (n, tokens) bool, True for real tokens, or None
            if there is no mask;
            or a mapping from layer patterns ("*.attn", "model:layer") to any of these values.
            In a mapping, the first pattern that matches a layer's name counts for this layer.
            In a batch of n graphs (see `batch_size`), an output (nodes, ...) is first replaced by its mean over the
            nodes of each graph, (n, ...). A callable gets the output (nodes, ...) itself.
        confounder: the variable whose influence dCKA removes:
            "input": the batch's input or, if the input holds token ids, the output of the first `nn.Embedding`. Of
            several inputs, only the first floating-point tensor is removed, and a note names this tensor;
            "labels": the class labels (two samples are similar if they have the same class);
            a layer ("embeddings", or "model:embeddings"): the output of this layer;
            a callable from the loader's batch to a tensor (n, ...);
            or a list of several such confounders.
            May be None if "dcka" is not among the measures.
        forward: a function that is called as forward(model, batch) in place of model(input). It gets the whole batch,
            on the model's device. Pass one function for all models, or one for each.
        inputs: a function that converts the loader's batch into the batch for a model, for models with different
            preprocessing. Pass one function for all models, or one for each.
        batch_dim: the dimension that holds the samples, in outputs and in the batch's tensors, if it is not the first
            dimension; or a mapping from layer patterns to dimensions. torch's own modules with `batch_first=False` are
            recognised without this option. If the first such module that runs gets the batch unchanged, the samples of
            the batch are in dimension 1 too. If it is unclear which dimension of the batch holds the samples, the run
            ends with a ValueError.
        masks: the padding mask of each layer with tokens: a mapping from layer patterns to the key of a mask in the
            batch, or to None for no mask, such as {"vision.*": None, "text.*": "attention_mask"}. For layers without a
            matching pattern, a forward pass over shorter sequences shows which mask belongs to which layer.
        batch_size: a function from the loader's batch to its number of samples n. It is needed if the batch is an
            object without the number n in its attribute `num_graphs` or `batch_size`, or if no tensor of the batch has
            n entries. Batches that are counted by this function, and objects, cannot be split by `auto_batch`.
            An object that holds tensors as attributes is passed as a whole to a model with one input, or to `forward`.
            The model gets a copy of the object, moved by the method `to(device)` of the copy. The class labels (n,) are
            the attribute `y`, `labels`, `label`, `targets` or `target` of the object. In a batch of graphs, the
            attribute `batch` gives the graph of each node, as in PyTorch Geometric.
        unbiased: use the unbiased estimator HSIC_1 (Song et al. 2012) instead of the biased HSIC_0.
        gram_batch: the least number of samples of a Gram matrix. Representations of consecutive forward passes are
            joined until they have this many samples. Only the last Gram matrix of the run may have fewer samples.
        average: "hsic" sums HSIC over the batches and computes the measure once from the sums (Nguyen et al. 2021).
            "cka" computes the measure for each batch and takes the mean; use this to compare with published numbers.
        precision: precision of the products of float32 features. "highest" is float32. "high" rounds the centred
            features to a shorter format and adds up their products in float32. On CUDA the format is TF32. On a CPU
            with bfloat16 instructions the format is bfloat16, and "high" takes effect only for Gram matrices of at
            least 256 samples. On all other devices "high" has no effect. This option does not change how the models
            themselves run.
        positions: with representation "tokens" or "positions", the largest number of positions that are drawn from each
            forward pass, without replacement. The positions are drawn from the first layer that has positions, and all
            layers are read at these positions. If a layer has another spatial resolution, it is read at the positions
            whose areas contain the centres of the drawn positions.
        seed: seed of the random draw of positions.
        max_batches, max_samples, max_seconds: end the run after this many batches, samples or seconds. Pauses do not
            count as running time.
        until: end the run when all standard errors are below this value, for every measure and every cell (pair of
            layers). Standard errors come from a jackknife over 16 groups of batches. The first check takes place when
            every group has data.
        until_quantile: the share of all standard errors that must be below `until`, from 0 to 1.
        auto_batch: if a forward pass runs out of memory, split the batch and all later batches into halves, quarters,
            and so on, until the parts fit. Needs `unbiased=True` and `average="hsic"`, because all other estimates
            depend on how the samples are split.
        checkpoint: path of a file to which the state of the run is saved. `simwidget.resume` continues the run from
            this file. The file must not exist yet. It is written during the run, at a pause and at the end.
        checkpoint_seconds: least number of seconds between two checkpoints during the run. With 0, a checkpoint is
            written after every batch that completes a Gram matrix.

    Returns:
        A `Comparison` in the state "ready".

    Raises:
        ValueError: a layer, model or measure is unknown (the message suggests similar names); an option has a wrong
            value; the loaders in a list may yield different batches; or the checkpoint file exists.
        TypeError: a model or the loader has a type that cannot be used.

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
            raise TypeError(
                "the first argument is a mapping of models: call compare(models, loader, layers=...); the names are "
                "its keys"
            )
        named, batches = dict(model_x), model_y
        if not named:
            raise ValueError("the mapping of models is empty: give at least one model")
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
        masks=masks,
        batch_size=batch_size,
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
            f"checkpoint={path!r} exists: continue its run with simwidget.resume({path!r}, ...), or remove the file "
            "first"
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
