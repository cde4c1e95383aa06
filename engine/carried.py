"""How large is what layers pass on to each other: the widths of the arrows between them."""

from __future__ import annotations

import math
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from engine.recorder import Recorder
from engine.run import Run
from engine.trainer import Trainer

KINDS = {"y": "rms", "grad_y": "delta", "grad_x": "passed"}


class Passed(NamedTuple):
    """What is passed on at one place."""

    name: str
    address: str
    made_by: int  # index of the phase that computes it
    is_mean: bool
    of_data: bool  # only where backward goes on to the data itself


class Plan(NamedTuple):
    """All that is passed on, and what of it a whole step's row tells already."""

    every: tuple[Passed, ...]
    unmeasured: tuple[Passed, ...]
    measured: tuple[str, ...]
    columns: tuple[int, ...]  # of those in the row


_plans: WeakKeyDictionary[Recorder, Plan] = WeakKeyDictionary()  # made once, asked at every frame


def carried(run: Run) -> dict[str, float]:
    """How large is what is passed on, of all that stands in this mini-batch.

    "rms.data", "rms.3", "rms.3.0": the root mean square of x, of layer 3's y, of y of layer 0 inside a block.
    "delta.data", "delta.3", "delta.3.0": ‖grad_x‖ of the data, ‖grad_y‖ of the same layers.
    "passed.3.0", "passed.3.skip": ‖grad_x‖ that the two ways through a block bring back.
    """
    trainer, row, found = run.trainer, run.recorder.measured, {}
    plan = _plans.get(run.recorder)
    if plan is None:
        plan = _plans[run.recorder] = _plan(trainer, run.recorder.columns)
    if row is not None:
        found = dict(zip(plan.measured, row.take(plan.columns).tolist(), strict=True))
    now, to_data = trainer.position.phase, trainer.has_input_gradient
    with np.errstate(all="ignore"):
        for name, address, made_by, is_mean, of_data in plan.every if row is None else plan.unmeasured:
            if made_by > now or (of_data and not to_data):
                continue
            array = trainer.tensor(address)
            if array is not None:
                flat = array.reshape(-1)
                size = float(flat.dot(flat))
                found[name] = math.sqrt(size / len(flat) if is_mean else size)  # of NaN it is NaN
    return found


def _plan(trainer: Trainer, columns: list[str]) -> Plan:
    """What `carried` names; `columns` are those of a row."""
    infos = trainer.tensor_infos
    addresses = {"rms.data": "data.x", "delta.data": "0.grad_x"}
    for address in infos:
        place, _, role = address.rpartition(".")
        if role in KINDS and place != "loss" and (role != "grad_x" or "." in place):
            addresses[f"{KINDS[role]}.{place}"] = address
    every = tuple(
        Passed(name, a, infos[a].made_by, name.startswith("rms"), a.startswith("0.") and a.endswith("grad_x"))
        for name, a in addresses.items()
    )
    measured = tuple(name for name in addresses if name in columns)
    unmeasured = tuple(passed for passed in every if passed.name not in measured)
    return Plan(every, unmeasured, measured, tuple(columns.index(name) for name in measured))
