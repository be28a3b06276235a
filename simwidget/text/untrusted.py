"""Files from anywhere: opened, and what they say checked before it is believed. No torch here.

A file of ours is a safetensors file with one JSON header under the metadata key "simwidget". `read_file` opens it, and
the getters below take values out of the header. What they object to is a `MalformedError`; `refusing` makes of
it the ValueError that people see, which names the file.
"""

import json
import os
import reprlib
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from simwidget.text.printable import printable

T = TypeVar("T", str, int, bool, list, dict)

MAX_HEADER_BYTES = 64 * 2**20
"""Bytes; fifty networks of a thousand layers take less than a tenth of it."""
MAX_VALUES = 2_000_000
"""In one header: a value of three letters takes a hundred bytes of memory, so that its length alone is no limit."""
MAX_DEPTH = 32
"""Lists in lists in a header: whatever walks through it later may do so by recursion."""
MAX_DIGITS = 100
"""Digits of a whole number: to read or write one of millions takes Python hours, or is refused."""
MAX_NAME_LENGTH = 1000
"""A layer is in as many blocks as its name has dots, each of them with a name of its own."""
MAX_MESSAGE_LENGTH = 200
"""Letters of a message that is not ours: it may quote the file."""
MAX_ABSOLUTE = 1e30
"""No measure comes near it, and displays can still subtract and round such numbers."""
MAX_COUNT = 2**53
"""A count up to which pages can count."""
TYPE_NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}


class MalformedError(ValueError):
    """What is wrong with a file."""


def expect(condition: Any, problem: str) -> None:
    """Raises MalformedError unless the condition holds."""
    if not condition:
        raise MalformedError(problem)


@contextmanager
def errors_name_file(path: str | PathLike[str], file_type: str) -> Iterator[None]:
    """Inside, a MalformedError becomes the ValueError that this file is no `file_type` of ours, and why."""
    try:
        yield
    except MalformedError as problem:
        raise ValueError(f"{path} is not a simwidget {file_type}: {problem}") from problem


def read_file(path: str | PathLike[str], file_type: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The header and the arrays of a file of ours; no more memory is asked for than the file's size warrants.

    Args:
        path: the file.
        file_type: what it should be, "result" or "checkpoint".

    Raises:
        ValueError: it is something else, or malformed; with the file's name and the reason.
        OSError: it cannot be read.
    """
    from safetensors import safe_open

    with errors_name_file(path, file_type):
        _check_header_length(path)
        try:
            with safe_open(path, framework="np") as file:
                header = parse_header((file.metadata() or {}).get("simwidget"))
                return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        except (MalformedError, OSError, MemoryError):
            raise
        except Exception as problem:  # which ones, of a file that numpy has no types for, is safetensors' own affair
            raise MalformedError(shorten(problem)) from problem


def _check_header_length(path: str | PathLike[str]) -> None:
    status = os.stat(path)
    # opening a pipe would wait for its other end
    expect(stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode), "it is no regular file")
    with open(path, "rb") as file:
        start = file.read(8)
    expect(len(start) == 8, "it is too short")
    length = int.from_bytes(start, "little")
    expect(length <= status.st_size - 8, "it ends before its header does, or does not begin with one")
    expect(length <= MAX_HEADER_BYTES, f"its header has {length:,} bytes, more than {MAX_HEADER_BYTES:,}")


def parse_header(text: str | None) -> dict[str, Any]:
    """A header from its JSON: raises MalformedError if it is no object, ambiguous, too large, too deep or no text."""
    if text is None:
        raise MalformedError("it has no header of simwidget's")
    expect(sum(map(text.count, ",[{")) <= MAX_VALUES, f"its header has more than {MAX_VALUES:,} values")
    try:
        header = json.loads(text, object_pairs_hook=_without_duplicates, parse_int=_parse_int)
    except MalformedError:
        raise
    except RecursionError:
        raise MalformedError("its header is nested too deeply") from None
    except ValueError as problem:
        raise MalformedError(f"its header is not JSON: {problem}") from problem
    expect(isinstance(header, dict), "its header is not a JSON object")
    level: list[Any] = [header]
    for _ in range(MAX_DEPTH):
        for value in level:
            if isinstance(value, str) and not _is_encodable(value):
                raise MalformedError(f"its header has {short_repr(value)}, which is no text")
        level = [child for value in level for child in _children(value)]
    expect(not level, "its header is nested too deeply")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    header: dict[str, Any] = {}
    for key, value in pairs:
        if key in header:
            raise MalformedError(f"its header has {short_repr(key)} twice")
        header[key] = value
    return header


def _parse_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise MalformedError(f"its header has a number of {len(digits):,} digits")
    return int(digits)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _is_encodable(value: str) -> bool:
    """Half of a surrogate pair is a character to Python and JSON, and to no encoding."""
    return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)


# --- what a header says ----------------------------------------------------------------------------------------------


def shorten(problem: object) -> str:
    """A message that is not ours, which may quote the file."""
    return printable(str(problem)[:MAX_MESSAGE_LENGTH])


def short_repr(value: Any) -> str:
    """The value as a message quotes it: short, and on one line."""
    return reprlib.repr(value)


def get_field(mapping: Mapping[str, Any], key: str, kind: type[T], where: str = "its header") -> T:
    """The value of a key, which must be there and be of this type; a whole number is no truth value."""
    if key not in mapping:  # not `expect`: it wants its message made, and large files have a million fields
        raise MalformedError(f"{where} has no {short_repr(key)}")
    value = mapping[key]
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise MalformedError(f"{key} in {where} is {short_repr(value)}, not {TYPE_NAMES[kind]}")
    return value


def get_int(mapping: Mapping[str, Any], key: str, where: str = "its header", minimum: int = 0) -> int:
    """A whole number from `minimum` up to 2**53."""
    value = get_field(mapping, key, int, where)
    is_valid = minimum <= value <= MAX_COUNT
    expect(is_valid, f"{key} in {where} is {short_repr(value)}, not a whole number from {minimum} on")
    return value


def get_number(mapping: Mapping[str, Any], key: str, where: str = "its header") -> float:
    """A number, which may be NaN but not infinite."""
    expect(key in mapping, f"{where} has no {short_repr(key)}")
    value = mapping[key]
    is_valid = isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) > MAX_ABSOLUTE
    expect(is_valid, f"{key} in {where} is {short_repr(value)}, not a number")
    return float(value)


def check_strings(values: Any, where: str) -> tuple[str, ...]:
    """A list of strings."""
    if not isinstance(values, list):
        raise MalformedError(f"{where} is {short_repr(values)}, not a list of text")
    for value in values:
        if not isinstance(value, str):
            raise MalformedError(f"{where} has {short_repr(value)} in it, which is not text")
    return tuple(values)


def check_names(values: Any, where: str) -> tuple[str, ...]:
    """A list of names, each once and of sensible length."""
    found = check_strings(values, where)
    seen: set[str] = set()
    for name in found:
        if len(name) > MAX_NAME_LENGTH:
            raise MalformedError(f"{where} has a name of {len(name):,} letters, {short_repr(name)}")
        if name in seen:
            raise MalformedError(f"{where} has {short_repr(name)} twice")
        seen.add(name)
    return found


# --- arrays ----------------------------------------------------------------------------------------------------------


def get_float_array(arrays: Mapping[str, NDArray[Any]], name: str, shape: Sequence[int]) -> NDArray[np.float64]:
    """An array of floating numbers as float64; each may be NaN, none infinite."""
    found = _array(arrays, name, shape, "f", "floating numbers").astype(np.float64, copy=False)
    expect(not (np.abs(found) > MAX_ABSOLUTE).any(), f"array {short_repr(name)} has numbers beyond {MAX_ABSOLUTE:g}")
    return found


def get_bool_array(arrays: Mapping[str, NDArray[Any]], name: str, shape: Sequence[int]) -> NDArray[np.bool_]:
    """An array of truth values."""
    found = _array(arrays, name, shape, "b", "truth values")
    # any byte of a file can be said to be one, but numpy reckons with nothing but 0 and 1
    expect(not (found.view(np.uint8) > 1).any(), f"array {short_repr(name)} has bytes that are no truth values")
    return found


def _array(arrays: Mapping[str, NDArray[Any]], name: str, shape: Sequence[int], kind: str, title: str) -> NDArray[Any]:
    expect(name in arrays, f"array {short_repr(name)} is missing")
    found = arrays[name]
    is_valid = found.dtype.kind == kind and found.shape == tuple(shape)
    expect(is_valid, f"array {short_repr(name)} is {found.dtype} {found.shape}, not {title} {tuple(shape)}")
    return found
