"""The loss & accuracy panel: both over the steps, of the training mini-batches and of the validation data."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QWidget

from app.panel import Panel
from app.session import Session
from app.widgets.curve_data import Array, Dense, Read, Sparse
from app.widgets.fork_colours import fork_place
from app.widgets.key import Key
from app.widgets.numbers import NONE, count, figures, no_number, percent
from app.widgets.quiet_choice import quiet_choice
from app.widgets.smoothing import WIDTHS, mean_of
from app.widgets.throttle import Throttle
from engine.frames import Frame
from engine.protocol import Built, Paths

if TYPE_CHECKING:
    from app.widgets.plot import StepPlot
    from app.widgets.series import Overlay, Series

READINGS = 5.0  # of the values a second: nobody reads more
TITLES, LONGEST = ("loss", "accuracy"), ("0.00e+000", "100.0 %")
LETTERS = 11  # of the mean chosen that are seen
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
        self.key = Key(LONGEST, TITLES)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 0, 4, 4)
        layout.setSpacing(4)
        layout.addWidget(self.loss, 1)
        layout.addWidget(self.accuracy, 1)
        layout.addWidget(self.key)
        self.tools = self._tools()
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
        session.smoothing_changed.connect(self._on_smoothing)
        session.loss_on_log_changed.connect(self._on_loss_on_log)

    def _tools(self) -> QWidget:
        """The mean, and the scale of the loss."""
        tools = QWidget(self)
        row = QHBoxLayout(tools)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3)
        self.log = QToolButton(tools)
        self.log.setText("log")
        self.log.setCheckable(True)
        self.log.setProperty("role", "tool")
        self.log.setAccessibleName("loss on a log scale")
        self.log.setToolTip("The loss on a log scale, so that one that explodes can be read, or from zero  (Ctrl+L)")
        self.log.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.log.toggled.connect(self.session.set_loss_on_log)
        row.addWidget(self._smoothing())
        row.addWidget(self.log)
        self._on_loss_on_log(self.session.loss_on_log)
        return tools

    def _on_loss_on_log(self, log: bool) -> None:
        """Chosen here or by its key."""
        self.log.setChecked(log)
        self.loss.set_scale("log" if log else "from zero")
        self.loss.setAccessibleName("loss over steps, on a log scale" if log else "loss over steps")
        self._mark_loss()

    def _smoothing(self) -> QComboBox:
        texts = [f"mean of {width}" if width else "every step" for width in WIDTHS]
        tip = "Lay the mean over so many steps over the curves, which stay behind it  (Ctrl+M)"
        self.choice = quiet_choice(self, texts, LETTERS, "smoothing", tip)
        self.choice.setCurrentIndex(WIDTHS.index(self.session.smoothing))
        self.choice.currentIndexChanged.connect(lambda index: self.session.smooth(WIDTHS[index]))
        return self.choice

    def _on_smoothing(self, steps: int) -> None:
        """Chosen here or by its key."""
        self.choice.setCurrentIndex(WIDTHS.index(steps))
        if self.session.network is not None:
            self.build(self.session.network)

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
        has_classes = "data.labels" in network.tensors
        for plot, column in zip(self._plots, ("loss", "accuracy"), strict=True):
            shown = self._series(column, network) if plot is self.loss or has_classes else ()
            plot.set_overlays(self._others(column) if shown else ())
            plot.set_series(shown, len(self.session.history))
        self.accuracy.setVisible(has_classes)
        rows = {s.name: s.key_row() for plot in self._plots for s in plot.series}
        plots = 2 if has_classes else 1
        self.key.set_titles(TITLES[:plots], LONGEST[:plots])
        self.key.set_rows(tuple(rows.values()))
        self._tell()

    def _series(self, column: str, network: Built) -> tuple[Series, ...]:
        """Of the present path: every step, the mean over some, validation, and what penalties add to the loss."""
        from app.widgets.series import Series  # as above

        colour, width, read = fork_place(self.session.fork), self.session.smoothing, self._read(column)
        shown = [Series("train", Dense(read), colour, weight="faint" if width else "plain")]
        if width:
            shown.append(Series(f"mean {width}", mean_of(read, width), colour, weight="strong"))
        known = Sparse(self._read(f"validation_{column}"))
        shown.append(Series("validation", known, VALIDATION, markers=True))
        if column == "loss" and any(".penalty_" in address for address in network.tensors):
            shown.append(Series("penalty", Dense(self._read("penalty")), PENALTY))
        return tuple(shown)

    def _read(self, column: str, fork: int | None = None) -> Read:
        """A quantity on the present path, or on a fork."""
        history = self.session.history if fork is None else self.session.histories[fork]
        place = history.columns.index(column)
        scale = 100.0 if column.endswith("accuracy") else 1.0

        def read(first: int, last: int) -> Array:
            return np.asarray(scale * history.read((place,), first, last)[0])

        return read

    def _others(self, column: str) -> tuple[Overlay, ...]:
        """The same quantity on all other paths, in training and in validation."""
        from app.widgets.series import Overlay  # as above

        found = []
        for number, name, length in self.session.other_paths():
            history, width = self.session.histories[number], self.session.smoothing
            if column in history.columns:
                read, reads = self._read(column, number), (history, width)
                mean = mean_of(read, width) if width else None
                known = Sparse(self._read(f"validation_{column}", number))
                found.append(Overlay(name, fork_place(number), reads, Dense(read), length, mean, known))
        return tuple(found)

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

    def rest(self) -> None:
        """What is not seen is not drawn, but caught up with."""
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
        self._tell()

    def _tell(self) -> None:
        """Marks, the numbers, and how the loss stands."""
        self.loss.mark_steps(self.session.live.failed)
        self._mark_loss()
        self._values.ask(at_once=not self.session.playing)
        self.status_changed.emit(self._status(self.session.cursor or self.loss.length))

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
            plain = series.weight != "strong" and math.isfinite(share)
            parts += [f"{series.name} {percent(share)}"] if plain else []
        return " · ".join(parts)

    def _read_values(self) -> None:
        """The values of the step pointed at in either plot; else of the last step."""
        taken_in = self.loss.length  # while it plays there are more steps than that
        step = self.loss.step or self.accuracy.step or self.session.cursor or taken_in
        texts: dict[str, list[str]] = {series.name: [] for plot in self._plots for series in plot.series}
        for plot in self._plots if self.accuracy.series else (self.loss,):
            told = {series.name: self._told(series, step) for series in plot.series}
            for name, of in texts.items():
                of.append(told.get(name, ""))
        self.key.set_values(f"step {count(step)}" if step else "", tuple(map(tuple, texts.values())))

    def _told(self, series: Series, step: int) -> str:
        """The value of a curve at a step: of every step the exact one."""
        value = series.source.at(step)[1]
        if not step or (series.markers and math.isnan(value)):
            return NONE
        return figures(value, 6) if series in self.loss.series else percent(value / 100)
