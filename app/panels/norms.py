"""The gradient norm panel: one curve a layer over the steps, on a log scale."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.panel import Panel
from app.session import Session
from app.widgets.curve_data import Array, Dense, Read
from app.widgets.fork_colours import fork_place
from app.widgets.key import Key
from app.widgets.numbers import NONE, count, exponent, ratio
from app.widgets.throttle import Throttle
from engine.frames import Frame
from engine.protocol import Built, Paths
from engine.timeline import Timeline

if TYPE_CHECKING:
    from app.widgets.series import Overlay

REDRAWS = 12.0  # a second; fewer where there are many curves


class NormsPanel(Panel):
    """The norm over all of a layer's parameter gradients, tagged at its end with the layer's number."""

    title: ClassVar[str] = "Gradient norm per layer"
    hint: ClassVar[str] = (
        "How large the gradients of each layer's parameters are at every step, on a log scale. "
        "Curves far below the others are layers that hardly learn; a gap is a norm of zero or of no number."
    )
    area: ClassVar[Literal["left", "centre", "right", "bottom"]] = "bottom"
    late: ClassVar[bool] = True
    order: ClassVar[int] = 1

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        from app.widgets.plot import StepPlot  # here, since pyqtgraph takes as long to import as all else at the start

        super().__init__(session, parent)
        self.plot = StepPlot("log", "gradient norm per layer over steps", "no step yet")
        self.key = Key(value_text="0.00e-00")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 0, 6, 4)
        layout.setSpacing(8)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.key)
        self._throttle = Throttle(self._redraw, self, REDRAWS, takes_turns=True)
        self._drawn: object = None
        self._paths: object = None
        self.plot.pointed.connect(self._read_values)
        self.plot.clicked.connect(session.seek)
        session.paths_changed.connect(self._on_paths)

    def build(self, network: Built) -> None:
        """A curve for each layer that has parameters; of other paths one for all layers together."""
        self._drawn = None
        from app.widgets.plot import FEW_CURVES  # as above
        from app.widgets.series import Series

        layers = [(i, layer) for i, layer in enumerate(network.layers) if layer.parameters]
        series = tuple(
            Series(f"{i} {layer.title}", Dense(self._read(i, tuple(layer.parameters))), number, tag=str(i))
            for number, (i, layer) in enumerate(layers)
        )
        self.plot.set_series(series)
        self.plot.set_overlays(self._others())
        self.key.set_rows(tuple(s.key_row() for s in series))
        self._throttle.set_rate(REDRAWS * min(1.0, FEW_CURVES / max(len(series), 1)))
        self._redraw()

    def _read(self, layer: int, roles: tuple[str, ...]) -> Read:
        """√ of the sum of the squared norms of the layer's gradients, with the column of each."""
        history = self.session.history
        places = [history.columns.index(f"gradient.{layer}.{role}") for role in roles]
        return partial(together, history, places)

    def _others(self) -> tuple[Overlay, ...]:
        """The norm of all gradients on all other paths, and then on this one too."""
        from app.widgets.series import Overlay  # as above

        others = self.session.other_paths(and_this=True)
        return tuple(
            Overlay(name, fork_place(number), Dense(self._read_all(number)), length) for number, name, length in others
        )

    def _read_all(self, fork: int) -> Read:
        history = self.session.histories[fork]
        places = [i for i, name in enumerate(history.columns) if name.startswith("gradient.")]
        return partial(together, history, places)

    def _on_paths(self, _: Paths) -> None:
        """Another path, or another name of one: other curves."""
        network, paths = self.session.network, self.session.path_names
        if network is not None and paths != self._paths:
            self._paths = paths
            self.build(network)

    def draw(self, frame: Frame) -> None:
        """Redraw where there is something new, as often as one can read, after what one steps through."""
        session = self.session
        state = session.fork, len(session.history), frame.step, len(session.live)
        if state == self._drawn and not session.playing:
            return
        self._drawn = state
        self.plot.show_position(session.cursor)
        self._throttle.ask()

    def hideEvent(self, event: QHideEvent) -> None:
        """What is not seen is not drawn, but caught up with."""
        super().hideEvent(event)
        self._drawn = None
        self._throttle.stop()

    def _redraw(self) -> None:
        self.plot.redraw(len(self.session.history))
        self.plot.mark_steps(self.session.live.failed)
        self._read_values()

    def _read_values(self) -> None:
        """The norms of the step pointed at; else of the last step."""
        step = self.plot.step or self.session.cursor or len(self.session.history)
        values = [s.source.at(step)[1] for s in self.plot.series]
        texts = tuple(exponent(v) if step else NONE for v in values)
        self.key.set_values(f"step {count(step)}" if step else "", texts)
        finite = [v for v in values if math.isfinite(v) and v > 0]
        spread = f"largest / smallest {ratio(max(finite) / min(finite))}" if len(finite) > 1 else ""
        self.status_changed.emit("log" + (f" · {spread}" if spread else ""))


def together(history: Timeline, places: list[int], first: int, last: int) -> Array:
    """√ of the sum of squares of some columns, in rows first … last − 1."""
    rows = history.rows(first, last)
    if len(places) == 1:
        return np.asarray(rows[:, places[0]])
    with np.errstate(all="ignore"):
        return np.asarray(np.hypot.reduce(rows[:, places], axis=1))
