"""What scripts of every kind share: sections, numbers as Python writes them, the schedule, names of settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, log10
from textwrap import wrap
from typing import Any

import msgspec

from engine import schedules
from engine.export.moment import Moment
from engine.spec import KindSpec

MAY_BE_OFF = ("momentum", "nesterov", "weight_decay")
WIDTH = 100  # characters of a line that is broken
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


def settings(spec: KindSpec) -> list[str]:
    """Fields of a spec as assignments, such as "momentum = 0.9"; those that are off are left out."""
    return [f"{name} = {value!r}" for name, value in names_of(spec).items() if value or name not in MAY_BE_OFF]


def names_of(spec: KindSpec) -> dict[str, Any]:
    """The fields of a spec by name."""
    return {field.name: getattr(spec, field.name) for field in msgspec.structs.fields(spec)}


# --- schedules: from `lr`, the optimizer's rate, and `done`, how many mini-batches came before --------


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
    "cosine": lambda s: [f"return {s.least!r} + (lr - {s.least!r}) * (1 + math.cos(math.pi * done / {s.steps})) / 2"],
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


def listed(before: str, names: Sequence[str]) -> list[str]:
    """A list of names behind `before`, over as many lines as it takes."""
    text = ", ".join(f'"{name}"' for name in names)
    if len(before) + len(text) < WIDTH:
        return [f"{before}[{text}]"]
    return [f"{before}[", *(f"    {line}" for line in wrap(text + ",", WIDTH)), "]"]


def looping(moment: Moment) -> list[str]:
    """The head of the loop over the mini-batches that were saved."""
    if moment.is_ragged:
        return [
            'for number, (row, wanted) in enumerate(zip(saved["order"], saved["losses"])):',
            "    chosen = row[row >= 0]  # the last mini-batch of an epoch is shorter",
        ]
    return ['for number, (chosen, wanted) in enumerate(zip(saved["order"], saved["losses"])):']


def reading(moment: Moment) -> list[str]:
    """The lines that read the file of arrays."""
    lines = [f"with np.load({FILE}, allow_pickle=False) as file:", "    saved = dict(file)"]
    if moment.recipe.dtype == "float32":
        lines += [
            "# Nablascope trained in float32; here all is float64, in which libraries agree to many digits.",
            "saved = {name: a.astype(np.float64) if a.dtype == np.float32 else a for name, a in saved.items()}",
        ]
    return [*lines, f"done = {moment.done}  # mini-batches so far"]


def comparing(moment: Moment, tolerance: float) -> list[str]:
    """The lines at the end of the loop that hold a loss against ours, and the last one of the script.

    Where the network is so chaotic that roundings part the losses sooner, the tolerance is wider.
    """
    if moment.blur > tolerance:
        tolerance = 10.0 ** ceil(log10(moment.blur))
    narrow = moment.recipe.dtype == "float32"
    own = '   in float32 {saved["losses_float32"][number]:.7f}'.replace('"', "'") if narrow else ""
    return [
        f'    print(f"mini-batch {{done + number + 1}}: loss {{loss:.12f}}   Nablascope {{wanted:.12f}}{own}")',
        f'    assert np.isclose(loss, wanted, rtol={tolerance}, atol={tolerance}, equal_nan=True), "the losses differ"',
        f'print("all losses agree to {tolerance:g}")',
    ]
