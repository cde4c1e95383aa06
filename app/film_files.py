"""Films as files, written picture by picture: GIF with a palette made for the screen, APNG with every colour.

Of each picture only the rectangle that changed is written, so memory holds two pictures whatever the film's length.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint32]  # (rows, columns), 0xRRGGBB
Write = Callable[[bytes], object]

COLOURS = 255  # of a GIF; one more place says: as in the picture before
MOST_CANDIDATES = 20_000  # colours looked at for a palette
AT_A_TIME = 4096  # colours compared with all of the palette together


class FilmWriter(Protocol):
    """Takes pictures of one size, one after the other."""

    def add(self, pixels: Pixels) -> None:
        """The next picture."""

    def end(self) -> None:
        """That was the last."""


class GifWriter:
    """A GIF that is played again and again. Colours of `exact` come out exactly, all others as near as 255 allow."""

    def __init__(self, write: Write, rate: int, exact: Sequence[int], likely: Sequence[int]) -> None:
        self._write, self._delay = write, round(1000 / rate)  # milliseconds
        self._exact, self._likely = exact, likely
        self._before: Pixels | None = None
        self._places = np.full(1 << 24, -1, np.int16)  # of colours in the palette; −1: not looked for yet
        self._palette = np.zeros(0, np.uint32)

    def add(self, pixels: Pixels) -> None:
        if self._before is None:
            self._begin(pixels)
        top, left, part, same = _changed(self._before, pixels)
        indices = self._indices(part)
        indices[same] = COLOURS
        self._write(self._encoded(indices, left, top))
        self._before = pixels

    def end(self) -> None:
        self._write(b";")

    @property
    def palette(self) -> NDArray[np.uint32]:
        """Its colours."""
        return self._palette

    def _begin(self, first: Pixels) -> None:
        self._palette = palette_of(self._exact, np.concatenate([np.asarray(self._likely, np.uint32), np.unique(first)]))
        table = np.zeros((256, 3), np.uint8)
        table[: len(self._palette)] = _channels(self._palette)
        rows, columns = first.shape
        again = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
        self._write(b"GIF89a" + struct.pack("<HHBBB", columns, rows, 0xF7, 0, 0) + table.tobytes() + again)

    def _indices(self, pixels: Pixels) -> NDArray[np.uint8]:
        """The nearest colour of the palette for each pixel; no dithering, so that what is even stays even."""
        places = self._places[pixels]
        unknown = np.unique(pixels[places < 0])
        if len(unknown):
            self._places[unknown] = nearest(self._palette, unknown)
            places = self._places[pixels]
        return places.astype(np.uint8)

    def _encoded(self, indices: NDArray[np.uint8], left: int, top: int) -> bytes:
        from PIL import GifImagePlugin, Image  # here, since only a film needs them

        image = Image.fromarray(indices)
        how: dict[str, Any] = {"duration": self._delay, "disposal": 1, "transparency": COLOURS}
        return b"".join(GifImagePlugin.getdata(image, (left, top), **how))


class ApngWriter:
    """An animated PNG of so many pictures, played again and again: every colour exact."""

    def __init__(self, write: Write, rate: int, count: int) -> None:
        self._write, self._rate, self._count = write, rate, count
        self._before: Pixels | None = None
        self._number = 0  # of the next chunk that is numbered

    def add(self, pixels: Pixels) -> None:
        rows, columns = pixels.shape
        first = self._before is None
        if first:
            header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)  # 8 bits each of red, green, blue
            animation = struct.pack(">II", self._count, 0)
            self._write(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"acTL", animation))
        top, left, part, _ = _changed(self._before, pixels)
        size = part.shape[1], part.shape[0]
        control = struct.pack(">IIIIIHHBB", self._next(), *size, left, top, 1, self._rate, 0, 0)
        data = _compressed(part)
        body = _chunk(b"IDAT", data) if first else _chunk(b"fdAT", struct.pack(">I", self._next()) + data)
        self._write(_chunk(b"fcTL", control) + body)
        self._before = pixels

    def end(self) -> None:
        self._write(_chunk(b"IEND", b""))

    def _next(self) -> int:
        self._number += 1
        return self._number - 1


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _compressed(pixels: Pixels) -> bytes:
    """PNG's rows, unfiltered: flat colours pack best so."""
    rows, columns = pixels.shape
    lines = np.zeros((rows, 1 + 3 * columns), np.uint8)
    lines[:, 1:] = _channels(pixels).reshape(rows, -1)
    return zlib.compress(lines.tobytes(), 6)


def _channels(pixels: Pixels) -> NDArray[np.uint8]:
    """Red, green and blue as a last axis."""
    return np.stack([pixels >> 16, pixels >> 8, pixels], axis=-1).astype(np.uint8)


def _changed(before: Pixels | None, now: Pixels) -> tuple[int, int, Pixels, NDArray[np.bool_]]:
    """The rectangle in which a picture differs: top, left, its pixels, and which of them do not differ after all."""
    if before is None:
        return 0, 0, now, np.zeros(now.shape, bool)
    other = before != now
    rows, columns = np.flatnonzero(other.any(axis=1)), np.flatnonzero(other.any(axis=0))
    top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 1)  # a film has no picture without pixels
    left, right = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 1)
    return top, left, now[top:bottom, left:right], ~other[top:bottom, left:right]


def palette_of(exact: Sequence[int], candidates: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """At most 255 colours: all of `exact`, then always the candidate that is farthest from those chosen."""
    chosen = np.unique(np.asarray(exact, np.uint32) & 0xFFFFFF)[:COLOURS]
    candidates = np.unique(candidates & 0xFFFFFF)
    candidates = candidates[:: -(-len(candidates) // MOST_CANDIDATES)]
    points = _channels(candidates).astype(np.float32)
    far = np.full(len(points), np.inf, np.float32)
    for colour in _channels(chosen).astype(np.float32):
        np.minimum(far, ((points - colour) ** 2).sum(axis=1), out=far)
    found = list(chosen)
    while len(found) < COLOURS and far.max() > 0:
        place = int(far.argmax())
        found.append(candidates[place])
        np.minimum(far, ((points - points[place]) ** 2).sum(axis=1), out=far)
    return np.array(found, np.uint32)


def nearest(palette: NDArray[np.uint32], colours: NDArray[np.uint32]) -> NDArray[np.int16]:
    """The place in the palette of the colour nearest to each."""
    known = _channels(palette).astype(np.float32)
    places = []
    for start in range(0, len(colours), AT_A_TIME):
        some = _channels(colours[start : start + AT_A_TIME]).astype(np.float32)
        apart = (known**2).sum(axis=1) - 2 * some @ known.T  # less |colour|², which is the same for all
        places.append(apart.argmin(axis=1))
    return np.concatenate(places).astype(np.int16)
