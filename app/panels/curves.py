"""The loss & accuracy panel: both over the steps, of the training mini-batches and of the validation data."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.panel import Panel
from app.session import Session
from app.widgets.curve_data import Array, Dense, Read, Sparse
from app.widgets.fork_colours import fork_place
from app.widgets.key import Key, KeyRow
from app.widgets.numbers import NONE, count, figures, no_number, percent
from app.widgets.throttle import Throttle
from engine.frames import Frame
from engine.protocol import Built, Paths

if TYPE_CHECKING:
    from app.widgets.plot import StepPlot
    from app.widgets.series import Overlay

READINGS = 5.0  # of the values a second: nobody reads more
PENALTY, VALIDATION = 1, 2  # places in the theme's series; training has that of its fork


class CurvesPanel(Panel):
    """Training is a line through every mini-batch; validation has a dot wherever it was measured.

    The loss is the data's alone: what L1 and L2 penalties add is a line of its own.
    """

    title: ClassVar[str] = "Loss & accuracy"
    hint: ClassVar[str] = (
        "What training lowers, step by step, and the share it gets right; validation is data it never trains on. "
        "Point at a step to read its exact values, zoom with the wheel, see all with a double click."
    )
    area: ClassVar[Literal["left", "centre", "right", "bottom"]] = "bottom"
    late: ClassVar[bool] = True
    order: ClassVar[int] = 0

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        from app.widgets.plot import StepPlot  # here, since pyqtgraph takes as long to import as all else at the start

        super().__init__(session, parent)
        self.loss = StepPlot("from zero", "loss over steps", "no step yet")
        self.accuracy = StepPlot("percent", "accuracy over steps", "")
        self.key = Key(value_text="0.000000")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 0, 6, 4)
        layout.setSpacing(8)
        layout.addWidget(self.loss, 3)
        layout.addWidget(self.accuracy, 2)
        layout.addWidget(self.key)
        self._throttles = (
            Throttle(self._redraw_loss, self, takes_turns=True),
            Throttle(self._redraw_accuracy, self, takes_turns=True),
        )
        self._values = Throttle(self._read_values, self, READINGS, takes_turns=True)
        self._drawn: object = None
        self._paths: object = None
        for plot in self._plots:
            plot.pointed.connect(partial(self._point, plot))
            plot.clicked.connect(session.seek)
        session.paths_changed.connect(self._on_paths)
        session.pointed_changed.connect(self._on_pointed)

    def _point(self, plot: StepPlot) -> None:
        self.session.point(plot.step)

    def _on_pointed(self, step: int | None) -> None:
        """A step is pointed at, here or in another plot."""
        for plot in self._plots:
            plot.show_pointed(step)
        self._read_values()

    @property
    def _plots(self) -> tuple[StepPlot, StepPlot]:
        return self.loss, self.accuracy

    def build(self, network: Built) -> None:
        """New curves for a new network; no accuracy where there are no classes."""
        self._drawn = None
        from app.widgets.series import Series  # as above

        has_classes = "data.labels" in network.tensors
        rows: list[KeyRow] = []
        for plot, column in zip(self._plots, ("loss", "accuracy"), strict=True):
            train = Series("train", Dense(self._read(column)), fork_place(self.session.fork))
            validation = Series("validation", Sparse(self._read(f"validation_{column}")), VALIDATION, markers=True)
            shown: tuple[Series, ...] = (train, validation) if plot is self.loss or has_classes else ()
            if plot is self.loss and any(".penalty_" in address for address in network.tensors):
                shown += (Series("penalty", Dense(self._read("penalty")), PENALTY),)
            plot.set_series(shown)
            plot.set_overlays(self._others(column) if shown else ())
            rows += [s.key_row() for s in shown]
        self.accuracy.setVisible(has_classes)
        self.key.set_rows(tuple(rows))
        self._redraw_accuracy()
        self._redraw_loss()

    def _read(self, column: str, fork: int | None = None) -> Read:
        """A quantity on the present path, or on a fork."""
        history = self.session.history if fork is None else self.session.histories[fork]
        place = history.columns.index(column)
        scale = 100.0 if column.endswith("accuracy") else 1.0

        def read(first: int, last: int) -> Array:
            return scale * history.read((place,), first, last)[0]

        return read

    def _others(self, column: str) -> tuple[Overlay, ...]:
        """The same quantity on all other paths."""
        from app.widgets.series import Overlay  # as above

        return tuple(
            Overlay(name, fork_place(number), Dense(self._read(column, number)), length)
            for number, name, length in self.session.other_paths()
            if column in self.session.histories[number].columns
        )

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
        for plot in self._plots:
            plot.show_position(session.cursor)
        for throttle in self._throttles:
            throttle.ask()

    def hideEvent(self, event: QHideEvent) -> None:
        """What is not seen is not drawn, but caught up with."""
        super().hideEvent(event)
        self._drawn = None
        for throttle in (*self._throttles, self._values):
            throttle.stop()

    def _redraw_accuracy(self) -> None:
        self.accuracy.redraw(len(self.session.history))

    def _redraw_loss(self) -> None:
        """The loss, and the numbers of both."""
        length = len(self.session.history)
        for series in self.accuracy.series:
            series.source.update(length)
        self.loss.redraw(length)
        self.loss.mark_steps(self.session.live.failed)
        self._mark_loss()
        self._values.ask(at_once=not self.session.playing)
        self.status_changed.emit(self._status(self.session.cursor or length))

    def _mark_loss(self) -> None:
        """Say from which step on the loss is no number."""
        source = self.loss.series[0].source if self.loss.series else None
        step = source.lost_at if isinstance(source, Dense) else None
        text = ""
        if source is not None and step is not None:
            text = f"loss is {no_number(source.at(step)[1])} from step {count(step)}"
        self.loss.mark_loss(step, text)

    def _status(self, length: int) -> str:
        """Such as "loss 0.4721 · train 89.1 % · validation 91.0 %", of the last step."""
        if not length or not self.loss.series:
            return ""
        parts = [f"loss {figures(self.loss.series[0].source.at(length)[1])}"]
        for series in self.accuracy.series:
            share = series.source.at(length)[1] / 100
            parts += [f"{series.name} {percent(share)}"] if math.isfinite(share) else []
        return " · ".join(parts)

    def _read_values(self) -> None:
        """The values of the step pointed at in either plot; else of the last step."""
        step = self.loss.step or self.accuracy.step or self.session.cursor or len(self.session.history)
        texts: list[str] = []
        for plot in self._plots:
            for series in plot.series:
                value = series.source.at(step)[1]
                missing = not step or (series.markers and math.isnan(value))
                texts.append(NONE if missing else figures(value, 6) if plot is self.loss else percent(value / 100))
        self.key.set_values(f"step {count(step)}" if step else "", tuple(texts))
