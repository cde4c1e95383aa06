"""The dialog for a film: which steps, of what, how fast and how large; then how far it is, with Cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app import theme
from app.choose_file import ask_where
from app.film import Filming, Reel
from app.saving import SavingError
from app.widgets.nearest_box import NearestBox
from app.widgets.numbers import count

if TYPE_CHECKING:
    from app.window import Window

RATES = (1, 2, 5, 10, 20, 25)  # pictures a second of which a GIF can tell the time exactly
FIRST_RATE = 10
ABOUT = 100  # pictures that are proposed, at most
LEAST_WIDTH, MOST_WIDTH = 100, 3840
FILMS = ("GIF film (*.gif)", "Animated PNG, every colour exact (*.png *.apng)")


class FilmDialog(QDialog):
    """Above what is filmed, below the buttons; while a film is made the upper part rests and a bar fills."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.setWindowTitle("Film of the run")
        self.filming = Filming(window, self)
        self.what, self.rate = QComboBox(), QComboBox()
        self.first, self.last, self.every, self.width_box = (NearestBox() for _ in range(4))
        self.told, self.bar = QLabel(), QProgressBar()
        self.make, self.leave = QPushButton("Make film…"), QPushButton("Cancel")
        self._lay_out()
        self._fill()
        self.filming.progressed.connect(self._on_progress)
        self.filming.ended.connect(self._on_ended)

    def _lay_out(self) -> None:
        self._form = QWidget(self)
        form = QFormLayout(self._form)
        form.setContentsMargins(0, 0, 0, 0)
        rows: tuple[tuple[str, QWidget, str], ...] = (
            ("show", self.what, "The whole window, or one panel"),
            ("from step", self.first, "The first mini-batch shown"),
            ("to step", self.last, "The last mini-batch shown"),
            ("every", self.every, "How many mini-batches from one picture to the next"),
            ("pictures a second", self.rate, "How fast the film is played"),
            ("width", self.width_box, "How many pixels wide the film is; the height follows"),
        )
        for name, widget, tip in rows:
            widget.setAccessibleName(name)
            widget.setToolTip(tip)
            form.addRow(name, widget)
        self.told.setAccessibleName("length of the film")
        self.told.setWordWrap(True)
        self.told.setFont(theme.tabular(self.told.font()))
        theme.mark(self.told, "muted")
        self.bar.setAccessibleName("progress of the film")
        self.bar.setTextVisible(False)
        keeps = self.bar.sizePolicy()
        keeps.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(keeps)
        self.bar.hide()
        self.make.setToolTip("Choose a file, then film step by step; the run goes back to where it is  (Enter)")
        self.leave.setToolTip("Leave; a film that is being made is given up, and no file is written  (Esc)")
        self.make.setDefault(True)
        theme.mark(self.make, "primary")
        self.make.clicked.connect(self._choose)
        self.leave.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.leave)
        buttons.addWidget(self.make)
        column = QVBoxLayout(self)
        column.addWidget(self._form)
        column.addWidget(self.told)
        column.addWidget(self.bar)
        column.addLayout(buttons)

    def _fill(self) -> None:
        """What there is to film."""
        window, session = self._window, self._window.session
        self.what.addItem("the whole window", "")
        for name, panel in window.panels.items():
            self.what.addItem(panel.title, name)
        first = next((f.first_step for f in session.paths.forks if f.number == session.fork), 0) if session.paths else 0
        last = len(session.history)
        for box, least, most in ((self.first, first, last), (self.last, first, last), (self.every, 1, max(last, 1))):
            box.setRange(least, most)
            box.setGroupSeparatorShown(True)
        self.first.setValue(first)
        self.last.setValue(last)
        self.every.setValue(max(1, -(-(last - first) // ABOUT)))
        for rate in RATES:
            self.rate.addItem(str(rate), rate)
        self.rate.setCurrentIndex(RATES.index(FIRST_RATE))
        self.width_box.setRange(LEAST_WIDTH, MOST_WIDTH)
        self.width_box.setSuffix(" px")
        self.what.currentIndexChanged.connect(self._propose_width)
        for box in (self.first, self.last, self.every):
            box.valueChanged.connect(self._tell)
        self.rate.currentIndexChanged.connect(self._tell)
        self._propose_width()
        self._tell()

    def _propose_width(self) -> None:
        name = self.what.currentData()
        self.width_box.setValue(self._width_in_front(name) if name else self._window.width())

    def _width_in_front(self, name: str) -> int:
        """Of a panel once it is seen: one behind another's tab will have that one's place."""
        window, panel = self._window, self._window.panels[name]
        if panel.seen or name not in window.docks:
            return panel.width()
        beside = window.tabifiedDockWidgets(window.docks[name])
        there = (other for key, other in window.panels.items() if other.seen and window.docks.get(key) in beside)
        return next(there, panel).width()

    def reel(self) -> Reel:
        """What is chosen."""
        first, last = sorted((self.first.value(), self.last.value()))
        rate = int(self.rate.currentData())
        return Reel(self.what.currentData(), first, last, self.every.value(), rate, self.width_box.value())

    def _tell(self) -> None:
        reel = self.reel()
        number = len(reel.steps)
        pictures = "one picture" if number == 1 else f"{count(number)} pictures"
        self._say(f"{pictures}, {number / reel.rate:.1f} s", False)
        with QSignalBlocker(self.bar):
            self.bar.setRange(0, number)
            self.bar.setValue(0)

    # --- making -----------------------------------------------------------------------------------

    def _choose(self) -> None:
        path = ask_where(self, "Film of the run", self._window.session.recipe.name, FILMS)
        if path:
            self.film(path)

    def film(self, path: str) -> None:
        """Make the film."""
        try:
            self.filming.start(self.reel(), path)
        except SavingError as error:
            self._say(str(error), True)
            return
        self._form.setEnabled(False)
        self.make.setEnabled(False)
        self.bar.show()
        self.leave.setFocus(Qt.FocusReason.OtherFocusReason)
        self._say("filming …", False)

    def _on_progress(self, taken: int) -> None:
        self.bar.setValue(taken)
        text = f"picture {count(taken)} of {count(self.bar.maximum())}"
        self._say(text, False)
        self.bar.setAccessibleDescription(text)

    def _on_ended(self, sentence: str, wrong: bool) -> None:
        self._form.setEnabled(True)
        self.make.setEnabled(True)
        self.bar.setValue(0)
        self.bar.hide()
        self._say(sentence, wrong)
        if not wrong:
            self._window.say(sentence, False)
            self.accept()

    def _say(self, sentence: str, wrong: bool) -> None:
        self.told.setText(f"⚠  {sentence}" if wrong else sentence)
        theme.mark(self.told, "alert" if wrong else "muted")

    def reject(self) -> None:
        """Esc, Cancel or closed: a film that is being made is given up."""
        if self.filming.at_work:
            self.filming.cancel()
        else:
            super().reject()
