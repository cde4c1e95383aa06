"""The live check from the engine to the screen: its history, its alarm, its marks, and that it changes nothing."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import theme
from app.live_history import MOST, LiveHistory
from app.panels.curves import CurvesPanel
from app.panels.gradient_check import GradientCheckPanel
from app.panels.norms import NormsPanel
from app.session import Selection, Session
from app.widgets.live_bar import LiveBadge
from app.widgets.live_strip import LiveStrip
from engine.bugs import PlantedBug
from engine.protocol import CheckLive, LiveChecked
from engine.recipe import Recipe
from engine.run import Run
from engine.verdicts import FAIL, PASS, VERDICTS

from panel_tools import Desk
from waiting import wait_for_step

WRONG = LiveChecked(147, "fail", 0.3, 2, "2.W", "step 147: the gradient of layer 2 (Dense 12→10) W is wrong: …")


def passed(step: int, error: float = 3e-10) -> LiveChecked:
    return LiveChecked(step, "pass", error)


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, theme.DARK)
    return Desk()


def shown(qtbot: QtBot, kind: type[Any], desk: Desk) -> Any:
    panel = kind(desk.session)
    qtbot.addWidget(panel)
    panel.build(desk.session.network)
    panel.resize(350, 330)
    panel.show()
    return panel


# --- its history ----------------------------------------------------------------------------------


def test_a_long_history_stays_within_bounds_and_loses_no_failure() -> None:
    live = LiveHistory()
    live.extend(WRONG if step == 147 else passed(step) for step in range(1, 5 * MOST))
    assert len(live) <= MOST
    assert live.failed.tolist() == [147]
    assert (np.diff(live.steps) > 0).all()
    assert live.steps[-1] == 5 * MOST - 1


def test_a_history_of_nothing_but_failures_is_bounded_too() -> None:
    live = LiveHistory()
    live.extend(LiveChecked(step, "fail", 0.3, 0, "0.W", "…") for step in range(1, 3 * MOST))
    assert len(live) <= MOST
    assert len(live.told) < 3000
    assert live.verdicts.tolist() == [FAIL] * len(live)


def test_going_back_in_time_forgets_what_came_after() -> None:
    live = LiveHistory()
    live.extend([passed(1), passed(100), WRONG])
    live.truncate(100)
    assert live.steps.tolist() == [1, 100]
    assert not live.told
    assert live.last is None


# --- the strip ------------------------------------------------------------------------------------


def test_a_failure_among_thousands_of_passes_is_seen_in_the_strip(desk: Desk, qtbot: QtBot) -> None:
    strip = LiveStrip()
    qtbot.addWidget(strip)
    strip.resize(100, 28)
    steps = np.arange(1, 5001)
    verdicts = np.where(steps == 2500, FAIL, PASS)
    strip.show_checks(steps, np.full(5000, 1e-10), verdicts, 5000)
    found = strip.columns()
    assert len(found.x) <= 100
    assert found.step[found.verdict == FAIL].tolist() == [2500]
    image = strip.grab().toImage()
    colours = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
    assert theme.DARK.bad in colours
    assert "2,500: fail" in strip.tell(50)


def test_a_click_on_a_failed_step_says_what_was_wrong_and_selects_the_layer(desk: Desk, qtbot: QtBot) -> None:
    panel = shown(qtbot, GradientCheckPanel, desk)
    said: list[tuple[str, bool]] = []
    desk.step(200)
    desk.check_live(*(passed(step) for step in range(1, 147)), WRONG, passed(148), passed(200))
    desk.session.said.connect(lambda *words: said.append(words))
    strip = panel.live.strip
    qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(round(147 / 200 * strip.width()), 10))
    assert said == [(WRONG.sentence, True)]
    assert desk.session.selection == Selection("2.grad_W")


@pytest.mark.parametrize(("layer", "address"), [(0, "0.grad_x"), (3, "loss.grad_y")])
def test_a_wrong_gradient_of_no_parameter_selects_what_the_layer_hands_on(
    desk: Desk, qtbot: QtBot, layer: int, address: str
) -> None:
    panel = shown(qtbot, GradientCheckPanel, desk)
    desk.step(4)
    desk.check_live(LiveChecked(4, "fail", 0.3, layer, "", "step 4: …"))
    panel.live.picked.emit(4)
    assert desk.session.selection == Selection(address)


def test_the_last_verdict_is_said_in_words_and_colour(desk: Desk, qtbot: QtBot) -> None:
    badge = LiveBadge()
    qtbot.addWidget(badge)
    badge.show_last(passed(3))
    assert (badge.text(), badge.property("role")) == ("✓ live check 3e-10", "good")
    badge.show_last(WRONG)
    assert (badge.text(), badge.property("role")) == ("✗ live check 0.3", "bug")
    assert badge.toolTip() == WRONG.sentence
    badge.show_last(LiveChecked(4, "unresolvable", math.nan))
    assert badge.text() == "○ live check"
    badge.show_last(None)
    assert badge.text() == ""


def test_how_often_is_chosen_in_the_panel(desk: Desk, qtbot: QtBot) -> None:
    panel = shown(qtbot, GradientCheckPanel, desk)
    box = panel.live.rate_box
    for place in range(box.count()):
        box.setCurrentIndex(place)
        box.activated.emit(place)
    assert desk.sent(CheckLive) == [CheckLive(1), CheckLive(10), CheckLive(100), CheckLive(None)]


# --- alarm and marks ------------------------------------------------------------------------------


def test_a_failure_is_said_once_and_again_only_after_a_pass_or_elsewhere(desk: Desk) -> None:
    said: list[str] = []
    desk.session.said.connect(lambda sentence, _: said.append(sentence))
    other = msgspec.structs.replace(WRONG, layer=0, tensor="0.W", sentence="elsewhere")
    desk.check_live(passed(1), WRONG, WRONG)
    desk.check_live(WRONG)
    assert said == [WRONG.sentence]
    desk.check_live(other, passed(150), WRONG)
    assert said == [WRONG.sentence, "elsewhere", WRONG.sentence]


@pytest.mark.parametrize("kind", [CurvesPanel, NormsPanel])
def test_failed_steps_are_marked_on_the_time_axis(desk: Desk, qtbot: QtBot, kind: type[Any]) -> None:
    panel = shown(qtbot, kind, desk)
    plot = panel.loss if kind is CurvesPanel else panel.plot
    desk.step(200)
    assert not len(plot.marked())
    desk.check_live(passed(1), WRONG, passed(148))
    assert plot.marked().tolist() == [147]
    desk.check_live(*(msgspec.structs.replace(WRONG, step=step) for step in range(149, 201)))
    assert 5 < len(plot.marked()) <= plot.width()
    desk.session.live.truncate(0)
    desk.show()
    assert not len(plot.marked())


# --- in the engine process ------------------------------------------------------------------------


def with_bug(recipe: Recipe) -> Recipe:
    return msgspec.structs.replace(recipe, bugs=(PlantedBug(layer=2, slug="sign-flipped"),))


def test_while_training_plays_a_wrong_layer_is_named_in_the_status_line(session: Session, qtbot: QtBot) -> None:
    said: list[str] = []
    session.said.connect(lambda sentence, wrong: said.append(sentence) if wrong else None)
    with qtbot.waitSignal(session.built):
        session.use(with_bug(session.recipe))
    session.train(300)
    wait_for_step(qtbot, session, 300)
    assert len(session.live.failed)
    assert said
    assert "the gradient of layer 2 (Dense 32→16) W is wrong" in said[0]
    assert len(said) == 1
    row = session.live.told[0]
    assert (row.layer, row.tensor) == (2, "2.W")


def test_a_right_network_is_checked_many_times_and_never_accused(session: Session, qtbot: QtBot) -> None:
    session.play()
    qtbot.waitUntil(lambda: len(session.live) > 20, timeout=20_000)
    session.pause()
    qtbot.waitUntil(lambda: not session.playing, timeout=5000)
    assert set(session.live.verdicts.tolist()) <= {VERDICTS.index("pass"), VERDICTS.index("unresolvable")}


def test_stepping_by_hand_checks_every_step(session: Session, qtbot: QtBot) -> None:
    for step in range(1, 6):
        session.step("batch")
        wait_for_step(qtbot, session, step)
    assert session.live.steps.tolist() == [1, 2, 3, 4, 5]


def test_a_step_of_many_phases_is_checked_when_it_is_whole(session: Session, qtbot: QtBot) -> None:
    for _ in session.network.phases:  # type: ignore[union-attr]
        assert not len(session.live)
        with qtbot.waitSignal(session.shown):
            session.step("part")
    assert session.live.steps.tolist() == [1]


@pytest.mark.parametrize("every", [None, 0, 1, 3])
def test_the_live_check_changes_no_bit_of_training(session: Session, qtbot: QtBot, every: int | None) -> None:
    session.set_live(every)
    session.train(60)
    wait_for_step(qtbot, session, 60)
    run = Run(session.recipe)
    for _ in range(60):
        run.step()
    np.testing.assert_array_equal(session.history["loss"], run.history["loss"])
    checked = session.live.steps.tolist()
    if every is None:
        assert not checked
    elif every:
        assert checked == list(range(every, 61, every))


def test_a_restart_forgets_the_live_checks_of_the_run_before(session: Session, qtbot: QtBot) -> None:
    session.set_live(1)
    session.train(30)
    wait_for_step(qtbot, session, 30)
    session.restart()
    wait_for_step(qtbot, session, 0)
    assert not len(session.live)
    session.train(4)
    wait_for_step(qtbot, session, 4)
    assert session.live.steps.tolist() == [1, 2, 3, 4]


def test_a_new_engine_checks_as_often_as_the_old_one(session: Session, link: Any, qtbot: QtBot) -> None:
    session.set_live(2)
    with qtbot.waitSignal(session.built, timeout=10_000):
        link.restart()
    session.train(6)
    wait_for_step(qtbot, session, 6)
    assert session.live.steps.tolist() == [2, 4, 6]
