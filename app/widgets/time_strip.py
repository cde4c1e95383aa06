"""The steps of a run as a track one can drag along: keyframes, changes, forks, and where one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from app import theme as themes
from app.widgets.curve_data import Array
from app.widgets.numbers import count
from app.widgets.telling_strip import TellingStrip

import pyqtgraph as pg  # isort: skip  (after PySide6, or it may choose another Qt)

EDGE = 9.0  # pixels left and right of the track: half of the handle
NEAR = 6.0  # pixels within which a mark is pointed at
PAGES = 10  # of which Page Up and Page Down move one


@dataclass(frozen=True)
class Mark:
    """Something that happened at a step."""

    step: int
    text: str
    colour: str  # of the theme


@dataclass(frozen=True)
class Track:
    """All that the strip shows but the cursor; `first` and `tip` are its ends, in whole steps."""

    first: int = 0
    tip: int = 0
    keyframes: tuple[int, ...] = ()
    marks: tuple[Mark, ...] = ()
    doubtful_from: int | None = None
    colour: QColor | None = None


class TimeStrip(TellingStrip):
    """Press, drag, turn the wheel or use the keys: each asks for a step by `sought`."""

    key_help: ClassVar = (
        ("Home, End", "The first step, the last"),
        ("Page Up, Page Down", "A tenth of it back, on"),
    )

    sought = Signal(int)
    pointed = Signal(object)  # the step under the pointer, None for none
    own_keys = (Qt.Key.Key_Home, Qt.Key.Key_End, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._track = Track()
        self._cursor = 0
        self._pointed: int | None = None
        self._curve: Array = np.zeros(0)
        self.setAccessibleName("timeline")
        self.setToolTip("")
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 22)

    def show_track(self, track: Track) -> None:
        """Show these ends and marks."""
        if track != self._track:
            self._track = track
            self.update()

    def show_cursor(self, step: int, *, at_once: bool = True) -> None:
        """Where one is; seen `at_once`, or with the next track."""
        if step != self._cursor:
            self._cursor = step
            self.setAccessibleDescription(f"step {count(step)} of {count(self._track.tip)}")
            if at_once:
                self.update()

    def show_pointed(self, step: int | None) -> None:
        """A line at the step that is pointed at in a plot, or none."""
        if step != self._pointed:
            self._pointed = step
            self.update()

    def show_curve(self, heights: Array) -> None:
        """A faint curve behind the track: heights between 0 and 1 at equal distances from end to end, NaN for gaps."""
        self._curve = heights
        self.update()

    def sizeHint(self) -> QSize:
        """As high as two lines of text."""
        return QSize(400, 2 * self.fontMetrics().height())

    # --- places -------------------------------------------------------------------------------

    def x_of(self, step: Any) -> Any:
        """Where a step is drawn, or an array of steps."""
        track, width = self._track, self.width() - 2 * EDGE
        return EDGE + width * (step - track.first) / max(track.tip - track.first, 1)

    def step_at(self, x: float) -> int:
        """The step drawn at a place."""
        track, width = self._track, max(self.width() - 2 * EDGE, 1.0)
        step = track.first + round((x - EDGE) / width * (track.tip - track.first))
        return min(max(step, track.first), track.tip)

    # --- painting -----------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """The curve, the track with what has gone by in colour, marks, and the handle."""
        theme, painter, track = themes.current(), QPainter(self), self._track
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle, here = self.height() / 2, self.x_of(min(self._cursor, track.tip))
        colour = track.colour or theme.color("forward")
        self._paint_curve(painter, colour)
        rail = QRectF(EDGE, middle - 2.5, self.width() - 2 * EDGE, 5)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("line"))
        painter.drawRoundedRect(rail, 2.5, 2.5)
        painter.setBrush(colour)
        painter.drawRoundedRect(QRectF(EDGE, middle - 2.5, max(here - EDGE, 0), 5), 2.5, 2.5)
        if track.doubtful_from is not None:
            start = self.x_of(track.doubtful_from)
            painter.setBrush(QBrush(theme.color("bad"), Qt.BrushStyle.BDiagPattern))
            painter.drawRect(QRectF(start, middle - 6, max(self.width() - EDGE - start, 2), 12))
        painter.setPen(QPen(theme.color("muted"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        ticks = np.unique(np.rint(self.x_of(np.array(track.keyframes, np.float64)))) + 0.5
        ends = np.tile((middle + 5, middle + 8), len(ticks))
        painter.drawPath(pg.functions.arrayToQPath(np.repeat(ticks, 2), ends, connect="pairs"))
        for mark in track.marks:
            self._paint_mark(painter, self.x_of(mark.step), middle, theme.color(mark.colour))
        if self._pointed is not None and track.first <= self._pointed <= track.tip:
            x = self.x_of(self._pointed)
            painter.setPen(QPen(theme.color("muted"), 1))
            painter.drawLine(QLineF(x, 0, x, self.height()))
        painter.setPen(QPen(theme.color("panel"), 2))
        painter.setBrush(theme.color("text" if not self.hasFocus() else "forward"))
        painter.drawEllipse(QPointF(here, middle), 7, 7)

    def _paint_mark(self, painter: QPainter, x: float, middle: float, colour: QColor) -> None:
        painter.setPen(QPen(themes.current().color("panel"), 1))
        painter.setBrush(colour)
        painter.drawPolygon(
            QPolygonF([QPointF(x - 4.5, middle - 11), QPointF(x + 4.5, middle - 11), QPointF(x, middle - 3)])
        )

    def _paint_curve(self, painter: QPainter, colour: QColor) -> None:
        finite = np.flatnonzero(np.isfinite(self._curve))
        if len(finite) < 2:
            return
        x = EDGE + (self.width() - 2 * EDGE) * finite / (len(self._curve) - 1)
        y = self.height() - 2 - (self.height() - 4) * self._curve[finite]
        faint = QColor(colour)
        faint.setAlpha(70)
        painter.setPen(QPen(faint, 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(pg.functions.arrayToQPolygonF(x, y))

    # --- the user -----------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go there."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.sought.emit(self.step_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go along, or tell of the step there."""
        self.pointed.emit(self.step_at(event.position().x()))
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.sought.emit(self.step_at(event.position().x()))

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is pointed at."""
        self.pointed.emit(None)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """A step for each notch."""
        turned = event.angleDelta().y() or -event.angleDelta().x()
        if turned:
            self._move(-1 if turned > 0 else 1)
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Home and End, Page Up and Page Down."""
        track = self._track
        page = max((track.tip - track.first) // PAGES, 1)
        ends = {Qt.Key.Key_Home: track.first, Qt.Key.Key_End: track.tip}
        moves = {Qt.Key.Key_PageUp: -page, Qt.Key.Key_PageDown: page}
        key = Qt.Key(event.key())
        if key in ends:
            self.sought.emit(ends[key])
        elif key in moves:
            self._move(moves[key])
        else:
            event.ignore()

    def _move(self, steps: int) -> None:
        self.sought.emit(min(max(self._cursor + steps, self._track.first), self._track.tip))

    def tell(self, x: float) -> str:
        """The step at a place, and what happened near it."""
        near = [mark for mark in self._track.marks if abs(self.x_of(mark.step) - x) <= NEAR]
        lines = [f"step {count(mark.step)}: {mark.text}" for mark in near[:8]]
        doubtful = self._track.doubtful_from
        if doubtful is not None and self.step_at(x) >= doubtful:
            lines.append(f"from step {count(doubtful)} on, what is replayed differs from what was computed first")
        return "\n".join(lines) or f"step {count(self.step_at(x))}: drag to go there, turn the wheel for one step"
