"""What a result says of how it was made."""

import ast
import inspect
import re
from dataclasses import replace

import pytest
import reference
import torch
from results import made

import simwidget as sw
from simwidget.capture.representation_option import NAMES
from simwidget.result import compare_call

PAIR = {"a": reference.mlp([6, 8, 4], seed=0), "b": reference.mlp([6, 8, 4], seed=1)}
BATCHES = [torch.randn(16, 6, generator=torch.Generator().manual_seed(b)) for b in range(4)]


def run(batches=BATCHES, **options):
    return sw.compare(PAIR, batches, device="cpu", **options).run(progress=False)


def call(result):
    """The last statement of the report, which is Python, as a call; its keywords."""
    text = result.report()
    (made,) = ast.parse(text[text.index("\nsw.compare(") :]).body
    assert ast.unparse(made.value.func) == "sw.compare"
    return {one.arg: ast.unparse(one.value) for one in made.value.keywords}


def lines(result):
    """Label -> text of the report, in which a label is at the beginning of a line and its text may go on below it."""
    found = {}
    for line in result.report().splitlines():
        indented, label, text = re.fullmatch(r"( *)(.*?)(?:  +(.*))?", line).groups()
        if len(indented) == 2 and text is not None:
            found[label] = text
    return found


def test_everything_that_was_recorded_is_said():
    found = lines(run())
    assert found["simwidget"] == sw.__version__
    assert found["torch"] == torch.__version__
    assert found["a"] == found["b"] == "Sequential on cpu, 2 layers"
    assert found["loader"] == "list"
    assert "sampler" not in found
    assert found["state"] == "finished"
    assert found["time"].endswith(" s")
    assert found["unbiased"] == "yes: HSIC_1, with zeroed diagonals"
    assert found["measures"] == "cka, dcka"
    assert found["confounder"] == "input"
    assert found["gram_batch"] == "64"
    assert "positions" not in found


def test_a_loader_and_a_sampler():
    models, loader, _ = sw.demo.load()
    found = lines(sw.compare(models, loader, layers=["stage?"], device="cpu", max_batches=2).run(progress=False))
    expected_facts = {"loader": "DataLoader", "dataset": "TensorDataset", "sampler": "_FixedOrder", "batch size": "64"}
    assert {label: found[label] for label in expected_facts} == expected_facts
    assert found["drop last"] == "no"
    assert found["seed 0"] == "FashionNet on cpu, 3 layers"


def test_the_defaults_are_those_of_compare():
    defaults = {name: one.default for name, one in inspect.signature(sw.compare).parameters.items()}
    as_recorded = {**defaults, "measures": list(defaults["measures"]), "confounder": [defaults["confounder"]]}
    assert {name: as_recorded[name] for name in compare_call.DEFAULTS} == compare_call.DEFAULTS
    assert compare_call.REPRESENTATIONS == NAMES
    recorded = {"measures", "unbiased", "average", "remove_negative_eig", "gram_batch", "max_batches", "precision"}
    recorded |= {"confounder", "representation", "batch_dim"}
    assert set(run().provenance["options"]) == recorded
    assert set(compare_call.DEFAULTS) == recorded - {"remove_negative_eig"} | {"positions", "seed"}


def double(batch):
    return batch * 2


@pytest.mark.parametrize(
    ("options", "keywords"),
    [
        ({}, {}),
        ({"measures": "cka"}, {"measures": "('cka',)"}),
        ({"measures": "cka", "confounder": None}, {"measures": "('cka',)"}),
        ({"unbiased": False, "average": "cka"}, {"unbiased": "False", "average": "'cka'"}),
        ({"gram_batch": 16, "max_batches": 3}, {"gram_batch": "16", "max_batches": "3"}),
        ({"representation": "mean"}, {"representation": "'mean'"}),
        ({"representation": {"a:0": "mean", "*": abs}}, {"representation": "{'a:0': 'mean', '*': your_function}"}),
        ({"representation": {"0": double}}, {"representation": "{'0': double}"}),
        ({"confounder": ["input", double]}, {"confounder": "['input', double]"}),
        ({"confounder": lambda batch: batch}, {"confounder": "your_function"}),
        ({"confounder": "a:0"}, {"confounder": "'a:0'"}),
        ({"inputs": {"b": double}}, {"inputs": "{'b': double}"}),
        ({"batch_dim": {"0": 0}}, {"batch_dim": "{'0': 0}"}),
        ({"precision": "high"}, {"precision": "'high'"}),
    ],
)  # fmt: skip
def test_the_call_has_the_options_that_are_not_the_defaults(options, keywords):
    assert call(run(**options)) == keywords


def test_the_call_makes_the_same_numbers():
    result = run(unbiased=False, representation={"0": "mean"}, confounder=["input", "a:0"], gram_batch=32)
    text = result.report()
    names = {"model_1": PAIR["a"], "model_2": PAIR["b"], "loader": BATCHES}
    exec(text[text.index("import simwidget as sw") :].replace("sw.compare", "again = sw.compare"), names)
    again = names["again"].run(progress=False)
    for measure in ("cka", "dcka"):
        assert again.matrix(measure) == pytest.approx(result.matrix(measure), nan_ok=True, abs=1e-6)


def test_tokens_and_the_seed_of_their_draw():
    net = torch.nn.Sequential(torch.nn.Conv1d(3, 5, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv1d(5, 4, 3, padding=1))
    batches = [torch.randn(8, 3, 20, generator=torch.Generator().manual_seed(b)) for b in range(3)]
    comparison = sw.compare(
        {"net": net}, batches, device="cpu", representation="positions", positions=40, seed=3, measures="cka"
    )
    result = comparison.run(progress=False)
    assert (lines(result)["positions"], lines(result)["seed"]) == ("40", "3")
    keywords = {"measures": "('cka',)", "representation": "'positions'", "positions": "40", "seed": "3"}
    assert call(result) == keywords


def test_a_run_that_was_stopped_is_repeated_as_far_as_it_came():
    comparison = sw.compare(PAIR, BATCHES, device="cpu")
    comparison.watch(lambda: comparison.n_batches == 2 and comparison.stop())
    result = comparison.run(progress=False)
    assert lines(result)["state"] == "stopped"
    assert "32 samples in 2 batches, partial" in result.report()
    assert call(result) == {"max_batches": "2"}


def test_a_saved_result_says_the_same(tmp_path):
    labelled = [(batch, torch.arange(16) % 4) for batch in BATCHES]
    odd = run(labelled, representation={"0": double}, confounder=["input", "labels"], inputs={"b": double})
    for result in (run(), odd, made(["a"], ["b"])):
        result.save(tmp_path / "r.simw")
        assert sw.SimilarityResult.load(tmp_path / "r.simw").report() == result.report()


def test_what_is_not_there_is_not_recorded():
    text = made(["a"], ["b", "c"]).report()
    for section in ("versions", "run", "loader", "options"):
        assert f"\n\n{section}\n  not recorded\n" in text
    assert "\n  x  class and device not recorded, 1 layer\n  y  class and device not recorded, 2 layers\n" in text
    assert call(made(["a"], ["b"])) == {}
    assert "# the options were not recorded; these are the defaults\n" in text
    older = replace(made(["a"], ["b"]), provenance={"simwidget": "0.1.0", "options": {"unbiased": False}})
    found = lines(older)
    assert (found["simwidget"], found["torch"]) == ("0.1.0", "not recorded")
    assert (found["unbiased"], found["gram_batch"]) == ("no: HSIC_0", "not recorded")


ODD = [None, "text", 3, float("nan"), 10**400, [], ["a", None], {}, {"a": {"b": [1]}}, True, ("a",), {"": "\n"}]


@pytest.fixture(scope="module")
def result():
    return run()


@pytest.mark.parametrize("value", ODD)
def test_a_provenance_may_hold_anything(result, value):
    whole = result.provenance
    for key in [*whole, "new", 3]:
        reported(result, {**whole, key: value})
    for key in [*whole["options"], "positions", "inputs", "forward", "new"]:
        reported(result, {**whole, "options": {**whole["options"], key: value}})
    for key in ("class", "device", "new"):
        reported(result, {**whole, "models": {"a": {key: value}, "b": value}})
    for key in ("loader", "sampler", "new"):
        reported(result, {**whole, "loader": {key: value}})


def reported(result, provenance):
    text = replace(result, provenance=provenance).report()
    assert text.replace("\n", "").isprintable()
    ast.parse(text[text.index("import simwidget as sw") :])


def test_names_are_escaped():
    odd = "a\nb\x1b[2J\u202e"
    result = made([odd], ["b"], models=(odd, 'quo"te'), missing=[odd])
    info = {name: replace(one, title=odd, reasons={odd: {odd: odd}}) for name, one in result._info.items()}
    about = {odd: odd, "models": {odd: {"class": odd, odd: odd}}, "loader": {odd: odd}, "simwidget": odd}
    options = {odd: odd, "representation": {odd: odd}, "confounder": [odd], "inputs": {odd: odd}, "measures": [odd]}
    hostile = replace(result, notes=(odd,), _info=info, provenance={**about, "options": options})
    text = hostile.report()
    assert text.replace("\n", "").isprintable()
    escaped = r"a\nb\x1b[2J\u202e"
    assert text.startswith(f'{escaped} and {escaped} of {escaped} × quo"te\n')
    assert f"{escaped}, {escaped}" in text
    tree = ast.parse(text[text.index("import simwidget as sw") :])
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {odd, 'quo"te'} <= strings
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names == {"sw", "model_1", "model_2", "loader", "your_function"}


def test_layers_without_numbers_are_said_with_the_reason():
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Linear(8, 4), torch.nn.Linear(4, 4))
    torch.nn.init.zeros_(net[2].weight)
    result = sw.compare({"net": net}, BATCHES, device="cpu", measures="cka").run(progress=False)
    assert lines(result)["CKA, net"] == "constant representation: 2"


def test_long_texts_go_on_below_and_lines_stay_short():
    result = made(["a"], ["b"], models=("m" * 40, "y"))
    note = "word " * 60
    text = replace(result, notes=(note,), provenance={"options": {"batch_dim": {"k" * 30: 1, "l" * 30: 0}}})
    assert max(map(len, text.report().splitlines())) <= 100
    assert text.report().count("word") == 60


def test_fifty_models_are_not_named_in_the_title():
    models = {str(k): PAIR["a"] for k in range(5)}
    text = sw.compare(models, BATCHES, device="cpu", measures="cka").run(progress=False).report()
    assert text.startswith("CKA of 5 models\n")
