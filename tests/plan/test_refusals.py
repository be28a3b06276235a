"""Wrong inputs and the whole text of their error: it names what is wrong and what to do instead."""

from collections import OrderedDict

import pytest
import torch
from bad_inputs import (
    Holds,
    N,
    Text,
    TwoInputs,
    Unused,
    as_list,
    convolutions,
    dense_no_more,
    first_rows,
    ids,
    named,
    net,
    partly_scripted,
    pictures,
    scripted,
    short,
    two,
    vectors,
)
from kinds.graphs import Graphs, graphs
from torch import nn
from torch.utils.data import DataLoader

import simwidget as sw

NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
AT_ONCE, IN_THE_RUN = "at once", "in the run"
DCKA = {"measures": ("cka", "dcka")}
CHOICES = (
    "choose 'flatten', 'mean', 'cls', 'last', 'tokens', 'positions', or a callable from a layer's output (n, ...) to "
    '(n, p); or a mapping from layer patterns to these, {"*.attn": "mean"}'
)
CONFOUNDERS = (
    'choose "input", "labels", a layer ("embeddings" or "model:embeddings"), a callable on the batch, a list of these, '
    "or None"
)
DIMENSION = (
    "give the dimension that holds the samples, a whole number from 0 on, or a mapping from layer patterns to such "
    "numbers"
)
LOADER = (
    "the loader must give tensors (n, ...), mappings of them, lists of images (c, h, w), or tuples (input, ...) whose "
    "first element is one of these; or pass inputs= a function that converts the batch"
)
CALL = "pass inputs= a function from the batch to the model's input, or forward= a function that calls the model"
SCRIPTED = "which runs without hooks: choose other layers, or put the original in its place"

REFUSED = [
    # representation=
    ("an unknown representation", AT_ONCE, ValueError, net, vectors, {"representation": "avg"},
     f"representation='avg': {CHOICES}"),
    ("an unknown representation by pattern", AT_ONCE, ValueError, net, vectors, {"representation": {"stem": "avg"}},
     f"representation='avg' for 'stem': {CHOICES}"),
    ("no representation", AT_ONCE, ValueError, net, vectors, {"representation": None},
     f"representation=None: {CHOICES}"),
    ("a pattern that matches nothing", AT_ONCE, ValueError, net, vectors, {"representation": {"stm": "mean"}},
     "representation= names 'stm', which matches no layer that is compared. Did you mean 'stem'?"),
    ("a pattern that is no text", AT_ONCE, TypeError, net, vectors, {"representation": {3: "mean"}},
     "representation= has the key 3: its keys are names or globs of layers, such as '*.attn'"),
    ("tokens beside flattened layers", AT_ONCE, ValueError, net, vectors, {"representation": {"stem": "tokens"}},
     "representation 'tokens' makes every token or position a sample, so it must hold for all layers: 'net:head' has "
     "another; use layers= to choose fewer layers, or two comparisons"),
    ("no layer with tokens", IN_THE_RUN, ValueError, net, vectors, {"representation": "tokens"},
     "no layer that ran has tokens or positions, only features: take another representation=, or choose other layers"),
    ("a callable with other rows", IN_THE_RUN, ValueError, net, vectors, {"representation": {"head": first_rows}},
     "layer 'head', batch 0: representation= returned (3, 4); it must return a tensor (32, ...), one row a sample"),
    ("a callable without a tensor", IN_THE_RUN, ValueError, net, vectors, {"representation": {"head": as_list}},
     "layer 'head', batch 0: representation= returned list; it must return a tensor (32, ...), one row a sample"),
    ("a callable with a sparse tensor", IN_THE_RUN, ValueError, net, vectors,
     {"representation": {"head": dense_no_more}},
     "layer 'head', batch 0: representation= returned a sparse_coo float32 tensor; it must return a dense one"),
    ("too few positions", AT_ONCE, ValueError, convolutions, pictures, {"representation": "positions", "positions": 2},
     "positions=2: give a whole number from 4 on"),
    ("a negative seed", AT_ONCE, ValueError, net, vectors, {"seed": -1}, "seed=-1: give a whole number from 0 on"),
    ("a large seed", AT_ONCE, ValueError, net, vectors, {"seed": 2**31},
     "seed=2147483648: give a whole number below 2**31"),
    # batch_dim=
    *((f"a dimension {one!r}", AT_ONCE, ValueError, net, vectors, {"batch_dim": one}, f"batch_dim={one!r}: {DIMENSION}")
      for one in ("0", 1.0, -1, True, [0])),
    ("a dimension by pattern", AT_ONCE, ValueError, net, vectors, {"batch_dim": {"stem": 0, "head": "last"}},
     f"batch_dim='last' for 'head': {DIMENSION}"),
    ("a dimension of no layer", AT_ONCE, ValueError, net, vectors, {"batch_dim": {"haed": 0}},
     "batch_dim= names 'haed', which matches no layer that is compared. Did you mean 'head'?"),
    ("a dimension that is named by a number", AT_ONCE, TypeError, net, vectors, {"batch_dim": {3: 0}},
     "batch_dim= has the key 3: its keys are names or globs of layers, such as '*.attn'"),
    # confounder=
    ("token ids without an embedding", IN_THE_RUN, ValueError, net,
     lambda: [torch.zeros(N, 8, dtype=torch.long)], DCKA,
     "the input is int64, whose inner products mean nothing, and no model has an nn.Embedding to use in its place: "
     'give confounder= a layer, or a callable from the batch to a float tensor, or use measures=("cka",)'),
    ("an input that is no tensor", IN_THE_RUN, ValueError, net, lambda: [x.to_sparse() for x in vectors()], DCKA,
     "the batch's input is not one tensor (n, ...): give confounder= a callable from the batch to a tensor, or use "
     'measures=("cka",)'),
    ("labels without labels", IN_THE_RUN, ValueError, net, vectors, {**DCKA, "confounder": "labels"},
     "confounder 'labels': the batch holds no integer class labels (32,); the loader must give (input, labels), or a "
     'mapping with a key "labels"'),
    ("an unknown confounder", AT_ONCE, ValueError, net, vectors, {**DCKA, "confounder": "stm"},
     f"confounder='stm' is no layer of any model. Did you mean 'stem'? Or {CONFOUNDERS}"),
    ("a number as a confounder", AT_ONCE, ValueError, net, vectors, {**DCKA, "confounder": ["input", 3]},
     f"confounder=3: {CONFOUNDERS}"),
    ("an unknown layer of a model", AT_ONCE, ValueError, net, vectors, {**DCKA, "confounder": "net:stm"},
     "confounder='net:stm': 'net' has no such layer. Did you mean 'stem'?"),
    ("a layer of two models", AT_ONCE, ValueError, two, vectors, {**DCKA, "confounder": "stem"},
     "confounder='stem' is a layer of 2 models: give 'first:stem' or 'second:stem'"),
    ("a confounder twice", AT_ONCE, ValueError, net, vectors, {**DCKA, "confounder": ["input", "input"]},
     "confounder 'input' is given twice"),
    ("a confounding layer that never runs", IN_THE_RUN, ValueError, Unused, vectors, {**DCKA, "confounder": "unused"},
     "confounder 'unused', batch 0: layer 'unused' of 'net' did not run, so there is nothing to remove; give another "
     "layer"),
    ("a confounding layer of TorchScript", AT_ONCE, TypeError, partly_scripted, vectors, {**DCKA, "confounder": "part"},
     "confounder='part' is a TorchScript module, which runs without hooks: take another layer, or put the original in "
     "its place"),
    ("a confounding layer that is not dense", IN_THE_RUN, ValueError, lambda: Holds(dense_no_more), vectors,
     {**DCKA, "confounder": "part"},
     "confounder 'part', layer 'part', batch 0: its output (sparse_coo float32 (32, 8)) is not dense: give "
     "representation= a callable for this layer that makes it a dense (32, ...) tensor"),
    ("a confounder with other rows", IN_THE_RUN, ValueError, net, vectors, {**DCKA, "confounder": first_rows},
     "confounder 'first_rows' returned (3, 8); it must return a tensor (32, ...), one row a sample"),
    ("a confounder without a tensor", IN_THE_RUN, ValueError, net, vectors, {**DCKA, "confounder": as_list},
     "confounder 'as_list' returned list; it must return a tensor (32, ...), one row a sample"),
    ("a sparse confounder", IN_THE_RUN, ValueError, net, vectors, {**DCKA, "confounder": dense_no_more},
     "confounder 'dense_no_more' returned a sparse_coo float32 tensor; it must return a dense one"),
    # forward=, inputs=, device=
    *((f"{option}= for one of two", AT_ONCE, ValueError, two, vectors, {option: (None,)},
       f"{option} has 1 entries for 2 models: give one for each") for option in ("forward", "inputs", "device")),
    *((f"{option}= for another model", AT_ONCE, ValueError, two, vectors, {option: {"secnd": None}},
       f"{option} names a model 'secnd' that is not compared. Did you mean 'second'?")
      for option in ("forward", "inputs", "device")),
    ("forward= no function", AT_ONCE, TypeError, two, vectors, {"forward": (None, "model")},
     "forward of 'second' is a str: give a function called as forward(model, batch), or None"),
    ("inputs= no function", AT_ONCE, TypeError, two, vectors, {"inputs": {"first": "x"}},
     "inputs of 'first' is a str: give a function from the loader's batch to the model's own, or None"),
    ("device= no device", AT_ONCE, TypeError, two, vectors, {"device": ("cpu", 1.5)},
     "device of 'second' is a float: give a torch.device or its name, or None"),
    ("an unknown device", AT_ONCE, ValueError, net, vectors, {"device": "gpu"},
     "device='gpu' of 'net' is not a device of torch: give 'cpu', 'cuda', 'cuda:1' or 'mps'"),
    pytest.param("a device that is not there", AT_ONCE, ValueError, two, vectors, {"device": ("cpu", "cuda:1")},
     "device='cuda:1' of 'second': this machine has no such device; give another one, or none", marks=NO_CUDA),
    ("a model that cannot be moved", IN_THE_RUN, RuntimeError, lambda: nn.Sequential(nn.Linear(8, 4, device="meta")),
     vectors, {}, "model 'net' cannot be moved to cpu (Cannot copy out of meta tensor; no data! Please use "
     "torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving module from meta to a different "
     "device.): give device= where it can run"),
    ("inputs= that drops samples", IN_THE_RUN, ValueError, two, vectors, {"inputs": (None, short)},
     "batch 0 has 32 samples for model 'first' and 16 for 'second': inputs= must keep all samples in their order, and "
     "batch_dim= must say where they are"),
    ("inputs= that gives nothing", IN_THE_RUN, TypeError, two, vectors, {"inputs": {"second": lambda batch: None}},
     "inputs= of model 'second' made of batch 0 a NoneType: it must give a tensor (n, ...), a mapping of them, a list "
     "of images (c, h, w), or a tuple (input, ...) whose first element is one of these"),
    ("forward= that runs another model", IN_THE_RUN, ValueError, net, vectors,
     {"forward": lambda model, batch: net()(batch)},
     "no chosen layer of model 'net' ran in batch 0: forward= must run the very model that it is given, "
     "forward(model, batch)"),
    # batches
    ("a mapping with other keys", IN_THE_RUN, TypeError, Text,
     lambda: [{"ids": torch.zeros(N, 5).long(), "more": torch.zeros(N)}], {},
     "model 'net' accepts none of the batch's keys ['ids', 'more']: its forward takes (input_ids, attention_mask); "
     f"{CALL}"),
    ("one input of two", IN_THE_RUN, TypeError, TwoInputs, vectors, {},
     f"model 'net' cannot be called with this batch (missing a required argument: 'text'): its forward takes (image, "
     f"text); {CALL}"),
    ("one entry of two", IN_THE_RUN, TypeError, TwoInputs, lambda: [{"text": torch.randn(N, 8)}], {},
     f"model 'net' cannot be called with this batch (missing a required argument: 'image'): its forward takes (image, "
     f"text); {CALL}"),
    ("graphs of an unknown number", IN_THE_RUN, TypeError, net, lambda: graphs(Graphs), {},
     "batch 0 is a Graphs, and its number of samples is unknown, because it has no attribute num_graphs or batch_size, "
     "or the two attributes differ: pass batch_size= a function from the batch to its number of samples, or inputs= a "
     "function that converts the batch"),
    ("a number of samples", AT_ONCE, TypeError, net, vectors, {"batch_size": 32},
     "batch_size= is an int: give a function from a batch to its number of samples; to change the size of the "
     "batches, change the loader"),
    ("batch_size= that gives a fraction", IN_THE_RUN, TypeError, net, vectors, {"batch_size": lambda batch: 31.5},
     "batch_size= returned 31.5 for batch 0: it must return the number of samples, a whole number"),
    ("batch_size= that gives less than nothing", IN_THE_RUN, TypeError, net, vectors, {"batch_size": lambda batch: -1},
     "batch_size= returned -1 for batch 0: it must return the number of samples, a whole number"),
    ("batch_size= that gives the labels", IN_THE_RUN, TypeError, net, vectors, {"batch_size": lambda batch: [batch]},
     "batch_size= returned a list for batch 0: it must return the number of samples, a whole number"),
    ("text as a batch", IN_THE_RUN, TypeError, net, lambda: ["some text"], {}, f"batch 0 is a str: {LOADER}"),
    ("a list of texts", IN_THE_RUN, TypeError, net, lambda: [*vectors(), ["some", "text"]], {},
     f"batch 2 is a list of str, str: {LOADER}"),
    ("texts and labels", IN_THE_RUN, TypeError, net, lambda: [(["some", "text"], torch.zeros(2))], {},
     f"batch 0 is a tuple of list, Tensor: {LOADER}"),
    ("a mapping of texts", IN_THE_RUN, TypeError, net, lambda: [{"text": ["some", "text"]}], {},
     f"batch 0 is a mapping without tensors, with keys ['text']: {LOADER}"),
    ("one number", IN_THE_RUN, TypeError, net, lambda: [torch.tensor(1.0)], {},
     f"batch 0 is a tensor without dimensions: {LOADER}"),
    ("nothing", IN_THE_RUN, TypeError, net, lambda: [()], {}, f"batch 0 is a tuple of nothing: {LOADER}"),
    ("a sample without a token", IN_THE_RUN, ValueError, Text,
     lambda: ids(attention_mask=torch.ones(N, 5).long().index_fill(0, torch.tensor(3), 0)), {},
     "batch 0: sample 3 has no real token in 'attention_mask'; leave it out"),
    ("batches of two widths", IN_THE_RUN, ValueError,
     lambda: nn.Sequential(OrderedDict(conv=nn.Conv1d(2, 3, 1), pool=nn.AdaptiveAvgPool1d(2))),
     lambda: [torch.randn(20, 2, 9), torch.randn(20, 2, 12)], {},
     "layer 'conv' has 36 features in this batch and 27 in those it is joined with: give batches of one shape, "
     'representation="mean", or gram_batch=1 to join none'),
    ("a confounder of two widths", IN_THE_RUN, ValueError,
     lambda: nn.Sequential(OrderedDict(conv=nn.Conv1d(2, 3, 1), pool=nn.AdaptiveAvgPool1d(2))),
     lambda: [torch.randn(20, 2, 9), torch.randn(20, 2, 12)], {**DCKA, "representation": "mean"},
     "confounder 'input' has 24 features in this batch and 18 in those it is joined with: give batches of one shape, "
     "another confounder=, or gram_batch=1 to join none"),
    ("two loaders", AT_ONCE, ValueError, net, lambda: tuple(DataLoader(range(3), shuffle=True) for _ in range(2)), {},
     "2 loaders were given: shuffled independently, they would compare different samples. Pass one loader; "
     "all models get the same batches from it"),
    # models and layers
    ("an unknown layer", AT_ONCE, ValueError, net, vectors, {"layers": ["stm"]},
     "no layer of 'net' matches 'stm'. Did you mean 'stem'?"),
    ("a lazy layer", AT_ONCE, ValueError, lambda: nn.Sequential(nn.LazyLinear(4), nn.ReLU()), vectors, {},
     "layer '0' of 'net' is lazy and not initialised: a comparison never changes parameters, so run the model on one "
     "batch first"),
    ("a lazy model", AT_ONCE, ValueError, lambda: nn.LazyLinear(4), vectors, {},
     "'net' is lazy and not initialised: a comparison never changes parameters, so run the model on one batch first"),
    ("TorchScript", AT_ONCE, TypeError, scripted, vectors, {},
     "'net' is a TorchScript module, whose submodules run without hooks: pass the original"),
    ("a layer of TorchScript", AT_ONCE, TypeError, partly_scripted, vectors, {"layers": ["part"]},
     f"layer 'part' of 'net' is a TorchScript module, {SCRIPTED}"),
    ("a pattern of TorchScript alone", AT_ONCE, TypeError, partly_scripted, vectors, {"layers": ["p*"]},
     f"layer 'part' of 'net' is a TorchScript module, {SCRIPTED}"),
    ("TorchScript in all parts", AT_ONCE, TypeError, lambda: nn.Sequential(scripted()), vectors, {},
     "all submodules of 'net' are TorchScript modules, which run without hooks: put the originals in their place"),
    ("no layers", AT_ONCE, ValueError, lambda: nn.Linear(8, 4), vectors, {},
     "'net' has no layers: it has no submodules, so there is nothing to compare"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(("what", "when", "error", "model", "loader", "options", "text"), named(REFUSED))
def test_the_whole_text(what, when, error, model, loader, options, text):
    made = model()
    arguments = (made if isinstance(made, dict) else {"net": made}, loader())
    options = {"measures": "cka", "device": "cpu", **options}
    if when == AT_ONCE:
        with pytest.raises(error) as raised:
            sw.compare(*arguments, **options)
    else:
        comparison = sw.compare(*arguments, **options)
        with pytest.raises(error) as raised:
            comparison.run(progress=False)
        assert comparison.state == "failed"
        assert comparison.error is raised.value
    assert str(raised.value) == text
    assert type(raised.value) is error
