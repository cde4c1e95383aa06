"""Time on screen: timeline, forks, formula, breakpoints, health and plots, in the real window with the real engine."""

import math

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QListWidgetItem, QWidget
from pytestqt.qtbot import QtBot

from app.panels.breakpoints import BreakpointsPanel
from app.panels.curves import CurvesPanel
from app.panels.flow import FlowPanel
from app.panels.formula import FormulaPanel
from app.panels.health import HealthPanel
from app.panels.inspector import InspectorPanel
from app.panels.timeline import TimelinePanel, binned
from app.session import Selection
from app.widgets.cell_editor import parsed
from app.widgets.latex_text import plain
from app.window import Window
from engine.conditions import AtPhase, GradientNorm, NonFinite
from engine.frames import Phase, Position

from waiting import wait_for_step


def panel(window: Window, kind: type) -> QWidget:
    """The window's panel of a kind, brought to the front."""
    name = kind.__module__.rpartition(".")[2]
    window.show_panel(name)
    found = window.panels[name]
    assert isinstance(found, kind)
    return found


@pytest.fixture
def trained(window: Window, qtbot: QtBot) -> Window:
    """A window in which thirty steps have been made."""
    window.session.train(30)
    wait_for_step(qtbot, window.session, 30)
    return window


def wait_for_position(qtbot: QtBot, window: Window, step: int, phase: int | None = None) -> None:
    def there() -> bool:
        frame = window.session.frame
        return frame is not None and frame.step == step and (phase is None or frame.position.phase == phase)

    qtbot.waitUntil(there, timeout=10_000)


def pixels(widget: QWidget) -> bytes:
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGBA8888)
    return bytes(image.constBits())


def lively_cell(window: Window, address: str) -> tuple[int, ...]:
    """The cell of a tensor on screen that is furthest from 0."""
    assert window.session.frame is not None
    values = np.abs(window.session.frame.tensors[address].values)
    return tuple(int(i) for i in np.unravel_index(values.argmax(), values.shape))


# --- timeline -------------------------------------------------------------------------------------


def test_a_press_on_the_timeline_shows_that_step_and_the_very_same_picture_again(trained: Window, qtbot: QtBot) -> None:
    timeline, flow = panel(trained, TimelinePanel), trained.panels["flow"]
    strip, seen = timeline.strip, []
    for step in (12, 30, 12):
        place = QPointF(strip.x_of(step), strip.height() / 2).toPoint()
        qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=place)
        wait_for_position(qtbot, trained, step)
        qtbot.wait(50)
        seen.append(pixels(flow))
    assert seen[0] == seen[2] != seen[1]


def test_a_drag_asks_for_one_place_at_a_time_and_ends_at_the_last(trained: Window, qtbot: QtBot) -> None:
    strip = panel(trained, TimelinePanel).strip
    y = strip.height() // 2
    qtbot.mousePress(strip, Qt.MouseButton.LeftButton, pos=QPoint(int(strip.x_of(3)), y))
    for step in range(4, 26):
        strip.sought.emit(step)
    wait_for_position(qtbot, trained, 25)
    qtbot.mouseRelease(strip, Qt.MouseButton.LeftButton, pos=QPoint(int(strip.x_of(25)), y))


def test_keys_move_along_the_timeline(trained: Window, qtbot: QtBot) -> None:
    strip = panel(trained, TimelinePanel).strip
    strip.setFocus()
    key = Qt.Key
    for pressed, step in ((key.Key_PageUp, 27), (key.Key_Home, 0), (key.Key_End, 30), (key.Key_PageDown, 30)):
        qtbot.keyClick(strip, pressed)
        wait_for_position(qtbot, trained, step)


def test_a_step_is_typed_and_one_that_was_not_made_is_refused_in_a_sentence(trained: Window, qtbot: QtBot) -> None:
    timeline = panel(trained, TimelinePanel)
    for text, words in (("99", "outside this run"), ("soon", "'soon' is not a step")):
        timeline.step.setText(text)
        qtbot.keyClick(timeline.step, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda w=words: w in trained.message.text())
    timeline.step.setText("7")
    qtbot.keyClick(timeline.step, Qt.Key.Key_Return)
    wait_for_position(qtbot, trained, 7)


def test_a_click_on_a_phase_shows_the_mini_batch_as_it_was_then(trained: Window, qtbot: QtBot) -> None:
    phases = panel(trained, TimelinePanel).phases
    qtbot.mouseClick(phases, Qt.MouseButton.LeftButton, pos=phases.cell(4).center().toPoint())
    wait_for_position(qtbot, trained, 30, 4)
    assert trained.session.network is not None
    assert trained.session.frame.phase == trained.session.network.phases[4]  # type: ignore[union-attr]


def test_every_stride_has_a_key_forwards_and_back(trained: Window, qtbot: QtBot) -> None:
    def position() -> Position:
        assert trained.session.frame is not None
        return trained.session.frame.position

    for stride in ("batch", "phase", "part", "epoch"):
        trained.session.seek(12, 3)
        wait_for_position(qtbot, trained, 12, 3)
        trained.commands[f"step_{stride}"].trigger()
        qtbot.waitUntil(lambda: position() > Position(12, 3))
        there = position()
        trained.commands[f"back_{stride}"].trigger()
        qtbot.waitUntil(lambda before=there: position() < before)
        assert trained.commands[f"step_{stride}"].shortcuts()
        assert trained.commands[f"back_{stride}"].shortcuts()


def test_the_faint_curve_is_scaled_and_has_gaps_where_there_is_no_number() -> None:
    heights = binned(np.array([2.0, 4.0, np.nan, 8.0]), 4)
    assert heights[[0, 1, 3]].tolist() == pytest.approx([0.0, 1 / 3, 1.0])
    assert math.isnan(heights[2])
    assert len(binned(np.random.default_rng(0).normal(size=100_000), 300)) == 300


# --- forks ----------------------------------------------------------------------------------------


def test_a_typed_cell_forks_and_both_paths_are_in_the_plots_and_in_the_list(trained: Window, qtbot: QtBot) -> None:
    curves, timeline = panel(trained, CurvesPanel), panel(trained, TimelinePanel)
    inspector = panel(trained, InspectorPanel)
    trained.session.seek(10)
    wait_for_position(qtbot, trained, 10)
    trained.session.select("0.W", (2, 4))
    qtbot.wait(50)
    qtbot.keyClick(inspector.view, Qt.Key.Key_F2)
    assert inspector.editor.isVisible()
    inspector.editor.setText("1.25")
    qtbot.keyClick(inspector.editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: trained.session.fork == 1)
    qtbot.waitUntil(lambda: "= +1.25" in inspector.cell_line.text())
    trained.session.train(10)
    wait_for_step(qtbot, trained.session, 20)
    qtbot.waitUntil(lambda: [overlay.name for overlay in curves.loss.overlays] == ["main"])
    assert len(curves.loss.overlays[0].source) == 30
    qtbot.waitUntil(lambda: len(curves.loss.series[0].source) == 20)
    assert "fork 1" in timeline.forks.text()
    assert any("0.W [2, 4] = 1.25" in mark.text for mark in timeline.strip._track.marks)


def test_what_is_no_number_is_refused_and_the_field_stays_open(trained: Window, qtbot: QtBot) -> None:
    inspector = panel(trained, InspectorPanel)
    trained.session.select("0.W", (2, 4))
    qtbot.wait(50)
    qtbot.keyClick(inspector.view, Qt.Key.Key_Return)
    inspector.editor.setText("much")
    qtbot.keyClick(inspector.editor, Qt.Key.Key_Return)
    assert "'much' is not a number" in trained.message.text()
    assert inspector.editor.isVisible()
    qtbot.keyClick(inspector.editor, Qt.Key.Key_Escape)
    assert not inspector.editor.isVisible()
    assert trained.session.fork == 0


def test_a_cell_that_may_not_be_edited_is_refused_by_the_engine_in_a_sentence(trained: Window, qtbot: QtBot) -> None:
    trained.session.edit("0.grad_W", (0, 0), 1.0)
    qtbot.waitUntil(lambda: "cannot be edited" in trained.message.text())


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.5", 0.5), ("−2", -2.0), ("inf", math.inf), ("-inf", -math.inf), ("∞", math.inf), ("1e3", 1e3)],
)
def test_numbers_are_taken_as_people_type_them(text: str, number: float) -> None:
    assert parsed(text) == number
    assert math.isnan(parsed("nan"))  # type: ignore[arg-type]
    assert parsed("1e999") is None
    assert parsed("one") is None


def test_nan_may_be_typed_and_is_shown_as_what_it_is(trained: Window, qtbot: QtBot) -> None:
    trained.session.edit("2.W", (0, 0), math.nan)
    trained.session.select("2.W", (0, 0))
    inspector = panel(trained, InspectorPanel)
    qtbot.waitUntil(lambda: "NaN" in inspector.cell_line.text())
    trained.session.step("batch")
    qtbot.waitUntil(lambda: "NaN" in " ".join(v.sentence for v in panel(trained, HealthPanel)._found))


def test_the_difference_of_two_forks_is_shown_and_named(trained: Window, qtbot: QtBot) -> None:
    flow = panel(trained, FlowPanel)
    told: list[str] = []
    flow.status_changed.connect(told.append)
    trained.session.seek(10)
    trained.session.make_fork("what if")
    qtbot.waitUntil(lambda: trained.session.fork == 1)
    trained.session.compare(0)
    qtbot.waitUntil(lambda: trained.session.compared == 0)
    assert told[-1] == "▲ difference: what if − main"
    trained.session.compare(None)
    qtbot.waitUntil(lambda: trained.session.compared is None)
    assert told[-1] == ""


def test_another_setting_with_the_same_weights_lies_over_the_run_before(trained: Window, qtbot: QtBot) -> None:
    curves = panel(trained, CurvesPanel)
    trained.session.use(msgspec.structs.replace(trained.session.recipe, batch_size=16))
    qtbot.waitUntil(lambda: trained.session.fork == 1)
    qtbot.waitUntil(lambda: [overlay.name for overlay in curves.loss.overlays] == ["main"])
    assert len(curves.loss.overlays[0].source) == 30


def test_a_click_in_a_plot_goes_to_that_step_and_a_line_stands_there(trained: Window, qtbot: QtBot) -> None:
    curves = panel(trained, CurvesPanel)
    qtbot.wait(100)
    box = curves.loss._box
    place = curves.loss.mapFromScene(box.mapViewToScene(QPointF(15, sum(box.viewRange()[1]) / 2)))
    qtbot.mouseMove(curves.loss.viewport(), QPoint(1, 1))
    qtbot.mouseMove(curves.loss.viewport(), place)
    qtbot.waitUntil(lambda: curves.loss.step is not None)
    qtbot.mouseClick(curves.loss.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: trained.session.frame is not None and trained.session.frame.step < 30)
    assert abs(trained.session.frame.step - 15) <= 1  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: curves.loss.position == trained.session.frame.step)  # type: ignore[union-attr]


# --- formula --------------------------------------------------------------------------------------


def test_a_chosen_cell_tells_its_formula_its_terms_and_their_sum(trained: Window, qtbot: QtBot) -> None:
    formula, cell = panel(trained, FormulaPanel), lively_cell(trained, "2.grad_W")
    trained.session.select("2.grad_W", cell)
    qtbot.waitUntil(lambda: f"2.grad_W {list(cell)}" in formula.cell.text())
    found = formula.table.terms.found
    assert found is not None
    frame = trained.session.frame
    assert frame is not None
    assert found.value == frame.tensors["2.grad_W"].values[cell]
    assert sum(term.value for term in found.terms) == pytest.approx(found.value, rel=1e-4)
    shares = [formula.table.terms.share(row) for row in range(found.count)]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0)
    assert "∂L/∂W[i,j]" in formula.formula.accessibleDescription()
    assert "cancellation" in formula.cancelling.text()
    x, g = found.terms[0].factors[:2]
    assert x.cell == frame.tensors["1.y"].values[x.index]
    assert g.cell == frame.tensors["2.grad_y"].values[g.index]


def test_a_phase_step_tells_the_formula_of_what_it_has_computed(trained: Window, qtbot: QtBot) -> None:
    formula = panel(trained, FormulaPanel)
    for phase, cell, words in ((2, "1.y", "max"), (6, "loss", "log"), (7, "4.grad_W", "∂L/∂W")):
        trained.session.seek(30, phase)
        qtbot.waitUntil(lambda c=cell: formula.cell.text().startswith(c), timeout=10_000)
        assert words in formula.formula.accessibleDescription()


def test_a_term_pointed_at_lights_its_cells_and_a_cell_its_term(trained: Window, qtbot: QtBot) -> None:
    formula, hints = panel(trained, FormulaPanel), []
    trained.session.hinted.connect(hints.append)
    cell = lively_cell(trained, "2.grad_W")
    trained.session.select("2.grad_W", cell)
    qtbot.waitUntil(lambda: f"2.grad_W {list(cell)}" in formula.cell.text())
    factors = formula.table.terms.found.terms[0].factors
    formula.table.pointed.emit(factors)
    assert hints[-1] == tuple(Selection(f.address, f.index) for f in factors)
    target = formula.table.terms.found.terms[4].factors[0]
    trained.session.hint((Selection(target.address, target.index),))
    assert formula.table.currentIndex().row() == 4
    formula.table.chosen.emit(target)
    assert trained.session.selection == Selection(target.address, target.index)


def test_while_it_plays_the_formula_says_to_pause(trained: Window, qtbot: QtBot) -> None:
    formula = panel(trained, FormulaPanel)
    trained.session.play()
    qtbot.waitUntil(lambda: formula.cell.text() == "pause to see the terms")
    trained.session.pause()
    qtbot.waitUntil(lambda: "=" in formula.cell.text(), timeout=10_000)


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"y_{n,j} = \sum_i x_{n,i} \, W_{i,j} + b_j", "y[n,j] = Σ x[n,i] W[i,j] + b_j"),
        (r"\frac{\partial L}{\partial W_{i,j}} = g", "∂L/∂W[i,j] = g"),
        (r"\frac{1}{1 + e^{-z}}", "1/(1 + e^(−z))"),
        (r"\hat{x} = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}", "x\u0302 = (x − μ)/(√(σ^2 + ε))"),
        (r"W^{\mathrm{old}}_{0,0} - \eta g", "Wᵒˡᵈ[0,0] − η g"),
    ],
)
def test_formulas_are_said_in_plain_text_too(latex: str, text: str) -> None:
    assert plain(latex) == text


# --- breakpoints and health -----------------------------------------------------------------------


def test_a_breakpoint_is_set_by_key_stops_there_and_can_be_turned_off(trained: Window, qtbot: QtBot) -> None:
    breaks = panel(trained, BreakpointsPanel)
    trained.session.select("2.grad_W")
    trained.commands["toggle_breakpoint"].trigger()
    qtbot.waitUntil(lambda: breaks.list.count() == 1)
    with qtbot.waitSignal(trained.session.stopped, timeout=10_000):
        trained.session.play()
    qtbot.waitUntil(lambda: "hit 1×" in breaks.list.item(0).text())
    qtbot.waitUntil(lambda: trained.session.frame.phase == Phase("backward", 2, "grad_W"))  # type: ignore[union-attr]
    assert "Stopped at backward 2 grad_W" in trained.message.text()
    item = breaks.list.item(0)
    assert isinstance(item, QListWidgetItem)
    item.setCheckState(Qt.CheckState.Unchecked)
    qtbot.waitUntil(lambda: not trained.session.breaks[0].enabled)
    trained.session.train(5)
    wait_for_step(qtbot, trained.session, 35)
    breaks.list.itemActivated.emit(breaks.list.item(0))
    wait_for_position(qtbot, trained, 31)
    trained.commands["toggle_breakpoint"].trigger()
    qtbot.waitUntil(lambda: breaks.list.count() == 0)


def test_a_condition_is_made_from_its_form_and_a_bad_number_is_refused(trained: Window, qtbot: QtBot) -> None:
    breaks = panel(trained, BreakpointsPanel)
    breaks.form.open(GradientNorm)
    qtbot.mouseClick(breaks.form.add, Qt.MouseButton.LeftButton)
    assert "needs a number" in trained.message.text()
    breaks.form._fields["below"].setText("little")
    qtbot.mouseClick(breaks.form.add, Qt.MouseButton.LeftButton)
    assert "gradient norm below 'little' is not a number" in trained.message.text()
    breaks.form._fields["below"].setText("1e-3")
    breaks.form.layers.setCurrentIndex(1)
    qtbot.mouseClick(breaks.form.add, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: breaks.list.count() == 1)
    assert trained.session.breaks[0].condition == GradientNorm(layer=0, below=1e-3)


def test_a_breakpoint_of_a_layer_that_is_no_more_is_marked(trained: Window, qtbot: QtBot) -> None:
    breaks = panel(trained, BreakpointsPanel)
    trained.session.add_break(AtPhase(kind="forward", layer=4))
    trained.session.add_break(NonFinite())
    qtbot.waitUntil(lambda: breaks.list.count() == 2)
    trained.session.use(msgspec.structs.replace(trained.session.recipe, layers=trained.session.recipe.layers[-1:]))
    qtbot.waitUntil(lambda: "its layer is no more" in breaks.list.item(0).text())
    assert "is no more" in breaks.list.item(0).toolTip()
    assert breaks.list.item(1).checkState() == Qt.CheckState.Checked


def test_a_healthy_run_is_told_so_and_every_layer_has_its_factor(trained: Window, qtbot: QtBot) -> None:
    health = panel(trained, HealthPanel)
    qtbot.waitUntil(lambda: health.list.count() > 0 and bool(health._found))
    assert not any(verdict.severity == "bad" for verdict in health._found)
    told = health.bars.accessibleDescription()
    assert told.count("Wᵀ") == 2
    assert told.count("f′") == 2


def test_a_sentence_of_health_leads_to_its_tensor_and_to_the_step_since_when(window: Window, qtbot: QtBot) -> None:
    recipe = msgspec.structs.replace(
        window.session.recipe, optimizer=msgspec.structs.replace(window.session.recipe.optimizer, lr=1e4)
    )
    window.session.use(recipe)
    qtbot.wait(100)
    window.session.train(40)
    wait_for_step(qtbot, window.session, 40)
    health = panel(window, HealthPanel)
    qtbot.waitUntil(lambda: any(v.severity == "bad" for v in health._found))
    verdict = health._found[0]
    assert verdict.step < 40
    health.list.itemClicked.emit(health.list.item(0))
    wait_for_position(qtbot, window, verdict.step)
    assert window.session.selection is not None
    if verdict.tensor in window.session.network.tensors:  # type: ignore[union-attr]
        assert window.session.selection.address == verdict.tensor
