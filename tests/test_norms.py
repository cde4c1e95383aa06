"""What a user reads from the gradient norms: which layer is which, and how small."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtGui import QColor, QFontMetricsF
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import theme
from app.panels.curves import CurvesPanel
from app.panels.norms import NormsPanel
from app.widgets.bands import Bands, picture
from app.widgets.series import small_font, spread
from engine.timeline import Timeline

from panel_tools import Desk


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk()


def shown(qtbot: QtBot, desk: Desk) -> NormsPanel:
    """The panel on this desk."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, theme.DARK)
    panel = NormsPanel(desk.session)
    qtbot.addWidget(panel)
    panel.build(desk.session.network)
    panel.resize(640, 170)
    panel.show()
    return panel


def test_each_layer_with_parameters_has_a_curve_named_by_its_number(qtbot: QtBot, desk: Desk):
    panel = shown(qtbot, desk)
    assert [s.name for s in panel.plot.series] == ["0 Dense", "2 Dense"]
    assert [s.tag for s in panel.plot.series] == ["0", "2"]


def test_a_norm_is_over_all_of_the_layers_parameters(qtbot: QtBot, desk: Desk):
    panel = shown(qtbot, desk)
    desk.step(6)
    history = desk.run.history
    expected = np.sqrt(history["gradient.2.W"] ** 2 + history["gradient.2.b"] ** 2)
    np.testing.assert_allclose(10 ** panel.plot.drawn(1)[1], expected)
    gradients = desk.run.trainer.gradients
    last = np.sqrt(np.sum(gradients["2.W"] ** 2) + np.sum(gradients["2.b"] ** 2))
    assert 10 ** panel.plot.drawn(1)[1][-1] == pytest.approx(last, rel=1e-5)
    assert f"{last:.2e}" in panel.key.accessibleDescription()


def test_zero_and_no_number_are_gaps_on_a_log_scale(qtbot: QtBot, desk: Desk):
    panel = shown(qtbot, desk)
    for _ in range(12):
        desk.run.step()
    rows, columns = desk.run.history.rows(), desk.run.history.columns
    for role in ("W", "b"):
        rows[3:6, columns.index(f"gradient.0.{role}")] = 0.0
        rows[8, columns.index(f"gradient.0.{role}")] = np.nan
    desk.show()
    y = panel.plot.drawn(0)[1]
    assert np.flatnonzero(np.isnan(y)).tolist() == [3, 4, 5, 8]
    low, high = panel.plot._box.viewRange()[1]
    assert np.isfinite([low, high]).all()
    assert low <= np.nanmin(y) <= np.nanmax(y) <= high
    panel.grab()


def test_a_layer_that_starves_is_still_in_the_picture(qtbot: QtBot, desk: Desk):
    panel = shown(qtbot, desk)
    for _ in range(5):
        desk.run.step()
    rows, columns = desk.run.history.rows(), desk.run.history.columns
    for role in ("W", "b"):
        rows[:, columns.index(f"gradient.0.{role}")] *= 1e-7
    desk.show()
    assert panel.plot._box.viewRange()[1][0] <= panel.plot.drawn(0)[1].min()


def test_tags_stand_at_the_curves_ends_apart(qtbot: QtBot):
    desk = Desk(layers=[{"kind": "dense", "units": 10}] * 7)
    panel = shown(qtbot, desk)
    desk.step(10)
    tags = panel.plot.drawn_tags()
    places = sorted(place for _, place in tags)
    assert len(places) >= 5
    assert min(np.diff(places)) > 5
    assert {text for text, _ in tags} <= set("0123456")
    panel.resize(640, 400)
    QApplication.processEvents()
    assert {text for text, _ in panel.plot.drawn_tags()} == set("0123456")


def test_long_tags_have_room_right_of_the_curves(qtbot: QtBot, desk: Desk):
    panel = shown(qtbot, desk)
    panel.choice.setCurrentText("gradient norm per tensor")
    desk.step(10)
    panel.plot.drawn_tags()
    metrics = QFontMetricsF(small_font())
    for tag, end in panel.plot._layer.placed:
        assert end.x() + metrics.horizontalAdvance(tag.text) < panel.plot._box.width()


def test_an_extreme_among_many_steps_is_seen_and_a_gap_is_empty(qtbot: QtBot):
    x = np.arange(50.0) * 2 + 1
    low, high = np.full((1, 50), 40.0), np.full((1, 50), 30.0)
    high[0, 20], low[0, 35], high[0, 35] = 5.0, np.nan, np.nan
    made = picture([Bands(x, low, high, (QColor("#ff0000"),))], 100, 60)
    assert made is not None
    image, first = made
    assert first == 5
    assert image.pixelColor(41, 6 - first).alpha() > 40
    assert image.pixelColor(45, 6 - first).alpha() == 0
    assert image.pixelColor(45, 35 - first).alpha() > 40
    assert image.pixelColor(71, 35 - first).alpha() == 0


def test_where_many_bands_lie_over_each_other_less_of_the_paper_is_seen(qtbot: QtBot):
    x = np.arange(10.0) * 10 + 5
    low, high = np.full((20, 10), 50.0), np.full((20, 10), 10.0)
    high[:10] = 30.0
    made = picture([Bands(x, low, high, tuple(QColor.fromHsv(18 * n, 255, 255) for n in range(20)))], 100, 60)
    assert made is not None
    image, first = made
    assert 0 < image.pixelColor(50, 20 - first).alpha() < image.pixelColor(50, 40 - first).alpha() <= 255


def test_the_colours_of_very_many_bands_do_not_run_over(qtbot: QtBot):
    x = np.arange(10.0) * 10 + 5
    low, high = np.full((600, 10), 50.0), np.full((600, 10), 10.0)
    made = picture([Bands(x, low, high, (QColor("#f0a000"),) * 600)], 100, 60)
    assert made is not None
    pixel = made[0].pixelColor(50, 20)
    assert pixel.alpha() > 250
    assert np.abs(np.array([pixel.red(), pixel.green(), pixel.blue()]) - [0xF0, 0xA0, 0]).max() <= 4


@pytest.mark.parametrize("places", [[0.0, 0.1, 0.2], [5.0, 5.0, 5.0], [9.9, 10.0, 10.0]])
def test_spread_keeps_order_distance_and_limits(places):
    apart = spread(places, 1.0, 0.0, 10.0)
    assert all(b - a >= 1.0 - 1e-9 for a, b in pairwise(apart))
    assert apart[0] >= 0.0
    assert apart[-1] <= 10.0


def test_many_layers_are_told_apart_without_colour(qtbot: QtBot):
    desk = Desk(layers=[{"kind": "dense", "units": 10}] * 12)
    panel = shown(qtbot, desk)
    desk.step(5)
    assert [s.dashed for s in panel.plot.series] == [False] * 8 + [True] * 4
    panel.grab()


def test_a_network_without_parameters_shows_nothing_and_says_so(qtbot: QtBot):
    desk = Desk(layers=[{"kind": "relu"}], data={"kind": "xor"}, batch_size=20)
    panel = shown(qtbot, desk)
    desk.step(3)
    assert panel.plot.series == ()
    panel.grab()


def test_a_run_without_parameters_before_this_one_leaves_its_curves_as_they_are(
    qtbot: QtBot, desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    panel = shown(qtbot, desk)
    desk.step(3)
    desk.session.histories[7] = Timeline(["loss"])
    monkeypatch.setattr(desk.session, "other_paths", lambda **_: [(7, "all off", lambda: 4)])
    panel.build(desk.session.network)
    assert [s.name for s in panel.plot.series] == ["0 Dense", "2 Dense"]
    assert panel.plot.overlays == ()


def test_the_status_says_how_far_the_layers_are_apart(qtbot: QtBot, desk: Desk):
    panel = shown(qtbot, desk)
    said: list[str] = []
    panel.status_changed.connect(said.append)
    desk.step(3)
    assert said[-1].startswith("log · largest / smallest ")


@pytest.mark.parametrize(
    ("quantity", "names", "column"),
    [
        ("gradient norm per tensor", ["0.W", "0.b", "2.W", "2.b"], "gradient.0.W"),
        ("passed on: ‖grad_y‖", ["0 Dense", "1 ReLU", "2 Dense"], "delta.0"),
        ("learning rate", ["learning rate"], "lr"),
    ],
)
def test_other_quantities_are_drawn_when_chosen(qtbot: QtBot, desk: Desk, quantity: str, names: list[str], column: str):
    panel = shown(qtbot, desk)
    desk.step(6)
    panel.choice.setCurrentText(quantity)
    assert [s.name for s in panel.plot.series] == names
    np.testing.assert_allclose(10 ** panel.plot.drawn(0)[1], desk.run.history[column], rtol=1e-6)


def test_the_update_ratio_is_that_of_update_and_parameter(qtbot: QtBot, desk: Desk):
    panel = shown(qtbot, desk)
    desk.step(6)
    panel.choice.setCurrentText("update / parameter")
    ratio = desk.run.history["update.2.W"] / desk.run.history["parameter.2.W"]
    np.testing.assert_allclose(10 ** panel.plot.drawn(2)[1], ratio, rtol=1e-6)
    desk.step(2)
    assert len(panel.plot.drawn(2)[1]) == 8


def test_a_step_pointed_at_anywhere_is_told_in_every_plot(qtbot: QtBot, desk: Desk):
    panel, curves = shown(qtbot, desk), CurvesPanel(desk.session)
    qtbot.addWidget(curves)
    curves.build(desk.session.network)
    curves.show()
    desk.step(20)
    desk.session.point(7)
    assert "step 7" in panel.key.accessibleDescription()
    assert "step 7" in curves.key.accessibleDescription()
    assert f"{desk.run.history['loss'][6]:.6f}" in curves.key.accessibleDescription()
    desk.session.point(None)
    assert "step 20" in panel.key.accessibleDescription()
