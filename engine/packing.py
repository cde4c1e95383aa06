"""Rows of scalars in less room, of which every bit comes back.

Most of what a step records is a float64 that holds less: a constant, one of few values (a share of 32 samples), a
float32, or the root of a float32 (a norm, from a sum of squares in float32). Each column of a block is kept in the
smallest form that gives back all of it; a few values that do not fit are kept beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SAME, CODES, SINGLE, ROOT, PLAIN = range(5)
MOST_CODES = 256
PROBE = 128  # values that tell whether it is worth while to look for codes
EXTRA = 10  # bytes of a value that is kept beside: itself and its row


class Block:
    """Some rows (N, columns) of float64; N at most 65,536."""

    __slots__ = ("_arrays", "_extra", "_forms", "_slots", "_words", "length")

    def __init__(self, rows: Array) -> None:
        values = np.ascontiguousarray(rows.T, np.float64)
        bits = values.view(np.int64)
        self.length = len(rows)
        singles, roots = _singles(values), _roots(values)
        wrong = {SINGLE: _single_back(singles) != bits, ROOT: _root_back(roots) != bits}
        forms = self._choose(bits, wrong)
        chosen = [np.flatnonzero(forms == form) for form in range(5)]
        self._slots = np.empty(len(forms), np.int16)
        for places in chosen:
            self._slots[places] = np.arange(len(places))
        self._forms = forms
        codes, self._words = _encode(bits[chosen[CODES]])
        self._arrays = (
            values[chosen[SAME], :1],
            codes,
            singles[chosen[SINGLE]],
            roots[chosen[ROOT]],
            values[chosen[PLAIN]],
        )
        self._extra = self._beside(values, wrong)

    def _choose(self, bits: Array, wrong: dict[int, Array]) -> Array:
        """The smallest form of each column, by its bytes."""
        size = np.full((5, len(bits)), np.inf)
        size[PLAIN] = 8 * self.length
        for form in (SINGLE, ROOT):
            size[form] = 4 * self.length + EXTRA * wrong[form].sum(axis=1)
        size[SAME, (bits == bits[:, :1]).all(axis=1)] = 8
        few = np.flatnonzero(_distinct(bits[:, :PROBE]) <= PROBE // 2)
        words = _distinct(bits[few])
        size[CODES, few] = np.where(words <= MOST_CODES, self.length + 8 * words, np.inf)
        return np.asarray(np.argmin(size, axis=0).astype(np.int8))

    def _beside(self, values: Array, wrong: dict[int, Array]) -> tuple[Array, Array, Array]:
        """Where each column's values that do not fit begin, then the row and the value of each."""
        misfit = np.zeros(values.shape, bool)
        for form, where in wrong.items():
            mine = self._forms == form
            misfit[mine] = where[mine]
        columns, rows = np.nonzero(misfit)
        begins = np.searchsorted(columns, np.arange(len(values) + 1)).astype(np.int32)
        return begins, rows.astype(np.uint16), values[columns, rows]

    @property
    def nbytes(self) -> int:
        """The memory of its arrays."""
        kept = (*self._arrays, *self._words, *self._extra, self._forms, self._slots)
        return sum(array.nbytes for array in kept)

    def column(self, place: int, first: int = 0, last: int | None = None) -> Array:
        """One column of rows first … last − 1, (N,), float64."""
        last = self.length if last is None else last
        form, slot = self._forms[place], self._slots[place]
        part = self._arrays[form][slot, first:last]
        if form == PLAIN:
            return part
        if form == SAME:
            return np.full(last - first, self._arrays[SAME][slot, 0])
        if form == CODES:
            begins, words = self._words
            return np.asarray(words[begins[slot] : begins[slot + 1]][part])
        found = (_single_back if form == SINGLE else _root_back)(part).view(np.float64)
        begins, rows, values = self._extra
        begin, end = begins[place], begins[place + 1]
        if begin < end:
            inside = (rows[begin:end] >= first) & (rows[begin:end] < last)
            found[rows[begin:end][inside].astype(np.intp) - first] = values[begin:end][inside]
        return found

    def rows(self) -> Array:
        """All of them, (N, columns)."""
        return np.stack([self.column(place) for place in range(len(self._forms))], axis=1)


def _singles(values: Array) -> Array:
    with np.errstate(all="ignore"):
        return values.astype(np.float32)


def _roots(values: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.square(values).astype(np.float32)


def _single_back(singles: Array) -> Array:
    """As the bits of float64."""
    with np.errstate(all="ignore"):
        return singles.astype(np.float64).view(np.int64)


def _root_back(roots: Array) -> Array:
    """As the bits of float64."""
    with np.errstate(all="ignore"):
        return np.sqrt(roots.astype(np.float64)).view(np.int64)


def _distinct(bits: Array) -> Array:
    """How many different values each row has."""
    ordered = np.sort(bits, axis=1)
    return np.asarray(1 + np.count_nonzero(ordered[:, 1:] != ordered[:, :-1], axis=1))


def _encode(bits: Array) -> tuple[Array, tuple[Array, Array]]:
    """Of each row a number for each value, and where its values begin among all of them."""
    codes, words = np.empty(bits.shape, np.uint8), [np.empty(0, np.int64)]
    for row, found in zip(bits, codes, strict=True):
        values, found[:] = np.unique(row, return_inverse=True)
        words.append(values)
    begins = np.cumsum([0, *(len(values) for values in words[1:])]).astype(np.int32)
    return codes, (begins, np.concatenate(words).view(np.float64))
