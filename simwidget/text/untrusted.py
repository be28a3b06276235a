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

LARGEST_HEADER = 64 * 2**20
"""Bytes; fifty networks of a thousand layers take less than a tenth of it."""
MAX_VALUES = 2_000_000
"""In one header: a value of three letters takes a hundred bytes of memory, so that its length alone is no limit."""
DEEPEST = 32
"""Lists in lists in a header: whatever walks through it later may do so by recursion."""
LONGEST_NUMBER = 100
"""Digits of a whole number: to read or write one of millions takes Python hours, or is refused."""
LONGEST_NAME = 1000
"""A layer is in as many blocks as its name has dots, each of them with a name of its own."""
MESSAGE = 200
"""Letters of a message that is not ours: it may quote the file."""
LARGEST = 1e30
"""No measure comes near it, and displays can still subtract and round such numbers."""
MOST = 2**53
"""A count up to which pages can count."""
TYPES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}


class MalformedError(ValueError):
    """What is wrong with a file."""


def expect(condition: Any, problem: str) -> None:
    """Raises MalformedError unless the condition holds."""
    if not condition:
        raise MalformedError(problem)


@contextmanager
def refusing(path: str | PathLike[str], what: str) -> Iterator[None]:
    """Inside, a MalformedError becomes the ValueError that this file is no `what` of ours, and why."""
    try:
        yield
    except MalformedError as problem:
        raise ValueError(f"{path} is not a simwidget {what}: {problem}") from problem


def read_file(path: str | PathLike[str], what: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The header and the arrays of a file of ours; no more memory is asked for than the file's size warrants.

    Args:
        path: the file.
        what: what it should be, "result" or "checkpoint".

    Raises:
        ValueError: it is something else, or malformed; with the file's name and the reason.
        OSError: it cannot be read.
    """
    from safetensors import safe_open

    with refusing(path, what):
        _check_length(path)
        try:
            with safe_open(path, framework="np") as file:
                header = parsed((file.metadata() or {}).get("simwidget"))
                return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        except (MalformedError, OSError, MemoryError):
            raise
        except Exception as problem:  # which ones, of a file that numpy has no types for, is safetensors' own affair
            raise MalformedError(brief(problem)) from problem


def _check_length(path: str | PathLike[str]) -> None:
    about = os.stat(path)
    # opening a pipe would wait for its other end
    expect(stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode), "it is no regular file")
    with open(path, "rb") as file:
        start = file.read(8)
    expect(len(start) == 8, "it is too short")
    length = int.from_bytes(start, "little")
    expect(length <= about.st_size - 8, "it ends before its header does, or does not begin with one")
    expect(length <= LARGEST_HEADER, f"its header has {length:,} bytes, more than {LARGEST_HEADER:,}")


def parsed(text: str | None) -> dict[str, Any]:
    """A header from its JSON: raises MalformedError if it is no object, ambiguous, too large, too deep or no text."""
    if text is None:
        raise MalformedError("it has no header of simwidget's")
    expect(sum(map(text.count, ",[{")) <= MAX_VALUES, f"its header has more than {MAX_VALUES:,} values")
    try:
        header = json.loads(text, object_pairs_hook=_unambiguous, parse_int=_whole)
    except MalformedError:
        raise
    except RecursionError:
        raise MalformedError("its header is nested too deeply") from None
    except ValueError as problem:
        raise MalformedError(f"its header is not JSON: {problem}") from problem
    expect(isinstance(header, dict), "its header is not a JSON object")
    level: list[Any] = [header]
    for _ in range(DEEPEST):
        for one in level:
            if isinstance(one, str) and not _is_text(one):
                raise MalformedError(f"its header has {shown(one)}, which is no text")
        level = [inside for one in level for inside in _inside(one)]
    expect(not level, "its header is nested too deeply")
    return header


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise MalformedError(f"its header has {shown(key)} twice")
        made[key] = value
    return made


def _whole(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise MalformedError(f"its header has a number of {len(digits):,} digits")
    return int(digits)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _is_text(value: str) -> bool:
    """Half of a surrogate pair is a character to Python and JSON, and to no encoding."""
    return value.isascii() or not any("\ud800" <= one <= "\udfff" for one in value)


# --- what a header says ----------------------------------------------------------------------------------------------


def brief(problem: object) -> str:
    """A message that is not ours, which may quote the file."""
    return printable(str(problem)[:MESSAGE])


def shown(value: Any) -> str:
    """The value as a message quotes it: short, and on one line."""
    return reprlib.repr(value)


def field(given: Mapping[str, Any], key: str, kind: type[T], where: str = "its header") -> T:
    """The value of a key, which must be there and be of this type; a whole number is no truth value."""
    if key not in given:  # not `expect`: it wants its message made, and large files have a million fields
        raise MalformedError(f"{where} has no {shown(key)}")
    value = given[key]
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise MalformedError(f"{key} in {where} is {shown(value)}, not {TYPES[kind]}")
    return value


def whole(given: Mapping[str, Any], key: str, where: str = "its header", least: int = 0) -> int:
    """A whole number from `least` up to 2**53."""
    value = field(given, key, int, where)
    expect(least <= value <= MOST, f"{key} in {where} is {shown(value)}, not a whole number from {least} on")
    return value


def number(given: Mapping[str, Any], key: str, where: str = "its header") -> float:
    """A number, which may be NaN but not infinite."""
    expect(key in given, f"{where} has no {shown(key)}")
    value = given[key]
    right = isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) > LARGEST
    expect(right, f"{key} in {where} is {shown(value)}, not a number")
    return float(value)


def texts(values: Any, where: str) -> tuple[str, ...]:
    """A list of strings."""
    if not isinstance(values, list):
        raise MalformedError(f"{where} is {shown(values)}, not a list of text")
    for value in values:
        if not isinstance(value, str):
            raise MalformedError(f"{where} has {shown(value)} in it, which is not text")
    return tuple(values)


def names(values: Any, where: str) -> tuple[str, ...]:
    """A list of names, each once and of sensible length."""
    found = texts(values, where)
    seen: set[str] = set()
    for name in found:
        if len(name) > LONGEST_NAME:
            raise MalformedError(f"{where} has a name of {len(name):,} letters, {shown(name)}")
        if name in seen:
            raise MalformedError(f"{where} has {shown(name)} twice")
        seen.add(name)
    return found


# --- arrays ----------------------------------------------------------------------------------------------------------


def numbers(arrays: Mapping[str, NDArray[Any]], name: str, shape: Sequence[int]) -> NDArray[np.float64]:
    """An array of floating numbers as float64; each may be NaN, none infinite."""
    found = _array(arrays, name, shape, "f", "floating numbers").astype(np.float64, copy=False)
    expect(not (np.abs(found) > LARGEST).any(), f"array {shown(name)} has numbers beyond {LARGEST:g}")
    return found


def flags(arrays: Mapping[str, NDArray[Any]], name: str, shape: Sequence[int]) -> NDArray[np.bool_]:
    """An array of truth values."""
    found = _array(arrays, name, shape, "b", "truth values")
    # any byte of a file can be said to be one, but numpy reckons with nothing but 0 and 1
    expect(not (found.view(np.uint8) > 1).any(), f"array {shown(name)} has bytes that are no truth values")
    return found


def _array(arrays: Mapping[str, NDArray[Any]], name: str, shape: Sequence[int], kind: str, of: str) -> NDArray[Any]:
    expect(name in arrays, f"array {shown(name)} is missing")
    found = arrays[name]
    right = found.dtype.kind == kind and found.shape == tuple(shape)
    expect(right, f"array {shown(name)} is {found.dtype} {found.shape}, not {of} {tuple(shape)}")
    return found
