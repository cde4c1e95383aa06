"""What a user learns from the inspector: every value exactly, what is not there yet, and what is no number."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import theme
from app.cell_reading import POINT_HERE
from app.panels.inspector import NOT_YET, InspectorPanel
from app.session import Selection, Session
from app.widgets.numbers import exact, signed
from app.widgets.tensor_box import TensorBox
from app.widgets.tensor_text import cell_of, drawn_shape, index_at
from engine.protocol import AskCell, Cell, WatchItem
from engine.trainer import Trainer

from panel_tools import Desk
from waiting import wait_for_step


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk()


def inspector(qtbot: QtBot, session: Session) -> InspectorPanel:
    """The panel on a session whose network stands, as one sees matrices in it."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, theme.DARK)
    panel = InspectorPanel(session)
    qtbot.addWidget(panel)
    panel.build(session.network)
    panel.controls.pictures.setChecked(False)
    panel.controls.hide()  # a dock would have them in its title bar
    panel.resize(350, 400)
    panel.show()
    QApplication.processEvents()
    qtbot.mouseMove(panel, QPoint(2, 2))  # from wherever the last test left it
    QApplication.processEvents()
    QApplication.sendEvent(panel.view, QEvent(QEvent.Type.Leave))
    return panel


@pytest.fixture
def panel(qtbot: QtBot, desk: Desk) -> InspectorPanel:
    return inspector(qtbot, desk.session)


def point(qtbot: QtBot, panel: InspectorPanel, row: int, column: int) -> None:
    """Move the pointer onto a cell."""
    qtbot.mouseMove(panel.view, panel.view.cell_rect(row, column).center().toPoint())
    qtbot.waitUntil(lambda: panel._pointed == (row, column), timeout=1000)


def test_every_tensor_of_the_network_can_be_chosen(panel: InspectorPanel, desk: Desk):
    network = desk.session.network
    assert network is not None
    addresses = {panel.box.itemData(i) for i in range(panel.box.count())} - {None}
    assert addresses == set(network.tensors)
    headings = [panel.box.itemText(i) for i in range(panel.box.count()) if panel.box.itemData(i) is None]
    assert headings == ["data", "0 Dense 64→12", "1 ReLU", "2 Dense 12→10", "loss: softmax cross-entropy"]


def test_in_a_narrow_panel_the_hint_is_shorter_and_the_box_tells_no_half_shape(panel: InspectorPanel, desk: Desk):
    desk.step()
    panel.cell_line.resize(800, 20)
    assert panel.cell_line.text() == POINT_HERE[0]
    panel.cell_line.resize(panel.cell_line.fontMetrics().horizontalAdvance(POINT_HERE[1]), 20)
    assert panel.cell_line.text() == POINT_HERE[1]
    assert panel.cell_line.toolTip() == POINT_HERE[0]
    box = TensorBox()
    box.fill(desk.session.network)
    box.choose("0.W")
    box.resize(400, 26)
    assert box.shown_text() == "0.W   64×12"
    box.resize(box.fontMetrics().horizontalAdvance("0.W   64") + 20, 26)
    assert box.shown_text() == "0.W"


def test_choosing_in_the_box_selects_for_everybody(panel: InspectorPanel, desk: Desk):
    place = panel.box.findData("2.grad_W")
    panel.box.setCurrentIndex(place)
    panel.box.activated.emit(place)
    assert desk.session.selection == Selection("2.grad_W")
    assert panel.wanted() == (WatchItem("2.grad_W", 512, 512),)


def test_what_was_selected_elsewhere_is_shown(panel: InspectorPanel, desk: Desk):
    desk.session.select("2.grad_W")
    desk.step(1)
    assert panel.box.currentData() == "2.grad_W"
    assert panel.box.currentText().split() == ["2.grad_W", "12×10"]
    assert panel.view.shape == (12, 10)
    assert panel.formula_line.text() == "grad_W = xᵀ·grad_y"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("0.y", "y = x·W + b"),
        ("0.x", "the samples of the mini-batch"),
        ("2.x", "x = y of 1 ReLU"),
        ("2.grad_y", "softmax(y) − onehot"),
        ("0.grad_y", "grad_x of 1 ReLU"),
        ("1.grad_x", "grad_y ⊙ [z > 0]"),
        ("2.b", "b ← b − lr"),
        ("2.update_b", "b ← b − lr"),
        ("loss.p", "softmax(y)"),
        ("data.labels", "the true class"),
    ],
)
def test_the_formula_says_where_the_numbers_come_from(panel: InspectorPanel, desk: Desk, address: str, said: str):
    desk.session.select(address)
    assert said in panel.formula_line.text()


def test_the_numbers_are_those_of_the_tensor(panel: InspectorPanel, desk: Desk):
    desk.session.select("0.W")
    desk.step(1)
    w = desk.run.trainer.parameters["0.W"]
    mean, norm = signed(float(w.mean(dtype=np.float64))), np.linalg.norm(w)
    assert panel.facts.text == f"min −{-w.min():.4f}  max +{w.max():.4f}  mean {mean}  norm {norm:.4f}"
    assert panel.bar.counted is not None
    assert panel.bar.counted.bins.sum() == w.size


def test_the_cell_under_the_pointer_is_told_exactly(panel: InspectorPanel, desk: Desk, qtbot: QtBot):
    desk.session.select("0.W")
    desk.step(1)
    assert panel.cell_line.text() in POINT_HERE
    point(qtbot, panel, 40, 7)
    value = desk.run.trainer.parameters["0.W"][40, 7]
    assert panel.cell_line.text() == f"W[40, 7] = {exact(float(value), 'float32')}"
    told = panel.cell_line.text().partition("= ")[2].replace("−", "-")
    assert np.float32(told) == value
    assert not desk.sent(AskCell)


def test_a_clicked_cell_stays_and_follows_the_training(panel: InspectorPanel, desk: Desk, qtbot: QtBot):
    desk.session.select("2.W")
    desk.step(1)
    qtbot.mouseClick(panel.view, Qt.MouseButton.LeftButton, pos=panel.view.cell_rect(3, 4).center().toPoint())
    assert desk.session.selection == Selection("2.W", (3, 4))
    QApplication.sendEvent(panel.view, QEvent(QEvent.Type.Leave))
    texts = set()
    for _ in range(3):
        desk.step(1)
        assert (
            panel.cell_line.text() == f"W[3, 4] = {exact(float(desk.run.trainer.parameters['2.W'][3, 4]), 'float32')}"
        )
        texts.add(panel.cell_line.text())
    assert len(texts) == 3
    assert panel.view.marked == (3, 4)


def test_of_a_reduced_picture_the_engine_is_asked_for_the_cell(panel: InspectorPanel, desk: Desk, qtbot: QtBot):
    desk.session.select("0.W", (41, 5))
    desk.step(1, W0=np.tile(desk.run.trainer.parameters["0.W"], (20, 1)))
    assert panel.bar.counted is None
    assert "mean –  norm –" in panel.facts.text
    assert desk.sent(AskCell) == [AskCell("0.W", (41, 5))]
    assert panel.cell_line.text() == "W[41, 5] = …"
    desk.link.received.emit(Cell("0.W", (41, 5), 0.125))
    assert panel.cell_line.text() == "W[41, 5] = +0.125"
    assert len(desk.sent(AskCell)) == 1, "an answer must not ask again"
    desk.step(1, W0=np.zeros((1280, 12), np.float32))
    assert len(desk.sent(AskCell)) == 2, "the next frame does"


def test_what_is_not_computed_yet_is_hatched_and_says_so(panel: InspectorPanel, desk: Desk):
    desk.session.select("0.grad_W", (0, 0))
    desk.step(2)
    assert panel.view.notice == ""
    desk.run.step_phase()
    desk.show()
    assert panel.view.notice == NOT_YET
    assert panel.view.shape == (0, 0)
    assert panel.facts.text == "min –  max –  mean –  norm –"
    assert panel.cell_line.text() == ""
    panel.grab()
    desk.step(1)
    assert panel.view.notice == ""


def test_a_vector_lies_across(panel: InspectorPanel, desk: Desk, qtbot: QtBot):
    desk.session.select("0.b")
    desk.step(1)
    assert panel.view.shape == (1, 12)
    qtbot.waitUntil(lambda: panel.view.height() <= 72 and panel.view.y() > 60, timeout=1000)
    point(qtbot, panel, 0, 9)
    assert panel.cell_line.text() == f"b[9] = {exact(float(desk.run.trainer.parameters['0.b'][9]), 'float32')}"


def test_no_number_is_counted_and_said_loudly(panel: InspectorPanel, desk: Desk):
    desk.session.select("0.W")
    w = desk.run.trainer.parameters["0.W"]
    w[3, :5], w[7, 7] = np.nan, np.inf
    desk.step(1, W0=w)
    assert panel.facts.text.startswith("⚠ 5 NaN and 1 infinite of 768 entries")
    panel.grab()
    desk.step(1, W0=np.full((64, 12), np.nan))
    assert panel.facts.text == "⚠ 768 NaN of 768 entries no number is left"
    desk.step(1)
    assert panel.facts.text.startswith("min ")


def test_gradients_are_on_a_log_ruler_all_else_on_a_linear_one(panel: InspectorPanel, desk: Desk):
    for address, kind in (("0.grad_W", "log"), ("0.W", "linear"), ("loss.p", "linear"), ("loss.grad_y", "log")):
        desk.session.select(address)
        desk.step(1)
        assert panel.bar.ruler is not None
        assert panel.bar.ruler.kind == kind


def test_colours_hold_still_while_numbers_jitter(panel: InspectorPanel, desk: Desk):
    desk.session.select("0.W")
    limits = set()
    for size in (0.38, 0.41, 0.39, 0.42, 0.36, 0.41):
        desk.step(1, W0=np.full((64, 12), size))
        assert panel.bar.ruler is not None
        limits.add(panel.bar.ruler.limit)
    assert len(limits) <= 2
    assert panel.bar.ruler.limit == 0.5


@pytest.mark.parametrize("rate", [30.0, None])
def test_while_playing_the_picture_follows_every_frame_at_a_rate_and_the_texts_never_do(
    panel: InspectorPanel, desk: Desk, qtbot: QtBot, rate: float | None
):
    desk.session.select("0.W", (0, 0))
    desk.step(1)
    desk.session.playing, desk.session.rate = True, rate
    pictures, texts = [], set()
    show = panel.view.show_values
    panel.view.show_values = lambda *a, **k: (pictures.append(1), show(*a, **k))  # type: ignore[method-assign]
    for _ in range(20):
        desk.step(1)
        texts.add(panel.cell_line.text())
    assert len(pictures) == 20 if rate else 1 <= len(pictures) < 20
    assert len(texts) <= 4
    value = exact(float(desk.run.trainer.parameters["0.W"][0, 0]), "float32")
    qtbot.waitUntil(lambda: panel.cell_line.text() == f"W[0, 0] = {value}", timeout=5000)


@pytest.mark.parametrize("shape", [(7,), (5, 3), (4, 2, 3, 3)])
def test_cells_and_indices_are_each_others_inverse(shape):
    rows, columns = drawn_shape(shape)
    found = {index_at(shape, r, c) for r in range(rows) for c in range(columns)}
    assert len(found) == int(np.prod(shape))
    for index in found:
        cell = cell_of(shape, index)
        assert cell is not None
        assert index_at(shape, *cell) == index
    assert cell_of(shape, tuple(shape)) is None


def test_every_control_has_a_name_and_a_tip(panel: InspectorPanel):
    for widget in (panel.box, panel.view, panel.cell_line, panel.facts, panel.formula_line, panel.bar):
        assert widget.accessibleName()
    assert panel.box.toolTip()


def test_a_real_engine_tells_the_exact_cell_of_a_float64_network(session: Session, qtbot: QtBot):
    panel = inspector(qtbot, session)

    with qtbot.waitSignal(session.built, timeout=10_000):
        session.use(msgspec.structs.replace(session.recipe, dtype="float64"))
    session.select("2.W", (3, 3))
    session.step("batch")
    wait_for_step(qtbot, session, 1)
    qtbot.waitUntil(lambda: panel.cell_line.text().startswith("W[3, 3] = ") and "…" not in panel.cell_line.text())

    trainer = Trainer(session.recipe)
    trainer.step()
    told = panel.cell_line.text().partition("= ")[2].replace("−", "-")
    assert float(told) == trainer.parameters["2.W"][3, 3]
    assert panel.view.cell_at(QPointF(2, 2)) is not None
