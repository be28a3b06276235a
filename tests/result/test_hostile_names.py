"""Names from a file that someone else wrote are shown as text everywhere: in a table, a page, a picture."""

import csv
import io
import json
import re
import xml.dom.minidom
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure
from results import made, seal
from safetensors import safe_open

import simwidget as sw
from simwidget.widget.still_output import still_bundle

HOSTILE = [
    '=HYPERLINK("x")',
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "]]>",
    "-->",
    "two\nlines",
    "a\ttab",
    "a\0nul",
    "\u202eright to left",
    "\x1b[2Jescape",
    "$\\frac{$",
    "{title}",
    "",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A loaded result in which everything that is a name is a hostile one."""
    path = tmp_path_factory.mktemp("hostile") / "r.simw"
    made(HOSTILE, HOSTILE, models=(HOSTILE[1], HOSTILE[2])).save(path)
    with safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["simwidget"])
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    header["measures"] = ["=1+1", "$\\frac{$\0"]
    header["notes"] = HOSTILE
    header["kinds"] = [HOSTILE, HOSTILE]
    old, header["info"] = header["info"].values(), {}
    for name, one in zip([*header["measures"], "<b>"], old):
        header["info"][name] = one | {"title": name, "reasons": {HOSTILE[1]: dict.fromkeys(HOSTILE, HOSTILE[1])}}
    seal(arrays, path, header)
    return sw.SimilarityResult.load(path)


def test_hostile_names_are_kept(hostile):
    assert hostile.models == (HOSTILE[1], HOSTILE[2])
    assert list(hostile.layers_x) == list(hostile.kinds(HOSTILE[1])) == list(hostile.notes) == HOSTILE
    assert hostile.reasons()[HOSTILE[0]] == HOSTILE[1]
    assert repr(hostile).isprintable()


def test_hostile_names_are_text_in_a_table(hostile):
    file = io.StringIO(newline="")
    hostile.to_csv(file)
    heads, *rows = csv.reader(io.StringIO(file.getvalue(), newline=""))
    written = ["'" + HOSTILE[0], *HOSTILE[1:4], "'-->", *HOSTILE[5:7], r"a\x00nul", *HOSTILE[8:]]
    assert [row[3] for row in rows[: len(HOSTILE)]] == written
    assert [row[1] for row in rows[:: len(HOSTILE)]] == written
    assert heads[4:] == ["'=1+1", "'=1+1_stderr", r"$\frac{$\x00", r"$\frac{$\x00_stderr", "<b>", "<b>_stderr"]


class Tags(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, text):
        self.text += text


def test_hostile_names_are_text_in_a_page(hostile, tmp_path):
    hostile.to_html(tmp_path / "r.html")
    page = Tags((tmp_path / "r.html").read_text("utf-8"))
    assert page.tags == ["html", "meta", "meta", "meta", "link", "title", "style", "body", "div", "script", "script"]
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert f"{HOSTILE[1]} × {HOSTILE[2]}" in page.text


def test_a_name_that_no_file_can_hold_does_not_keep_a_page_from_being_written(tmp_path):
    made(["a\ud800"], ["b"], models=("x\udc00", "y")).to_html(tmp_path / "r.html")
    assert "<title>x&#56320; × y</title>" in (tmp_path / "r.html").read_text("utf-8")


def strict(name):
    raise ValueError(f"{name} is not JSON")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 10**400, -1, None, "long", [1], True])
def test_a_page_of_a_provenance_that_says_anything(seconds, tmp_path):
    replace(made(["a"], ["b"]), provenance={"seconds": seconds}).to_html(tmp_path / "r.html")
    (given,) = re.findall(r'id="given">(.*?)</script>', (tmp_path / "r.html").read_text("utf-8"), re.DOTALL)
    assert json.loads(given, parse_constant=strict)["state"]["run"]["state"] == "finished"


def test_hostile_names_are_text_in_the_still_output(hostile):
    bundle = still_bundle(hostile, "name")
    page = Tags(bundle["text/html"])
    assert page.tags == ["div", "img", *["p"] * len(HOSTILE)]
    assert [name for name, _ in page.attributes] == ["class", "alt", "src", "style"]
    assert HOSTILE[1] in page.text
    assert HOSTILE[1] in dict(page.attributes)["alt"]


@pytest.mark.parametrize("font", ["path", "none"])
@pytest.mark.parametrize("measure", ["=1+1", "$\\frac{$\0", "<b>"])
def test_hostile_names_are_text_in_a_picture(hostile, font, measure):
    figure = Figure(figsize=(7.6, 6.6), layout="constrained")
    hostile.plot(measure, figure.subplots())
    file = io.BytesIO()
    with rc_context({"svg.fonttype": font}):
        figure.savefig(file, format="svg")
    document = xml.dom.minidom.parseString(file.getvalue())
    tags = {one.tagName for one in document.getElementsByTagName("*")}
    assert not tags & {"script", "img", "b", "foreignObject", "a"}
    names = {name for one in document.getElementsByTagName("*") for name in one.attributes.keys()}  # noqa: SIM118
    assert not [name for name in names if name.startswith("on")]
    if font == "none":
        texts = "".join(one.firstChild.data for one in document.getElementsByTagName("text") if one.firstChild)
        assert HOSTILE[1] in texts


def test_names_are_no_tex(hostile):
    with rc_context({"text.usetex": True}):
        figure = Figure(layout="constrained")
        ax = hostile.plot(ax=figure.subplots())
    bar = figure.axes[-1]
    named = (ax.title, ax.xaxis.label, ax.yaxis.label, bar.yaxis.label)
    assert [text.get_usetex() or text.get_parse_math() for text in named] == [False] * 4
