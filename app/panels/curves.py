"""The loss & accuracy panel: both over the steps, of the training mini-batches and of the validation data."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.panel import Panel
from app.session import Session
from app.widgets.curve_data import Array, Dense, Read, Sparse
from app.widgets.keyed_plot import KeyedPlot
from app.widgets.numbers import count, figures, no_number, percent
from app.widgets.plot import StepPlot
from app.widgets.throttle import Throttle
from engine.frames import Frame
from engine.protocol import Built


class Curves(Panel):
    """Training is a line through every mini-batch; validation has a dot wherever it was measured."""

    title: ClassVar[str] = "Loss & accuracy"
    hint: ClassVar[str] = (
        "What training lowers, step by step, and the share it gets right; validation is data it never trains on. "
        "Point at a step to read its exact values, zoom with the wheel, see all with a double click."
    )
    area: ClassVar[Literal["left", "centre", "right", "bottom"]] = "bottom"
    order: ClassVar[int] = 0

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        loss = StepPlot("from zero", "loss over steps", "the loss appears with the first mini-batch")
        accuracy = StepPlot("percent", "accuracy over steps", "and so does the accuracy")
        self.loss = KeyedPlot(loss, "loss", "0.000000")
        self.accuracy = KeyedPlot(accuracy, "accuracy", "100.0 %", below=True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 0, 6, 4)
        layout.setSpacing(8)
        layout.addWidget(self.loss, 3)
        layout.addWidget(self.accuracy, 2)
        self._has_accuracy = False
        self._throttle = Throttle(self._redraw, self)
        for plot in (loss, accuracy):
            plot.pointed.connect(self._read_values)

    def build(self, network: Built) -> None:
        """New curves for a new network; no accuracy where there are no classes."""
        self._has_accuracy = "data.labels" in network.tensors
        self.loss.set_sources(Dense(self._read("loss")), Sparse(self._read("validation_loss")))
        self.accuracy.set_sources(Dense(self._read("accuracy")), Sparse(self._read("validation_accuracy")))
        self.accuracy.setVisible(self._has_accuracy)
        self._redraw()

    def _read(self, column: str) -> Read:
        history = self.session.history
        place = history.columns.index(column)
        scale = 100.0 if column.endswith("accuracy") else 1.0

        def read(first: int, last: int) -> Array:
            return scale * history.rows(first, last)[:, place]

        return read

    def draw(self, frame: Frame) -> None:
        """While playing, redraw as often as one can read; else at once."""
        self._throttle.ask(at_once=not self.session.playing)

    def hideEvent(self, event: QHideEvent) -> None:
        """What is not seen is not drawn."""
        super().hideEvent(event)
        self._throttle.stop()

    def _redraw(self) -> None:
        length = len(self.session.history)
        self.loss.plot.redraw(length)
        if self._has_accuracy:
            self.accuracy.plot.redraw(length)
        self._mark_loss()
        self._read_values()
        self.status_changed.emit(self._status(length))

    def _mark_loss(self) -> None:
        """Say from which step on the loss is no number."""
        source = self.loss.plot.series[0].source
        step = source.lost_at if isinstance(source, Dense) else None
        text = f"loss is {no_number(source.at(step)[1])} from step {count(step)}" if step else ""
        self.loss.plot.mark_loss(step, text)

    def _status(self, length: int) -> str:
        """Such as "loss 0.4721 · train 89.1 % · validation 91.0 %", of the last step."""
        if not length:
            return ""
        parts = [f"loss {figures(self.loss.value(0, length)[1])}"]
        if self._has_accuracy:
            for number, name in enumerate(("train", "validation")):
                share = self.accuracy.value(number, length)[1] / 100
                parts += [f"{name} {percent(share)}"] if math.isfinite(share) else []
        return " · ".join(parts)

    def _read_values(self) -> None:
        """The values of the step pointed at in either plot; else of the last step."""
        step = self.loss.plot.step or self.accuracy.plot.step or len(self.session.history)
        self.loss.show_values(step, lambda value: figures(value, 6))
        self.accuracy.show_values(step, lambda value: percent(value / 100))
