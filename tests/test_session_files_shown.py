"""Saving and opening in the window: the title, the question, the recent files, autosave, and what a crash has left."""

import os
import signal
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, QSettings, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QMainWindow
from pytestqt.qtbot import QtBot
from test_custom import DENSE, with_own, written

from app import autosave as autosaves
from app.autosave import Autosave, orphans
from app.recovery_bar import RecoveryBar, ago
from app.session import Session
from app.session_files import Answer, SessionFiles
from app.window import Window
from engine.conditions import AtPhase

from replays import with_rate
from waiting import wait_for_step


@pytest.fixture
def files(session: Session, settings: QSettings, qtbot: QtBot) -> SessionFiles:
    """The files of a bare window."""
    window = QMainWindow()
    qtbot.addWidget(window)
    return SessionFiles(session, window, settings)


def saved(qtbot: QtBot, files: SessionFiles, session: Session, path: Path) -> None:
    """Save, and wait until it is done."""
    with qtbot.waitSignal(session.file_saved, timeout=10_000, check_params_cb=lambda event: not event.auto):
        files.save(str(path))


def opened(qtbot: QtBot, session: Session, path: Path) -> None:
    """Open, and wait for the first picture."""
    with qtbot.waitSignals([session.file_opened, session.built, session.shown], order="strict", timeout=10_000):
        session.open_file(str(path))


def test_a_session_comes_back_with_its_forks_curves_edits_and_breakpoints(
    files: SessionFiles, session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    path = tmp_path / "a run.nabla"
    session.add_break(AtPhase(kind="update"))
    session.enable_break(0, False)
    session.use(with_rate(session.recipe, 0.05))
    session.train(30)
    wait_for_step(qtbot, session, 30)
    session.seek(20)
    wait_for_step(qtbot, session, 20)
    session.edit("0.W", (3, 3), 2.0)
    session.train(20)
    wait_for_step(qtbot, session, 40)
    first = session.recipe
    assert files.modified
    saved(qtbot, files, session, path)
    assert (files.modified, files.name, files.recent) == (False, "a run.nabla", [path])
    losses = {name: session.histories[number]["loss"].tolist() for number, name in session.path_names}
    session.train(5)
    wait_for_step(qtbot, session, 45)
    wanted = session.history["loss"].tolist()
    assert files.modified
    session.undo()
    opened(qtbot, session, path)
    wait_for_step(qtbot, session, 40)
    qtbot.waitUntil(lambda: not files.modified)
    assert session.recipe == first
    assert session.can_undo()
    assert sorted(number for number, _ in session.path_names) == [0, 1], "paths have the colours that they had"
    assert {name: session.histories[number]["loss"].tolist() for number, name in session.path_names} == losses
    assert [(info.condition, info.enabled) for info in session.breaks] == [(AtPhase(kind="update"), False)]
    session.train(5)
    wait_for_step(qtbot, session, 45)
    assert session.history["loss"].tolist() == wanted, "the steps are those that would have come"


def test_what_cannot_be_opened_or_saved_is_said_and_the_run_goes_on(
    files: SessionFiles, session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    said: list[str] = []
    session.said.connect(lambda sentence, wrong: said.append(sentence) if wrong else None)
    session.train(3)
    wait_for_step(qtbot, session, 3)
    (tmp_path / "bad.nabla").write_text("no session")
    with qtbot.waitSignal(session.file_not_opened):
        session.open_file(str(tmp_path / "bad.nabla"))
    with qtbot.waitSignal(session.file_saved):
        files.save(str(tmp_path / "no folder" / "x.nabla"))
    assert "bad.nabla" in said[0]
    assert said[1].startswith("cannot save x.nabla ("), "a word is first, which may begin with a capital"
    assert files.path is None
    session.step("batch")
    wait_for_step(qtbot, session, 4)


def test_own_code_of_a_session_is_asked_about_and_a_session_whose_file_is_gone_stays_closed(
    files: SessionFiles, session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    said: list[str] = []
    session.said.connect(lambda sentence, _: said.append(sentence))
    session.consent.ask = lambda *_: True
    own, path = written(tmp_path, DENSE), tmp_path / "own.nabla"
    with qtbot.waitSignals([session.built, session.shown], order="strict", timeout=10_000):
        session.use(with_own(session, own))
    saved(qtbot, files, session, path)
    own.write_text(DENSE + "# other")
    session.consent.ask = lambda *_: False
    with qtbot.waitSignal(session.file_not_opened):
        session.open_file(str(path))
    session.consent.ask = lambda _, changed: changed
    opened(qtbot, session, path)
    own.unlink()
    with qtbot.waitSignal(session.file_not_opened):
        session.open_file(str(path))
    assert "homework.py was not allowed" in said[-3]
    assert "homework.py has changed since" in said[-2]
    assert "homework.py cannot be read" in said[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
def test_a_save_that_the_engine_did_not_live_to_finish_is_told_of(
    files: SessionFiles, session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    process = session._link.process_id
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    with qtbot.waitSignal(session.file_saved) as caught, qtbot.waitSignal(session.shown, timeout=10_000):
        files.save(str(tmp_path / "x.nabla"))
        os.kill(process, signal.SIGKILL)
    assert "could not save" in caught.args[0].sentence
    assert list(tmp_path.glob("*.nabla")) == []


def test_the_question_decides_whether_changes_are_saved_lost_or_kept(
    files: SessionFiles, session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    done: list[str] = []
    answers: list[Answer] = ["cancel", "discard", "save"]
    asked: list[str] = []
    files.when_settled(lambda: done.append("unchanged"))

    def ask(name: str) -> Answer:
        asked.append(name)
        return answers[len(asked) - 1]

    files.ask_to_save = ask
    files.choose_name = lambda: str(tmp_path / "named")
    session.step("batch")
    wait_for_step(qtbot, session, 1)
    files.when_settled(lambda: done.append("cancel"))
    files.when_settled(lambda: done.append("discard"))
    with qtbot.waitSignal(session.file_saved):
        files.when_settled(lambda: done.append("save"))
    assert done == ["unchanged", "discard", "save"]
    assert asked == [session.recipe.name] * 3
    assert (tmp_path / "named.nabla").exists()


def test_a_file_that_another_window_changed_is_not_replaced_unasked(
    files: SessionFiles, session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    path = tmp_path / "a.nabla"
    saved(qtbot, files, session, path)
    path.write_text("of another window")
    files.ask_to_overwrite = lambda _: False
    files.save()
    assert path.read_text() == "of another window"


def test_the_window_tells_of_its_file_opens_what_is_dropped_and_asks_at_its_end(
    window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    session, path = window.session, tmp_path / "dropped.nabla"
    session.step("batch")
    wait_for_step(qtbot, session, 1)
    saved(qtbot, window.files, session, path)
    assert window.windowTitle() == "dropped.nabla[*] — Nablascope"
    window.docks["health"].hide()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    nothing = Qt.KeyboardModifier.NoModifier
    drop = QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, nothing)
    with qtbot.waitSignals([session.file_opened, session.built, session.shown], order="strict", timeout=10_000):
        window.dropEvent(drop)
    assert not window.docks["health"].isHidden(), "the layout is the file's"
    session.step("batch")
    wait_for_step(qtbot, session, 2)
    assert window.isWindowModified()
    window.files.ask_to_save = lambda _: "cancel"
    window.close()
    assert window.isVisible()
    window.files.ask_to_save = lambda _: "save"
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible())


def test_a_window_whose_changes_are_given_up_closes(window: Window, qtbot: QtBot) -> None:
    window.session.train(2)
    qtbot.waitUntil(lambda: window.files.modified)
    window.files.ask_to_save = lambda _: "discard"
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible())


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
def test_a_save_asked_for_between_two_engines_is_done_by_the_second(
    files: SessionFiles, session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    keeper = Autosave(session, files, tmp_path)
    process = session._link.process_id
    assert process is not None
    with qtbot.waitSignal(session._link.lost, timeout=10_000):
        os.kill(process, signal.SIGKILL)
    files.modified = keeper._dirty = True
    with qtbot.waitSignals([session.file_saved] * 2, timeout=10_000):
        keeper._save()
        files.save(str(tmp_path / "x.nabla"))
        assert not list(tmp_path.glob("*.nabla"))
    assert (tmp_path / "x.nabla").exists()
    assert not keeper._pending
    keeper.close()


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
def test_what_changes_during_an_autosave_comes_into_the_next_however_long_it_took(
    files: SessionFiles, session: Session, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autosaves, "LEAST", 0.0)
    monkeypatch.setattr(autosaves, "EVERY", 0.0)
    monkeypatch.setattr(autosaves, "SHARE", 1e6)
    keeper = Autosave(session, files, tmp_path)
    process = session._link.process_id
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    files.modified = keeper._dirty = True
    keeper._save()
    session.shown.emit(session.frame)
    qtbot.waitUntil(lambda: not keeper._timer.isActive())
    with qtbot.waitSignals([session.file_saved] * 2, timeout=10_000):
        os.kill(process, signal.SIGCONT)
    keeper.close()


def test_what_was_not_saved_is_offered_once_its_process_is_gone(
    files: SessionFiles, session: Session, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autosaves, "LEAST", 0.0)
    first = Autosave(session, files, tmp_path)
    assert list(orphans(tmp_path)) == []
    session.train(25)
    qtbot.waitUntil(first.path.exists, timeout=10_000)
    wait_for_step(qtbot, session, 25)
    assert list(orphans(tmp_path)) == [], "its process lives"
    left = tmp_path / "1-abc.nabla"
    left.write_bytes(first.path.read_bytes())  # of a process that was killed
    qtbot.waitUntil(lambda: not first._pending, timeout=10_000)
    first.close()
    second = Autosave(session, files, tmp_path)
    bar = RecoveryBar(session, second, orphans(tmp_path))
    qtbot.addWidget(bar)
    assert "saved a moment ago" in bar.text.text() or "second" in bar.text.text()
    with qtbot.waitSignals([session.file_opened, session.shown], timeout=10_000):
        bar.restore.click()
    assert files.modified
    assert not bar.isVisible()
    qtbot.waitUntil(lambda: second.path.exists() and not left.exists(), timeout=10_000)
    qtbot.waitUntil(lambda: not second._pending, timeout=10_000)
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_an_autosave_goes_once_the_user_has_saved_and_discard_removes_it(
    files: SessionFiles, session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    folder = tmp_path / "auto"
    folder.mkdir()
    keeper = Autosave(session, files, folder)
    session.train(5)
    qtbot.waitUntil(keeper.path.exists, timeout=10_000)
    wait_for_step(qtbot, session, 5)
    saved(qtbot, files, session, tmp_path / "a.nabla")
    assert not keeper.path.exists()
    keeper.close()
    (folder / "1-abc.nabla").write_text("left")
    bar = RecoveryBar(session, keeper, orphans(folder))
    qtbot.addWidget(bar)
    bar.discard.click()
    assert list(folder.iterdir()) == []


def test_a_stretch_of_time_is_told_in_words() -> None:
    assert [ago(s) for s in (0, 1, 59, 61, 7300, 200_000)] == [
        "a moment", "1 second", "59 seconds", "1 minute", "2 hours", "2 days"
    ]  # fmt: skip
