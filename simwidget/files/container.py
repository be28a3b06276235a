"""Writes and reads simwidget files, which are safetensors files with a JSON header and a checksum.

The JSON header is stored in the safetensors metadata under the key "simwidget". The header's value "checksum" is a hash
of the rest of the header and of all arrays. A file is refused if it does not match its checksum or exceeds one of the
limits below. This module does not import torch.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simwidget.files.fields import MalformedError, errors_name_file, expect, short_repr, shorten

MAX_HEADER_BYTES = 64 * 2**20
"""Largest accepted size of a header, in bytes. The header for fifty networks with a thousand layers each is less than a
tenth of this size."""
MAX_VALUES = 2_000_000
"""Largest accepted number of values in a header. This limit is needed in addition to `MAX_HEADER_BYTES`, because a
value of three characters can take a hundred bytes of memory after parsing."""
MAX_DEPTH = 32
"""Largest accepted nesting depth of lists and objects in a header. With this limit, recursive functions can safely
process a header."""
MAX_DIGITS = 100
"""Largest accepted number of digits of a whole number. Without a limit, Python could need hours to convert a number of
many million digits. Python has a limit of its own, but users can switch it off."""


def container_bytes(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the bytes of a simwidget file with this header (JSON values) and these arrays."""
    from safetensors.numpy import save

    # UTF-8 cannot encode one half of a surrogate pair: it is written as the six characters of its escape
    text = re.sub(r"[\ud800-\udfff]", lambda half: rf"\\u{ord(half[0]):x}", json.dumps(header, ensure_ascii=False))
    arrays = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    sealed = {"checksum": checksum_of(json.loads(text), arrays)} | json.loads(text)
    return save(arrays, {"simwidget": json.dumps(sealed, ensure_ascii=False)})


def checksum_of(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return a hash of a header (without its checksum) and of the names, dtypes, shapes and bytes of all arrays."""
    found = hashlib.blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"\0{name}\0{array.dtype.str}{array.shape}".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


@dataclass(frozen=True)
class Container:
    """An open simwidget file. Its header has been read; `read_arrays` reads its arrays."""

    header: dict[str, Any]
    """the JSON header without its checksum. Its values are unchecked: read them with the getters in
    `simwidget.files.fields`"""
    n_bytes: int
    """total size of the arrays in bytes"""
    _file: Any = field(repr=False)
    _checksum: Any = field(repr=False)

    def read_arrays(self, max_bytes: int) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, after comparing the header and the arrays with the checksum.

        Args:
            max_bytes: the largest accepted total size of the arrays. The caller computes this limit from the header. If
                the arrays are larger, none of them is read.

        Raises:
            MalformedError: the arrays are larger than `max_bytes` or cannot be read, or the checksum does not match.
        """
        n = self.n_bytes
        expect(n <= max_bytes, f"its arrays have {n:,} bytes, where its header accounts for at most {max_bytes:,}")
        with _safetensors_errors():
            arrays = {name: self._file.get_tensor(name) for name in self._file.keys()}  # noqa: SIM118  (not a mapping)
        is_intact = checksum_of(self.header, arrays) == self._checksum
        expect(is_intact, "its content does not fit its checksum: the file was damaged or changed after it was written")
        return arrays


@contextmanager
def open_container(path: str | PathLike[str], file_type: str) -> Iterator[Container]:
    """Context manager: opens a simwidget file, and yields the open file as a `Container`.

    A MalformedError raised inside the context becomes a ValueError that names the file.

    Args:
        path: the path of the file.
        file_type: "result" or "checkpoint", the type of the file in error messages.

    Raises:
        ValueError: the file is not a safetensors file with a valid header; the message names the file and the reason.
        OSError: the file cannot be read.
    """
    from safetensors import safe_open

    with errors_name_file(path, file_type):
        n_bytes = _length_of_arrays(path)
        with _safetensors_errors():
            opened = safe_open(path, framework="np")
        with opened as file:
            with _safetensors_errors():
                metadata = file.metadata() or {}
            if "simwidget" not in metadata:
                raise MalformedError("it has no simwidget header")
            header = parse_header(metadata["simwidget"])
            expect("checksum" in header, "it has no checksum, which every released version writes: make the file again")
            yield Container(header, n_bytes, file, header.pop("checksum"))


@contextmanager
def _safetensors_errors() -> Iterator[None]:
    """Context manager that turns any error of safetensors, except OSError and MemoryError, into a MalformedError.

    Errors of all types are caught, because safetensors does not document which type of error it raises for a dtype that
    NumPy lacks.
    """
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as problem:
        raise MalformedError(shorten(problem)) from problem


def _length_of_arrays(path: str | PathLike[str]) -> int:
    """Return the number of bytes in a file after its safetensors header. These bytes are the arrays.

    Raises:
        MalformedError: the file is a pipe or a device; the file is too short; or the length that the file states for
            its header exceeds the rest of the file or `MAX_HEADER_BYTES`.
    """
    mode = os.stat(path).st_mode
    # opening a pipe would block until another process writes to it
    expect(stat.S_ISREG(mode) or stat.S_ISDIR(mode), "it is not a regular file")
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())  # by now another file may be in place of the one that was looked at above
        start = file.read(8)
    expect(len(start) == 8, "it is too short")
    length = int.from_bytes(start, "little")
    expect(length <= status.st_size - 8, "it ends before the end of its header, or does not begin with a header")
    expect(length <= MAX_HEADER_BYTES, f"its header has {length:,} bytes, more than {MAX_HEADER_BYTES:,}")
    return status.st_size - 8 - length


def parse_header(text: str) -> dict[str, Any]:
    """Parse the JSON text of a header.

    Raises:
        MalformedError: the text is not a JSON object; the header has too many values or is nested too deeply; an object
            has the same key twice; a whole number has too many digits; or a string cannot be encoded in UTF-8.
    """
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
                raise MalformedError(f"its header contains {short_repr(value)}, which cannot be encoded as text")
        level = [child for value in level for child in _children(value)]
    expect(not level, "its header is nested too deeply")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    header: dict[str, Any] = {}
    for key, value in pairs:
        if key in header:
            raise MalformedError(f"its header has the key {short_repr(key)} twice")
        header[key] = value
    return header


def _parse_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise MalformedError(f"its header has a number with {len(digits):,} digits, more than {MAX_DIGITS}")
    return int(digits)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _is_encodable(value: str) -> bool:
    """Whether UTF-8 can encode the text. UTF-8 cannot encode unpaired surrogates, but JSON and Python allow them."""
    return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
