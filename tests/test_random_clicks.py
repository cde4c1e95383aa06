"""Random clicks, keys, drags and turns of the wheel on the real window: nothing breaks, and it still trains."""

from __future__ import annotations

import os
import random
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QSettings, QStandardPaths, Qt, QTimer
from PySide6.QtGui import QAction, QDesktopServices, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from app.link import EngineLink
from app.window import Window

SLICE = os.environ.get("NABLASCOPE_SLICE") == "1"
COUNT = 400 if SLICE else 10_000
BUTTONS = Qt.MouseButton.LeftButton, Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
CHORDS = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
OF_USERS = QSettings.Format.NativeFormat, QSettings.Scope.UserScope
KEYS = [
    *(Qt.Key(code) for code in range(Qt.Key.Key_A.value, Qt.Key.Key_Z.value + 1)),
    *(Qt.Key(code) for code in range(Qt.Key.Key_0.value, Qt.Key.Key_9.value + 1)),
    *(Qt.Key(code) for code in range(Qt.Key.Key_Left.value, Qt.Key.Key_PageDown.value + 1)),
    *(Qt.Key(code) for code in range(Qt.Key.Key_F1.value, Qt.Key.Key_F12.value + 1)),
    *(Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Tab, Qt.Key.Key_Escape, Qt.Key.Key_Delete, Qt.Key.Key_Home),
    *(Qt.Key.Key_End, Qt.Key.Key_Plus, Qt.Key.Key_Minus, Qt.Key.Key_Period, Qt.Key.Key_Question, Qt.Key.Key_Comma),
]


class Monkey(QObject):
    """Does one thing after the other, also while a menu or a dialog with an event loop of its own is open."""

    def __init__(self, window: Window, seed: int, count: int, log: Path) -> None:
        super().__init__(window)
        self.window, self.left = window, count
        self.random = random.Random(seed)
        self.done: deque[str] = deque(maxlen=20)  # the last things done, to do them again
        self._all_done = log.open("w")  # all of them, also where the process breaks
        window.installEventFilter(self)
        self._go_on()

    def _go_on(self) -> None:
        """A timer of its own for each: one that beats again and again stands still inside its own slot."""
        QTimer.singleShot(0, self, self._act)

    def _note(self, what: str) -> None:
        self.done.append(what)
        self._all_done.write(f"{what}\n")
        self._all_done.flush()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The window stays open."""
        if event.type() == QEvent.Type.Close and watched is self.window and self.left > 0:
            event.ignore()
            return True
        return super().eventFilter(watched, event)

    def end(self) -> None:
        """Stop, and close what is open."""
        self.left = 0
        while (top := QApplication.activePopupWidget() or QApplication.activeModalWidget()) is not None:
            top.close()
        self.window.removeEventFilter(self)
        self._all_done.close()

    def _act(self) -> None:
        self.left -= 1
        if self.left <= 0:
            self.end()
            return
        self._go_on()
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, QFileDialog):
            dialog.reject()  # no file of this machine is written or read
            return
        top = QApplication.activePopupWidget() or dialog
        if top is not None and self.random.random() < 0.2:
            self._note(f"close {name_of(top)}")
            top.close()
            return
        target = self._target(top or self.window)
        if target is not None:
            self.random.choice((self._click, self._click, self._drag, self._turn, self._type))(target)

    def _target(self, top: QWidget) -> QWidget | None:
        shown = [child for child in top.findChildren(QWidget) if child.isVisible() and child.isEnabled()]
        return self.random.choice([*shown, top]) if top.isEnabled() else None

    def _place(self, widget: QWidget) -> QPoint:
        return QPoint(self.random.randrange(max(widget.width(), 1)), self.random.randrange(max(widget.height(), 1)))

    def _click(self, widget: QWidget) -> None:
        button, chord, place = self.random.choice(BUTTONS), self.random.choice(CHORDS), self._place(widget)
        twice = self.random.random() < 0.2  # which makes a double click
        self._note(f"{'double ' * twice}click {name_of(widget)} {place.toTuple()} {button.name} {chord.name}")
        if isinstance(widget, QMenu) and (action := widget.actionAt(place)) is not None and leaves(action):
            return
        for _ in range(1 + twice):
            QTest.mousePress(widget, button, chord, place)
            if isValid(widget):  # a press may have closed it
                QTest.mouseRelease(widget, button, chord, place)
            if not isValid(widget):
                return

    def _drag(self, widget: QWidget) -> None:
        places = [self._place(widget) for _ in range(self.random.randint(2, 5))]
        self._note(f"drag {name_of(widget)} {[place.toTuple() for place in places]}")
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QTest.mousePress(widget, left, none, places[0])
        for place in places[1:]:
            if isValid(widget):
                QTest.mouseMove(widget, place)
        if isValid(widget):
            QTest.mouseRelease(widget, left, none, places[-1])

    def _turn(self, widget: QWidget) -> None:
        place, chord = self._place(widget), self.random.choice(CHORDS)
        turned = QPoint(0, self.random.choice((-240, -120, 120, 240)))
        self._note(f"turn {name_of(widget)} {place.toTuple()} {turned.y()} {chord.name}")
        there = QPointF(widget.mapToGlobal(place))
        phase, none = Qt.ScrollPhase.NoScrollPhase, Qt.MouseButton.NoButton
        QApplication.sendEvent(widget, QWheelEvent(QPointF(place), there, QPoint(), turned, none, chord, phase, False))

    def _type(self, widget: QWidget) -> None:
        key, chord = self.random.choice(KEYS), self.random.choice(CHORDS)
        target = QApplication.focusWidget() or widget
        self._note(f"type {name_of(target)} {key.name} {chord.name}")
        QTest.keyPress(target, key, chord)
        if isValid(target):
            QTest.keyRelease(target, key, chord)


def name_of(widget: QWidget) -> str:
    """What a widget is called, for the list of what was done."""
    return f"{type(widget).__name__} {widget.objectName() or widget.accessibleName()!r}"


def leaves(action: QAction) -> bool:
    """Whether a menu's entry ends the app."""
    return action.menuRole() == QAction.MenuRole.QuitRole or action.text().replace("&", "") == "Quit"


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No download, no browser, and the file dialogs' own settings elsewhere; before the engine starts."""
    users = Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericConfigLocation))
    QSettings.setPath(*OF_USERS, str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda _: True)
    yield
    QSettings.setPath(*OF_USERS, str(users))


@pytest.mark.campaign
@pytest.mark.qt_log_ignore("does not support grabbing", extend=True)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(1 if SLICE else 4))
def test_random_clicks_keys_and_drags_break_nothing(
    nowhere: None, link: EngineLink, window: Window, qtbot: QtBot, seed: int, tmp_path: Path
) -> None:
    monkey = Monkey(window, seed, COUNT // (1 if SLICE else 4), tmp_path / "done.txt")
    try:
        qtbot.waitUntil(lambda: monkey.left <= 0, timeout=3_000_000)
    finally:
        monkey.end()
        sys.stdout.write("\n".join(monkey.done))  # shown where the test fails
    window.presentation.end()
    session = window.session
    session.use(window.session.recipe)
    session.pause()
    qtbot.waitUntil(lambda: not session.playing, timeout=30_000)
    if session.network is None or session.fetching is not None:
        return
    session.restart()
    with qtbot.waitSignal(session.shown, timeout=30_000):
        session.step("batch")
