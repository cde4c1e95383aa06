"""The error function and its complement for whole arrays, which numpy lacks.

Rational Chebyshev approximations of W. J. Cody, "Rational Chebyshev approximations for the error function",
Math. Comp. 23 (1969), with the coefficients of his CALERF: relative errors of a few units in the last place.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CHUNK = 8192  # entries at once: what is needed on the way stays small and in the cache
NEAR, FAR = 0.46875, 4.0  # the borders between the three approximations
BEYOND = 30.0  # erfc is 0 in float64 from 27 on

# Numerator and denominator, the highest power first.
# |x| ≤ NEAR: erf(x) = x·R(x²)
_NEAR = (
    [1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3],
    [1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3],
)
# NEAR < x ≤ FAR: erfc(x) = e^(−x²)·R(x)
_MIDDLE = (
    [
        *[2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1],
        *[2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3],
        1.23033935479799725e3,
    ],
    [
        *[1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2],
        *[1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3],
        1.23033935480374942e3,
    ],
)
# FAR < x: erfc(x) = e^(−x²)/x·(1/√π − R(1/x²)/x²)
_FAR = (
    [
        *[1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1],
        *[1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4],
    ],
    [
        *[1.0, 2.56852019228982242, 1.87295284992346725],
        *[5.27905102951428412e-1, 6.05183413124413191e-2, 2.33520497626869185e-3],
    ],
)


def erf(x: Array, out: Array | None = None) -> Array:
    """erf x = 2/√π·∫₀ˣ e^(−t²) dt, float array of any shape; `out` must be contiguous and may be x."""
    return _by_chunks(x, out, complement=False)


def erfc(x: Array, out: Array | None = None) -> Array:
    """1 − erf x without the cancellation: relative accuracy is kept where x is large."""
    return _by_chunks(x, out, complement=True)


def _by_chunks(x: Array, out: Array | None, complement: bool) -> Array:
    """erf or erfc of x, chunk by chunk."""
    y: Array = np.empty(x.shape, x.dtype) if out is None else out
    given, found = x.reshape(-1), y.reshape(-1)
    for start in range(0, given.size, CHUNK):
        _chunk(given[start : start + CHUNK], found[start : start + CHUNK], complement)
    return y


def _chunk(x: Array, out: Array, complement: bool) -> None:
    """erf or erfc of x (N,) into `out` (N,)."""
    size = np.minimum(np.abs(x), BEYOND)
    near, far = size <= NEAR, size > FAR
    centre = np.minimum(size, NEAR)
    centre *= _ratio(_NEAR, centre * centre)
    np.copysign(centre, x, out=centre)  # erf x where near
    tail = _middle(size)  # erfc |x| elsewhere; so short a way that choosing the entries first would cost more
    if far.any():
        tail[far] = _far(size[far])
    if complement:
        np.subtract(2, tail, out=tail, where=np.signbit(x))
        np.subtract(1, centre, out=centre)
    else:
        np.copysign(np.subtract(1, tail, out=tail), x, out=tail)
    np.copyto(tail, centre, where=near)
    np.copyto(out, tail)


def _middle(size: Array) -> Array:
    """erfc for NEAR < x ≤ FAR."""
    return _bell(size) * _ratio(_MIDDLE, size)


def _far(size: Array) -> Array:
    """erfc for x > FAR."""
    inverse = 1 / (size * size)
    return _bell(size) * (1 / sqrt(pi) - inverse * _ratio(_FAR, inverse)) / size


def _bell(size: Array) -> Array:
    """e^(−x²), with x² split so that its rounding is not multiplied by x²: a = ⌊16x⌋/16, x² = a² + (x − a)(x + a)."""
    coarse = np.trunc(size * 16) / 16
    bell: Array = np.exp(-coarse * coarse) * np.exp(-(size - coarse) * (size + coarse))
    return bell


def _ratio(coefficients: tuple[list[float], list[float]], x: Array) -> Array:
    """Numerator over denominator at x (N,), both by Horner's rule at once."""
    columns = np.array(coefficients, x.dtype).T[:, :, None]
    both = columns[0] * x
    for column in columns[1:-1]:
        both += column
        both *= x
    both += columns[-1]
    ratio: Array = both[0] / both[1]
    return ratio
