"""Time travel through the engine process, as the app asks for it."""

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.session import Session
from engine.conditions import AtPhase, GradientNorm, LossRise
from engine.frames import Frame, Phase, Position
from engine.protocol import WatchItem
from engine.run import Run

from waiting import wait_for_step

WATCHED = ("0.W", "1.y", "4.grad_b", "data.x", "data.labels", "0.grad_W")


@pytest.fixture
def looking(session: Session, qtbot: QtBot) -> Session:
    """A session in which some tensors are watched and forty steps have been made."""
    session.watch(QObject(session), tuple(WatchItem(address, 100, 100) for address in WATCHED))
    session.train(40)
    wait_for_step(qtbot, session, 40)
    return session


def shown(session: Session, qtbot: QtBot) -> Frame:
    """The frame that the next command brings."""
    with qtbot.waitSignal(session.shown, timeout=10_000):
        pass
    assert session.frame is not None
    return session.frame


def said(session: Session) -> list[str]:
    """The sentences said from now on."""
    sentences: list[str] = []
    session.said.connect(lambda sentence, wrong: sentences.append(sentence))
    return sentences


def assert_same_pictures(one: Frame, other: Frame) -> None:
    assert one.position == other.position
    assert one.tensors.keys() == other.tensors.keys()
    for address, picture in one.tensors.items():
        assert picture.values.tobytes() == other.tensors[address].values.tobytes(), address


def test_a_position_that_is_sought_again_shows_the_very_same_pictures(looking: Session, qtbot: QtBot) -> None:
    looking.seek(17, 3)
    before = shown(looking, qtbot)
    looking.seek(40)
    shown(looking, qtbot)
    looking.seek(17, 3)
    assert_same_pictures(before, shown(looking, qtbot))
    assert before.position == Position(17, 3)
    assert looking.tip.step == 40
    assert len(looking.history) == 40


@pytest.mark.parametrize("stride", ["batch", "phase", "part"])
def test_a_stride_back_undoes_a_stride_forwards(looking: Session, qtbot: QtBot, stride: str) -> None:
    looking.seek(20, 7)
    shown(looking, qtbot)
    looking.step(stride)  # type: ignore[arg-type]
    there = shown(looking, qtbot)
    looking.step(stride)  # type: ignore[arg-type]
    shown(looking, qtbot)
    looking.step(stride, back=True)  # type: ignore[arg-type]
    assert_same_pictures(there, shown(looking, qtbot))


def test_stepping_on_in_the_past_repeats_it_and_then_goes_beyond(looking: Session, qtbot: QtBot) -> None:
    looking.seek(38)
    shown(looking, qtbot)
    looking.train(5)
    wait_for_step(qtbot, looking, 43)
    run = Run(looking.recipe)
    run.run_to(43)
    np.testing.assert_array_equal(looking.history["loss"], run.history["loss"])
    assert len(looking.histories) == 1


def test_playing_backwards_goes_down_to_the_start_and_stops(looking: Session, qtbot: QtBot) -> None:
    steps: list[int] = []
    looking.shown.connect(lambda frame: steps.append(frame.step))
    looking.play(back=True)
    qtbot.waitUntil(lambda: bool(steps) and steps[-1] == 0 and not looking.playing, timeout=20_000)
    assert steps == sorted(steps, reverse=True)
    assert len(set(steps)) > 20


def test_running_to_a_tensor_stops_where_it_has_been_computed(looking: Session, qtbot: QtBot) -> None:
    looking.select("2.grad_W")
    looking.step_to_selected()
    frame = shown(looking, qtbot)
    assert frame.step == 41
    assert frame.phase == Phase("backward", 2, "grad_W")
    looking.step_to_selected(back=True)
    assert shown(looking, qtbot).position == Position(40, frame.position.phase)


@pytest.mark.parametrize(("step", "phase"), [(41, None), (-1, None), (5, 999)])
def test_seeking_outside_the_run_is_refused_in_a_sentence_and_nothing_moves(
    looking: Session, qtbot: QtBot, step: int, phase: int | None
) -> None:
    sentences = said(looking)
    looking.seek(step, phase)
    qtbot.waitUntil(lambda: bool(sentences))
    assert "outside this run" in sentences[0] or "no phase" in sentences[0]
    assert looking.frame is not None
    assert looking.frame.step == 40
    looking.step("batch")
    wait_for_step(qtbot, looking, 41)


def test_an_edit_in_the_past_forks_and_both_paths_keep_their_numbers(looking: Session, qtbot: QtBot) -> None:
    first = looking.history["loss"].copy()
    looking.seek(10)
    shown(looking, qtbot)
    looking.edit("0.W", (3, 5), 2.5)
    qtbot.waitUntil(lambda: looking.frame is not None and looking.frame.tensors["0.W"].values[3, 5] == 2.5)
    assert looking.fork == 1
    looking.train(10)
    wait_for_step(qtbot, looking, 20)
    forked = looking.history["loss"]
    assert len(forked) == 20
    np.testing.assert_array_equal(forked[:10], first[:10])
    assert np.all(forked[10:] != first[10:20])
    np.testing.assert_array_equal(looking.histories[0]["loss"], first)
    assert looking.paths is not None
    assert [fork.name for fork in looking.paths.forks] == ["main", "fork 1"]
    assert looking.paths.forks[1].changes[0].text == "0.W [3, 5] = 2.5"
    looking.switch(0)
    qtbot.waitUntil(lambda: looking.fork == 0)
    assert looking.history["loss"].tobytes() == first.tobytes()


def test_the_difference_of_two_forks_is_that_of_their_tensors(looking: Session, qtbot: QtBot) -> None:
    looking.seek(10)
    before = shown(looking, qtbot)
    looking.edit("4.b", (2,), 1.5)
    shown(looking, qtbot)
    looking.compare(0)
    frame = shown(looking, qtbot)
    assert looking.compared == 0
    assert not frame.tensors["0.W"].values.any()
    looking.compare(None)
    frame = shown(looking, qtbot)
    assert looking.compared is None
    assert_same_pictures(before, frame)


def test_a_comparison_beyond_the_other_fork_is_refused_in_a_sentence(looking: Session, qtbot: QtBot) -> None:
    looking.seek(10)
    shown(looking, qtbot)
    looking.make_fork("ahead")
    looking.train(50)
    wait_for_step(qtbot, looking, 60)
    sentences = said(looking)
    looking.compare(0)
    qtbot.waitUntil(lambda: bool(sentences))
    assert "main" in sentences[0]
    assert "up to step 40 only" in sentences[0]
    looking.step("batch")
    wait_for_step(qtbot, looking, 61)


def test_forks_are_renamed_and_dropped(looking: Session, qtbot: QtBot) -> None:
    looking.seek(10)
    looking.make_fork()
    qtbot.waitUntil(lambda: looking.fork == 1)
    looking.rename_fork(1, "what if")
    qtbot.waitUntil(lambda: looking.paths is not None and looking.paths.forks[1].name == "what if")
    sentences = said(looking)
    looking.drop_fork(1)
    qtbot.waitUntil(lambda: bool(sentences))
    assert "'what if' cannot be dropped" in sentences[0]
    looking.switch(0)
    looking.drop_fork(1)
    qtbot.waitUntil(lambda: list(looking.histories) == [0])


def test_a_restart_is_a_fork_at_step_0_with_the_same_weights(looking: Session, qtbot: QtBot) -> None:
    first = looking.history["loss"].copy()
    looking.restart()
    wait_for_step(qtbot, looking, 0)
    assert looking.fork == 1
    looking.train(40)
    wait_for_step(qtbot, looking, 40)
    np.testing.assert_array_equal(looking.history["loss"], first)
    assert len(looking.histories[0]) == 40


def test_a_breakpoint_stops_training_where_it_says_and_counts(looking: Session, qtbot: QtBot) -> None:
    looking.add_break(AtPhase(kind="backward", layer=2))
    looking.play()
    with qtbot.waitSignal(looking.stopped, timeout=10_000) as stop:
        pass
    qtbot.waitUntil(lambda: not looking.playing)
    frame = shown(looking, qtbot) if looking.frame is None or looking.frame.step == 40 else looking.frame
    assert frame.phase == Phase("backward", 2, "grad_x")
    assert stop.args[0].step == frame.step == 41
    assert looking.breaks[0].hits == 1
    looking.enable_break(0, False)
    looking.train(10)
    wait_for_step(qtbot, looking, 50)


def test_a_condition_lands_on_the_phase_and_selects_the_tensor(looking: Session, qtbot: QtBot) -> None:
    looking.add_break(GradientNorm(layer=2, above=float(np.median(looking.history["gradient.2.W"]))))
    sentences = said(looking)
    looking.play()
    with qtbot.waitSignal(looking.stopped, timeout=10_000) as stop:
        pass
    assert stop.args[0].tensor in ("2.grad_W", "2.grad_b")
    assert looking.selection is not None
    assert looking.selection.address == stop.args[0].tensor
    assert any("gradient norm of layer 2" in sentence for sentence in sentences)


def test_breakpoints_outlive_another_network_and_the_engine(looking: Session, qtbot: QtBot) -> None:
    looking.add_break(AtPhase(kind="forward", layer=4))
    looking.add_break(LossRise(by=10.0))
    qtbot.waitUntil(lambda: len(looking.breaks) == 2)
    shorter = type(looking.recipe).from_json(looking.recipe.to_json())
    looking.use(msgspec.structs.replace(shorter, layers=shorter.layers[-1:]))
    qtbot.waitUntil(lambda: bool(looking.breaks[0].problem))
    assert "is no more" in looking.breaks[0].problem
    assert not looking.breaks[0].enabled
    assert looking.breaks[1].enabled


def test_a_budget_below_one_keyframe_is_refused_in_a_sentence(looking: Session, qtbot: QtBot) -> None:
    sentences = said(looking)
    looking.set_budget(10)
    qtbot.waitUntil(lambda: bool(sentences))
    assert "is below one keyframe" in sentences[0]
    looking.seek(3)
    assert shown(looking, qtbot).step == 3


def test_an_edit_of_a_cell_that_does_not_exist_is_refused_in_a_sentence(looking: Session, qtbot: QtBot) -> None:
    sentences = said(looking)
    looking.edit("0.W", (99, 0), 1.0)
    qtbot.waitUntil(lambda: bool(sentences))
    assert "0.W has no cell [99, 0]" in sentences[0]
    assert looking.fork == 0


def test_a_live_setting_changed_in_the_past_forks(looking: Session, qtbot: QtBot) -> None:
    looking.seek(10)
    shown(looking, qtbot)
    optimizer = msgspec.structs.replace(looking.recipe.optimizer, lr=0.01)
    looking.use(msgspec.structs.replace(looking.recipe, optimizer=optimizer))
    qtbot.waitUntil(lambda: looking.fork == 1)
    assert looking.paths is not None
    assert "optimizer.lr" in looking.paths.forks[1].changes[0].text


def test_the_same_weights_and_another_setting_are_a_fork_at_step_0(looking: Session, qtbot: QtBot) -> None:
    first = looking.history["loss"].copy()
    looking.seek(0)  # from where nothing has been learned yet, nothing is kept
    looking.use(msgspec.structs.replace(looking.recipe, batch_size=16))
    qtbot.waitUntil(lambda: looking.paths is not None and len(looking.paths.forks) == 2)
    assert looking.paths is not None
    info = looking.paths.forks[1]
    assert (info.parent, info.start.step, info.changes[0].text) == (0, 0, "batch_size 32 → 16")
    looking.train(10)
    wait_for_step(qtbot, looking, 10)
    assert len(looking.history) == 10
    assert looking.histories[0]["loss"].tobytes() == first.tobytes()


def test_undoing_a_rebuild_brings_the_run_back_where_it_stood(looking: Session, qtbot: QtBot) -> None:
    looking.use(msgspec.structs.replace(looking.recipe, layers=looking.recipe.layers[-1:]))
    wait_for_step(qtbot, looking, 0)
    looking.train(5)
    wait_for_step(qtbot, looking, 5)
    looking.undo()
    wait_for_step(qtbot, looking, 40)
    assert len(looking.history) == 40
    looking.seek(12)
    assert shown(looking, qtbot).step == 12
    looking.redo()
    wait_for_step(qtbot, looking, 5)


def test_a_fork_of_another_recipe_brings_its_recipe_along(looking: Session, qtbot: QtBot) -> None:
    recipe = looking.recipe
    looking.use(msgspec.structs.replace(recipe, batch_size=16))
    wait_for_step(qtbot, looking, 0)
    sentences = said(looking)
    looking.compare(0)
    qtbot.waitUntil(lambda: bool(sentences))
    assert "another recipe" in sentences[0]
    looking.switch(0)
    wait_for_step(qtbot, looking, 40)
    assert looking.recipe == recipe
    looking.drop_fork(1)
    qtbot.waitUntil(lambda: list(looking.histories) == [0])
