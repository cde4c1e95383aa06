"""Golden values made anew, where PyTorch is installed."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, Any]
GOLDEN = Path(__file__).parent / "golden"
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")


def kept(family: str) -> dict[str, Array]:
    """The values in tests/golden/<family>.npz."""
    with np.load(GOLDEN / f"{family}.npz") as values:
        return dict(values)


def made_again(family: str, **how_much: int) -> dict[str, Array]:
    """What tests/golden/make_<family>.py makes now."""
    return dict(importlib.import_module(f"make_{family}").made(**how_much))


def assert_near(found: Any, wanted: Any, limit: float = 1e-12, each: bool = False) -> None:
    """Same NaN and infinities; else a difference of at most `limit` times the largest entry, or times each entry."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    plain = np.isfinite(wanted)
    np.testing.assert_array_equal(found[~plain], wanted[~plain])
    found, wanted = found[plain], wanted[plain]
    size = np.abs(wanted) if each else np.abs(wanted).max(initial=0.0)
    assert (np.abs(found - wanted) <= limit * size).all(), np.abs(found - wanted).max() / np.max(size)


def assert_made_alike(family: str) -> None:
    """The values kept are those that are made now, but for rounding."""
    old, new = kept(family), made_again(family)
    assert old.keys() == new.keys()
    for name, value in old.items():
        if value.dtype.kind == "f":
            assert_near(new[name], value)
        else:
            assert (value == new[name]).all(), name
