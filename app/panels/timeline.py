"""The timeline panel: the whole run as a strip to move along, the phases of the mini-batch, forks, and the memory."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QGridLayout, QLineEdit, QSizePolicy, QWidget

from app import theme
from app.fork_menu import ForkButton
from app.memory_button import MemoryButton
from app.panel import Area, Panel
from app.session import Session
from app.widgets.curve_data import Array
from app.widgets.fork_colours import fork_colour
from app.widgets.numbers import count
from app.widgets.phase_strip import PhaseStrip
from app.widgets.text_line import TextLine
from app.widgets.throttle import Throttle
from app.widgets.time_strip import Mark, TimeStrip, Track
from engine.frames import Frame
from engine.protocol import Built, Paths, Stopped

BINS = 300  # points of the faint curve
REDRAWS = 8.0  # of it a second
MOST_STOPS = 200  # breakpoints hit that are marked


class TimelinePanel(Panel):
    """Drag, type a step, or turn the wheel: any mini-batch is shown again, exactly."""

    title: ClassVar[str] = "Timeline"
    hint: ClassVar[str] = (
        "The run from its first step to the last one computed: drag along it, or type a step. "
        "Below it, the phases of this mini-batch; forks are paths that leave the past."
    )
    area: ClassVar[Area] = "strip"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.step = QLineEdit(self)
        self.of = TextLine("", self, colour="muted")
        self.strip, self.phases = TimeStrip(self), PhaseStrip(self)
        self.forks, self.memory = ForkButton(session, self), MemoryButton(session, self)
        self._wanted: int | None = None  # where a drag has come to while the last answer is out
        self._asked = False
        self._stops: list[Mark] = []
        self._throttle = Throttle(self._draw_curve, self, REDRAWS, takes_turns=True)
        self._texts = Throttle(self._tell_step, self)
        self._lay_out()
        self.strip.sought.connect(self._seek)
        self.phases.sought.connect(self._seek_phase)
        self.step.returnPressed.connect(self._typed)
        session.paths_changed.connect(self._show_paths)
        session.pointed_changed.connect(self.strip.show_pointed)
        self.strip.pointed.connect(session.point)
        session.stopped.connect(self._on_stopped)
        session.said.connect(lambda *_: self._forget_asked())

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(11, 6, 11, 5)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(2)
        self.step.setAccessibleName("step")
        self.step.setToolTip("Type a step and press Enter to see it again")
        self.step.setFont(theme.tabular(self.step.font()))
        self.step.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.of.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._fit_numbers()
        grid.addWidget(self.step, 0, 0)
        grid.addWidget(self.of, 0, 1)
        grid.addWidget(self.strip, 0, 2)
        grid.addWidget(self.phases, 1, 2)
        grid.addWidget(self.forks, 0, 3)
        grid.addWidget(self.memory, 0, 4)
        grid.setColumnStretch(2, 1)

    # --- what is shown ------------------------------------------------------------------------

    def build(self, network: Built) -> None:
        """Another network, or that of a run that comes back."""
        self.phases.set_phases(network.phases)
        self._stops.clear()
        self._draw_curve()

    def draw(self, frame: Frame) -> None:
        """The cursor moved."""
        self._asked = False
        if not self.session.playing:
            self._show_track()
        self.strip.show_cursor(frame.step, at_once=not self.session.playing)
        self.phases.show_phase(frame.position.phase)
        self._texts.ask(at_once=not self.session.hurried)
        self._throttle.ask()
        if self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            self._seek(wanted)

    def _tell_step(self) -> None:
        frame = self.session.frame
        if frame is not None:
            if not self.step.hasFocus() or not self.step.isModified():
                self.step.setText(count(frame.step))
            self.of.setText(f"of {count(self.session.tip.step)}")

    def _show_paths(self, _: Paths) -> None:
        self._show_track()
        self.memory.show_memory()

    def _show_track(self) -> None:
        paths = self.session.paths
        if paths is None:
            return
        present = next(fork for fork in paths.forks if fork.number == paths.current)
        marks = [Mark(change.step, change.text, "backward") for change in present.changes]
        if present.parent >= 0 and present.start.step:
            parent = next((fork.name for fork in paths.forks if fork.number == present.parent), "another path")
            marks.append(Mark(present.start.step, f"leaves {parent}", "forward"))
        children = [fork for fork in paths.forks if fork.parent == present.number and fork.start.step]
        marks += [Mark(fork.start.step, f"{fork.name} leaves here", "forward") for fork in children]
        self.strip.show_track(
            Track(
                present.first_step,
                max(self.session.tip.step, present.first_step),
                paths.keyframes,
                (*marks, *self._stops),
                present.doubtful_from,
                fork_colour(present.number),
            )
        )

    def _draw_curve(self) -> None:
        """The track, and the loss of the path, one point a bin, faint behind it."""
        self._show_track()
        losses = self.session.history["loss"]
        self.strip.show_curve(binned(losses, BINS))

    def _fit_numbers(self) -> None:
        """Room for millions of steps, so that nothing moves when digits come."""
        measure = QFontMetrics(theme.tabular(self.font()))  # what is in here has its new font after this panel
        self.step.setFixedWidth(measure.horizontalAdvance("0,000,000") + 14)
        self.of.setFixedWidth(measure.horizontalAdvance("of 0,000,000"))

    def changeEvent(self, event: QEvent) -> None:
        """The fork's colour is another in another theme, and numbers need more room in a larger font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "step"):
            self._fit_numbers()
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_stops"):
            self._show_track()

    def _on_stopped(self, event: Stopped) -> None:
        self._stops = [*self._stops[-MOST_STOPS:], Mark(event.step, event.sentence, "bad")]

    # --- the user -----------------------------------------------------------------------------

    def _seek(self, step: int) -> None:
        """Go to a step; while one answer is out, only the last wish waits."""
        if self._asked:
            self._wanted = step
        else:
            self._asked = True
            self.session.seek(step)

    def _forget_asked(self) -> None:
        """What was asked for may not be answered by a frame."""
        self._asked, self._wanted = False, None

    def _seek_phase(self, number: int) -> None:
        frame = self.session.frame
        if frame is not None and frame.step:
            self.session.seek(frame.step, number)

    def _typed(self) -> None:
        """A step was typed."""
        text = self.step.text().strip().replace(",", "").replace("\u202f", "")
        self.step.setModified(False)
        if not text.isdigit():
            last = count(self.session.tip.step)
            self.session.said.emit(f"timeline: {text!r} is not a step; type a whole number up to {last}", True)
        else:
            self.session.seek(int(text))
            self.strip.setFocus()

    def rest(self) -> None:
        """What is not seen is not drawn."""
        self._throttle.stop()
        self._texts.stop()


def binned(values: Array, bins: int) -> Array:
    """Means over at most `bins` pieces, scaled to 0 … 1; NaN where a piece has no number."""
    if len(values) < 2:
        return np.zeros(0)
    pieces = min(bins, len(values))
    edges = np.linspace(0, len(values), pieces + 1).astype(np.intp)
    finite = np.isfinite(values)
    sums = np.add.reduceat(np.where(finite, values, 0.0), edges[:-1])
    counts = np.add.reduceat(finite.astype(np.intp), edges[:-1])
    with np.errstate(all="ignore"):
        means = np.where(counts > 0, sums / counts, np.nan)
        low, high = np.nanmin(means, initial=np.inf), np.nanmax(means, initial=-np.inf)
        return np.asarray((means - low) / (high - low) if high > low else means * 0)
