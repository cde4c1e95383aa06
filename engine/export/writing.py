"""What scripts of every kind share: sections, numbers as Python writes them, the schedule, names of settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from engine import schedules
from engine.export.moment import Moment
from engine.spec import KindSpec

ROUNDINGS = {"float32": 1e-4, "float64": 1e-12}  # how far losses may lie apart in a script with the same arithmetic
FILE = "ARRAYS"  # stands in a section where the path of the file of arrays belongs


@dataclass(frozen=True)
class Section:
    """A piece of a script: under a title in a file, a cell of a notebook."""

    title: str
    code: str


def one_line(text: str) -> str:
    """A name that a user gave, so that it can stand in a string or a comment."""
    kept = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(kept.replace("\\", "/").replace('"', "'").split()) or "Untitled"


def indented(lines: Iterable[str], by: int = 1) -> str:
    """Lines of a block."""
    return "\n".join(("    " * by + line) if line else "" for line in lines)


def settings(spec: KindSpec, *but: str) -> list[str]:
    """Fields of a spec as assignments, such as "momentum = 0.9"."""
    names = [field.name for field in msgspec.structs.fields(spec) if field.name not in but]
    return [f"{name} = {getattr(spec, name)!r}" for name in names]


def names_of(spec: KindSpec) -> dict[str, Any]:
    """The fields of a spec by name."""
    return {field.name: getattr(spec, field.name) for field in msgspec.structs.fields(spec)}


# --- schedules: an expression of `lr`, the optimizer's rate, and `done`, how many mini-batches came before -------------


def _one_cycle(s: schedules.OneCycle) -> list[str]:
    between = {
        "linear": "one + (other - one) * way",
        "cosine": "other + (one - other) * (math.cos(math.pi * way) + 1) / 2",
    }
    return [
        f"peak, end = {s.rising * s.steps - 1!r}, {s.steps - 1}",
        f"first = lr / {s.divide_first!r}",
        "if done <= peak and peak > 0:",
        "    one, other, way = first, lr, done / peak",
        "else:",
        f"    one, other = lr, first / {s.divide_last!r}",
        "    way = min((done - peak) / (end - peak), 1.0) if end > peak else 1.0",
        f"return {between[s.shape]}",
    ]


SCHEDULES: dict[str, Callable[[Any], list[str]]] = {
    "step_decay": lambda s: [f"return lr * {s.gamma!r} ** (done // {s.every})"],
    "exponential_decay": lambda s: [f"return lr * {s.gamma!r} ** done"],
    "cosine": lambda s: [
        f"return {s.least!r} + (lr - {s.least!r}) * (1 + math.cos(math.pi * done / {s.steps})) / 2"
    ],
    "warm_up": lambda s: [f"return lr * ({s.start!r} + (1 - {s.start!r}) * min(done, {s.steps}) / {s.steps})"],
    "one_cycle": _one_cycle,
}


def rate_function(moment: Moment) -> str:
    """The schedule as a function; "" where the rate is constant."""
    schedule = moment.recipe.schedule
    if schedule.kind() == "constant":
        return ""
    told = f'"""The learning rate of the mini-batch that follows `done` others: {schedule.title()}."""'
    return "def rate(done):\n" + indented([told, *SCHEDULES[schedule.kind()](schedule)])


def taken(moment: Moment) -> str:
    """Which samples a row of `order` takes, as an expression."""
    return "row[row >= 0]" if moment.is_ragged else "row"


def comparing(tolerance: float, arithmetic: str) -> list[str]:
    """The lines at the end of the loop that hold a loss against ours."""
    return [
        'print(f"mini-batch {done + number + 1}: loss {loss:.12f}   Nablascope {wanted:.12f}")',
        f"assert np.isclose(loss, wanted, rtol={tolerance}, atol={tolerance}, equal_nan=True), "
        f'"the losses part: {arithmetic}"',
    ]
