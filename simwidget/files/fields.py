"""Getters for the header values and the arrays of an untrusted file. Each getter checks what it returns.

The getters raise `MalformedError` for a value that is not valid. `errors_name_file` turns a MalformedError into a
ValueError that names the file. Users see only the ValueError.
"""

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from simwidget.text.printable import printable

T = TypeVar("T", str, int, bool, list, dict)

MAX_NAME_LENGTH = 1000
"""Largest accepted number of characters of a name. A display stores every dotted prefix of a layer's name, so the
memory grows with the square of the name's length."""
MAX_MESSAGE_LENGTH = 200
"""Largest number of characters quoted from another library's error message. Such a message may contain text from the
file, and this text can have any length."""
MAX_ABSOLUTE = 1e30
"""Largest accepted absolute value of a number. The values of all measures are far below this limit. Displays can
subtract and round any numbers up to this limit."""
MAX_COUNT = 2**53
"""Largest accepted count. JavaScript represents every whole number up to this limit exactly."""
TYPE_NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}


class MalformedError(ValueError):
    """The content of a file is not valid. In the message, "it" means the file, as in "it has no models"."""


def expect(condition: Any, problem: str) -> None:
    """Raise MalformedError with the text `problem` unless the condition is true."""
    if not condition:
        raise MalformedError(problem)


@contextmanager
def errors_name_file(path: str | PathLike[str], file_type: str) -> Iterator[None]:
    """Context manager that turns a MalformedError raised inside it into a ValueError that names the file.

    The message of the ValueError is "PATH is not a simwidget FILE_TYPE: PROBLEM".
    """
    try:
        yield
    except MalformedError as problem:
        raise ValueError(f"{path} is not a simwidget {file_type}: {problem}") from problem


# --- values of a header ----------------------------------------------------------------------------------------------


def shorten(problem: object) -> str:
    """Return the first `MAX_MESSAGE_LENGTH` characters of an exception's message, with `printable` applied to them.

    Use this for exceptions of other libraries, because their messages may contain text from an untrusted file.
    """
    return printable(str(problem)[:MAX_MESSAGE_LENGTH])


def short_repr(value: Any, length: int = 30) -> str:
    """Return a short repr of a value for error messages. Strings are cut to about `length` characters."""
    short = reprlib.Repr()
    short.maxstring = length
    return short.repr(value)


def get_field(mapping: Mapping[str, Any], key: str, kind: type[T], where: str = "its header") -> T:
    """Return `mapping[key]`; raise MalformedError if the key is missing or the value does not have the type `kind`.

    A bool does not count as an int. `where` is the name of the mapping in error messages.
    """
    # not with `expect`, which would build its message for each of a million fields of a large file
    if key not in mapping:
        raise MalformedError(f"{where} has no {short_repr(key)}")
    value = mapping[key]
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise MalformedError(f"{key} in {where} is {short_repr(value)}, not {TYPE_NAMES[kind]}")
    return value


def get_int(mapping: Mapping[str, Any], key: str, where: str = "its header", minimum: int = 0) -> int:
    """Return `mapping[key]`; raise MalformedError unless it is a whole number from `minimum` to `MAX_COUNT`.

    `where` is the name of the mapping in error messages.
    """
    value = get_field(mapping, key, int, where)
    is_valid = minimum <= value <= MAX_COUNT
    expect(is_valid, f"{key} in {where} is {short_repr(value)}, not a whole number from {minimum} to {MAX_COUNT}")
    return value


def get_number(mapping: Mapping[str, Any], key: str, where: str = "its header") -> float:
    """Return `mapping[key]` as a float; raise MalformedError unless it is a number.

    The absolute value must not exceed `MAX_ABSOLUTE`. NaN is accepted; infinity is not. `where` is the name of the
    mapping in error messages.
    """
    expect(key in mapping, f"{where} has no {short_repr(key)}")
    value = mapping[key]
    is_valid = isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) > MAX_ABSOLUTE
    expect(is_valid, f"{key} in {where} is {short_repr(value)}, not a number, or too large")
    return float(value)


def check_strings(values: Any, where: str) -> tuple[str, ...]:
    """Return `values` as a tuple; raise MalformedError unless it is a list of strings.

    `where` is the name of the list in error messages.
    """
    if not isinstance(values, list):
        raise MalformedError(f"{where} is {short_repr(values)}, not a list of text")
    for value in values:
        if not isinstance(value, str):
            raise MalformedError(f"{where} contains {short_repr(value)}, which is not text")
    return tuple(values)


def check_names(values: Any, where: str) -> tuple[str, ...]:
    """Return `values` as a tuple; raise MalformedError unless it is a list of valid names without duplicates.

    A valid name is a string of at most `MAX_NAME_LENGTH` characters. `where` is the name of the list in error messages.
    """
    found = check_strings(values, where)
    seen: set[str] = set()
    for name in found:
        if len(name) > MAX_NAME_LENGTH:
            raise MalformedError(f"{where} has a name of {len(name):,} characters, {short_repr(name)}")
        if name in seen:
            raise MalformedError(f"{where} contains {short_repr(name)} twice")
        seen.add(name)
    return found


# --- arrays ----------------------------------------------------------------------------------------------------------


def get_float_array(arrays: Mapping[str, NDArray[Any]], name: str, shape: Sequence[int]) -> NDArray[np.float64]:
    """Return `arrays[name]` as float64; raise MalformedError unless it is a floating-point array of this shape.

    NaN is accepted. Infinity and absolute values above `MAX_ABSOLUTE` also raise MalformedError.
    """
    found = _array(arrays, name, shape, "f", "floating-point numbers").astype(np.float64, copy=False)
    expect(
        not (np.abs(found) > MAX_ABSOLUTE).any(),
        f"array {short_repr(name)} has infinite values or values beyond {MAX_ABSOLUTE:g}",
    )
    return found


def get_bool_array(arrays: Mapping[str, NDArray[Any]], name: str, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Return `arrays[name]`; raise MalformedError unless it is a boolean array of this shape."""
    found = _array(arrays, name, shape, "b", "booleans")
    # a file may declare any bytes to be booleans, but NumPy is only defined for the bytes 0 and 1
    expect(not (found.view(np.uint8) > 1).any(), f"array {short_repr(name)} has bytes other than 0 and 1")
    return found


def _array(arrays: Mapping[str, NDArray[Any]], name: str, shape: Sequence[int], kind: str, title: str) -> NDArray[Any]:
    expect(name in arrays, f"array {short_repr(name)} is missing")
    found = arrays[name]
    is_valid = found.dtype.kind == kind and found.shape == tuple(shape)
    expect(is_valid, f"array {short_repr(name)} is {found.dtype} {found.shape}, not {title} {tuple(shape)}")
    return found
