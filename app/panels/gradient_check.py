"""The gradient check panel: starts a check, and shows what it found tensor by tensor."""

from __future__ import annotations

from typing import ClassVar, Literal

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app import theme as themes
from app.panel import Panel
from app.session import Session
from app.widgets.check_pictures import NAMES, CheckPictures
from app.widgets.numbers import count
from app.widgets.verdict_table import WORST_FIRST, VerdictTable
from engine.frames import Frame, Position
from engine.protocol import Built, Checked, WatchItem

FINEST = 96  # cells each way of a picture
ROOMY = 17  # lines of text: from that height on every note has its place
INVITATION = (
    "Is backpropagation right? A check holds every gradient of this mini-batch "
    "against one measured from the loss alone."
)
MODES = {
    "full": ("every entry", "Measures the slope along every single entry"),
    "sampled": ("a sample of each tensor", "Measures some entries of each tensor and one random direction"),
    "projected": ("one direction a tensor", "Measures one slope a tensor, along a random direction: quickest"),
}


class GradientCheckPanel(Panel):
    """Driven by the session alone; the engine computes."""

    title: ClassVar[str] = "Gradient check"
    hint: ClassVar[str] = (
        "Holds the gradients that backward computes against slopes measured with forward alone, on a float64 copy. "
        "Choose a row to see both side by side, and why the verdict is what it is."
    )
    area: ClassVar[Literal["left", "centre", "right", "bottom"]] = "right"
    order: ClassVar[int] = 1

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._chosen = ""
        self._position: Position | None = None  # at which the last check was made
        self._status = ""
        self._make_controls()
        self._make_results()
        self.invitation = _text(INVITATION, "muted", wrap=True)
        self.invitation.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.pages = QStackedWidget(self)
        self.pages.addWidget(self.invitation)
        self.pages.addWidget(self.results)
        column = QVBoxLayout(self)
        column.setContentsMargins(11, 2, 11, 8)
        column.setSpacing(6)
        column.addWidget(self.controls)
        column.addWidget(self.pages, 1)
        session.check_progressed.connect(self._on_progress)
        session.checked.connect(self._on_checked)

    # --- parts --------------------------------------------------------------------------------

    def _make_controls(self) -> None:
        """Button and mode; in their place while checking, cancel and progress."""
        self.check_button = QPushButton("Check gradients")
        self.check_button.setToolTip("Check the gradients of this mini-batch  (F9)")
        themes.mark(self.check_button, "primary")
        self.mode_box = QComboBox()
        self.mode_box.setAccessibleName("what to check")
        self.mode_box.setToolTip("How much of each tensor to check")
        for mode, (words, tip) in MODES.items():
            self.mode_box.addItem(words, mode)
            self.mode_box.setItemData(self.mode_box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Give this check up")
        for button in (self.check_button, self.cancel_button):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the transport
        self.progress = QProgressBar()
        self.progress.setAccessibleName("progress of the check")
        self.progress.setFont(themes.tabular(self.progress.font()))
        self.controls = QStackedWidget(self)
        self.controls.addWidget(_row(self.check_button, self.mode_box))
        self.controls.addWidget(_row(self.cancel_button, self.progress))
        self.controls.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.check_button.clicked.connect(self._on_check)
        self.cancel_button.clicked.connect(self.session.cancel_check)

    def _make_results(self) -> None:
        self.about = _text("", "muted")
        self.contracts = _text("", "error", wrap=True)
        self.pictures = CheckPictures()
        self.table = VerdictTable()
        self.note = _text("", "", wrap=True)
        self.note.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.copy_note = _text("", "muted")
        self.results = QWidget()
        column = QVBoxLayout(self.results)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widget in (self.about, self.contracts):
            column.addWidget(widget)
        column.addWidget(self.pictures, 2)
        column.addWidget(self.table, 3)
        column.addSpacing(4)
        column.addWidget(self.note)
        column.addWidget(self.copy_note)
        self.table.chosen.connect(self._on_row)

    # --- the session --------------------------------------------------------------------------

    def wanted(self) -> tuple[WatchItem, ...]:
        """The chosen tensor's three pictures, once there are any."""
        if self.session.last_check is None or not self._chosen:
            return ()
        return tuple(WatchItem(address, FINEST, FINEST) for address in self._addresses())

    def _addresses(self) -> tuple[str, ...]:
        place, _, role = self._chosen.partition(".")
        return tuple(f"{place}.{name}_{role}" for name in NAMES)

    def build(self, network: Built) -> None:
        """A new network was not checked yet."""
        if self.session.last_check is None:
            self._chosen = ""
            self.pages.setCurrentWidget(self.invitation)
            self._say_status("")

    def draw(self, frame: Frame) -> None:
        """The pictures, and whether they are still those of the mini-batch shown."""
        check = self.session.last_check
        if check is None:
            return
        self._tell_about(check, frame)
        found = (frame.tensors.get(address) for address in self._addresses())
        self.pictures.show_pictures(tuple(p for p in found if p is not None))

    def _on_check(self) -> None:
        self.session.check(self.mode_box.currentData())

    def _on_progress(self, done: int, total: int) -> None:
        if not self.session.checking:
            return
        had_focus = self.check_button.hasFocus()
        self.controls.setCurrentIndex(1)
        if had_focus:
            self.cancel_button.setFocus()
        self.progress.setRange(0, total)
        self.progress.setValue(done)
        self.progress.setFormat(f"{count(done)} of {count(total)}" if total else "")

    def _on_checked(self, check: Checked) -> None:
        had_focus = self.cancel_button.hasFocus()
        self.controls.setCurrentIndex(0)
        if had_focus:
            self.check_button.setFocus()
        if not check.cancelled:
            self._show_check(check)

    # --- what it found ------------------------------------------------------------------------

    def _show_check(self, check: Checked) -> None:
        frame = self.session.frame
        self._position = frame.position if frame is not None else None
        self.contracts.setText("\n".join(f"✗ {sentence}" for sentence in check.contracts))
        self.contracts.setVisible(bool(check.contracts))
        self.copy_note.setText(check.note)
        self._fit_notes()
        self._chosen = self._worth_seeing(check)
        self.table.show_verdicts(check.tensors, self._chosen)
        self._tell_row()
        self.pages.setCurrentWidget(self.results)
        self.rewatch()
        if frame is not None:
            self.draw(frame)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is little room, the table needs it more."""
        super().resizeEvent(event)
        self._fit_notes()

    def _fit_notes(self) -> None:
        lines = self.height() / self.note.fontMetrics().height()
        self.copy_note.setVisible(bool(self.copy_note.text()) and lines > ROOMY)
        self.note.setMinimumHeight((2 if lines > ROOMY else 1) * self.note.fontMetrics().height())
        self.note.setToolTip(self.copy_note.text())

    def _worth_seeing(self, check: Checked) -> str:
        """The worst verdict's tensor; where all is well the one chosen before."""
        if not check.tensors:
            return ""
        worst = min(check.tensors, key=lambda row: WORST_FIRST.index(row.verdict))
        known = any(row.address == self._chosen for row in check.tensors)
        return self._chosen if worst.verdict == "pass" and known else worst.address

    def _on_row(self, address: str) -> None:
        """Another row was chosen: look at its gradient everywhere."""
        if address == self._chosen:
            return
        self._chosen = address
        self._tell_row()
        self.pictures.clear()
        self.rewatch()
        self.session.select(gradient_of(address))

    def _tell_row(self) -> None:
        row = self.table.current()
        self.note.setText(f"{row.address}: {row.note}" if row is not None and row.note else "")

    def _tell_about(self, check: Checked, frame: Frame) -> None:
        """When it was made, and whether the run has gone on since."""
        stale = self._is_stale(check, frame)
        how = (
            f"out of date: the run is at step {count(frame.step)}" if stale else MODES.get(check.mode, (check.mode,))[0]
        )
        text = f"step {count(check.step)} · {how}"
        if text != self.about.text():
            self.about.setText(text)
            self.about.setToolTip("Check again to see this mini-batch" if stale else "")
            self.about.setProperty("role", "" if stale else "muted")
            self.about.style().polish(self.about)
        self._say_status(f"{summary(check)} · step {count(check.step)}" + (", out of date" if stale else ""))

    def _is_stale(self, check: Checked, frame: Frame) -> bool:
        """Whether parameters or mini-batch are others than those that were checked."""
        if self._position is None or frame.step != check.step:
            return True
        last = len(self.session.network.phases) - 1 if self.session.network is not None else -1
        return (frame.position.phase == last) != (self._position.phase == last)

    def _say_status(self, text: str) -> None:
        if text != self._status:
            self._status = text
            self.status_changed.emit(text)


def summary(check: Checked) -> str:
    """In few words: "all 7 pass", "2 of 7 fail", "1 contract broken"."""
    verdicts = [row.verdict for row in check.tensors]
    if check.contracts:
        return f"{len(check.contracts)} contract{'s' if len(check.contracts) > 1 else ''} broken"
    if "fail" in verdicts:
        return f"{verdicts.count('fail')} of {len(verdicts)} fail"
    passed = verdicts.count("pass")
    return f"all {passed} pass" if passed == len(verdicts) else f"{passed} of {len(verdicts)} pass"


def gradient_of(address: str) -> str:
    """Where the gradient stands that was checked for a tensor."""
    place, _, role = address.partition(".")
    return "0.grad_x" if place == "data" else f"{place}.grad_{role}"


def _row(first: QWidget, second: QWidget) -> QWidget:
    widget = QWidget()
    layout = QHBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(8)
    layout.addWidget(first)
    layout.addWidget(second, 1)
    return widget


def _text(text: str, role: Literal["", "muted", "error"], *, wrap: bool = False) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(wrap)
    label.setFont(themes.tabular(label.font()))
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    if role:
        themes.mark(label, role)
    return label
