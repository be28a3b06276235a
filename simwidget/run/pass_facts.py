"""`pass_facts`: collects facts for the provenance of a result that become known in the first forward passes."""

from typing import Any

from simwidget.capture.read_as import read_as
from simwidget.capture.wrappers import innermost
from simwidget.plan.options import Plan
from simwidget.run.forward_passes import ForwardPasses
from simwidget.run.row_table import RowTable


def pass_facts(plan: Plan, rows: RowTable, forwards: ForwardPasses) -> dict[str, Any]:
    """Return facts for the provenance of a result that become known in the first forward passes.

    For each model, the facts are:
    - the class, the device, and the dtypes of the representations;
    - the conversions of inputs to the dtype of the model, and the dtype of autocast;
    - the entries of the batch that may be inputs and are not passed to the model;
    - the layers that were chosen by default and are left out because they never ran;
    - for each layer whose output does not have the samples in dimension 0, the dimension of the samples;
    - for each layer whose output has several tensors with n samples, which of these tensors is compared;
    - how the layers' outputs were read: for each text of `read_as`, the calls of layers that were read in this way.

    Facts that are empty are left out.

    If the output of an embedding layer replaces token ids as confounder, a further fact is the name of this layer.
    """
    facts: dict[str, Any] = {"models": {}}
    finder, stand_in = forwards.finder, forwards.confounders.stand_in
    layouts = finder.layouts
    for model in plan.models:
        position = plan.network_of(model.model_name)
        network = plan.networks[position]
        own_rows = rows.rows_of(model)
        found = {row.key[1]: layouts[row.key] for row in own_rows if row.key in layouts}
        ways: dict[str, list[str]] = {}
        for (network_of_call, call), layout in layouts.items():
            if network_of_call != position or call.partition("#")[0] not in model.layer_names:
                continue
            reading, used = network.readings[call.partition("#")[0]], finder.masks_by_name.get((position, call))
            way = str(read_as(call, reading, layout, network.mask_rules, finder.has_probed, used))
            ways.setdefault(way, []).append(call)
        choices = {row.key[1]: forwards.choices[row.key] for row in own_rows if row.key in forwards.choices}
        turned = {call: layout.dim for call, layout in found.items() if layout.dim}
        others = {
            "inputs_cast": list(network.caller.casts),
            "autocast": network.caller.autocast,
            "not_passed": forwards.inputs.not_passed.get(position),
            **rows.left_out(model),
            "batch_dim": turned,
            "compared_tensor": choices,
        }
        facts["models"][model.model_name] = {
            "class": type(innermost(network.module)).__name__,
            "device": str(network.device),
            "dtype": ", ".join(sorted({row.dtype for row in own_rows if row.dtype})),
            "read_as": ways,
            **{name: fact for name, fact in others.items() if fact},
        }
    if stand_in is not None and stand_in.layer is not None:
        facts["input_stands_for"] = " of ".join(map(repr, stand_in.layer[::-1]))
    return facts
