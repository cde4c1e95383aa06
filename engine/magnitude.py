"""|z| that the complex step can go through."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def magnitude(z: Array, out: Array | None = None) -> Array:
    """|z| of real numbers; of complex ones ±z by the sign of the real part, since numpy's modulus is not analytic."""
    if z.dtype.kind != "c":
        return np.abs(z, out=out)
    found: Array = np.where(z.real < 0, -z, z)
    if out is None:
        return found
    np.copyto(out, found)
    return out
