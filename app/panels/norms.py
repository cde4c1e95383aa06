"""The norms panel: one curve a layer or tensor over the steps, on a log scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from app.panel import Panel
from app.session import Session
from app.widgets.curve_data import Array, Dense, Read, Row
from app.widgets.fork_colours import fork_place
from app.widgets.key import Key
from app.widgets.numbers import NONE, count, exponent, ratio
from app.widgets.quantities import PER_LAYER, QUANTITIES, norms
from app.widgets.quiet_choice import quiet_choice
from app.widgets.throttle import Throttle
from engine.frames import Frame
from engine.protocol import Built, Paths

if TYPE_CHECKING:
    from app.widgets.series import Overlay

LETTERS = 18  # of the quantity chosen that are seen
READINGS = 5.0  # of the values a second: nobody reads more


class NormsPanel(Panel):
    """The norm over all of a layer's parameter gradients, or another quantity, each curve tagged at its end."""

    title: ClassVar[str] = "Norms"
    hint: ClassVar[str] = (
        "How large the gradients of each layer's parameters are at every step, on a log scale, or what you choose. "
        "Curves far below the others are layers that hardly learn; a gap is a norm of zero or of no number."
    )
    area: ClassVar[Literal["left", "centre", "right", "bottom"]] = "bottom"
    late: ClassVar[bool] = True
    order: ClassVar[int] = 1

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        from app.widgets.plot import StepPlot  # here, since pyqtgraph takes as long to import as all else at the start

        super().__init__(session, parent)
        self.plot = StepPlot("log", "gradient norm per layer over steps", "no step yet")
        self.key = Key(("0.00e-00",))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 0, 6, 4)
        layout.setSpacing(8)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.key)
        self.tools = self._choice()
        self._throttle = Throttle(self._redraw, self, takes_turns=True)
        self._values = Throttle(self._read_values, self, READINGS, takes_turns=True)
        self._drawn: object = None
        self._paths: object = None
        self.plot.pointed.connect(lambda: session.point(self.plot.step))
        session.pointed_changed.connect(self._on_pointed)
        self.plot.clicked.connect(session.seek)
        session.paths_changed.connect(self._on_paths)

    def _choice(self) -> QComboBox:
        self.choice = quiet_choice(self, list(QUANTITIES), LETTERS, "quantity", "What is drawn over the steps")
        self.choice.currentTextChanged.connect(self._on_choice)
        return self.choice

    def build(self, network: Built) -> None:
        """A curve for each layer or tensor; of other paths one for all layers together."""
        self._drawn = None
        from app.widgets.series import Series  # as above

        quantity = self.choice.currentText()
        lines = QUANTITIES[quantity](network, self.session.history)
        table = Dense(lines.read)  # all curves at once
        named = enumerate(zip(lines.names, lines.tags, strict=True))
        series = tuple(Series(name, Row(table, number), number, tag=tag) for number, (name, tag) in named)
        self.plot.set_overlays(self._others() if quantity == PER_LAYER else ())
        self.plot.set_series(series, len(self.session.history))
        self.plot.setAccessibleName(f"{quantity} over steps")
        self.key.set_rows(tuple(s.key_row() for s in series))
        self._tell()

    def _on_choice(self, _: str) -> None:
        if self.session.network is not None:
            self.build(self.session.network)

    def _on_pointed(self, step: int | None) -> None:
        """A step is pointed at, here or in another plot."""
        self.plot.show_pointed(step)
        self._read_values()

    def _others(self) -> tuple[Overlay, ...]:
        """The norm of all gradients on all other paths, and then on this one too."""
        from app.widgets.series import Overlay  # as above

        others = self.session.other_paths(and_this=True)
        return tuple(
            Overlay(name, fork_place(number), (self.session.histories[number],), Dense(self._read_all(number)), length)
            for number, name, length in others
            if self._gradients(number)  # a network whose layers are all off has none
        )

    def _gradients(self, fork: int) -> list[str]:
        """The columns with the norms of gradients on a path."""
        return [name for name in self.session.histories[fork].columns if name.startswith("gradient.")]

    def _read_all(self, fork: int) -> Read:
        """The norm of all gradients on a path."""
        together = norms(self.session.histories[fork], [self._gradients(fork)])

        def read(first: int, last: int) -> Array:
            return np.asarray(together(first, last)[0])

        return read

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

    def rest(self) -> None:
        """What is not seen is not drawn, but caught up with."""
        self._drawn = None
        self._throttle.stop()
        self._values.stop()

    def _redraw(self) -> None:
        self.plot.redraw(len(self.session.history))
        self._tell()

    def _tell(self) -> None:
        """Marks and numbers."""
        self.plot.mark_steps(self.session.live.failed)
        self._values.ask(at_once=not self.session.playing)

    def _read_values(self) -> None:
        """The norms of the step pointed at; else of the last step."""
        step = self.plot.step or self.session.cursor or self.plot.length
        values = [s.source.at(step)[1] for s in self.plot.series]
        texts = tuple((exponent(v) if step else NONE,) for v in values)
        self.key.set_values(f"step {count(step)}" if step else "", texts)
        finite = [v for v in values if math.isfinite(v) and v > 0]
        spread = f"largest / smallest {ratio(max(finite) / min(finite))}" if len(finite) > 1 else ""
        self.status_changed.emit("log" + (f" · {spread}" if spread else ""))
