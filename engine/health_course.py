"""How a quantity that a verdict speaks of went, step by step."""

from __future__ import annotations

import numpy as np

from engine.frames import Array
from engine.health_verdicts import Verdict
from engine.timeline import Timeline

WIDE = ("factor", "mean_gradient", "update_ratio", "variance", "noise_scale")  # over decades: looked at on a log scale
MOST = 2000  # steps that are looked at


def course(history: Timeline, verdict: Verdict, first: int, last: int) -> Array:
    """The verdict's quantity in steps first … last, NaN where it is not known; log10 of it for one over decades.

    Of a long run not every step, but always the last. Empty where the verdict speaks of nothing that is recorded.
    """
    values = _values(history, verdict, first - 1, last)
    if verdict.quantity not in WIDE:
        return values
    with np.errstate(all="ignore"):
        logs = np.log10(values)
    return np.where(np.isfinite(logs), logs, np.nan)


def _values(history: Timeline, verdict: Verdict, start: int, end: int) -> Array:
    place, _, role = verdict.tensor.partition(".")
    parameter = f"{place}.{role.removeprefix('grad_').removeprefix('update_')}"
    rows = np.arange(start, min(end, len(history)))
    rows = rows[:: -max(len(rows) // MOST, 1)][::-1]
    columns = {
        "loss": ("loss",),
        "cosine": ("cosine",),
        "loss_drop": ("loss_drop",),
        "noise_scale": ("noise_scale",),
        "mean_gradient": (f"mean_gradient.{parameter}",),
        "dead": (f"alive.{place}",),
        "saturated": (f"saturated.{place}",),
        "update_ratio": (f"update.{parameter}", f"parameter.{parameter}"),
        "variance": (f"rms.{place}", f"mean.{place}"),
        "factor": _ends(history, place, role),
    }.get(verdict.quantity, ())
    if not columns or any(name not in history.columns for name in columns):
        return np.zeros(0)
    found: list[Array] = [history.sample(name, rows) for name in columns]
    if verdict.quantity == "dead":
        return np.asarray(1 - found[0])
    if verdict.quantity == "variance":
        return np.asarray(found[0] ** 2 - found[1] ** 2)
    if len(found) == 2:
        with np.errstate(all="ignore"):
            return np.asarray(found[0] / found[1])
    return found[0]


def _ends(history: Timeline, place: str, role: str) -> tuple[str, str]:
    """The norms whose quotient tells how much of the gradient is passed on: by a layer, or on the whole way."""
    if role == "grad_x":
        return f"delta.{int(place) - 1}", f"delta.{place}"
    last = max((int(c.partition(".")[2]) for c in history.columns if _is_delta(c)), default=0)
    return "delta.0", f"delta.{last}"


def _is_delta(column: str) -> bool:
    return column.startswith("delta.") and column.partition(".")[2].isdigit()
