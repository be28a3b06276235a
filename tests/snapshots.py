"""The saved snapshot, read as `js/state/snapshot.ts` reads it."""

import zlib

import numpy as np

STEPS, MISSING = 65534, 65535


def read(snapshot, meta, result, measure, view):
    """Values and standard errors of one measure and view."""
    x, y = result.positions(view)
    (block,) = [one for one in meta["blocks"] if (one["measure"], one["x"], one["y"]) == (measure, x, y)]
    rows, columns = (len(result.layers(result.models[k])) for k in (x, y))
    count = rows * (rows + 1) // 2 if x == y else rows * columns
    data = np.frombuffer(zlib.decompress(snapshot), np.uint8, 4 * count, offset=block["offset"])
    found = []
    for part, low, high in (
        (data[: 2 * count], block["low"], block["high"]),
        (data[2 * count :], 0, block["error_high"]),
    ):
        steps = part[:count].astype(int) + 256 * part[count:].astype(int)
        numbers = np.where(steps == MISSING, np.nan, low + steps * (high - low) / STEPS)
        if x == y:
            full = np.empty((rows, rows))
            upper = np.triu_indices(rows)
            full[upper] = full.T[upper] = numbers
        else:
            full = numbers.reshape(rows, columns)
        found.append(full)
    return found
