"""What a user reads from the curves: every spike, the exact values, and when the loss is lost."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from types import SimpleNamespace
from typing import cast

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QObject, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPolygonF
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import theme
from app.panels.curves import CurvesPanel
from app.session import Session
from app.widgets.axes import limits, steady
from app.widgets.curve_data import Dense, Sparse
from app.widgets.curve_layer import Look, Shape, _paint_line
from app.widgets.numbers import exact, figures, percent, tiny
from app.widgets.series import Overlay
from app.widgets.smoothing import mean_of
from app.widgets.throttle import Throttle
from engine.frames import Position
from engine.protocol import Paths
from engine.timeline import Timeline

from panel_tools import Desk, let_rest


def dense(values: np.ndarray) -> Dense:
    """A curve of these values."""
    curve = Dense(lambda first, last: values[first:last])
    curve.update(len(values))
    return curve


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk()


@pytest.fixture
def panel(qtbot: QtBot, desk: Desk) -> CurvesPanel:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, theme.DARK)
    panel = CurvesPanel(desk.session)
    qtbot.addWidget(panel)
    panel.build(desk.session.network)
    panel.resize(700, 170)
    panel.show()
    return panel


# --- the data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 15, 16, 17, 1000, 100_003])
def test_a_thinned_curve_has_few_points_and_every_spike(length):
    values = np.random.default_rng(length).normal(size=length)
    spike = length * 2 // 3
    values[spike] = 99.0
    curve = dense(values).curve(0, length, 600)
    assert len(curve.x) <= 600
    assert np.nanmax(curve.y) == 99.0
    assert np.nanmin(curve.y) == values.min()
    assert abs(curve.x[np.nanargmax(curve.y)] - (spike + 1)) <= length / 150


def test_a_curve_fed_bit_by_bit_is_the_curve_fed_at_once():
    values = np.random.default_rng(0).normal(size=20_011)
    bit_by_bit = Dense(lambda first, last: values[first:last])
    for length in (1, 7, 16, 40, 3000, 3001, 19_999, 20_011):
        bit_by_bit.update(length)
    for mine, other in zip(bit_by_bit.curve(0, 20_011, 500), dense(values).curve(0, 20_011, 500), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_the_mean_of_a_thinned_curve_is_its_mean():
    values = np.random.default_rng(0).normal(size=1 << 14)
    curve = dense(values).curve(0, len(values), 512)
    assert curve.mean_y.mean() == pytest.approx(values.mean())
    assert len(curve.mean_x) * 2 == len(curve.x)


def test_a_curve_that_begins_anew_forgets_what_it_was():
    table = {"now": np.ones(5000)}
    curve = Dense(lambda first, last: table["now"][first:last])
    curve.update(5000)
    table["now"] = np.full(9000, 3.0)  # restarted, and already longer than before when it is looked at again
    curve.update(9000)
    assert set(curve.curve(0, 9000, 100).y) == {3.0}


def test_a_shortened_curve_keeps_what_is_left():
    values = np.arange(1000.0)
    curve = dense(values)
    curve.update(500)
    assert curve.curve(0, 1000, 50).y.max() == 499.0
    curve.update(1000)
    assert curve.curve(0, 1000, 50).y.max() == 999.0


def test_what_is_no_number_is_a_gap_and_its_beginning_is_known():
    values = np.ones(100)
    values[40:60] = np.nan
    values[80] = np.inf
    curve = dense(values)
    y = curve.curve(0, 100, 400).y
    assert np.isnan(y[40:60]).all()
    assert np.isnan(y[80])
    assert curve.lost_at == 41
    curve.update(40)
    assert curve.lost_at is None


def test_numbers_lost_with_an_engine_are_no_lost_loss():
    values = np.concatenate([np.full(30, np.nan), np.ones(30)])
    assert dense(values).lost_at is None


def test_only_measured_steps_make_the_validation_curve():
    values = np.full(2000, np.nan)
    values[99::100] = np.arange(20)
    curve = Sparse(lambda first, last: values[first:last])
    curve.update(1500)
    curve.update(2000)
    points = curve.curve(0, 2000, 400)
    assert points.x.tolist() == list(range(100, 2001, 100))
    assert points.y.tolist() == list(range(20))
    assert curve.at(350) == (300, 2.0)
    assert math.isnan(curve.at(50)[1])
    curve.update(250)
    assert curve.curve(0, 2000, 400).x.tolist() == [100, 200]


def test_many_measured_steps_are_thinned_too():
    values = np.random.default_rng(0).normal(size=5000)
    curve = Sparse(lambda first, last: values[first:last])
    curve.update(5000)
    points = curve.curve(0, 5000, 400)
    assert len(points.x) == len(points.y) <= 400
    assert points.y.max() == values.max()


# --- axes and numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize(("points", "has_dots"), [(1, True), (8, True), (25, True), (30, False), (200, False)])
def test_dots_are_drawn_only_where_they_do_not_melt_into_a_line(qtbot: QtBot, points: int, has_dots: bool):
    image = QImage(200, 20, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(0)
    painter = QPainter(image)
    line = QPolygonF([QPointF(x, 10) for x in np.linspace(5, 195, points)])
    shape = SimpleNamespace(look=Look(QColor("white"), dots=5))
    _paint_line(painter, cast(Shape, shape), [line], 1.0)
    painter.end()
    height = max(sum(image.pixelColor(x, y).alpha() > 99 for y in range(20)) for x in range(200))
    assert height >= 5 if has_dots else height <= 2


def test_axes_hold_still_while_a_curve_grows():
    assert len({steady(n) for n in range(100, 1000)}) < 12
    assert all(steady(n) >= n for n in (1, 3.3, 99, 1e9))
    assert limits("from zero", 0.3, 2.4, False) == (0.0, 2.5)
    assert limits("percent", 10, 90, False) == (0.0, 102.0)


def test_numbers_keep_their_width():
    assert [figures(v, 4) for v in (0.47213, 2.30259, 12.3456, 123.456)] == ["0.4721", "2.3026", "12.346", "123.46"]
    assert figures(1.2e-7) == "1.20e-07"
    assert figures(math.nan) == "NaN"
    assert percent(0.891) == "89.1 %"
    assert tiny(4.2e-10) == "4e-10"
    assert float(exact(float(np.float32(0.1)), "float32")) == pytest.approx(0.1, abs=1e-9)
    assert float(exact(0.1, "float64")) == 0.1


# --- the panel --------------------------------------------------------------------------------------


def test_the_status_says_the_last_steps_numbers(panel: CurvesPanel, desk: Desk):
    said: list[str] = []
    panel.status_changed.connect(said.append)
    desk.step(8)
    history = desk.run.history
    assert said[-1] == (
        f"loss {figures(history['loss'][-1])} · train {percent(history['accuracy'][-1])}"
        f" · validation {percent(history['validation_accuracy'][-1])}"
    )


def test_every_step_is_on_the_curve_and_validation_only_where_measured(panel: CurvesPanel, desk: Desk):
    desk.step(20)
    x, y = panel.loss.drawn(0)
    np.testing.assert_allclose(y, desk.run.history["loss"])
    assert x.tolist() == list(range(1, 21))
    assert panel.loss.drawn(1)[0].tolist() == [1, 2, 4, 8, 16]
    assert panel.accuracy.drawn(0)[1].max() <= 100


def test_while_playing_the_key_tells_of_a_step_that_was_taken_in(panel: CurvesPanel, desk: Desk) -> None:
    desk.step(3)
    let_rest()
    desk.session.playing = True
    behind = 0
    for _ in range(4):
        desk.step(1)
        panel._read_values()
        step, told = panel.loss.length, panel.key.accessibleDescription()
        behind += step < len(desk.session.history)
        assert told.startswith(f"step {step}")
        assert f"train {figures(desk.run.history['loss'][step - 1], 6)}" in told
        assert "nan" not in told.lower()
    assert behind


def test_what_a_penalty_adds_is_a_curve_of_its_own(panel: CurvesPanel, qtbot: QtBot):
    assert [s.name for s in panel.loss.series] == ["train", "validation"]
    layers = [{"kind": "dense", "units": 12, "l2": 0.01}, {"kind": "relu"}, {"kind": "dense", "units": 10}]
    desk = Desk(layers=layers)
    penalised = CurvesPanel(desk.session)
    qtbot.addWidget(penalised)
    penalised.build(desk.session.network)
    penalised.resize(700, 170)
    penalised.show()
    desk.step(5)
    assert [s.name for s in penalised.loss.series] == ["train", "validation", "penalty"]
    np.testing.assert_allclose(penalised.loss.drawn(2)[1], desk.run.history["penalty"])
    assert f"penalty {figures(desk.run.history['penalty'][-1], 6)}" in penalised.key.accessibleDescription()


def test_a_single_step_is_seen(panel: CurvesPanel, desk: Desk):
    desk.step(1)
    x, _ = panel.loss.drawn(0)
    assert len(x) == 2
    assert x[0] < 1 < x[1]


def test_the_step_under_the_pointer_is_told_exactly(panel: CurvesPanel, desk: Desk, qtbot: QtBot):
    desk.step(50)
    plot = panel.loss
    for target in (7, 30):
        scene = plot._box.mapViewToScene(QPointF(target, 1.0))
        qtbot.mouseMove(plot.viewport(), plot.mapFromScene(scene))
        qtbot.waitUntil(lambda: plot.step is not None, timeout=1000)
        step = plot.step
        assert step is not None
        assert abs(step - target) <= 1
        assert f"step {step}" in panel.key.accessibleDescription()
        assert f"train {figures(desk.run.history['loss'][step - 1], 6)}" in panel.key.accessibleDescription()
    qtbot.mouseMove(plot.viewport(), QPoint(1, 1))
    qtbot.waitUntil(lambda: plot.step is None, timeout=1000)
    assert "step 50" in panel.key.accessibleDescription()


def test_a_loss_that_is_no_number_is_marked_and_said(panel: CurvesPanel, desk: Desk):
    said: list[str] = []
    panel.status_changed.connect(said.append)
    for _ in range(10):
        desk.run.step()
    desk.run.history.rows()[6:, 0] = np.inf
    desk.show()
    assert panel.loss._lost.isVisible()
    assert panel.loss._lost.value() == 7
    assert "∞ from step 7" in panel.loss._lost_text.toPlainText()
    assert "loss ∞" in said[-1]
    desk.start()
    desk.step(3)
    assert not panel.loss._lost.isVisible()


def test_zoomed_in_the_part_stays_and_a_double_click_shows_all(panel: CurvesPanel, desk: Desk, qtbot: QtBot):
    desk.step(60)
    panel.loss.setFocus()
    qtbot.keyClicks(panel.loss, "+++")
    assert panel.loss.zoomed
    left, right = panel.loss._box.viewRange()[0]
    desk.step(1)
    assert panel.loss._box.viewRange()[0] == [left, right]
    qtbot.mouseDClick(panel.loss.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(200, 60))
    assert not panel.loss.zoomed
    assert panel.loss._box.viewRange()[0][0] == 0


def test_a_restart_begins_the_curves_anew(panel: CurvesPanel, desk: Desk):
    desk.step(30)
    desk.run.restart()
    desk.show()
    assert len(panel.loss.drawn(0)[0]) == 0
    desk.step(4)
    assert panel.loss.drawn(0)[0].tolist() == [1, 2, 3, 4]


def test_a_panel_hidden_before_its_turn_has_caught_up_when_it_is_shown_again(panel: CurvesPanel, desk: Desk):
    desk.session.playing = True  # so that nobody waits for the turns
    desk.step(7)
    desk.session.playing = False
    panel.hide()
    panel.show()
    desk.show()
    assert len(panel.loss.drawn(0)[0]) == 7
    assert len(panel.accuracy.drawn(0)[0]) == 7


def test_without_classes_there_is_no_accuracy(qtbot: QtBot, panel: CurvesPanel, desk: Desk):
    network = desk.session.network
    assert network is not None
    tensors = {a: info for a, info in network.tensors.items() if a != "data.labels"}
    panel.build(msgspec.structs.replace(network, tensors=tensors))
    assert not panel.accuracy.isVisible()


def test_while_playing_curves_are_redrawn_seldom_and_the_last_frame_is_not_lost(
    panel: CurvesPanel, desk: Desk, qtbot: QtBot
):
    desk.step(1)
    desk.session.playing = True
    drawn: list[int] = []
    redraw = panel.loss.redraw
    panel.loss.redraw = lambda length: (drawn.append(length), redraw(length))  # type: ignore[method-assign]
    for _ in range(30):
        desk.step(1)
    assert len(drawn) <= 3
    qtbot.waitUntil(lambda: drawn[-1] == 31, timeout=1000)
    qtbot.waitUntil(lambda: not any(t.resting for t in panel._throttles), timeout=1000)
    assert len(panel.accuracy.drawn(0)[0]) == 31
    desk.session.playing = False
    desk.step(1)
    assert drawn[-1] == 32


def test_expensive_work_takes_turns(qtbot: QtBot):
    owner, done = QObject(), []
    throttles = [Throttle(lambda n=n: done.append((n, time.perf_counter())), owner, takes_turns=True) for n in range(3)]
    for throttle in throttles:
        throttle.ask()
    assert len(done) == 1
    qtbot.waitUntil(lambda: len(done) == 3, timeout=1000)
    assert {n for n, _ in done} == {0, 1, 2}
    assert min(b - a for (_, a), (_, b) in pairwise(done)) >= Throttle._turn * 0.9
    qtbot.waitUntil(lambda: not any(t.resting for t in throttles), timeout=1000)
    assert len(done) == 3


def test_hidden_curves_rest(panel: CurvesPanel, desk: Desk):
    desk.session.playing = True
    desk.step(5)
    assert all(t.resting for t in panel._throttles)
    panel.hide()
    assert not any(t.resting for t in panel._throttles)


def test_the_theme_reaches_the_curves(panel: CurvesPanel, desk: Desk):
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    desk.step(5)
    theme.apply(app, theme.LIGHT)
    QApplication.processEvents()
    image = panel.grab().toImage()
    assert image.pixelColor(image.width() // 3, 3) == theme.LIGHT.color("panel")
    theme.apply(app, theme.DARK)


def test_a_real_engines_steps_reach_the_curve(session: Session, qtbot: QtBot):
    panel = CurvesPanel(session)
    qtbot.addWidget(panel)
    panel.build(session.network)
    panel.resize(700, 170)
    panel.show()
    session.play()
    qtbot.waitUntil(lambda: len(session.history) > 200, timeout=10_000)
    session.pause()
    qtbot.waitUntil(lambda: not session.playing, timeout=5000)
    qtbot.waitUntil(lambda: len(panel.loss.series[0].source) == len(session.history), timeout=5000)
    _, y = panel.loss.drawn(0)
    assert np.nanmax(y) == pytest.approx(session.history["loss"].max())


# --- the mean over the curve ------------------------------------------------------------------------


def plainly(values: np.ndarray, width: int) -> np.ndarray:
    """The centred mean as its formula says it, step by step."""
    half, found = width // 2, np.full(len(values), np.nan)
    for t in range(len(values)):
        around = values[max(t - half, 0) : t + half + 1]
        if np.isfinite(values[t]):
            found[t] = around[np.isfinite(around)].mean()
    return found


def gappy(length: int) -> np.ndarray:
    """Noise with a gap, a lonely NaN, an infinity and a spike."""
    values = np.random.default_rng(1).normal(1.0, 0.2, length)
    values[length // 3 : length // 2] = np.nan
    values[length // 5] = np.nan
    values[length // 4] = np.inf
    values[length // 6] = 1e30
    return values


@pytest.mark.parametrize("width", [11, 101])
@pytest.mark.parametrize("length", [3, 60, 900])
def test_the_mean_is_that_of_the_steps_around_and_keeps_gaps(width: int, length: int):
    values = gappy(length)
    mean = mean_of(lambda first, last: values[first:last], width)
    mean.update(length)
    points = mean.curve(0, length, 2000)
    np.testing.assert_allclose(points.y, plainly(values, width))
    for step in (1, length // 2 + 1, length):
        np.testing.assert_allclose(mean.at(step)[1], plainly(values, width)[step - 1])


@pytest.mark.parametrize("width", [11, 101])
def test_the_mean_of_a_long_curve_is_thinned_from_the_same_means(width: int):
    values = gappy(30_000)
    table = {"length": 0}
    mean = mean_of(lambda first, last: values[first : min(last, table["length"])], width)
    for length in (1, 40, 5000, 5003, 20_000, 29_990, 30_000):  # its last means become others as steps come in
        table["length"] = length
        mean.update(length)
        mean.curve(0, length, 400)
    expected = dense(plainly(values, width)).curve(0, 30_000, 400)
    for mine, other in zip(mean.curve(0, 30_000, 400), expected, strict=True):
        np.testing.assert_allclose(mine, other)
    assert mean.nbytes < 2 * len(values)


def test_a_mean_lies_strong_over_the_curve_which_stays_and_is_told_exactly(panel: CurvesPanel, desk: Desk):
    desk.step(60)
    raw = panel.loss.drawn(0)[1]
    desk.session.smooth(11)
    assert [(s.name, s.weight) for s in panel.loss.series] == [
        ("train", "faint"),
        ("mean 11", "strong"),
        ("validation", "plain"),
    ]
    np.testing.assert_array_equal(panel.loss.drawn(0)[1], raw)
    mean = plainly(desk.run.history["loss"], 11)
    np.testing.assert_allclose(panel.loss.drawn(1)[1], mean)
    told = panel.key.accessibleDescription()
    assert f"train {figures(raw[-1], 6)} {percent(desk.run.history['accuracy'][-1])}" in told
    assert f"mean 11 {figures(mean[-1], 6)}" in told
    desk.session.smooth(0)
    assert [s.weight for s in panel.loss.series] == ["plain", "plain"]


def test_the_mean_is_chosen_in_the_title_bar_or_by_its_key(panel: CurvesPanel, desk: Desk):
    panel.choice.setCurrentIndex(2)
    assert desk.session.smoothing == 101
    desk.session.smooth(11)
    assert panel.choice.currentText() == "mean of 11"
    assert "Ctrl+M" in panel.choice.toolTip()
    assert panel.tools is not None
    assert panel.tools.isAncestorOf(panel.choice)
    assert panel.tools.isAncestorOf(panel.log)


def test_a_loss_that_explodes_is_read_on_a_log_scale_which_says_what_it_leaves_out(panel: CurvesPanel, desk: Desk):
    rows = np.full((40, len(desk.session.history.columns)), np.nan)
    column = desk.session.history.columns.index("loss")
    rows[:, column] = 10.0 ** np.linspace(-2, 307.9, 40)
    desk.session.history.extend(rows)
    panel._redraw_loss()
    low, high = panel.loss.getViewBox().viewRange()[1]
    assert high - low >= 1e30, "from zero all but the last steps are the axis"
    panel.log.click()
    assert desk.session.loss_on_log
    np.testing.assert_allclose(panel.loss.drawn(0)[1], np.linspace(-2, 307.9, 40))
    low, high = panel.loss.getViewBox().viewRange()[1]
    assert low <= -2
    assert 308 <= high <= 310
    axis = panel.loss.getAxis("left")
    ((spacing, values),) = axis.tickValues(low, high, 120)
    assert 2 <= len(axis.tickStrings(values, 1, spacing)) <= 8
    assert panel.loss.note == ""
    rows[:, column] = [0.0, -1.0] * 20
    desk.session.history.extend(rows)
    panel._redraw_loss()
    assert np.isnan(panel.loss.drawn(0)[1][40:]).all()
    assert panel.loss.note == "0 or less: left out"
    desk.session.set_loss_on_log(False)
    assert not panel.log.isChecked()
    assert panel.loss.note == ""


def test_a_forks_past_is_laid_over_with_its_validation(panel: CurvesPanel, desk: Desk):
    desk.step(20)
    for overlay_of in (panel.loss, panel.accuracy):
        assert overlay_of.overlays == ()
    history = Timeline(desk.session.history.columns)
    history.extend(desk.session.history.rows(0, 20))
    desk.session.histories[1] = history
    info = {"parent": -1, "run": 0, "shared": 0, "start": Position(0, -1), "tip": Position(20, 5), "first_step": 0}
    desk.session.paths = cast(
        "Paths",
        SimpleNamespace(forks=tuple(SimpleNamespace(number=n, name=f"path {n}", **info) for n in (0, 1))),
    )
    desk.session.smooth(11)
    panel.loss.redraw(20)
    for plot, column in ((panel.loss, "validation_loss"), (panel.accuracy, "validation_accuracy")):
        (overlay,) = plot.overlays
        assert overlay.validation is not None
        known = overlay.validation.curve(0, 20, 100)
        assert known.x.tolist() == [1, 2, 4, 8, 16]
        scale = 100 if column.endswith("accuracy") else 1
        np.testing.assert_allclose(known.y, scale * history[column][np.array(known.x, int) - 1])
    assert [text for text, _ in panel.loss.drawn_tags()] == ["path 1"]


def test_a_path_laid_over_is_not_read_anew_when_the_curves_are_built_again(panel: CurvesPanel):
    plot, read = panel.loss, []

    def overlay(name: str, table: object, value: float) -> Overlay:
        return Overlay(name, 1, (table,), Dense(lambda a, b: read.append(b - a) or np.full(b - a, value)), lambda: 1000)

    one, other = object(), object()
    plot.set_overlays((overlay("first", one, 1.0),))
    plot.set_series((), 0)
    assert sum(read) >= 1000
    read.clear()
    plot.set_overlays((overlay("second", one, 1.0),))
    plot.set_series((), 0)
    assert sum(read) < 100  # a look at whether it is still the same
    assert [found.name for found in plot.overlays] == ["second"]
    plot.set_overlays((overlay("third", other, 2.0),))
    plot.set_series((), 0)
    assert plot.overlays[0].source.at(500)[1] == 2.0
