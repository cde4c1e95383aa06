"""The whole window with the real engine: from button to pixel, docks, keys, messages, memory of the layout."""

import re
from itertools import groupby
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, QSettings, Qt
from PySide6.QtGui import QAccessible, QImage
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QLineEdit,
    QMainWindow,
    QMenu,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.actions import ACTIONS, load_file, write_recipe
from app.panel import Panel
from app.tab_order import controls, move_focus
from app.theme import current
from app.widgets.flow_view import FlowView
from app.widgets.heatmap import Heatmap
from app.widgets.plot import StepPlot
from app.widgets.text_line import TextLine
from app.window import Window
from engine.run import Run

from waiting import wait_for_step


def pixels(window: Window, panel: str) -> np.ndarray:
    """A panel as it is on screen, (rows, columns, 4)."""
    image = window.panels[panel].grab().toImage().convertToFormat(QImage.Format.Format_RGBA8888)
    return np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4).copy()


def test_one_mini_batch_from_button_to_pixel(window: Window, qtbot: QtBot) -> None:
    window.resize(1200, 800)
    qtbot.wait(50)
    before = pixels(window, "flow")
    button = next(b for b in window.findChildren(QToolButton) if b.defaultAction() is window.commands["step_batch"])
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    wait_for_step(qtbot, window.session, 1)
    run = Run(window.session.recipe)
    run.step()
    assert window.session.frame is not None
    assert window.session.frame.loss == run.trainer.loss
    assert "step 1" in window.transport.where.text()
    changed = (pixels(window, "flow") != before).any(axis=2).mean()
    assert changed > 0.1, f"only {changed:.1%} of the Flow view changed"


def test_the_keys_step_play_and_pause(window: Window, qtbot: QtBot) -> None:
    window.activateWindow()
    qtbot.keyClick(window, Qt.Key.Key_Right)
    wait_for_step(qtbot, window.session, 1)
    qtbot.keyClick(window, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: str(window.session.frame.phase) == "batch")  # type: ignore[union-attr]
    assert "32 samples drawn" in window.transport.what.text()
    qtbot.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.session.playing)
    qtbot.waitUntil(lambda: len(window.session.history) > 20)
    qtbot.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: not window.session.playing)


def test_a_small_screen_has_room_for_the_window_and_its_position_line(window: Window, qtbot: QtBot) -> None:
    window.resize(1008, 728)  # what a window manager leaves of 1024×768
    window.commands["step_part"].trigger()
    qtbot.waitUntil(lambda: "drawn" in window.transport.what.text())
    assert (window.width(), window.height()) == (1008, 728)
    assert window.transport.geometry().right() <= window.width()
    for line in (window.transport.where, window.transport.what):
        assert line.width() >= line.minimumSizeHint().width()
    assert window.transport.rect().contains(window.transport.live.geometry())
    window.resize(1440, 900)
    qtbot.waitUntil(lambda: window.width() == 1440)
    assert all(button.isVisible() for button in window.transport.findChildren(QToolButton))


def test_letters_for_the_back_row_leave_the_window_on_a_small_screen(window: Window, qtbot: QtBot) -> None:
    window.appearance.set_point_size(15)
    qtbot.waitUntil(lambda: window.fontMetrics().height() > 20)
    assert window.bar.minimumSizeHint().width() < 1264, "as wide as a screen of 1280 pixels lets it be"
    digits = window.panels["timeline"].findChild(QLineEdit)
    assert digits.width() > digits.fontMetrics().horizontalAdvance("0,000,000")


def test_a_line_without_room_shows_no_part_of_a_number(qtbot: QtBot) -> None:
    line = TextLine("loss 3.44e-04 · train 100.0 %")
    qtbot.addWidget(line)
    shown = []
    for width in range(0, line.minimumSizeHint().width() + 8, 4):
        line.resize(width, 20)
        shown.append(line.shown())
    parts = {text for text in shown if re.search(r"\d", re.sub(r"3\.44e-04|100\.0", "", text))}
    assert not parts, parts
    assert {"loss …", line.text()} <= set(shown)


def test_every_entry_of_a_menu_has_a_letter_of_its_own(window: Window) -> None:
    for menu in (window.menuBar(), *window.menuBar().findChildren(QMenu)):
        letters = re.findall(r"&(\w)", " ".join(entry.text().replace("&&", "") for entry in menu.actions()).lower())
        assert len(letters) == len(set(letters)), (menu.title() if isinstance(menu, QMenu) else "", letters)


def test_typing_in_a_field_never_steps_the_training(window: Window, qtbot: QtBot) -> None:
    field = window.transport.rate
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, "0.05")
    qtbot.keyClick(field, Qt.Key.Key_Left)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.recipe.optimizer.lr == 0.05)
    qtbot.wait(100)
    assert window.session.frame.step == 0  # type: ignore[union-attr]
    assert not window.session.playing


def test_the_position_line_names_the_part_just_computed(window: Window, qtbot: QtBot) -> None:
    told = []
    for number in range(len(window.session.network.phases)):  # type: ignore[union-attr]
        window.commands["step_part"].trigger()
        qtbot.waitUntil(lambda n=number: window.session.frame.position.phase == n)  # type: ignore[union-attr]
        told.append(window.transport.what.text())
    assert "backward 1 of 5 — 4 Dense 16→10 — grad_W = xᵀ·grad_y" in told
    assert "forward 2 of 5 — 1 ReLU — y = max(z, 0)" in told
    assert told[-1].startswith("update")


def test_a_recipe_that_cannot_be_read_is_one_sentence_and_loses_nothing(
    window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    window.session.step("batch")
    wait_for_step(qtbot, window.session, 1)
    before = window.session.recipe
    bad = tmp_path / "bad.json"
    bad.write_text('{"layers":[{"kind":"dense","units":0}]}')
    load_file(window, str(bad))
    assert "layers[0].units must be int >= 1, not 0" in window.message.text()
    assert window.session.recipe == before
    assert window.session.frame.step == 1  # type: ignore[union-attr]


def test_a_recipe_saved_and_opened_again_is_the_same(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "mine ü.json"
    recipe = window.session.recipe
    write_recipe(window, str(path))
    window.session.use(msgspec.structs.replace(recipe, batch_size=16))
    load_file(window, str(path))
    assert window.session.recipe == recipe
    write_recipe(window, str(tmp_path / "no such folder" / "x.json"))
    assert "cannot be written" in window.message.text()


def test_undo_and_redo_walk_through_the_edits(window: Window, qtbot: QtBot) -> None:
    first = window.session.recipe
    assert not window.commands["undo"].isEnabled()
    with qtbot.waitSignal(window.session.built):
        window.session.use(msgspec.structs.replace(first, batch_size=16))
    assert window.commands["undo"].isEnabled()
    with qtbot.waitSignal(window.session.built):
        window.commands["undo"].trigger()
    assert window.session.recipe == first
    with qtbot.waitSignal(window.session.built):
        window.commands["redo"].trigger()
    assert window.session.recipe.batch_size == 16


def test_docks_close_come_back_and_are_reset(window: Window, qtbot: QtBot) -> None:
    for dock in window.docks.values():
        dock.setFloating(True)
        dock.close()
    assert not any(dock.isVisible() for dock in window.docks.values())
    window.commands["reset_layout"].trigger()
    qtbot.wait(20)
    assert all(dock.isVisible() and not dock.isFloating() for dock in window.docks.values())


def test_a_panel_that_opens_is_painted_once(window: Window, qtbot: QtBot) -> None:
    class Painted(QObject):
        times = 0

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            self.times += event.type() == QEvent.Type.Paint
            return False

    window.session.train(20)
    wait_for_step(qtbot, window.session, 20)
    window.docks["timeline"].hide()
    qtbot.wait(300)  # until the engine, too, has nothing to say
    painted = Painted()
    window.panels["timeline"].installEventFilter(painted)
    window.show_panel("timeline")
    QApplication.processEvents()
    QApplication.processEvents()  # Qt paints what is asked for while it shows something
    assert painted.times == 1


def test_layout_and_look_are_remembered(window: Window, settings: QSettings, qtbot: QtBot) -> None:
    window.docks["inspector"].hide()
    window.appearance.set_mode("light")
    window.session.smooth(101)
    window.close()
    window.session.smooth(0)
    second = Window(window.session, window.link, window.appearance, settings)
    qtbot.addWidget(second)
    assert second.docks["inspector"].isHidden()
    assert not second.docks["network"].isHidden()
    assert settings.value("settings/theme") == "light"
    assert window.session.smoothing == 101


def test_sizes_of_panels_are_remembered(window: Window, settings: QSettings, qtbot: QtBot) -> None:
    network = window.docks["network"]
    window.resizeDocks([network], [network.height() + 60], Qt.Orientation.Vertical)
    qtbot.wait(20)
    tall = network.height()
    window.close()
    second = Window(window.session, window.link, window.appearance, settings)
    qtbot.addWidget(second)
    second.show()
    qtbot.wait(20)
    assert second.docks["network"].height() == tall
    second.commands["reset_layout"].trigger()
    qtbot.waitUntil(lambda: second.docks["network"].height() < tall)


def test_the_timeline_is_slim_from_the_first_picture_on(window: Window, qtbot: QtBot) -> None:
    second = Window(window.session, window.link, window.appearance)
    qtbot.addWidget(second)
    second.show()
    second.grab()  # before any timer has fired
    assert second.docks["timeline"].height() < 80


def test_light_and_dark_change_at_once_and_zero_stays_the_paper(window: Window, qtbot: QtBot) -> None:
    for _ in range(2):
        window.commands["toggle_theme"].trigger()
        qtbot.wait(20)
        panel = current().color("panel")
        corner = pixels(window, "flow")[-3, 3, :3].tolist()
        assert corner == [panel.red(), panel.green(), panel.blue()]


def test_a_window_that_opens_in_the_light_shows_the_way_to_the_dark(window: Window, qtbot: QtBot) -> None:
    def picture(of: Window) -> QImage:
        return of.commands["toggle_theme"].icon().pixmap(16).toImage()

    to_light = picture(window)
    window.commands["toggle_theme"].trigger()
    second = Window(window.session, window.link, window.appearance)
    qtbot.addWidget(second)
    assert picture(second) == picture(window) != to_light


def test_stop_works_while_training_and_training_can_go_on(window: Window, qtbot: QtBot) -> None:
    window.session.play()
    qtbot.waitUntil(lambda: len(window.session.history) > 50)
    with qtbot.waitSignal(window.session.built, timeout=10_000):
        window.commands["stop_engine"].trigger()
    assert "stopped" in window.message.text()
    assert not window.session.playing
    step = window.session.network.step  # type: ignore[union-attr]
    window.session.step("batch")
    wait_for_step(qtbot, window.session, step + 1)


def test_every_control_has_a_name_every_button_a_tool_tip_and_each_key_one_meaning(window: Window) -> None:
    controls = [w for kind in (QAbstractButton, QComboBox, QLineEdit) for w in window.findChildren(kind)]
    ours = [w for w in controls if not w.objectName().startswith("qt_") and w.isVisibleTo(window)]
    assert len(ours) > 15
    for control in ours:
        name = QAccessible.queryAccessibleInterface(control).text(QAccessible.Text.Name)
        assert name, f"{control} has no name"
        if isinstance(control, QAbstractButton):
            assert control.toolTip(), f"{name} has no tool tip"
    commands = list(window.commands.values())
    taken = [key.toString() for command in commands for key in command.shortcuts()]
    for widget in window.findChildren(QWidget):
        own = [key.toString() for action in widget.actions() if action not in commands for key in action.shortcuts()]
        assert len({*taken, *own}) == len(taken) + len(own), f"a key of {widget} is given twice: {own}"


def test_every_command_has_a_sentence_and_no_key_is_given_twice() -> None:
    keys = [key for command in ACTIONS.values() for key in command.keys]
    assert len(keys) == len(set(keys))
    assert all(command.run.__doc__ for command in ACTIONS.values())


def test_a_panel_behind_another_tab_is_neither_watched_for_nor_drawn(
    window: Window, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, int] = {}
    for name in ("norms", "health"):
        monkeypatch.setattr(window.panels[name], "draw", lambda _, n=name: shown.update({n: shown.get(n, 0) + 1}))
    window.commands["step_batch"].trigger()
    wait_for_step(qtbot, window.session, 1)
    assert not window.panels["health"].seen
    assert shown.keys() == {"norms"}
    window.docks["health"].raise_()
    qtbot.waitUntil(lambda: window.panels["health"].seen)
    assert shown.pop("health") == 1  # it catches up
    shown.clear()
    window.commands["step_batch"].trigger()
    wait_for_step(qtbot, window.session, 2)
    assert shown.keys() == {"health"}
    window.docks["health"].hide()
    qtbot.waitUntil(lambda: window.panels["norms"].seen or window.panels["beliefs"].seen)


def test_tab_goes_through_the_window_as_one_reads_it(window: Window, qtbot: QtBot) -> None:
    window.session.select("2.W")  # its form is made anew
    qtbot.wait(50)
    order = controls(window)
    assert len(order) == len(set(order)) > 30
    start = window.transport.findChild(QToolButton)
    start.setFocus()
    visited = [start]
    for _ in order[1:]:
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        visited.append(QApplication.focusWidget())
    assert visited == order
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Backtab)
    assert QApplication.focusWidget() is order[-2]
    panels = [p.name() for w in order if (p := panel_of(w)) is not None]
    seen = ["network", "data", "flow", "inspector", "curves", "norms", "timeline"]
    assert [name for name, _ in groupby(panels)] == seen
    for kind in (QAbstractButton, QComboBox, QLineEdit, QAbstractSpinBox, StepPlot, FlowView, Heatmap):
        for control in window.findChildren(kind):
            shown = (
                control.isVisible() and control.isEnabled() and window.rect().contains(control.mapTo(window, QPoint()))
            )
            if shown and control.focusProxy() is None and not isinstance(control.parent(), QAbstractSpinBox):
                assert control in order, control.accessibleName()


def test_tab_goes_through_docks_at_every_edge_also_the_top(qtbot: QtBot) -> None:
    window, edges = QMainWindow(), Qt.DockWidgetArea
    qtbot.addWidget(window)
    window.setCentralWidget(QLineEdit())
    order = []
    for area in (edges.TopDockWidgetArea, edges.LeftDockWidgetArea, edges.RightDockWidgetArea):
        dock = QDockWidget(window)
        dock.setWidget(QLineEdit())
        window.addDockWidget(area, dock)
        order.append(dock.widget())
    window.show()
    order.insert(2, window.centralWidget())
    order[0].setFocus()
    for expected in (*order[1:], order[0]):
        assert move_focus(window, True)
        assert window.focusWidget() is expected


def panel_of(widget: QWidget | None) -> Panel | None:
    """The panel that a widget belongs to."""
    while widget is not None and not isinstance(widget, Panel):
        widget = widget.parentWidget()
    return widget
