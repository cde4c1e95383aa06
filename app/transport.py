"""The bar at the top: the buttons that move in time, what has just been computed, and the learning rate."""

from __future__ import annotations

import msgspec
from msgspec import inspect
from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app import theme
from app.icons import icon
from app.planting import badge_text, hidden_bug
from app.session import Session
from app.widgets.fields import NumberField
from app.widgets.live_bar import LIVE, LiveBadge
from app.widgets.text_line import TextLine
from app.widgets.throttle import Throttle
from engine.frames import Phase
from engine.protocol import Built
from engine.recipe import Recipe
from engine.spec import LARGEST_RATE

RATES: tuple[tuple[str, float | None], ...] = (
    ("1 a second", 1.0),
    ("3 a second", 3.0),
    ("10 a second", 10.0),
    ("30 a second", 30.0),
    ("full speed", None),
)
TEXTS = 12.0  # a second while playing at full speed
BUTTONS = (
    *("restart", "restart_with_new_weights", ""),
    *("back_batch", "back_phase", "toggle_play", "step_phase", "step_batch", ""),
    *("step_part", "step_to_selected"),
)
ASIDE = ("check_gradients", "toggle_theme")
SPARE = ("restart_with_new_weights", *ASIDE)  # in the menus too: they go where there is little room
ROOMY = 172  # digits' widths from which on everything has its place
BUTTONS_NEED = 480  # pixels, whatever the size of the text; the learning rate with them
LEAST = 54  # digits' widths beside those: where there is less room, a position line is no use


class Transport(QWidget):
    """Buttons, position line, speed and learning rate; the buttons are the window's actions."""

    def __init__(self, session: Session, actions: dict[str, QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._play = actions["toggle_play"]
        row = QHBoxLayout(self)
        row.setContentsMargins(2, 4, 2, 8)
        row.setSpacing(6)
        buttons = {name: self._button(actions[name]) for name in (*BUTTONS, *ASIDE) if name}
        self._spare = [buttons[name] for name in SPARE]
        for name in BUTTONS:
            if not name:
                row.addSpacing(8)
                continue
            row.addWidget(buttons[name])
        row.addSpacing(4)
        row.addWidget(self._speed())
        row.addSpacing(14)
        row.addLayout(self._position_lines(), 1)
        self.bug_badge = QPushButton(self)
        self.bug_badge.setAccessibleName("planted bug")
        self.bug_badge.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.bug_badge.clicked.connect(actions["plant_bug"].trigger)
        self.bug_badge.hide()
        row.addWidget(self.bug_badge)
        row.addSpacing(8)
        self._rate_label = QLabel(self)
        row.addWidget(self._rate_label)
        row.addWidget(self._rate_field())
        row.addSpacing(8)
        self.live = LiveBadge(self)
        row.addWidget(self.live)
        row.addSpacing(6)
        for name in ASIDE:
            row.addWidget(buttons[name])
        session.built.connect(self._on_built)
        session.adopted.connect(self._on_adopted)
        self._texts = Throttle(self._tell_position, self, TEXTS)
        session.shown.connect(lambda _: self._texts.ask(at_once=not session.hurried))
        session.playing_changed.connect(self._on_playing)
        session.recipe_changed.connect(self._on_recipe)
        self._on_recipe(session.recipe)
        self._on_playing(False)
        self._fit()

    def _button(self, action: QAction) -> QToolButton:
        button = QToolButton(self)
        button.setDefaultAction(action)
        button.setIconSize(QSize(20, 20))
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the transport
        button.setAccessibleName(action.text().replace("&", ""))
        if action is self._play:
            self._play_button = button
        return button

    def _speed(self) -> QComboBox:
        box = QComboBox(self)
        for text, rate in RATES:
            box.addItem(text, rate)
        box.setCurrentIndex(len(RATES) - 1)
        box.setToolTip("How many mini-batches a second to play")
        box.setAccessibleName("playing speed")
        box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        box.currentIndexChanged.connect(lambda i: self.session.set_rate(RATES[i][1]))
        return box

    def _position_lines(self) -> QVBoxLayout:
        self.where, self.what = TextLine("starting the engine …", self), TextLine("", self)
        font = self.where.font()
        font.setBold(True)
        self.where.setFont(font)
        lines = QVBoxLayout()
        lines.setSpacing(0)
        lines.addWidget(self.where)
        lines.addWidget(self.what)
        self.where.setAccessibleName("position")
        self.what.setAccessibleName("phase")
        return lines

    def _rate_field(self) -> NumberField:
        self.rate = NumberField(inspect.FloatType(ge=0.0, le=LARGEST_RATE), self)
        self.rate.setAccessibleName("learning rate")
        self.rate.setToolTip("Size of an update step; a change applies at the next step, without a restart")
        self.rate.setFixedWidth(80)
        self.rate.entered.connect(self._set_rate)
        self.rate.problem.connect(lambda text: self.session.said.emit(f"learning rate {text}", True))
        return self.rate

    def _set_rate(self, rate: float) -> None:
        recipe = self.session.recipe
        optimizer = msgspec.structs.replace(recipe.optimizer, lr=float(rate))
        self.session.use(msgspec.structs.replace(recipe, optimizer=optimizer), "optimizer.lr")

    # --- what the session says ----------------------------------------------------------------

    def _on_recipe(self, recipe: Recipe) -> None:
        self._tell_bug(recipe)
        self.rate.set_value(recipe.optimizer.lr)

    def _on_playing(self, playing: bool) -> None:
        name = "pause" if playing else "play"
        self._play.setIcon(icon(name, theme.current(), "on_accent"))
        self._play_button.setAccessibleName(name)
        theme.mark(self._play_button, "primary")

    def _on_built(self, network: Built) -> None:
        self._texts.stop()  # there is no frame of it yet
        self._network = network
        self._tell_bug(network.recipe)

    def _on_adopted(self, _: Built) -> None:
        self._tell_position()  # its formula may be another

    def _tell_bug(self, recipe: Recipe) -> None:
        """The badge: a bug is planted, and where, unless it is hidden."""
        network = self.session.network
        text, tip = badge_text(recipe, network) if network is not None else ("", "")
        self.bug_badge.setText(text)
        self.bug_badge.setToolTip(tip)
        self.bug_badge.setVisible(bool(text))
        theme.mark(self.bug_badge, "quiet-badge" if hidden_bug(recipe) is not None else "bug")

    def _tell_position(self) -> None:
        frame, network = self.session.frame, self.session.network
        if network is None or frame is None:  # another has been built since, whose first frame is on its way
            return
        self.live.show_last(self.session.live.last)
        if frame.step == 0:
            where = f"ready · {network.batches} mini-batches of {network.recipe.batch_size} an epoch"
        else:
            where = f"epoch {frame.epoch} · batch {frame.batch} of {frame.batches} · step {frame.step:,}"
        self.where.setText(where)
        self.what.setText(tell_phase(frame.phase, network))
        backward = frame.phase is not None and frame.phase.kind == "backward"
        quiet = frame.phase is None or frame.phase.kind == "update"
        self.what.set_colour("muted" if quiet else "backward_text" if backward else "forward_text")

    # --- room ---------------------------------------------------------------------------------

    def _fit(self) -> None:
        """Short words and fewer buttons where there is little room."""
        roomy = self.width() >= ROOMY * self._digit()
        for button in self._spare:
            button.setVisible(roomy)
        self._rate_label.setText("learning rate" if roomy else "lr")
        self.live.say_in(LIVE if roomy else "")

    def _digit(self) -> int:
        return self.fontMetrics().horizontalAdvance("0")

    def minimumSizeHint(self) -> QSize:
        """With short words and few buttons."""
        return QSize(BUTTONS_NEED + LEAST * self._digit(), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Follow the window's width."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """Icons and colours follow the theme, the room needed the font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "live"):
            self._fit()
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_play_button"):
            self._on_playing(self.session.playing)
            if self.session.frame is not None:
                self._tell_position()


def tell_phase(phase: Phase | None, network: Built) -> str:
    """What has just been computed, in one line: which phase, of which layer, by which formula."""
    if phase is None:
        return "nothing computed yet: step with → (mini-batch) or ↓ (phase)"
    if phase.kind == "batch":
        return f"batch — {network.recipe.batch_size} samples drawn"
    if phase.kind == "loss":
        return f"loss — {network.loss_formulas.get('forward', network.loss_title)}"
    if phase.kind == "update":
        return f"update — {network.update_formula}"
    assert phase.layer is not None
    layer, count = network.layers[phase.layer], len(network.layers)
    number = phase.layer + 1 if phase.kind == "forward" else count - phase.layer
    formula = layer.formulas.get(phase.part or phase.kind, "")
    return f"{phase.kind} {number} of {count} — {phase.layer} {layer.caption} — {formula}"
