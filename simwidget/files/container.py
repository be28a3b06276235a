"""A simwidget file: a safetensors file with one JSON header, a checksum, and a limit on what is read of it.

The safetensors metadata hold the header under the key "simwidget". Its "checksum" is a hash of everything else in the
file, so that a file has the content that was written or is refused. Nothing here imports torch.
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
"""Largest accepted header, in bytes; fifty networks of a thousand layers take less than a tenth of it."""
MAX_VALUES = 2_000_000
"""Most values in a header. A value of three characters takes a hundred bytes of memory once it is parsed, so a limit on
the header's length alone would not bound the memory."""
MAX_DEPTH = 32
"""Deepest nesting of lists and objects in a header, so that code that walks through it may be recursive."""
MAX_DIGITS = 100
"""Most digits of a whole number: Python takes hours to convert one of millions of digits, or refuses to."""


def container_bytes(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The content of a file with this header, of JSON values, and these arrays."""
    from safetensors.numpy import save

    # UTF-8 cannot encode one half of a surrogate pair: it is written as the six characters of its escape
    text = re.sub(r"[\ud800-\udfff]", lambda half: rf"\\u{ord(half[0]):x}", json.dumps(header, ensure_ascii=False))
    arrays = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    sealed = {"checksum": checksum_of(json.loads(text), arrays)} | json.loads(text)
    return save(arrays, {"simwidget": json.dumps(sealed, ensure_ascii=False)})


def checksum_of(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """A hash of a header without its checksum, and of the names, dtypes, shapes and bytes of all arrays."""
    found = hashlib.blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"\0{name}\0{array.dtype.str}{array.shape}".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


@dataclass(frozen=True)
class Container:
    """An open file: its header, and its arrays once `read_arrays` is called."""

    header: dict[str, Any]
    """JSON values without the checksum; their meaning is not checked yet: use the getters of `fields`"""
    n_bytes: int
    """of the arrays"""
    _file: Any = field(repr=False)
    _checksum: Any = field(repr=False)

    def read_arrays(self, max_bytes: int) -> dict[str, NDArray[Any]]:
        """The arrays by name, with the content that was written.

        Args:
            max_bytes: the most that they may take, going by the header: a larger file is refused before it is read.

        Raises:
            MalformedError: they are larger, or the file is not what was written.
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
    """Context manager: open a simwidget file. A MalformedError raised inside becomes a ValueError that names the file.

    Args:
        path: the file.
        file_type: "result" or "checkpoint", as error messages call it.

    Raises:
        ValueError: it is not a safetensors file with a simwidget header; the message names the file and the reason.
        OSError: it cannot be read.
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
    """Errors of safetensors become MalformedErrors; it does not say which it raises for dtypes that NumPy lacks."""
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as problem:
        raise MalformedError(shorten(problem)) from problem


def _length_of_arrays(path: str | PathLike[str]) -> int:
    """The bytes that follow the header of a file whose length of the header is plausible."""
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
    """The header from its JSON text.

    Raises:
        MalformedError: the text is not JSON, not an object, has a key twice, too many values or too long
            numbers, nests too deeply, or contains characters that cannot be encoded as UTF-8.
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
    """Whether UTF-8 can encode the text: unlike Python and JSON, it rejects one half of a surrogate pair."""
    return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
