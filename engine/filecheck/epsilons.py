"""The small constants that people add inside logarithms and divisions: log(p + 1e-7).

The gradient that is usually written leaves such a constant out, and is off by about its size. That is no bug, and far
above what a check in float64 can see; so where a file has such a constant, an error of its size is told as such.
"""

from __future__ import annotations

import ast

import numpy as np

from engine.owncode.load import Source
from engine.tensorcheck import TensorReport
from engine.verdicts import FAIL_ERROR

LARGEST = 1e-5
TIMES = 100.0  # the constant counts against probabilities, which are smaller than 1


def epsilon(source: Source) -> float:
    """The largest small constant in the code of a file; 0 where there is none."""
    numbers = (node.value for node in ast.walk(source.tree) if isinstance(node, ast.Constant))
    return max((value for value in numbers if isinstance(value, float) and 0 < value <= LARGEST), default=0.0)


def explained(report: TensorReport, constant: float) -> str:
    """A note where a gradient is off by no more than a small constant makes it; "" where that explains nothing."""
    if report.verdict not in ("fail", "unresolvable") or report.analytic.shape != report.numeric.shape or not constant:
        return ""
    seen = np.isfinite(report.numeric)
    given, found = report.analytic[seen], report.numeric[seen]
    size = float(np.linalg.norm(given) + np.linalg.norm(found))
    error = float(np.linalg.norm(given - found)) / size if size else np.inf
    if not error <= min(FAIL_ERROR, TIMES * constant):
        return ""
    return f"off by {error:.1e}, about what the constant {constant:g} in the file makes; not counted as wrong"
