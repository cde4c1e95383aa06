"""The engine process as the app sees it: it answers, survives, is replaced, and leaves nothing."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.link import EngineLink
from app.session import Session
from engine.protocol import Step, Use, WatchItem
from engine.recipe import Recipe
from engine.run import Run

from waiting import shared_blocks_of, wait_for_step

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")


def test_the_engine_process_trains_exactly_as_a_trainer_in_this_process(session: Session, qtbot: QtBot) -> None:
    who = QObject()
    session.watch(who, (WatchItem("0.W", 64, 32), WatchItem("4.grad_b", 10, 1)))
    session.train(20)
    wait_for_step(qtbot, session, 20)
    run = Run(session.recipe)
    for _ in range(20):
        run.step()
    assert session.frame is not None
    assert session.frame.loss == run.trainer.loss
    np.testing.assert_array_equal(session.frame.tensors["0.W"].values, run.trainer.parameters["0.W"])
    np.testing.assert_array_equal(session.frame.tensors["4.grad_b"].values[:, 0], run.trainer.gradients["4.b"])
    np.testing.assert_array_equal(session.history["loss"], run.history["loss"])


def test_phase_by_phase_and_batch_by_batch_end_at_the_same_bits(session: Session, qtbot: QtBot) -> None:
    count = len(session.network.phases)  # type: ignore[union-attr]
    for _ in range(count):
        with qtbot.waitSignal(session.shown):
            session.step("part")
    session.step("batch")
    wait_for_step(qtbot, session, 2)
    run = Run(session.recipe)
    run.step()
    run.step()
    assert session.frame is not None
    assert session.frame.loss == run.trainer.loss


def test_pausing_works_at_full_speed_and_shows_the_whole_picture(session: Session, qtbot: QtBot) -> None:
    who = QObject()
    session.watch(who, (WatchItem("0.grad_x"),))
    session.play()
    qtbot.waitUntil(lambda: len(session.history) > 200)
    session.pause()
    qtbot.waitUntil(lambda: not session.playing)
    qtbot.wait(200)  # for the last frame
    assert len(session.history) == session.frame.step  # type: ignore[union-attr]
    step = session.frame.step  # type: ignore[union-attr]
    qtbot.wait(100)
    assert session.frame.step == step  # type: ignore[union-attr]
    assert "0.grad_x" in session.frame.tensors  # type: ignore[union-attr]


def test_a_window_that_was_held_up_does_not_blame_the_engine(session: Session, link: EngineLink, qtbot: QtBot) -> None:
    said: list[str] = []
    session.said.connect(lambda sentence, _: said.append(sentence))
    qtbot.wait(600)  # so that a ping is out
    process = link.process_id
    time.sleep(2.5)
    qtbot.wait(900)
    assert said == []
    assert link.process_id == process


@pytest.mark.parametrize(("sign", "words"), [(signal.SIGKILL, "ended"), (signal.SIGSTOP, "answer")])
def test_an_engine_that_dies_or_hangs_is_noticed_within_two_seconds_and_replaced(
    session: Session, link: EngineLink, qtbot: QtBot, sign: signal.Signals, words: str
) -> None:
    said: list[str] = []
    session.said.connect(lambda sentence, _: said.append(sentence))
    session.train(30)
    wait_for_step(qtbot, session, 30)
    qtbot.wait(300)  # until the state was sent
    loss, lost_process = session.history["loss"].copy(), link.process_id
    assert lost_process is not None
    start = time.monotonic()
    with qtbot.waitSignal(session.built, timeout=10_000):
        os.kill(lost_process, sign)
        qtbot.waitUntil(lambda: bool(said), timeout=4000)
        assert time.monotonic() - start < 2.0 + 0.3  # 0.3: this test's own waiting
    assert words in said[0]
    wait_for_step(qtbot, session, 30)
    assert link.process_id != lost_process
    np.testing.assert_array_equal(session.history["loss"], loss)
    session.step("batch")
    wait_for_step(qtbot, session, 31)
    run = Run(session.recipe)
    for _ in range(31):
        run.step()
    assert session.frame is not None
    assert session.frame.loss == run.trainer.loss


def test_a_recipe_that_cannot_be_built_leaves_the_running_network_untouched(session: Session, qtbot: QtBot) -> None:
    session.step("batch")
    wait_for_step(qtbot, session, 1)
    before = session.recipe
    layers = (*before.layers[:-1], msgspec.structs.replace(before.layers[-1], units=3))  # type: ignore[call-arg]
    with qtbot.waitSignal(session.said) as said:
        session.use(msgspec.structs.replace(before, layers=layers))
    assert said.args is not None
    assert "10 classes" in said.args[0]
    assert said.args[1] is True
    assert session.broken is not None, "the edit stays, as a draft"
    assert session.network is not None
    assert session.network.recipe == before
    session.undo()
    assert session.recipe == before
    session.step("batch")
    wait_for_step(qtbot, session, 2)


def test_the_learning_rate_changes_in_mid_run_without_a_restart(session: Session, qtbot: QtBot) -> None:
    session.train(5)
    wait_for_step(qtbot, session, 5)
    optimizer = msgspec.structs.replace(session.recipe.optimizer, lr=0.5)
    session.use(msgspec.structs.replace(session.recipe, optimizer=optimizer))
    session.step("batch")
    wait_for_step(qtbot, session, 6)
    assert session.history["lr"].tolist() == pytest.approx([0.1] * 5 + [0.5])


def test_restart_goes_back_to_the_very_same_weights(session: Session, qtbot: QtBot) -> None:
    who = QObject()
    session.watch(who, (WatchItem("0.W"),))
    qtbot.waitUntil(lambda: session.frame is not None and "0.W" in session.frame.tensors)
    first = session.frame.tensors["0.W"].values  # type: ignore[union-attr]
    session.train(7)
    wait_for_step(qtbot, session, 7)
    losses = session.history["loss"].copy()
    session.restart()
    wait_for_step(qtbot, session, 0)
    np.testing.assert_array_equal(session.frame.tensors["0.W"].values, first)  # type: ignore[union-attr]
    session.train(7)
    wait_for_step(qtbot, session, 7)
    np.testing.assert_array_equal(session.history["loss"], losses)


def test_new_weights_are_other_weights_on_the_same_data(session: Session, qtbot: QtBot) -> None:
    who = QObject()
    session.watch(who, (WatchItem("0.W"), WatchItem("data.x")))
    session.step("batch")
    wait_for_step(qtbot, session, 1)
    qtbot.waitUntil(lambda: "0.W" in session.frame.tensors)  # type: ignore[union-attr]
    first = session.frame.tensors  # type: ignore[union-attr]
    with qtbot.waitSignal(session.built):
        session.restart_with_new_weights()
    session.step("batch")
    wait_for_step(qtbot, session, 1)
    second = session.frame.tensors  # type: ignore[union-attr]
    assert np.abs(first["0.W"].values - second["0.W"].values).max() > 0.1
    np.testing.assert_array_equal(first["data.x"].values, second["data.x"].values)


CHILD = """
    import os, sys, time
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from PySide6.QtWidgets import QApplication
    from app.link import EngineLink
    from app.session import Session
    from engine.recipe import Recipe
    if __name__ == "__main__":
        app = QApplication([])
        link = EngineLink()
        session = Session(link, Recipe.from_file(sys.argv[1]))
        session.built.connect(lambda _: session.play())
        session.playing_changed.connect(lambda _: print(link.process_id, link.slots.name, flush=True))
        app.exec()
"""


@pytest.mark.parametrize("victim", ["app", "engine and app"])
def test_kill_9_leaves_no_process_and_no_shared_memory(victim: str, tmp_path: Path, digits: Recipe) -> None:
    script, recipe = tmp_path / "child.py", tmp_path / "digits.json"
    script.write_text(textwrap.dedent(CHILD))
    recipe.write_text(digits.to_json())
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, str(script), str(recipe)], stdout=subprocess.PIPE, text=True, env=environment
    ) as child:
        assert child.stdout is not None
        engine, block = child.stdout.readline().split()
        time.sleep(0.3)
        if "engine" in victim:
            os.kill(int(engine), signal.SIGKILL)
        child.kill()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and (Path(f"/proc/{engine}/cmdline").exists() or shared_blocks_of(block)):
        time.sleep(0.05)
    assert not shared_blocks_of(block)
    with pytest.raises(ProcessLookupError):
        os.kill(int(engine), 0)


def test_steps_sent_before_the_network_stands_are_not_an_error(link: EngineLink, digits: Recipe, qtbot: QtBot) -> None:
    link.send(Step("batch"))
    session = Session(link, digits)
    with qtbot.waitSignal(session.shown, timeout=10_000):
        pass
    assert session.frame is not None
    assert session.frame.step == 0


def test_an_engine_that_dies_of_one_network_goes_back_to_the_one_before(
    session: Session, link: EngineLink, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, said = session.recipe, []
    session.said.connect(lambda sentence, _: said.append(sentence))
    deadly = msgspec.structs.replace(before, name="deadly")
    send = EngineLink.send

    def die_of_it(link: EngineLink, command: object) -> None:
        if isinstance(command, Use) and command.recipe.name == "deadly":
            os.kill(link.process_id or 0, signal.SIGKILL)
        else:
            send(link, command)  # type: ignore[arg-type]

    monkeypatch.setattr(EngineLink, "send", die_of_it)
    with qtbot.waitSignal(session.built, timeout=10_000):
        session.use(msgspec.structs.replace(deadly, batch_size=16))
    assert session.recipe == before
    assert any("ends whenever it builds" in sentence for sentence in said)
    session.step("batch")
    wait_for_step(qtbot, session, 1)


def test_an_engine_stopped_by_hand_gives_up_only_what_it_was_building(session: Session, qtbot: QtBot) -> None:
    before, said = session.recipe, []
    session.said.connect(lambda sentence, _: said.append(sentence))
    for _ in range(5):  # oftener than an engine may end by itself
        session._link.restart()
    with qtbot.waitSignal(session.built, timeout=10_000):
        pass
    assert session.recipe == before
    assert not any("cannot be started" in sentence or "ends whenever" in sentence for sentence in said)
    session.use(msgspec.structs.replace(before, batch_size=16))
    with qtbot.waitSignal(session.built, timeout=10_000):
        session._link.restart()
    assert session.recipe == before
    assert said[-1].startswith("the engine was stopped before the network you asked for stood")
    session.step("batch")
    wait_for_step(qtbot, session, 1)


def test_an_engine_that_cannot_start_at_all_is_given_up_with_a_sentence(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.host.main", os._exit)  # every engine process ends at once
    link, said = EngineLink(), []
    link.lost.connect(lambda sentence, _: said.append(sentence))
    qtbot.waitUntil(lambda: any("cannot be started" in sentence for sentence in said), timeout=30_000)
    assert len(said) <= 5
    link.close()
