"""Makes, writes and reads checkpoint files, and checks their content when reading.

A checkpoint file contains tensors (safetensors) and one JSON header, and nothing that could be executed. The header's
value "owner" is a random token that identifies the run to which the file belongs. A new file is a stub: it has a
header, but no state from which a run could be resumed. The run's first checkpoint replaces the stub.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simwidget.files.atomic import replace_file
from simwidget.files.container import container_bytes, open_container
from simwidget.files.fields import check_strings, expect, get_field, get_int, short_repr

FORMAT = 1
MAX_ROW_MAPS = 4
"""The largest number of row maps for which a checkpoint may contain sums.

A row map turns each Gram matrix of a block of samples into a vector; see `simwidget.gram.row_maps`. For each row map, a
run sums the inner products of these vectors over blocks.
"""
BYTES_BESIDE = 2**26
"""A constant in the limit on the size of a checkpoint's arrays, in bytes for each row map.

The constant allows for a long history of the sums, and for the states of random number generators. The rest of the
limit grows with the number of layers and confounders, and with the number of batches.
"""


@dataclass(frozen=True)
class Checkpoint:
    header: Mapping[str, Any]
    arrays: Mapping[str, Tensor]

    @property
    def owner(self) -> str:
        """The token of the run to which the file belonged when it was read."""
        return self.header["owner"]


def checkpoint_bytes(header: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of a checkpoint file with this header (JSON values) and these tensors."""
    return container_bytes(
        {**header, "format": FORMAT}, {name: one.detach().cpu().numpy() for name, one in arrays.items()}
    )


def stub_bytes(owner: str) -> bytes:
    """Return the bytes of a stub, the file of a run that has not saved its state yet. `owner` is the run's token."""
    return checkpoint_bytes({"owner": owner, "is_stub": True}, {})


def write_checkpoint(path: str | os.PathLike[str], header: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> None:
    """Write a checkpoint to `path`. An existing file is replaced, even if it belongs to another run.

    Runs do not use this function. They use `OwnedFile`, which never replaces the file of another run.
    """
    replace_file(os.fspath(path), checkpoint_bytes(header, arrays))


def owner_of(path: str | os.PathLike[str]) -> str:
    """Return the token of the run to which a checkpoint file belongs.

    Raises ValueError if the file is not a checkpoint.
    """
    with open_container(path, "checkpoint") as container:
        return get_field(container.header, "owner", str)


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint. Raises ValueError if the file is not a valid checkpoint, or if it is a stub."""
    with open_container(path, "checkpoint") as container:
        header = container.header
        version = get_int(header, "format")
        expect(version == FORMAT, f"it has format {version}; this version reads format {FORMAT}")
        get_field(header, "owner", str)
        if header.get("is_stub") is True:
            raise ValueError(
                f"{path} holds nothing to resume yet: its run has no complete block of samples so far, or was killed "
                "before it had one. If no run is using the file, delete it and start again with compare(...)"
            )
        for part in ("about", "given", "pass", "run"):
            get_field(header, part, dict)
        for part in ("layers", "options", "limits"):
            get_field(header["given"], part, dict, "given")
        check_strings(get_field(header["given"], "functions", list, "given"), "functions")
        arrays = container.read_arrays(_max_bytes(header["pass"]))
    return Checkpoint(header, {name: torch.from_numpy(np.require(one, None, "W")) for name, one in arrays.items()})


def _max_bytes(facts: Mapping[str, Any]) -> int:
    """Return the limit on the total size in bytes of a checkpoint's arrays.

    `facts` is the header's value "pass". It contains the rows (layers and confounders) and the number of batches.
    """
    n_rows, n_batches = len(get_field(facts, "rows", list)), get_int(facts, "n_batches")
    # 16 groups of float64 sums, and 16 points of a history in float32
    return MAX_ROW_MAPS * (16 * 8 * n_rows**2 + 16 * 4 * n_rows * (n_rows + 1) // 2 + BYTES_BESIDE) + 8 * n_batches


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Compare two values of `Identity.about`, and return a short phrase for each difference.

    `then` is the value in a checkpoint, `now` the value of the present run.
    """
    found = []
    for topic in dict.fromkeys([*then, *now]):
        a, b = then.get(topic), now.get(topic)
        if a == b:
            continue
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += [f"{_short(topic)}, {difference}" for difference in differences(a, b)]
        elif isinstance(a, list) and isinstance(b, list):
            gone = [_short(one) for one in a if one not in b][:3]
            new = [_short(one) for one in b if one not in a][:3]
            places = (gone, "only in the checkpoint"), (new, "only in this run")
            lists = [f"{', '.join(some)} {where}" for some, where in places if some]
            found.append(f"{_short(topic)}: {'; '.join(lists) or 'another order'}")
        elif topic == "weights":
            found.append("other weights")
        else:
            found.append(f"{_short(topic)}: {short_repr(a, 200)} in the checkpoint, {short_repr(b, 200)} here")
    return found


def _short(name: Any) -> str:
    return short_repr(name).strip("'")
