"""What is said of layers whose variance may be nothing but rounding."""

from simwidget.estimate.rounding_notes import rounding_notes, rounding_reason
from simwidget.gram.rows import Row


def rows(dtype, *names):
    return [Row((0, name), dtype=dtype) for name in names]


def test_a_note_names_a_few_layers():
    (note,) = rounding_notes(rows("float32", "a", "b", "c", "d", "e"))
    assert "layers 'a', 'b', 'c' and 2 more." in note
    (note,) = rounding_notes([*rows("float32", "a"), *rows("bfloat16", "a")])
    assert "in layer 'a'." in note
    assert not rounding_notes([])


def test_layers_in_float64_are_not_sent_to_float64():
    (note,) = rounding_notes(rows("float64", "a"))
    assert note.startswith("float64 cannot tell")
    assert note.endswith("compared as they are")
    assert rounding_reason(*rows("float64", "a")) == "constant up to rounding errors in float64"
