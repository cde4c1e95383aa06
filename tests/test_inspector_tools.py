"""What a user does with the inspected tensor: pictures, sums, copies, and what a step changed."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import theme
from app.cell_reading import ONLY_VALUES
from app.inspector_commands import NOTHING, POINT_FIRST
from app.panels.inspector import NO_CHANGE, InspectorPanel
from app.session import Selection, Session
from app.widgets.copying import REFUSED
from engine.frames import Picture
from engine.protocol import AskCell, AskWhole, Cell, Compare, WatchItem, Whole
from engine.run import Run
from engine.trainer import Trainer

from panel_tools import Desk
from waiting import wait_for_step


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk()


def shown_panel(qtbot: QtBot, session: Session, height: int = 420) -> InspectorPanel:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, theme.DARK)
    panel = InspectorPanel(session)
    qtbot.addWidget(panel)
    if session.network is not None:
        panel.build(session.network)
    panel.resize(350, height)
    panel.show()
    QApplication.processEvents()
    return panel


@pytest.fixture
def panel(qtbot: QtBot, desk: Desk) -> InspectorPanel:
    return shown_panel(qtbot, desk.session)


def point(panel: InspectorPanel, row: int, column: int) -> None:
    panel.view.hovered.emit(row, column)


def clipboard() -> str:
    return QGuiApplication.clipboard().text()


def answer(desk: Desk, address: str, array: Any) -> None:
    """What the engine says to AskWhole."""
    desk.link.received.emit(Whole(address, array.shape, array.dtype.name, array.tobytes(), desk.run.position.step))


# --- pictures -----------------------------------------------------------------------------------


def test_weights_that_read_an_image_are_pictures_in_which_every_pixel_names_its_entry(
    panel: InspectorPanel, desk: Desk
):
    desk.session.select("0.W")
    desk.step(1)
    rows, columns = panel.view.shape
    named = []
    for row in range(rows):
        for column in range(columns):
            index = panel.view.sheet.index_at(row, column)
            if index is not None:
                assert panel.view.sheet.cell_of(index) == (row, column)
                named.append(index)
    assert sorted(named) == [(i, unit) for i in range(64) for unit in range(12)]
    row, column = panel.view.sheet.cell_of((13, 5)) or (0, 0)
    point(panel, row, column)
    assert panel.cell_line.text().startswith("W[13, 5] = ")


def test_between_two_pictures_no_entry_is_named(panel: InspectorPanel, desk: Desk):
    desk.session.select("0.W")
    desk.step(1)
    point(panel, 8, 8)
    assert not panel.cell_line.text().startswith("W[")
    panel.view.clicked.emit(8, 8)
    assert desk.session.selection == Selection("0.W")


def test_a_click_between_two_pictures_leaves_the_mark_where_it_was(panel: InspectorPanel, desk: Desk, qtbot: QtBot):
    desk.session.select("0.W", (13, 5))
    desk.step(1)
    marked = panel.view.marked
    qtbot.mouseClick(panel.view, Qt.MouseButton.LeftButton, pos=panel.view.cell_rect(8, 8).center().toPoint())
    assert desk.session.selection == Selection("0.W", (13, 5))
    assert marked is not None
    assert panel.view.marked == marked


def test_the_switch_between_pictures_and_matrix_is_there_only_where_pictures_make_sense(
    panel: InspectorPanel, desk: Desk
):
    desk.session.select("0.W")
    desk.step(1)
    assert panel.controls.pictures.isEnabled()
    panel.controls.pictures.trigger()
    assert panel.view.shape == (64, 12)
    panel.controls.pictures.trigger()
    assert panel.view.shape != (64, 12)
    desk.session.select("2.W")
    desk.step(1)
    assert not panel.controls.pictures.isEnabled()
    assert panel.view.shape == (12, 10)


# --- numbers ------------------------------------------------------------------------------------


def test_pointing_at_a_cell_tells_the_exact_sums_of_its_row_and_column(panel: InspectorPanel, desk: Desk):
    desk.session.select("2.W")
    desk.step(1)
    w = desk.run.trainer.parameters["2.W"].astype(np.float64)
    assert panel.sums_line.text().startswith("rows Σ ")
    panel.resize(900, 420)
    point(panel, 3, 4)
    text = panel.sums_line.text().replace("−", "-")
    told = [float(part.partition("Σ ")[2]) for part in text.split("   ")]
    assert told == [w[3].sum(), w[:, 4].sum()]
    assert "row 3 Σ" in text
    assert "column 4 Σ" in text


def test_of_what_the_picture_does_not_hold_exactly_the_engine_tells_the_sums(panel: InspectorPanel, desk: Desk):
    desk.session.select("0.W", (41, 5))
    desk.step(1, W0=np.tile(desk.run.trainer.parameters["0.W"], (400, 1)))
    assert desk.sent(AskCell) == [AskCell("0.W", (41, 5))]
    desk.link.received.emit(Cell("0.W", (41, 5), 0.125, 1.5, -2.5))
    assert panel.sums_line.text() == "row 41 Σ +1.5   column 5 Σ −2.5"


def test_in_a_low_panel_the_heatmap_keeps_its_height_and_extras_come_with_more(qtbot: QtBot, desk: Desk):
    panel = shown_panel(qtbot, desk.session, 140)
    desk.session.select("2.W")
    desk.step(1)
    seen = []
    for height in range(140, 460, 10):
        panel.resize(350, height)
        QApplication.processEvents()
        extras = [panel.strip.isVisible(), panel.sums_line.isVisible(), panel.formula_line.isVisible()]
        seen.append(extras)
        lines = panel.view.height() / panel.fontMetrics().height()
        assert lines >= 3.5
        assert lines >= 5.9 or not any(extras[1:])
        lowest = max(w.geometry().bottom() for w in (panel.facts, panel.formula_line, panel.sums_line) if w.isVisible())
        assert lowest < height
    assert seen[0] == [False, False, False]
    assert seen[5][0], "the strip is there at the height that a window of 1280×800 gives"
    assert seen[-1] == [True, True, True]


def test_a_course_begins_anew_with_another_tensor_and_goes_on_while_one_trains(panel: InspectorPanel, desk: Desk):
    desk.session.select("2.W")
    for _ in range(6):
        desk.step(1)
    assert [seen.step for _, seen in panel.strip.course.rows()] == [1, 2, 3, 4, 5, 6]
    values = np.sort(desk.run.trainer.parameters["2.W"].ravel())
    assert panel.strip.course.rows()[-1][1].percentiles[2] == values[round(0.5 * (values.size - 1))]
    desk.session.select("0.b")
    assert len(panel.strip.course) <= 1
    desk.start()
    assert len(panel.strip.course) == 0


# --- copying ------------------------------------------------------------------------------------


def test_the_value_of_the_cell_is_copied_with_all_its_digits(panel: InspectorPanel, desk: Desk, qtbot: QtBot):
    desk.session.select("2.W", (3, 4))
    desk.step(1)
    panel.view.setFocus()
    qtbot.keyClick(panel.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert np.float32(clipboard()) == desk.run.trainer.parameters["2.W"][3, 4]


def test_the_whole_tensor_is_asked_of_the_engine_and_copied(panel: InspectorPanel, desk: Desk):
    said: list[str] = []
    desk.session.said.connect(lambda text, _: said.append(text))
    desk.session.select("0.W")
    desk.step(1)
    panel.controls.copy_csv.trigger()
    assert desk.sent(AskWhole) == [AskWhole("0.W")]
    exact = desk.run.trainer.parameters["0.W"].astype(np.float64) / 3
    answer(desk, "0.W", exact)
    again = np.array([[float(word) for word in line.split(",")] for line in clipboard().splitlines()])
    assert np.array_equal(again, exact)
    assert said[-1] == "0.W 64×12 of step 1 is copied as CSV"
    panel.controls.copy_numpy.trigger()
    answer(desk, "0.W", exact)
    assert np.array_equal(eval(clipboard(), {"np": np}), exact)
    answer(desk, "0.W", exact * 2)  # nobody asked
    assert np.array_equal(eval(clipboard(), {"np": np}), exact)


def test_what_cannot_be_copied_is_refused_in_a_sentence(panel: InspectorPanel, desk: Desk):
    said: list[str] = []
    desk.session.said.connect(lambda text, wrong: said.append(text) if wrong else None)
    desk.session.select("0.W")
    panel.controls.copy_csv.trigger()
    panel.controls.copy_value.trigger()
    desk.step(1, W0=np.zeros((50_000, 12), np.float32))
    panel.controls.copy_numpy.trigger()
    assert said == [NOTHING, POINT_FIRST, REFUSED]
    assert not desk.sent(AskWhole)


def test_the_menu_names_everything_with_its_key(panel: InspectorPanel, monkeypatch: pytest.MonkeyPatch):
    controls, opened = panel.controls, []
    monkeypatch.setattr(controls.menu, "popup", opened.append)
    named = [action for action in controls.menu.actions() if action.text() and not action.menu()]
    assert len(named) == 6
    assert not any(action.shortcut().isEmpty() for action in named)
    for button in (*controls._switches, controls.more):
        assert button.accessibleName()
        assert "(" in button.toolTip()
    panel.view.customContextMenuRequested.emit(panel.view.rect().center())
    assert len(opened) == 1


# --- comparing ----------------------------------------------------------------------------------


def test_the_change_shown_is_that_of_the_last_mini_batch_exactly(panel: InspectorPanel, desk: Desk):
    desk.session.select("2.W", (3, 4))
    desk.step(3)
    before = desk.run.trainer.parameters["2.W"].astype(np.float64)
    panel.controls.change.trigger()
    assert panel.wanted() == (WatchItem("2.change_W", 512, 512),)
    desk.step(1)
    change = desk.run.trainer.parameters["2.W"] - before
    picture = panel._picture
    assert picture is not None
    assert np.array_equal(picture.values, change.astype(np.float32))
    assert desk.sent(AskCell)[-1] == AskCell("2.change_W", (3, 4))
    desk.link.received.emit(Cell("2.change_W", (3, 4), float(change[3, 4])))
    told = panel.cell_line.text().replace("−", "-")
    assert told.startswith("ΔW[3, 4] = ")
    assert float(told.partition("= ")[2]) == change[3, 4]


def test_a_change_is_told_as_one_and_cannot_be_typed_over(panel: InspectorPanel, desk: Desk):
    said: list[str] = []
    texts: list[str] = []
    panel.status_changed.connect(texts.append)
    desk.session.said.connect(lambda text, wrong: said.append(text))
    desk.session.select("2.W")
    desk.step(2)
    panel.controls.change.trigger()
    desk.show()
    assert texts[-1] == "Δ to the step before"
    assert panel.cell_line.text().startswith("Δ to the step before: ")
    panel.view.opened.emit(1, 1)
    assert said[-1] == ONLY_VALUES
    assert panel.editor.isHidden()
    panel.controls.change.trigger()
    desk.show()
    assert texts[-1] == ""


def test_where_there_is_no_step_before_it_says_so(panel: InspectorPanel, desk: Desk):
    desk.session.select("2.W")
    panel.controls.change.trigger()
    desk.show()
    assert panel.view.notice == NO_CHANGE
    desk.step(1)
    assert panel.view.notice == ""


def test_forks_are_offered_to_compare_with(panel: InspectorPanel, desk: Desk):
    from engine.kept_runs import KeptRuns
    from engine.travel import Travel

    desk.step(3)
    runs = KeptRuns()
    runs.add(desk.run, 1 << 28)
    desk.run.fork("another")
    Travel(desk.link.received.emit, runs).open(desk.run)
    panel.controls.menu.aboutToShow.emit()
    (action,) = panel.controls.forks.actions()
    action.trigger()
    assert desk.sent(Compare)


def test_a_real_engine_tells_change_cell_and_whole_tensor_exactly(session: Session, qtbot: QtBot):
    panel = shown_panel(qtbot, session)
    with qtbot.waitSignal(session.built, timeout=10_000):
        session.use(msgspec.structs.replace(session.recipe, dtype="float64"))
    session.select("2.grad_W", (3, 3))
    panel.controls.change.trigger()
    session.step("batch")
    wait_for_step(qtbot, session, 1)
    session.step("batch")
    wait_for_step(qtbot, session, 2)
    trainer = Trainer(session.recipe)
    trainer.step()
    before = np.array(trainer.tensor("2.grad_W"))
    trainer.step()
    change = np.asarray(trainer.tensor("2.grad_W")) - before
    qtbot.waitUntil(lambda: panel.reading.value not in ("", "…"), timeout=5000)
    assert float(panel.reading.value.replace("−", "-")) == change[3, 3]
    with qtbot.waitSignal(session.whole_told, timeout=5000):
        panel.controls.copy_numpy.trigger()
    assert np.array_equal(eval(clipboard(), {"np": np}), change)
    assert isinstance(panel._picture, Picture)


def test_while_training_plays_a_change_is_told_rounded_and_follows(session: Session, qtbot: QtBot):
    panel = shown_panel(qtbot, session)
    panel.controls.change.trigger()
    session.select("2.W", (3, 3))
    texts: set[str] = set()
    session.shown.connect(lambda _: texts.add(panel.cell_line.text()))
    session.play()
    qtbot.waitUntil(lambda: sum(t.startswith("ΔW[3, 3] = ≈ ") for t in texts) > 2, timeout=20_000)
    with qtbot.waitSignal(session.whole_told, timeout=5000) as told:
        panel.controls.copy_csv.trigger()
    session.pause()
    qtbot.waitUntil(lambda: not session.playing, timeout=5000)
    event = told.args[0]
    run = Run(session.recipe)
    run.run_to(event.step - 1)
    before = run.trainer.parameters["2.W"].astype(np.float64)
    run.step()
    change = np.frombuffer(event.data, event.dtype).reshape(event.shape)
    assert np.array_equal(change, run.trainer.parameters["2.W"] - before)
