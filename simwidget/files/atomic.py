"""Writes files atomically: the content is written to a temporary file, which then replaces the target.

The temporary file is in the same folder as the target.
"""

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from typing import IO, Any, Literal

Mode = Literal["w", "wb"]


@contextmanager
def open_for_writing(path: str | PathLike[str] | IO[Any], mode: Mode, **options: Any) -> Iterator[IO[Any]]:
    """Context manager: yields a new file, which replaces the file at `path` when the context ends without an error.

    The old file stays unchanged until the context ends, and also if there is an error. The new file gets the
    permissions of the old file, if there is one. If `path` is a symbolic link, the file that the link points to is
    replaced. A pipe, a device, or any path in /dev or below /proc is opened and written directly, without a temporary
    file.

    Args:
        path: the path; or an open file, which is yielded unchanged and is not closed.
        mode, options: the mode and the keyword arguments of `open`.
    """
    if not isinstance(path, str | PathLike):
        yield path
        return
    target = resolve(path)
    if target is None:
        with open(path, mode, **options) as file:
            yield file
        return
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise PermissionError(f"{os.fspath(path)!r} may not be written to: change its permissions or give another path")
    with _written_beside(target, mode, os.replace, options) as file:
        yield file


def create_file(path: str, content: bytes) -> None:
    """Write a new file at `path`. The file appears with its complete content in one step.

    On a file system without hard links, an empty file appears first, and the complete file then replaces it.

    Raises:
        FileExistsError: there is already a file at `path`; the existing file is left unchanged.
    """
    with _written_beside(path, "wb", _link, {}) as file:
        file.write(content)


def replace_file(path: str, content: bytes) -> None:
    """Write a file at `path`, and replace the old file if there is one."""
    with open_for_writing(path, "wb") as file:
        file.write(content)


def resolve(path: str | PathLike[str]) -> str | None:
    """Return the absolute path of the regular file at `path`, with symbolic links resolved.

    The file need not exist yet. Return None if `path` must not be replaced, because it is a pipe, a device or a folder,
    or because it is in /dev or below /proc.
    """
    folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
    if folder == "/dev" or folder.startswith("/proc/"):  # /dev/stdout may lead to a file that others write to as well
        return None
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
    return os.path.realpath(path)


@contextmanager
def _written_beside(
    target: str, mode: Mode, commit: Callable[[str, str], None], options: dict[str, Any]
) -> Iterator[IO[Any]]:
    """Context manager: yields a temporary file in the folder of `target`.

    When the context ends without an error, `commit(temporary path, target)` puts the temporary file at `target`.
    """
    folder = os.path.dirname(target)
    part = os.path.join(folder, f".simwidget-{secrets.token_hex(8)}.tmp")
    try:
        file = open(part, mode.replace("w", "x"), **options)  # noqa: SIM115  (closed below)
    except OSError as problem:  # not the temporary file's name, which nobody asked for
        raise OSError(problem.errno, problem.strerror, target) from problem
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            os.chmod(part, stat.S_IMODE(os.stat(target).st_mode))
        commit(part, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part)
    _sync_folder(folder)


def _link(part: str, target: str) -> None:
    """Create a hard link `target` to the file at `part`. Raises FileExistsError if `target` exists.

    On a file system without hard links, move the file to `target` instead.
    """
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: take the name first
        open(target, "xb").close()
        os.replace(part, target)


def _sync_folder(folder: str) -> None:
    """Flush a folder's entries to the disk, if the system supports this."""
    # a folder that cannot be read, and some file systems, cannot be flushed; the file is in its place all the same
    with suppress(OSError):
        if hasattr(os, "O_DIRECTORY"):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
