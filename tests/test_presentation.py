"""Presenting: one panel alone and large, the keys alive, and the window afterwards as it was before."""

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import theme
from app.window import Window

from waiting import wait_for_step


@pytest.mark.parametrize("name", ["flow", "inspector"])
def test_a_panel_is_shown_alone_and_larger_and_all_comes_back(window: Window, qtbot: QtBot, name: str) -> None:
    qtbot.waitUntil(lambda: "norms" in window.panels)
    shown = {other for other, panel in window.panels.items() if panel.isVisible()}
    point_size = window.appearance.point_size
    window.presentation.begin(name)
    assert {other for other, panel in window.panels.items() if panel.isVisible()} == {name}
    assert window.appearance.point_size > 1.5 * point_size
    assert theme.stroke() == 2
    assert not window.menuBar().isVisible()
    assert not window.transport.isVisible()
    window.presentation.end()
    qtbot.waitUntil(lambda: window.transport.isVisible() and window.menuBar().isVisible())
    assert {other for other, panel in window.panels.items() if panel.isVisible()} == shown
    assert window.appearance.point_size == point_size
    assert theme.stroke() == 1
    assert not window.isFullScreen()


def test_keys_step_while_presenting_the_line_below_tells_where_and_esc_ends_it(window: Window, qtbot: QtBot) -> None:
    window.presentation.begin("flow")
    qtbot.keyClick(window.panels["flow"], Qt.Key.Key_Right)
    wait_for_step(qtbot, window.session, 1)
    assert window.presentation.position.isVisible()
    assert "step 1" in window.presentation.position.text()
    window.commands["step_phase"].trigger()  # a command has the line at the bottom cleared
    assert not window.facts.isVisible(), "the position needs the room"
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert not window.presentation.active
    assert not window.presentation.position.isVisible()
    assert window.facts.isVisible()


def test_a_ring_goes_with_the_pointer_only_while_presenting(window: Window, qtbot: QtBot) -> None:
    ring = window.presentation.ring

    def point_at(x: int, y: int) -> None:
        place = QPointF(window.mapToGlobal(QPoint(x, y)))
        none = Qt.MouseButton.NoButton
        moved = QMouseEvent(
            QMouseEvent.Type.MouseMove, QPointF(x, y), place, none, none, Qt.KeyboardModifier.NoModifier
        )
        QApplication.sendEvent(window, moved)

    point_at(200, 200)
    assert not ring.isVisible()
    window.presentation.begin("flow")
    point_at(300, 200)
    assert ring.isVisible()
    assert (ring.geometry().center() - QPoint(300, 200)).manhattanLength() <= 2
    window.presentation.end()
    assert not ring.isVisible()


def test_closing_while_presenting_keeps_the_size_of_the_text(window: Window) -> None:
    point_size = window.appearance.point_size
    window.presentation.begin("flow")
    window.close()
    assert window.appearance.point_size == point_size


def test_a_panel_that_does_not_exist_changes_nothing(window: Window) -> None:
    window.presentation.begin("nowhere")
    assert not window.presentation.active
    assert window.transport.isVisible()
