"""What a user sees of the network's beliefs: mistakes and confusion, units over the plane, fits, or a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QImage
from PySide6.QtWidgets import QApplication, QToolTip, QWidget
from pytestqt.qtbot import QtBot

from app import theme
from app.panels.beliefs import REFUSED, SEVERAL, BeliefsPanel
from app.widgets.beliefs_of_classes import BeliefsOfClasses
from app.widgets.confusion import STRENGTH, Confusion
from app.widgets.fit_plot import FitPlot, view
from app.widgets.guesses import told_mistakes
from app.widgets.unit_maps import Group, UnitMaps
from app.window import Window
from engine.frames import Picture

from panel_tools import Desk
from waiting import wait_for_step

DOCKED, LARGE = (450, 150), (1100, 800)
POINTS: dict[str, Any] = {
    "data": {"kind": "moons", "samples": 100, "validation": 0.3},
    "layers": [
        {"kind": "dense", "units": 8},
        {"kind": "tanh"},
        {"kind": "dense", "units": 80},
        {"kind": "relu"},
        {"kind": "dense", "units": 2},
    ],
}
SINE: dict[str, Any] = {
    "data": {"kind": "sine", "samples": 50},
    "layers": [{"kind": "dense", "units": 4}, {"kind": "tanh"}, {"kind": "dense", "units": 1}],
    "loss": {"kind": "mean_squared_error"},
}
X = [[float(i % 3), float(i % 5), float(i % 7)] for i in range(40)]


def given(loss: str, units: int, **samples: Any) -> dict[str, Any]:
    """Rows of three numbers."""
    data = {"kind": "given", "x": X, "labels": [], **samples}
    return {"data": data, "layers": [{"kind": "dense", "units": units}], "loss": {"kind": loss}, "batch_size": 8}


@pytest.fixture(autouse=True)
def dark(qapp: QApplication) -> None:
    """Every test starts in the dark theme."""
    theme.apply(qapp, theme.DARK)


def shown(qtbot: QtBot, desk: Desk, steps: int = 5, size: tuple[int, int] = LARGE) -> BeliefsPanel:
    """The panel on a run some steps on."""
    panel = BeliefsPanel(desk.session)
    qtbot.addWidget(panel)
    panel.resize(*size)
    panel.show()
    desk.step(steps)
    return panel


def pixels(widget: QWidget) -> np.ndarray:
    """(rows, columns, 3) red, green, blue."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    lines = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return lines[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).astype(int)


def tip_at(widget: QWidget, place: QPoint) -> str:
    """The tool tip that comes where the pointer rests."""
    QToolTip.hideText()
    QApplication.sendEvent(widget, QHelpEvent(QHelpEvent.Type.ToolTip, place, widget.mapToGlobal(place)))
    return QToolTip.text()


def click(qtbot: QtBot, panel: BeliefsPanel, cell: tuple[int, int]) -> None:
    """Click a cell of the confusion matrix."""
    matrix = panel.classes.confusion
    qtbot.mouseClick(matrix, Qt.MouseButton.LeftButton, pos=matrix.cell_rect(*cell).center().toPoint())


# --- classes --------------------------------------------------------------------------------------


def test_the_worst_mistakes_come_first_with_truth_prediction_and_probability(qtbot: QtBot) -> None:
    desk = Desk()
    panel, trainer = shown(qtbot, desk, 40), desk.run.trainer
    p, labels = trainer.predict(trainer.x_validation), trainer.labels_validation
    assert labels is not None
    cost = -np.log(p[np.arange(len(p)), labels])
    wrong = np.flatnonzero(p.argmax(axis=1) != labels)
    worst = int(wrong[cost[wrong].argmax()])
    view, first = panel.classes.thumbnails, panel.classes.thumbnails._guesses[0]
    assert first.text == f"✗{p[worst].argmax()}/{labels[worst]} {100 * p[worst].max():.0f}%"
    assert first.field == "bad_text"
    assert np.array_equal(view._levels[0], (trainer.x_validation[worst].reshape(8, 8) * 255).astype(np.uint8))
    tip = tip_at(view.viewport(), view.cell_rect(0).center())
    assert tip.startswith(f"validation sample {worst}: predicted {p[worst].argmax()} with a probability of ")
    assert f"gets {100 * p[worst, labels[worst]]:.2f} %; loss {cost[worst]:.4g}" in tip
    assert panel.summary.text().startswith(f"validation: {len(wrong)} of {len(p)} wrong (")


def test_the_switch_shows_the_other_part(qtbot: QtBot) -> None:
    desk = Desk()
    panel, trainer = shown(qtbot, desk, 40), desk.run.trainer
    panel.switch.setCurrentIndex(1)
    desk.show()
    wrong = int((trainer.predict(trainer.x).argmax(axis=1) != trainer.labels).sum())
    assert panel.summary.text().startswith(f"training: {wrong} of 1,438 wrong")
    assert panel.classes.confusion.counts.sum() == 1438


def test_without_samples_held_out_there_is_the_training_part_alone(qtbot: QtBot) -> None:
    desk = Desk(data={"kind": "digits", "validation": 0.0})
    panel = shown(qtbot, desk)
    assert not panel.switch.isTabEnabled(0)
    assert panel.summary.text().startswith("training: ")
    assert "held out" in panel.switch.tabToolTip(0)
    other = Desk()
    panel.build(other.session.network)  # type: ignore[arg-type]
    assert panel.part == "validation"


def test_a_click_on_a_cell_of_the_matrix_shows_its_samples_and_another_click_all(qtbot: QtBot) -> None:
    desk = Desk()
    panel = shown(qtbot, desk, 40)
    counts = panel.classes.confusion.counts
    off = counts - np.diag(np.diag(counts))
    cell = tuple(map(int, np.unravel_index(off.argmax(), off.shape)))
    everything = len(panel.classes.thumbnails._guesses)
    click(qtbot, panel, cell)  # type: ignore[arg-type]
    desk.show()
    said = panel.classes.thumbnails._guesses
    assert len(said) == counts[cell]
    assert {guess.text.split()[0] for guess in said} == {f"✗{cell[1]}/{cell[0]}"}
    click(qtbot, panel, cell)  # type: ignore[arg-type]
    desk.show()
    assert len(panel.classes.thumbnails._guesses) == everything


def test_a_cell_without_samples_says_so(qtbot: QtBot) -> None:
    desk = Desk()
    panel = shown(qtbot, desk, 40)
    empty = tuple(map(int, np.argwhere(panel.classes.confusion.counts == 0)[0]))
    click(qtbot, panel, empty)  # type: ignore[arg-type]
    desk.show()
    assert not panel.classes.thumbnails._guesses
    assert panel.classes.thumbnails._message.startswith(f"no samples: {empty[0]} taken for {empty[1]}: 0 of ")


def test_no_mistakes_are_told_and_not_an_empty_place(qtbot: QtBot) -> None:
    panel = shown(qtbot, Desk(data={"kind": "digits", "only": [0, 1], "first": 60}, batch_size=8), 150)
    assert panel.summary.text().startswith("validation: 0 of 12 wrong (0.0 %)")
    assert panel.classes.thumbnails._message == "no mistakes"
    assert not panel.classes.thumbnails._guesses


def test_only_the_first_samples_of_a_large_part_are_told_to_be_looked_at(qtbot: QtBot) -> None:
    x, labels = [[float(i % 7)] for i in range(2100)], [i % 2 for i in range(2100)]
    data = {"kind": "given", "x": x, "labels": labels}
    panel = shown(qtbot, Desk(data=data, layers=[{"kind": "dense", "units": 2}]))
    assert " of the first 2,000 wrong" in panel.summary.text()


def test_more_classes_than_a_matrix_can_show_are_told(qtbot: QtBot) -> None:
    data = {"kind": "given", "x": [[float(i)] for i in range(82)], "labels": [i % 41 for i in range(82)]}
    panel = shown(qtbot, Desk(data=data, layers=[{"kind": "dense", "units": 41}]))
    assert panel.summary.text().endswith(" · no confusion matrix above 40 classes")
    assert not panel.classes.confusion.isVisible()


def test_rows_of_numbers_are_a_table(qtbot: QtBot) -> None:
    desk = Desk(**given("softmax_cross_entropy", 3, labels=[i * i % 3 for i in range(40)]))
    panel = shown(qtbot, desk, 3)
    table = panel.classes.table
    assert table.isVisible()
    assert table.values.rowCount() == int(panel.summary.text().split()[1])
    assert table.values.index(0, 0).data().startswith("✗")


def test_values_that_are_no_probabilities_are_not_told_as_such(qtbot: QtBot) -> None:
    panel = shown(qtbot, Desk(loss={"kind": "mean_squared_error"}))
    assert "%" not in panel.classes.thumbnails._guesses[0].text
    assert "with an output of" in panel.classes.thumbnails._guesses[0].sentence


def test_an_output_that_is_no_number_is_told_in_words() -> None:
    rows = np.array([[4, 2, -1, np.nan, np.nan, np.nan], [5, 1, 1, 0.9, 0.9, 0.1]])
    lost, right = told_mistakes(rows, ("a", "b", "c"), sure=True)
    assert (lost.text, lost.right) == ("✗NaN/c", False)
    assert (right.text, right.right) == ("b 90%", True)


# --- the confusion matrix -------------------------------------------------------------------------


@pytest.fixture
def matrix(qtbot: QtBot) -> Confusion:
    """Three classes, the first of them mostly taken for the second."""
    matrix = Confusion()
    qtbot.addWidget(matrix)
    matrix.resize(300, 300)
    matrix.show_counts(np.array([[2, 8, 0], [0, 5, 0], [1, 0, 3]]), ("cat", "dog", "owl"))
    matrix.show()
    return matrix


def test_a_cell_is_as_strong_as_its_share_of_its_row(matrix: Confusion) -> None:
    picture = pixels(matrix)
    paper = np.array(QColor(theme.DARK.panel).toTuple()[:3])
    for cell, share, colour in (((0, 0), 0.2, "forward"), ((0, 1), 0.8, "backward"), ((2, 0), 0.25, "backward")):
        full = np.array(theme.DARK.color(colour).toTuple()[:3])
        place = matrix.cell_rect(*cell).topLeft() + QPointF(8, 8)
        background = pixels(matrix)[2, 2]
        wanted = background + STRENGTH * share * (full - background)
        assert picture[int(place.y()), int(place.x())] == pytest.approx(wanted, abs=4)
    assert paper.shape == (3,)


def test_the_diagonal_is_framed_and_numbers_stand_in_the_cells_that_hold_samples(matrix: Confusion) -> None:
    picture, muted, text = pixels(matrix), *(np.array(theme.DARK.color(c).toTuple()[:3]) for c in ("muted", "text"))

    def near(part: np.ndarray, colour: np.ndarray) -> bool:
        return bool((np.abs(part - colour).max(axis=-1) < 30).any())

    for row in range(3):
        for column in range(3):
            rect = matrix.cell_rect(row, column).toRect()
            edge = picture[rect.top() + rect.height() // 4, rect.left() : rect.left() + 4]
            inside = picture[rect.top() + 5 : rect.bottom() - 5, rect.left() + 5 : rect.right() - 5]
            assert near(edge, muted) == (row == column)
            assert near(inside, text) == bool(matrix.counts[row, column])


def test_pointing_at_a_cell_tells_it_in_words(matrix: Confusion) -> None:
    assert tip_at(matrix, matrix.cell_rect(0, 1).center().toPoint()) == "cat taken for dog: 8 of 10"
    assert tip_at(matrix, matrix.cell_rect(1, 1).center().toPoint()) == "dog recognised: 5 of 5"


def test_the_keys_choose_a_cell_and_let_go_of_it(qtbot: QtBot, matrix: Confusion) -> None:
    chosen: list[object] = []
    matrix.chosen.connect(chosen.append)
    shift = Qt.KeyboardModifier.ShiftModifier
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down):
        qtbot.keyClick(matrix, key, shift)
    qtbot.keyClick(matrix, Qt.Key.Key_Backspace)
    assert chosen == [(0, 0), (0, 1), (1, 1), None]


@pytest.mark.parametrize("size", [(240, 100), (240, 120), (300, 150), (600, 500)])
def test_every_cell_lies_inside_at_any_size(qtbot: QtBot, size: tuple[int, int]) -> None:
    matrix = Confusion()
    qtbot.addWidget(matrix)
    matrix.resize(*size)
    matrix.show_counts(np.eye(10) * 36, tuple("0123456789"))
    for k in (0, 9):
        rect = matrix.cell_rect(k, k)
        assert matrix.rect().toRectF().contains(rect)
        assert rect.height() >= 7
        assert matrix.cell_at(rect.center()) == (k, k)


# --- points in the plane --------------------------------------------------------------------------


def test_every_hidden_layer_has_its_units_as_small_pictures_with_one_ruler(qtbot: QtBot) -> None:
    desk = Desk(**POINTS)
    panel = shown(qtbot, desk, 3)
    first, second = panel.classes.units._groups
    assert (first.layer, len(first.values), first.units) == (1, 8, 8)
    assert (second.layer, len(second.values), second.units) == (3, 56, 80)
    assert panel.classes.units._captions[0] == f"1 Tanh · 8 units · {first.ruler.label}"
    assert panel.classes.units._captions[1].startswith("3 ReLU · 56 of 80 units · ±")
    assert np.abs(second.values).max() <= second.ruler.limit


def test_a_click_on_a_unit_selects_its_layers_tensor(qtbot: QtBot) -> None:
    desk = Desk(**POINTS)
    panel = shown(qtbot, desk, 3)
    units = panel.classes.units
    qtbot.mouseClick(units.viewport(), Qt.MouseButton.LeftButton, pos=units.place_of(3, 2).center())
    assert desk.session.selection is not None
    assert desk.session.selection.address == "3.y"
    qtbot.keyClick(units, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    assert desk.session.selection.address == "1.y"


def test_a_unit_has_the_signed_colours_from_the_top_left(qtbot: QtBot) -> None:
    units = UnitMaps()
    qtbot.addWidget(units)
    units.resize(200, 150)
    ramp = np.repeat(np.array([[-1.0, -1.0, 1.0, 1.0]]), 4, axis=0).T.reshape(1, -1)  # negative above
    units.show_groups((Group(1, "Tanh", 1, ramp),))
    units.show()
    picture, rect = pixels(units.viewport()), units.place_of(1, 0)
    x, quarter = rect.center().x(), rect.height() // 5
    for y, colour in ((rect.top() + quarter, theme.DARK.backward), (rect.bottom() - quarter, theme.DARK.forward)):
        assert np.abs(picture[y, x] - np.array(QColor(colour).toTuple()[:3])).max() < 25


def test_all_units_fit_or_can_be_scrolled_to(qtbot: QtBot) -> None:
    units = UnitMaps()
    qtbot.addWidget(units)
    units.resize(220, 110)
    units.show_groups(tuple(Group(i, "ReLU", 16, np.ones((16, 16))) for i in range(4)))
    units.show()
    units.verticalScrollBar().setValue(units.verticalScrollBar().maximum())
    assert units.viewport().rect().contains(units.place_of(3, 15))


def test_points_that_are_taken_for_another_class_are_ringed(qtbot: QtBot) -> None:
    desk = Desk(**POINTS)
    panel, trainer = shown(qtbot, desk, 2), desk.run.trainer
    wrong = trainer.predict(trainer.x_validation).argmax(axis=1) != trainer.labels_validation
    plane = panel.classes.plane
    assert plane._ringed == pytest.approx(trainer.x_validation[wrong])
    x, y = plane.to_pixels(trainer.x_validation[:1])[0]
    assert tip_at(plane, QPoint(round(x), round(y))).startswith("validation sample ")


@pytest.mark.parametrize(("size", "matrix"), [((400, 130), False), ((900, 160), True), ((700, 800), True)])
def test_the_matrix_of_points_is_there_where_it_has_room_and_nothing_overlaps(
    qtbot: QtBot, size: tuple[int, int], matrix: bool
) -> None:
    panel = shown(qtbot, Desk(**POINTS), size=size)
    view = panel.classes
    assert view.confusion.isVisible() == matrix
    parts = [w for w in (view.plane, view.confusion, view.units) if w.isVisible()]
    assert all(view.rect().contains(w.geometry()) for w in parts)
    assert not any(a.geometry().intersects(b.geometry()) for a in parts for b in parts if a is not b)
    assert view.plane.plot_rect().width() > 60


# --- values, and neither --------------------------------------------------------------------------


def test_one_input_has_its_curve_over_the_samples(qtbot: QtBot) -> None:
    desk = Desk(**SINE)
    panel, trainer = shown(qtbot, desk), desk.run.trainer
    fit = panel.fit
    assert fit is not None
    assert fit.isVisible()
    x, _ = fit.shown()
    assert sorted(x) == pytest.approx(sorted(trainer.x_validation[:, 0]))
    across, up = fit.line()
    assert up == pytest.approx(trainer.predict(across[:, None])[:, 0], abs=1e-5)
    assert panel.summary.text().startswith("validation: 10 samples · loss ")


def test_several_inputs_have_predicted_against_true_values_with_the_diagonal(qtbot: QtBot) -> None:
    desk = Desk(**given("mean_squared_error", 2, values=[[i % 3, 0.2 * i] for i in range(40)], validation=0.25))
    panel, trainer = shown(qtbot, desk), desk.run.trainer
    assert panel.fit is not None
    for k in range(2):
        x, y = panel.fit.shown(k)
        assert x == pytest.approx(trainer.targets_validation[:, k])
        assert y == pytest.approx(trainer.predict(trainer.x_validation)[:, k], abs=1e-4)
    across, up = panel.fit.line()
    assert across == pytest.approx(up)


def test_a_fit_that_is_far_off_says_what_is_outside_the_picture(qtbot: QtBot) -> None:
    fit = FitPlot()
    qtbot.addWidget(fit)
    fit.resize(400, 200)
    fit.show()
    fit.show_scatter(np.array([[0.0], [1.0], [2.0]]), np.array([[0.5], [1e6], [np.nan]]))
    text = fit._caption.toPlainText()
    assert "1 outside the picture" in text
    assert "1 are no numbers" in text


def test_the_view_follows_a_bad_fit_only_so_far() -> None:
    low, high = view(np.array([[0.0], [1.0]]), np.array([[100.0], [-0.5]]))
    assert -1.0 < low <= -0.5
    assert 3.0 <= high < 3.5


def test_several_answers_a_sample_are_answered_by_one_sentence(qtbot: QtBot) -> None:
    desk = Desk(**given("binary_cross_entropy", 2, values=[[i % 2, i % 3 % 2] for i in range(40)]))
    panel = shown(qtbot, desk)
    assert panel.message.isVisible()
    assert panel.message.text() == SEVERAL
    assert panel.wanted() == ()


def test_a_network_that_refuses_the_samples_is_told_of(qtbot: QtBot) -> None:
    desk = Desk()
    panel = shown(qtbot, desk)
    facts = {"beliefs.facts_validation": Picture(np.zeros((0, 6)), (0, 6), True)}
    assert desk.session.frame is not None
    panel.draw(
        type(desk.session.frame)(
            *(getattr(desk.session.frame, n) for n in ("position", "phase", "epoch", "batch", "batches", "scalars")),
            facts,
        )
    )
    assert panel.message.text() == REFUSED
    desk.show()
    assert panel.classes.isVisible()


# --- in time, and in the window -------------------------------------------------------------------


def test_hidden_it_watches_nothing(qtbot: QtBot) -> None:
    desk = Desk()
    panel = shown(qtbot, desk)
    assert any(item.address.startswith("beliefs.") for item in desk.session._watched[panel])
    panel.hide()
    assert desk.session._watched[panel] == ()


def test_in_a_small_dock_the_title_bar_carries_the_count(qtbot: QtBot) -> None:
    desk = Desk()
    panel = BeliefsPanel(desk.session)
    qtbot.addWidget(panel)
    said: list[str] = []
    panel.status_changed.connect(said.append)
    panel.resize(*DOCKED)
    panel.show()
    desk.step(5)
    assert not panel.summary.isVisible()
    assert said[-1].endswith(" of 359 wrong · step 5")
    panel.resize(*LARGE)
    desk.show()
    assert panel.summary.isVisible()
    assert said[-1] == "after step 5"


def test_a_small_place_keeps_every_part_inside(qtbot: QtBot) -> None:
    panel = shown(qtbot, Desk(), size=LARGE)
    panel.resize(300, 140)  # what was large does not keep it from becoming small
    assert panel.width() == 300
    view = panel.classes
    assert isinstance(view, BeliefsOfClasses)
    assert view.rect().contains(view.thumbnails.geometry())
    assert view.thumbnails.width() > 80
    assert view.rect().contains(view.confusion.geometry())


def test_the_window_shows_the_beliefs_of_the_position_the_cursor_is_at(qtbot: QtBot, window: Window) -> None:
    session, panel = window.session, window.panels["beliefs"]
    assert isinstance(panel, BeliefsPanel)
    window.show_panel("beliefs")
    status = window.docks["beliefs"].titleBarWidget().status  # type: ignore[attr-defined]

    def tells(step: int) -> bool:
        return bool(status.text().endswith(f"step {step}"))

    session.train(30)
    wait_for_step(qtbot, session, 30)
    qtbot.waitUntil(lambda: tells(30), timeout=5000)
    late = status.text()
    session.seek(3)
    qtbot.waitUntil(lambda: tells(3), timeout=5000)
    assert status.text() != late
    session.seek(30)
    qtbot.waitUntil(lambda: tells(30), timeout=5000)
    assert status.text() == late


def test_the_window_fetches_the_samples_of_a_cell_from_the_engine(qtbot: QtBot, window: Window) -> None:
    session, panel = window.session, window.panels["beliefs"]
    assert isinstance(panel, BeliefsPanel)
    window.show_panel("beliefs")
    session.train(30)
    wait_for_step(qtbot, session, 30)
    qtbot.waitUntil(lambda: len(panel.classes.confusion.counts) == 10, timeout=5000)
    counts = panel.classes.confusion.counts
    cell = int(np.diag(counts).argmax())
    panel.classes.confusion.choose((cell, cell))
    qtbot.waitUntil(lambda: len(panel.classes.thumbnails._guesses) == counts[cell, cell], timeout=5000)
    assert all(guess.right for guess in panel.classes.thumbnails._guesses)


def test_every_control_has_a_name_and_can_be_reached(qtbot: QtBot) -> None:
    desk = Desk()
    panel = shown(qtbot, desk)
    for control in (panel.switch, panel.classes.confusion, panel.classes.thumbnails, panel.classes.units):
        assert control.accessibleName()
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus
