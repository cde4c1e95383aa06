"""A whole tensor as text that brings back every number: CSV, or a literal that NumPy evaluates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MOST = 500_000  # entries: some ten megabytes of text
REFUSED = "tensors of more than 500,000 entries are not copied as text; save them to a file (Ctrl+Alt+S)"


def csv_text(array: Array) -> str:
    """A line for each row, further axes one after the other in it; as many digits as bring back each number."""
    rows = array.reshape(1, -1) if array.ndim < 2 else array.reshape(array.shape[0], -1)
    return "".join(",".join(row) + "\n" for row in _digits(rows).tolist())


def numpy_text(array: Array) -> str:
    """`np.array(…)` that evaluates to an equal array of the same type, NaN and infinity too."""
    words = _digits(array)
    for word in ("nan", "inf", "-inf"):
        if array.dtype.kind == "f":
            words[words == word] = word.replace("nan", "np.nan").replace("inf", "np.inf")
    return f"np.array({_nested(words.tolist(), 9)}, dtype=np.{array.dtype.name})"


def _digits(array: Array) -> NDArray[np.str_]:
    """The shortest text of each entry that is read as the same number."""
    return array.astype("U32")


def _nested(rows: Any, indent: int) -> str:
    if not isinstance(rows, list):
        return str(rows)
    if not rows or isinstance(rows[0], str):
        return f"[{', '.join(rows)}]"
    joint = ",\n" + " " * (indent + 1)
    return f"[{joint.join(_nested(row, indent + 1) for row in rows)}]"
