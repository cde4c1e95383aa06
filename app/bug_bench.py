"""The bug bench: plants a bug of the catalogue into the network on screen, openly, or hidden to be guessed."""

from __future__ import annotations

import random

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from app import planting
from app import theme as themes
from app.session import Session
from app.widgets.buttons import push_button
from engine.bugs import CATALOGUE
from engine.protocol import Built
from engine.recipe import Recipe

NOTHING = "The network is as it should be. Plant a bug, then find it with the gradient check."
HIDDEN = "A bug is hidden in this network. Look at the verdicts and pictures, then guess."
WIDTH = 460  # pixels


class BugBench(QDialog):
    """Above, a place and a bug to plant or to guess; below, what is planted now. It stays open beside the window."""

    def __init__(self, session: Session, parent: QWidget | None = None, rng: random.Random | None = None) -> None:
        super().__init__(parent)
        self.session, self._rng = session, rng or random.Random()
        self._guesses = 0
        self.setWindowTitle("Plant a bug")
        self.setMinimumWidth(WIDTH)
        self.place_box, self.bug_box = QComboBox(), QComboBox()
        self.place_box.setAccessibleName("place of the bug")
        self.bug_box.setAccessibleName("bug")
        self.sentence = _text("muted")
        self.sentence.setMinimumHeight(3 * self.sentence.fontMetrics().height())
        self.state = _text("")
        self.state.setMinimumHeight(8 * self.state.fontMetrics().height())
        self._make_buttons()
        self._lay_out()
        self.place_box.activated.connect(lambda _: self._fill_bugs())
        self.bug_box.currentIndexChanged.connect(lambda _: self._tell_bug())
        session.built.connect(self._on_built)
        session.recipe_changed.connect(lambda _: self._tell())
        session.adopted.connect(lambda _: self._tell())
        if session.network is not None:
            self._on_built(session.network)

    def _make_buttons(self) -> None:
        self.plant_button = push_button("Plant", "Plant this bug here; training starts anew", self.plant)
        self.hide_button = push_button(
            "Hide any bug", "A bug of the app's choice, somewhere, to be guessed", self.hide_any
        )
        self.guess_button = push_button("Guess", "Is it this bug, in this place?", self.guess)
        self.reveal_button = push_button("Reveal", "Tell which bug it is, and where", self.reveal)
        self.remove_button = push_button("Remove", "Take every planted bug out again", self.remove)
        for button in (self.plant_button, self.guess_button):
            themes.mark(button, "primary")

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("place", self.place_box)
        form.addRow("bug", self.bug_box)
        row = QHBoxLayout()
        for button in (self.plant_button, self.guess_button, self.hide_button, self.reveal_button):
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(self.remove_button)
        card = QFrame()
        themes.mark(card, "chip")
        inside = QVBoxLayout(card)
        inside.addWidget(self.state)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addLayout(form)
        column.addWidget(self.sentence)
        column.addLayout(row)
        column.addWidget(card, 1)

    # --- what is possible -------------------------------------------------------------------------

    def _on_built(self, network: Built) -> None:
        """Another network: its places; what was chosen stays chosen where it can."""
        self._guesses = 0
        layer = self.place_box.currentData()
        self._places = planting.places(network)
        self.place_box.clear()
        for place in self._places:
            self.place_box.addItem(place.title, place.layer)
        self.place_box.setCurrentIndex(max(self.place_box.findData(layer), 0))
        self._fill_bugs()
        self._tell()

    def _fill_bugs(self) -> None:
        """The bugs that can live in the chosen place."""
        slug = self.bug_box.currentData()
        self.bug_box.clear()
        if self._places:
            for possible in self._places[self.place_box.currentIndex()].slugs:
                self.bug_box.addItem(planting.title(possible), possible)
        self.bug_box.setCurrentIndex(max(self.bug_box.findData(slug), 0))
        self._tell_bug()

    def _tell_bug(self) -> None:
        slug = self.bug_box.currentData()
        self.sentence.setText(_told(slug) if slug in CATALOGUE else "")

    # --- what is done -----------------------------------------------------------------------------

    def plant(self) -> None:
        """Plant the chosen bug openly."""
        self.session.use(planting.planted(self.session.recipe, *self._choice()))

    def hide_any(self) -> None:
        """Hide a bug of the app's choice."""
        if self.session.network is not None:
            self.session.use(planting.with_hidden(self.session.network, self._rng))

    def guess(self) -> None:
        """Say whether the chosen bug in the chosen place is the hidden one."""
        bug = planting.hidden_bug(self.session.recipe)
        if bug is None:
            return
        self._guesses += 1
        right, words = planting.judge_guess(bug, *self._choice())
        if right:
            count = f"{self._guesses} guesses" if self._guesses > 1 else "the first guess"
            self.reveal(f"{words} Found with {count}.\n\n")
        else:
            self.state.setText(f"{words}\n{HIDDEN}")

    def reveal(self, before: str = "") -> None:
        """Tell which bug is hidden; the run goes on."""
        self.session.use(planting.revealed(self.session.recipe))
        if before:
            self.state.setText(before + self.state.text())

    def remove(self) -> None:
        """Take every bug out."""
        self.session.use(planting.without_bugs(self.session.recipe))

    def _choice(self) -> tuple[int, str]:
        return self.place_box.currentData(), self.bug_box.currentData()

    # --- what is said -----------------------------------------------------------------------------

    def _tell(self) -> None:
        """What is planted now, and what can be done."""
        recipe, network = self.session.recipe, self.session.network
        hidden = planting.hidden_bug(recipe) is not None
        self.plant_button.setVisible(not hidden)
        self.hide_button.setVisible(not hidden)
        self.guess_button.setVisible(hidden)
        self.reveal_button.setVisible(hidden)
        self.remove_button.setEnabled(bool(recipe.bugs))
        self.setWindowTitle("Find the bug" if hidden else "Plant a bug")
        if network is not None:
            self.state.setText(HIDDEN if hidden else _planted_text(recipe, network))


def _planted_text(recipe: Recipe, network: Built) -> str:
    """Every bug with its explanation."""
    told = [f"✗ {planting.where(bug, network)}\n{_told(bug.slug)}" for bug in recipe.bugs]
    return "\n\n".join(told) or NOTHING


def _told(slug: str) -> str:
    """A bug's sentence, and what should stand there."""
    entry = CATALOGUE[slug]
    sentence = entry.sentence.format(tensor="the gradient")
    return f"{sentence[0].upper()}{sentence[1:]}\n{entry.formula}"


def _text(role: themes.Role | str) -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setAlignment(Qt.AlignmentFlag.AlignTop)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if role:
        themes.mark(label, role)  # type: ignore[arg-type]
    return label
