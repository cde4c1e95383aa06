"""Damaged session files, made from a good one: bits flipped, members swapped, fields and headers changed, bombs."""

import io
import json
import re
import zipfile
from random import Random
from typing import Any

WORDS: tuple[Any, ...] = (None, -1, 0, 1, 10**9, 2**53, 1e308, "", "x" * 5000, [], {}, True, "data.x", [[]] * 50)
SHAPES = (b"(1000000000,)", b"(1, 1000000000)", b"()", b"(-1, 3)", b"(1, 2, 3)", b"1", b"(" * 40, b"(10**9,)")
TYPES = (b"'|O'", b"'<c16'", b"'<U9'", b"'>f4'", b"'<f2'", b"[('a','<f4')]", b"'|V8'", b"1/0")


def damaged(good: bytes, seed: int) -> bytes:
    """One of endlessly many damaged files."""
    rng = Random(seed)
    return rng.choice((flipped, cut, spliced, member_flipped, field_changed, header_changed, swapped, packed))(
        good, rng
    )


def flipped(good: bytes, rng: Random) -> bytes:
    """Some bits anywhere."""
    data = bytearray(good)
    for _ in range(rng.choice((1, 1, 2, 30))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def cut(good: bytes, rng: Random) -> bytes:
    """The beginning, or the end."""
    place = rng.randrange(len(good))
    return good[:place] if rng.random() < 0.7 else good[place:]


def spliced(good: bytes, rng: Random) -> bytes:
    """A stretch left out, doubled, or filled with zeros."""
    first, last = sorted(rng.randrange(len(good)) for _ in range(2))
    middle = rng.choice((b"", good[first:last] * 2, bytes(last - first), rng.randbytes(last - first)))
    return good[:first] + middle + good[last:]


def member_flipped(good: bytes, rng: Random) -> bytes:
    """Bits of one member, with the right checksum."""
    members = unpacked(good)
    name = rng.choice(sorted(members))
    if members[name]:
        members[name] = flipped(members[name], rng)
    return repacked(members, rng)


def field_changed(good: bytes, rng: Random) -> bytes:
    """A field of one of the texts is another value, gone, or new."""
    members = unpacked(good)
    name = rng.choice(("session.json", "session.json", "recipe.json"))
    text = json.loads(members[name])
    for _ in range(rng.choice((1, 1, 3))):
        change_somewhere(text, rng)
    members[name] = json.dumps(text).encode()
    return repacked(members, rng)


def change_somewhere(value: Any, rng: Random) -> None:
    """Go down at random, and change what is there."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(value[key], dict | list) and value[key] and rng.random() < 0.8:
            value = value[key]
            continue
        if rng.random() < 0.2:
            del value[key]
        elif isinstance(value[key], int) and rng.random() < 0.5:
            value[key] += rng.choice((-1, 1, 7, 1000))
        else:
            value[key] = rng.choice(WORDS)
        return


def header_changed(good: bytes, rng: Random) -> bytes:
    """An array says that it has another shape or type."""
    members = unpacked(good)
    name = rng.choice([name for name in sorted(members) if name.endswith(".npy")])
    if rng.random() < 0.5:
        members[name] = re.sub(rb"\(.*?\)", rng.choice(SHAPES), members[name][:128], count=1) + members[name][128:]
    else:
        members[name] = re.sub(rb"'[<|].\d+'", rng.choice(TYPES), members[name][:128], count=1) + members[name][128:]
    return repacked(members, rng)


def swapped(good: bytes, rng: Random) -> bytes:
    """Two members change places, or one is missing, or is called otherwise."""
    members = unpacked(good)
    one, other = rng.sample(sorted(members), 2)
    what = rng.randrange(3)
    if what == 0:
        members[one], members[other] = members[other], members[one]
    elif what == 1:
        del members[one]
    else:
        members[rng.choice(("../../x", "/etc/x", "a\0b", one * 50))] = members.pop(one)
    return repacked(members, rng)


def packed(good: bytes, rng: Random) -> bytes:
    """A member becomes, or is joined by, one that unpacks to a hundred megabytes; or there are thousands."""
    members = unpacked(good)
    what = rng.randrange(3)
    if what == 0:
        members[rng.choice(("session.json", "first.npy", "more"))] = bytes(100_000_000)
    elif what == 1:
        members["recipe.json"] = b"[" * 100_000
    else:
        members |= {f"more/{i}": b"" for i in range(11_000)}
    return repacked(members, rng, zipfile.ZIP_DEFLATED)


def unpacked(good: bytes) -> dict[str, bytes]:
    """The members by name."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def repacked(members: dict[str, bytes], rng: Random, how: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these, now and then with a header that lies about sizes."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", how, compresslevel=1) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
            if rng.random() < 0.02:
                archive.filelist[-1].file_size = rng.choice((0, 10**9, 2**40))
    return into.getvalue()
