"""The small curves beside the verdicts are the quantities that the sentences speak of."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtWidgets import QListWidget
from pytestqt.qtbot import QtBot

from app.panels.health import HealthPanel
from app.widgets.sparkline import CURVE, heights
from engine import Recipe, Run
from engine.health import dead, update_ratio, variance
from engine.health_course import course
from engine.health_verdicts import Verdict

from panel_tools import Desk

STEPS = 8


@pytest.fixture(scope="module")
def run() -> Run:
    """Some steps of a small net with every quantity recorded."""
    layers = [{"kind": "dense", "units": 6}, {"kind": "relu"}, {"kind": "dense", "units": 2}]
    made = Run(Recipe.from_builtins({"data": {"kind": "moons"}, "layers": layers, "seed": 3}), health=True)
    for _ in range(STEPS):
        made.step()
    return made


def of(run: Run, quantity: str, tensor: str = "") -> np.ndarray:
    """The course of a quantity over all steps."""
    return course(run.history, Verdict("bad", "", tensor, quantity=quantity), 1, STEPS)


def test_each_quantity_is_the_one_that_the_verdict_was_made_of(run: Run) -> None:
    history, steps = run.history, range(1, STEPS + 1)
    np.testing.assert_array_equal(of(run, "loss", "loss.p"), history["loss"])
    np.testing.assert_allclose(of(run, "dead", "1.y"), [dead(history, 1, step) for step in steps])
    np.testing.assert_allclose(
        10 ** of(run, "update_ratio", "2.update_W"), [update_ratio(history, "2.W", step) for step in steps]
    )
    np.testing.assert_allclose(10 ** of(run, "variance", "2.y"), [variance(history, 2, step) for step in steps])
    np.testing.assert_allclose(10 ** of(run, "mean_gradient", "0.grad_W"), history["mean_gradient.0.W"])
    np.testing.assert_allclose(10 ** of(run, "factor", "2.grad_x"), history["delta.1"] / history["delta.2"])
    np.testing.assert_allclose(10 ** of(run, "factor", "0.grad_y"), history["delta.0"] / history["delta.2"])


def test_what_is_not_recorded_has_no_curve(run: Run) -> None:
    assert len(of(run, "saturated", "1.y")) == 0
    assert len(of(run, "")) == 0
    assert heights(np.full(5, np.nan)) == ()


def test_heights_go_from_the_least_to_the_greatest_with_gaps_and_end_with_the_last_step() -> None:
    found = np.array(heights(np.array([2.0, np.nan, 6.0, 4.0])))
    np.testing.assert_array_equal(found, [0, np.nan, 1, 0.5])
    long = np.array(heights(np.arange(10_000.0)))
    assert len(long) < 100
    assert long[0] == 0
    assert long[-1] == 1
    assert heights(np.full(3, 7.0)) == (0.5, 0.5, 0.5)


def test_every_sentence_on_a_quantity_has_its_curve_in_the_panel(qtbot: QtBot) -> None:
    layers = [{"kind": "dense", "units": 8}, {"kind": "sigmoid"}] * 6
    desk = Desk(layers=[*layers, {"kind": "dense", "units": 10}])
    panel = HealthPanel(desk.session)
    qtbot.addWidget(panel)
    panel.build(desk.session.network)
    panel.resize(600, 200)
    panel.show()
    desk.step(12)
    rows = panel.findChild(QListWidget)
    assert rows is not None
    curves = [rows.item(i).data(CURVE) for i in range(rows.count())]
    assert curves
    assert all(len(curve) == 12 for curve in curves)
    panel.grab()


def test_a_sentence_that_stays_the_same_has_a_longer_course(qtbot: QtBot) -> None:
    still = [{"kind": "dense", "units": 8, "frozen": "all", "weight_init": {"kind": "zeros"}}, {"kind": "relu"}]
    desk = Desk(layers=[*still, {"kind": "dense", "units": 10}])
    panel = HealthPanel(desk.session)
    qtbot.addWidget(panel)
    panel.build(desk.session.network)
    panel.show()
    rows = panel.findChild(QListWidget)
    assert rows is not None
    desk.step(5)
    place = next(i for i in range(rows.count()) if "units are dead" in rows.item(i).text())
    sentence = panel._found[place].sentence
    desk.step(5)
    assert panel._found[place].sentence == sentence
    assert len(rows.item(place).data(CURVE)) == 10
