"""Ways of changing a result file or a checkpoint: bytes, arrays' entries, and our JSON header, by value and by shape.

Each takes the content of a valid file and a source of random numbers, and gives another content and what was done.
"""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

NAMES = ['=HYPERLINK("x")', "<img src=x onerror=alert(1)>", "]]>", "a\nb", "a\tb", "a\0b", "\u202eabc", "", "a" * 10**5]
VALUES = [None, True, False, -1, 0, 3, 2**63, -(2**70), 0.5, 1e300, [], {}, [[]], [None], {"a": 1}, [1, "a"], *NAMES]
RAW = ["NaN", "Infinity", "1e999", "9" * 400, "9" * 5000, "01", "'a'", '"\\ud800"', "[" * 40 + "]" * 40, "[" * 10**5,
       '{"a":' * 10**4, "[" + "[]," * 50_000 + "[]]"]  # fmt: skip
"""JSON, or what passes for it, that no value of Python's gives."""
TYPES = ["F64", "F32", "F16", "BF16", "F8_E4M3", "I64", "U64", "U8", "I8", "BOOL", "C64", "X", "", None, 8]
HOLDER = "@@raw@@"

Change = Callable[[bytes, random.Random], tuple[bytes, str]]


def parts_of(content: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """The outer header without its metadata, our header in them, and the data."""
    length = int.from_bytes(content[:8], "little")
    outer = json.loads(content[8 : 8 + length])
    return outer, json.loads(outer.pop("__metadata__")["simwidget"]), content[8 + length :]


def built(outer: str | dict[str, Any], data: bytes) -> bytes:
    head = (outer if isinstance(outer, str) else json.dumps(outer)).encode()
    return len(head).to_bytes(8, "little") + head + data


def with_header(content: bytes, header: str) -> bytes:
    outer, _, data = parts_of(content)
    return built({"__metadata__": {"simwidget": header}, **outer}, data)


def forged(content: bytes) -> bytes:
    """The content with the checksum that fits it; as it is where it has no header or arrays that could be read."""
    from safetensors.numpy import load

    from simwidget.files.container import checksum_of, parse_header

    try:
        outer, header, data = parts_of(content)
        header = parse_header(json.dumps(header))
        del header["checksum"]
        checksum = checksum_of(header, load(content))
    except Exception:
        return content
    return built({"__metadata__": {"simwidget": json.dumps({**header, "checksum": checksum})}, **outer}, data)


def bits(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    changed = bytearray(content)
    end = rng.choice([16, 8 + int.from_bytes(content[:8], "little"), len(content)])
    places = [rng.randrange(end) for _ in range(rng.choice([1, 1, 3, 20]))]
    for place in places:
        changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed), f"bits flipped at {places}"


def truncated(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    length = rng.choice([rng.randrange(17), rng.randrange(len(content)), len(content) - 1])
    return content[:length], f"cut at {length}"


def inserted(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    place, n = rng.choice([0, 8, rng.randrange(len(content)), len(content)]), rng.choice([1, 8, 1000])
    what = rng.choice([b"\0" * n, rng.randbytes(n), content[place : place + n]])
    return content[:place] + what + content[place:], f"{what[:8]!r}... ({len(what)} bytes) inserted at {place}"


def removed(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    place, n = rng.randrange(len(content)), rng.choice([1, 8, 1000])
    return content[:place] + content[place + n :], f"{n} bytes removed at {place}"


def length(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    real = int.from_bytes(content[:8], "little")
    most = 2**64 - 1
    value = rng.choice([0, 1, real - 1, real + 1, len(content) - 8, len(content), 10**8, 10**9, 2**63, most - 7, most])
    return value.to_bytes(8, "little") + content[8:], f"length of the header {value} for {real}"


def array(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """One entry of the arrays' header."""
    outer, header, data = parts_of(content)
    name = rng.choice(list(outer))
    entry = outer[name]
    how = rng.choice(
        ["dtype", "shape", "data_offsets", "name", "gone", "other", "swapped", "extra", "twice", "metadata"]
    )
    metadata: Any = {"simwidget": json.dumps(header)}
    if how == "dtype":
        entry["dtype"] = rng.choice(TYPES)
    elif how == "shape":
        a, b = (*entry["shape"], 1, 1)[:2]
        entry["shape"] = rng.choice(
            [
                [b, a],
                [a * b],
                [],
                [a, b, 1],
                [a * b, 1],
                [2**62, 4],
                [2**64],
                [-a, -b],
                [0, 0],
                None,
                [str(a), b],
                [a + 0.5],
            ]
        )
    elif how == "data_offsets":
        start, end = entry["data_offsets"]
        entry["data_offsets"] = rng.choice(
            [
                [end, start],
                [start, end + 8],
                [0, 0],
                [start - 1, end],
                [0, end - start],
                [2**63, 2**64 - 1],
                [start],
                None,
            ]
        )
    elif how == "name":
        other = [
            "",
            "0/0/0",
            "9/0/0/values",
            "0/9/9/values",
            "0/1/0/values",
            " 0/0/0/values",
            "٠/0/0/values",
            "-1/0/0/values",
        ]
        outer[rng.choice([*other, "0/0/0/values/", "9" * 5000 + "/0/0/values", *NAMES])] = outer.pop(name)
    elif how == "gone":
        del outer[name]
    elif how == "other":
        outer[name] = rng.choice(VALUES)
    elif how == "swapped":
        another = rng.choice(list(outer))
        outer[name], outer[another] = outer[another], outer[name]
    elif how == "extra":
        outer["extra"] = {"dtype": "F64", "shape": [0, 3], "data_offsets": [len(data), len(data)]}
    elif how == "metadata":
        metadata = rng.choice(
            [None, {}, [], {"simwidget": None}, {"simwidget": {}}, {"Simwidget": metadata["simwidget"]}]
        )
    text = json.dumps({"__metadata__": metadata, **outer})
    if how == "twice":
        text = f"{text[:-1]}, {json.dumps(name)}: {json.dumps(entry | {'dtype': 'I64'})}}}"
    return built(text, data), f"{how} of array {name!r}: {outer.get(name)}"


def paths_in(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The ways to everything inside."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from paths_in(value[key], (*path, key))


def chosen(header: dict[str, Any], rng: random.Random) -> tuple[Any, Any]:
    """Something in the header: what it is in, and its key there; each depth is as likely as the others."""
    paths = list(paths_in(header))
    depth = rng.choice(sorted({len(path) for path in paths}))
    *above, key = rng.choice([path for path in paths if len(path) == depth])
    inside: Any = header
    for step in above:
        inside = inside[step]
    return inside, key


def value(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """One value of our header."""
    _, header, _ = parts_of(content)
    inside, key = chosen(header, rng)
    raw = rng.choice(RAW) if rng.random() < 0.4 else None
    inside[key] = HOLDER if raw else rng.choice(VALUES)
    text = json.dumps(header).replace(f'"{HOLDER}"', raw or "")
    return with_header(content, text), f"{key!r} is {(raw or repr(inside[key]))[:60]}"


def structure(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """What is where in our header."""
    _, header, _ = parts_of(content)
    inside, key = chosen(header, rng)
    how = rng.choice(["gone", "renamed", "nested", "swapped", "again", "emptied", "twice"])
    text = None
    if how == "gone":
        del inside[key]
    elif how == "renamed" and isinstance(inside, dict):
        inside[rng.choice(NAMES)] = inside.pop(key)
    elif how == "nested":
        inside[key] = rng.choice([[inside[key]], {"a": inside[key]}])
    elif how == "swapped":
        inside, key, other, there = *chosen(header, rng), *chosen(header, rng)
        inside[key], other[there] = json.loads(json.dumps([other[there], inside[key]]))
    elif how == "emptied" and isinstance(inside[key], dict | list):
        inside[key].clear()
    elif how == "twice" and isinstance(inside, dict):
        own = f"{json.dumps(key)}: {json.dumps(inside[key])}"
        inside[HOLDER] = 0
        text = json.dumps(header).replace(f'"{HOLDER}": 0', own)
    elif isinstance(inside, list):
        inside.append(inside[key])
    return with_header(content, text or json.dumps(header)), f"{how}: {key!r}"


def text(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Our header as text."""
    _, header, _ = parts_of(content)
    whole = json.dumps(header)
    place = rng.randrange(len(whole))
    changed = rng.choice(
        [whole[:place], whole[:place] + rng.choice('{}[]",:0-e\\u\0 ') + whole[place:], whole + whole, f"[{whole}]", "",
         "null", whole[:place] + whole[place + 1 :], "\ufeff" + whole, " " * 10**6 + whole]
    )  # fmt: skip
    return with_header(content, changed), f"text changed at {place}: {changed[max(0, place - 20) : place + 20]!r}"


CHANGES: tuple[Change, ...] = (bits, truncated, inserted, removed, length, array, array, value, value, value, structure,
                               structure, text)  # fmt: skip
"""Those that are more than once are tried more often."""
