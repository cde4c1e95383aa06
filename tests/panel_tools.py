"""A session without an engine process: a run in this process is looked at through a real Session."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication

from app.session import Session
from app.widgets.throttle import Throttle
from engine.beliefs import Beliefs, is_belief
from engine.carried import carried
from engine.describe import describe
from engine.frames import Frame, Picture, as_matrix, reduce_extremes
from engine.protocol import Command, LiveChecked
from engine.recipe import Recipe
from engine.run import Run
from engine.shared import shown_tensor
from engine.step_before import StepBefore, changing

DIGITS = {
    "data": {"kind": "digits"},
    "layers": [
        {"kind": "dense", "units": 12},
        {"kind": "relu"},
        {"kind": "dense", "units": 10},
    ],
    "seed": 7,
}


class SilentLink(QObject):
    """Stands where the engine's end would: remembers what was sent to it."""

    received = Signal(object)
    lost = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Command] = []

    def send(self, command: Command) -> None:
        """Remember it."""
        self.sent.append(command)


def let_rest() -> None:
    """Until everything that takes turns has been drawn."""
    end = time.monotonic() + 5
    throttles = [t for w in QApplication.topLevelWidgets() for t in w.findChildren(Throttle) if t.resting]
    while any(throttle.resting for throttle in throttles):
        assert time.monotonic() < end
        QApplication.processEvents()


class Desk:
    """A run, the session that shows it, and what the session would have asked of an engine."""

    def __init__(self, **changes: Any) -> None:
        self.recipe = msgspec.convert({**DIGITS, **changes}, Recipe)
        self.link = SilentLink()
        self.session = Session(self.link, self.recipe)  # type: ignore[arg-type]
        self.report: Any = None
        self.scalars: dict[str, float] = {}  # in place of those of the frame
        self.beliefs = Beliefs()
        self.start()

    def start(self) -> None:
        """A new run of the recipe stands."""
        self.run = Run(self.recipe, health=True)
        self.run.trainer.needs_input_gradient = True
        self.link.received.emit(describe(self.run))

    def step(self, steps: int = 1, **replaced: Any) -> None:
        """Train so many mini-batches, and show the last."""
        for _ in range(steps):
            self.run.step()
        self.show(**replaced)

    def show(self, **replaced: Any) -> None:
        """Show where the run stands; `W0=array` in place of the tensor "0.W" of the picture."""
        history = self.session.history
        history.truncate(min(len(history), len(self.run.history)))
        history.extend(self.run.history.rows(len(history)))
        frame = self.run.trainer.frame()
        stands = Frame(
            frame.position,
            frame.phase,
            frame.epoch,
            frame.batch,
            frame.batches,
            {**frame.scalars, **carried(self.run), **self.scalars},
            self._pictures(replaced),
        )
        self.session.frame = stands
        self.session.shown.emit(stands)
        if not self.session.playing:
            let_rest()

    def check_live(self, *rows: LiveChecked) -> None:
        """The live check says this of some steps; show where the run stands."""
        self.session._note_live(rows)
        self.show()

    def _pictures(self, replaced: dict[str, Any]) -> dict[str, Picture]:
        """What the panels watch, packed as the engine packs it."""
        trainer, found = self.run.trainer, {}
        self.beliefs.begin(trainer, self.session.playing)
        items = [item for items in self.session._watched.values() for item in items]
        changed = {item.address: base for item in items if (base := changing(item.address)) is not None}
        before = StepBefore().find(self.run, changed.values(), again=True)
        minus = {address: before[base] for address, base in changed.items() if base in before}
        for item in items:
            place, _, role = item.address.partition(".")
            if is_belief(item.address):
                believed = self.beliefs.tensor(trainer, item.address, item.rows)
                if believed is not None:
                    found[item.address] = Picture(as_matrix(believed).astype(np.float32), believed.shape, True)
                continue
            array = replaced.get(f"{role}{place}", shown_tensor(self.run, self.report, item, minus))
            if array is None:
                continue
            info = trainer.tensor_infos.get(changing(item.address) or item.address)
            computed = info is None or info.made_by <= trainer.position.phase
            matrix = reduce_extremes(as_matrix(np.asarray(array)), item.rows, item.columns)
            found[item.address] = Picture(matrix.astype(np.float32), array.shape, computed)
        return found

    def sent(self, kind: type[Any]) -> list[Any]:
        """What was asked of the engine, of one kind."""
        return [command for command in self.link.sent if isinstance(command, kind)]
