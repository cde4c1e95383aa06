"""A download as the user sees it: told of while it lasts, cancelled at any moment, and the run before stays."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QMainWindow
from pytestqt.qtbot import QtBot

from app import cli
from app.fetch_bar import FetchBar, amount
from app.link import EngineLink
from app.session import Session
from engine.datasets import Mnist, fetch
from engine.datasets.fetch import TEST_IMAGES, TEST_LABELS
from engine.protocol import CancelFetch, FetchEnded, Fetching, WatchItem
from engine.recipe import Recipe

from file_server import ADDRESS, CACHE, FILES, FileServer, engine_main, serving
from waiting import wait_for_step

SIZE = len(FILES[TEST_IMAGES])
WANTED = Mnist(part="test", download=True, validation=0.1)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server in place of the internet and an empty cache, here and in every engine process that is started."""
    with serving() as server:
        monkeypatch.setenv(ADDRESS, server.source.mirrors[0])
        monkeypatch.setenv(CACHE, str(tmp_path))
        monkeypatch.setattr("engine.host.main", engine_main)
        monkeypatch.setattr(fetch, "cache_folder", lambda source: tmp_path / source.name)
        monkeypatch.setattr(Mnist, "source", server.source)
        yield server


@pytest.fixture
def running(server: FileServer, session: Session, qtbot: QtBot) -> Session:
    """A session whose run on the digits has come to step 5."""
    session.train(5)
    wait_for_step(qtbot, session, 5)
    return session


def part_of(tmp_path: Path) -> int:
    """How many bytes of the unfinished file are kept."""
    return (tmp_path / "mnist" / f"{TEST_IMAGES}.part").stat().st_size


def want(session: Session, **changes: object) -> None:
    """Ask for the data that must be fetched."""
    session.use(msgspec.structs.replace(session.recipe, data=WANTED, **changes))


def wait_for_bytes(qtbot: QtBot, session: Session, done: int) -> None:
    """Wait until so many have come."""
    qtbot.waitUntil(lambda: session.fetching is not None and session.fetching.done == done, timeout=10_000)


# --- with a real engine ---------------------------------------------------------------------------------


def test_the_run_before_goes_on_while_the_data_is_fetched_and_the_new_one_follows(
    running: Session, server: FileServer, qtbot: QtBot
) -> None:
    server.hold_after = 1000
    want(running)
    wait_for_bytes(qtbot, running, 1000)
    assert running.fetching == Fetching(TEST_IMAGES, 1000, SIZE)
    running.step("batch")
    wait_for_step(qtbot, running, 6)
    with qtbot.waitSignal(running.built, timeout=10_000):
        server.go_on.set()
    assert running.fetching is None
    assert running.network is not None
    assert (running.network.data.training, running.network.data.validation) == (270, 30)
    running.step("batch")
    wait_for_step(qtbot, running, 1)


def test_a_download_longer_than_the_patience_with_an_engine_is_no_hang(
    running: Session, link: EngineLink, server: FileServer, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.link.HUNG_AFTER", 0.6)
    lost: list[str] = []
    link.lost.connect(lambda sentence, _: lost.append(sentence))
    server.hold_after = 1000
    want(running)
    wait_for_bytes(qtbot, running, 1000)
    qtbot.wait(1500)
    with qtbot.waitSignal(running.built, timeout=10_000):
        server.go_on.set()
    assert lost == []


def test_cancel_works_at_once_and_leaves_run_and_bytes_where_they_are(
    running: Session, server: FileServer, qtbot: QtBot, tmp_path: Path
) -> None:
    who, before, said = QObject(), running.recipe, []
    running.watch(who, (WatchItem("0.W"),))
    qtbot.waitUntil(lambda: "0.W" in running.frame.tensors)  # type: ignore[union-attr]
    weights, losses = running.frame.tensors["0.W"].values, running.history["loss"].copy()  # type: ignore[union-attr]
    running.said.connect(lambda sentence, wrong: said.append((sentence, wrong)))
    server.hold_after = 1000
    want(running)
    wait_for_bytes(qtbot, running, 1000)
    running.cancel_fetch()
    qtbot.waitUntil(lambda: running.fetching is None, timeout=1000)
    assert running.recipe == before
    assert said == [
        ("the download was cancelled; the run before goes on, and what has come is kept for the next time", False)
    ]
    np.testing.assert_array_equal(running.frame.tensors["0.W"].values, weights)  # type: ignore[union-attr]
    np.testing.assert_array_equal(running.history["loss"], losses)
    running.step("batch")
    wait_for_step(qtbot, running, 6)
    assert part_of(tmp_path) == 1000


def test_the_next_download_goes_on_where_the_cancelled_one_stopped(
    running: Session, server: FileServer, qtbot: QtBot
) -> None:
    server.hold_after = 1000
    want(running)
    wait_for_bytes(qtbot, running, 1000)
    running.cancel_fetch()
    qtbot.waitUntil(lambda: running.fetching is None, timeout=1000)
    server.hold_after = None
    with qtbot.waitSignal(running.built, timeout=10_000):
        want(running)
    assert server.asked[1] == (f"/{TEST_IMAGES}", "bytes=1000-")
    assert running.recipe.data == WANTED


def test_another_edit_in_the_meantime_does_not_begin_the_download_again(
    running: Session, server: FileServer, qtbot: QtBot
) -> None:
    server.hold_after = 1000
    want(running)
    wait_for_bytes(qtbot, running, 1000)
    want(running, batch_size=50)
    qtbot.wait(100)
    with qtbot.waitSignal(running.built, timeout=10_000):
        server.go_on.set()
    assert running.network is not None
    assert running.network.recipe.batch_size == 50
    assert [path for path, _ in server.asked] == [f"/{TEST_IMAGES}", f"/{TEST_LABELS}"]


def test_undo_in_the_meantime_gives_the_download_up(running: Session, server: FileServer, qtbot: QtBot) -> None:
    before = running.recipe
    server.hold_after = 1000
    want(running)
    wait_for_bytes(qtbot, running, 1000)
    running.undo()
    qtbot.waitUntil(lambda: running.fetching is None, timeout=1000)
    server.go_on.set()
    running.step("batch")
    wait_for_step(qtbot, running, 6)
    qtbot.wait(300)
    assert running.recipe == before
    assert running.network is not None
    assert running.network.recipe == before


@pytest.mark.parametrize(("status", "words"), [(404, "the server answers 404"), (200, "is not the known file")])
def test_a_download_that_fails_is_one_sentence_and_the_run_before_goes_on(
    running: Session, server: FileServer, qtbot: QtBot, status: int, words: str
) -> None:
    before = running.recipe
    server.status = status
    server.content[TEST_IMAGES] = b"something else"
    with qtbot.waitSignal(running.said, timeout=10_000) as said:
        want(running)
    assert said.args is not None
    assert words in said.args[0]
    assert said.args[0].count("\n") == 0
    assert said.args[1] is True
    assert running.recipe == before
    assert running.fetching is None
    running.step("batch")
    wait_for_step(qtbot, running, 6)


def test_offline_is_told_with_where_the_files_may_be_put(
    running: Session, link: EngineLink, server: FileServer, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS, "http://127.0.0.1:9/")
    with qtbot.waitSignal(running.built, timeout=10_000):
        link.restart()
    with qtbot.waitSignal(running.said, timeout=10_000) as said:
        want(running)
    assert said.args is not None
    assert f"cannot fetch {TEST_IMAGES} of MNIST (127.0.0.1: no connection); go online and try again" in said.args[0]


def test_stopping_the_engine_stops_the_download_and_the_run_goes_on_in_a_new_one(
    running: Session, link: EngineLink, server: FileServer, qtbot: QtBot
) -> None:
    qtbot.wait(300)  # until the state was sent
    before, losses = running.recipe, running.history["loss"].copy()
    server.hold_after = 1000
    want(running)
    wait_for_bytes(qtbot, running, 1000)
    with qtbot.waitSignal(running.built, timeout=10_000):
        link.restart()
    wait_for_step(qtbot, running, 5)
    assert running.recipe == before
    assert running.fetching is None
    np.testing.assert_array_equal(running.history["loss"], losses)
    assert len(server.asked) == 1


def test_a_first_recipe_whose_download_is_cancelled_is_built_after_a_restart(
    server: FileServer, link: EngineLink, digits: Recipe, qtbot: QtBot
) -> None:
    session = Session(link, msgspec.structs.replace(digits, data=WANTED))
    server.hold_after = 1000
    wait_for_bytes(qtbot, session, 1000)
    with qtbot.waitSignal(session.said) as said:
        session.cancel_fetch()
    assert said.args == ["the download was cancelled; what has come is kept, and a restart goes on with it", False]
    server.hold_after = None
    with qtbot.waitSignal(session.built, timeout=10_000):
        session.restart()
    assert server.asked[1][1] == "bytes=1000-"


# --- the line at the bottom -----------------------------------------------------------------------------


class LinkStub(QObject):
    """Remembers what is sent; the test plays the engine."""

    received = Signal(object)
    lost = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[object] = []

    def send(self, command: object) -> None:
        self.sent.append(command)


@pytest.fixture
def stub(qtbot: QtBot) -> LinkStub:
    """No engine."""
    return LinkStub()


@pytest.fixture
def bar(stub: LinkStub, digits: Recipe, qtbot: QtBot) -> Iterator[FetchBar]:
    """The bar in a window."""
    window = QMainWindow()
    qtbot.addWidget(window)
    session = Session(stub, msgspec.structs.replace(digits, data=WANTED))  # type: ignore[arg-type]
    bar = FetchBar(session, window)
    window.statusBar().addPermanentWidget(bar)
    window.show()
    qtbot.waitExposed(window)
    yield bar
    window.close()


def test_the_bar_is_there_while_something_is_fetched_and_says_what(bar: FetchBar, stub: LinkStub) -> None:
    assert not bar.isVisible()
    stub.received.emit(Fetching("", 0, 0))
    assert bar.isVisible()
    assert bar.text.text() == "Fetching MNIST: connecting …"
    assert bar.bar.maximum() == 0, "it seems to know how long it takes"
    stub.received.emit(Fetching(TEST_IMAGES, 2_478_105, 9_912_422))
    assert bar.text.text() == f"Fetching {TEST_IMAGES}: 2.5 of 9.9 MB"
    assert (bar.bar.value(), bar.bar.maximum()) == (249, 1000)
    stub.received.emit(Fetching(TEST_IMAGES, 70_000, 0))
    assert bar.text.text() == f"Fetching {TEST_IMAGES}: 70.0 kB"
    stub.received.emit(FetchEnded())
    assert not bar.isVisible()


def test_the_download_is_cancelled_by_a_click_by_the_keys_and_by_escape(
    bar: FetchBar, stub: LinkStub, qtbot: QtBot
) -> None:
    window = bar.window()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert not [c for c in stub.sent if isinstance(c, CancelFetch)], "there is nothing to cancel"
    stub.received.emit(Fetching(TEST_IMAGES, 1, 2))
    qtbot.mouseClick(bar.cancel, Qt.MouseButton.LeftButton)
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    bar.cancel.setFocus()
    qtbot.keyClick(bar.cancel, Qt.Key.Key_Space)
    assert len([c for c in stub.sent if isinstance(c, CancelFetch)]) == 3


def test_its_parts_have_names_and_the_button_can_be_reached_by_tab(bar: FetchBar, stub: LinkStub) -> None:
    stub.received.emit(Fetching(TEST_IMAGES, 1, 2))
    assert bar.cancel.accessibleName() == "cancel the download"
    assert "(Esc)" in bar.cancel.toolTip()
    assert bar.cancel.focusPolicy() & Qt.FocusPolicy.TabFocus
    assert bar.bar.accessibleName() == "progress of the download"
    assert bar.bar.accessibleDescription() == f"Fetching {TEST_IMAGES}: 1 of 2 bytes"


def test_the_line_at_the_bottom_is_no_higher_for_the_bar(bar: FetchBar, stub: LinkStub, qtbot: QtBot) -> None:
    line = bar.parentWidget()
    assert line is not None
    before = line.height()
    stub.received.emit(Fetching(TEST_IMAGES, 1, 2))
    qtbot.wait(20)
    assert line.height() == before
    assert line.rect().contains(bar.geometry())


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [(0, 9_912_422, "0.0 of 9.9 MB"), (4542, 4542, "4.5 kB"), (12, 999, "12 of 999 bytes"), (0, 0, "0 bytes")],
)
def test_bytes_are_told_in_one_unit(done: int, total: int, text: str) -> None:
    assert amount(done, total) == text


# --- the command line -----------------------------------------------------------------------------------


@pytest.fixture
def recipe_file(server: FileServer, digits: Recipe, tmp_path: Path) -> str:
    """A recipe that needs the download."""
    path = tmp_path / "mnist.json"
    path.write_text(msgspec.structs.replace(digits, data=WANTED).to_json())
    return str(path)


@pytest.mark.parametrize("terminal", [True, False])
def test_train_tells_of_the_download_on_stderr(
    recipe_file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr("tqdm.tqdm.monitor_interval", 0)  # it would leave a thread
    assert cli.train(cli.parse(["train", recipe_file, "--steps", "2"])) == 0
    told = capsys.readouterr()
    for name in (TEST_IMAGES, TEST_LABELS):
        assert name in told.err
    assert ("100%" in told.err) == terminal
    assert told.out.startswith("step      2")
    cli.train(cli.parse(["train", recipe_file, "--steps", "1", "--json"]))
    assert TEST_IMAGES not in capsys.readouterr().err, "it is fetched only once"


def test_train_refuses_what_cannot_be_fetched_in_one_sentence(
    recipe_file: str, server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.status = 500
    assert cli.train(cli.parse(["train", recipe_file, "--steps", "2"])) == 2
    told = capsys.readouterr().err
    assert "the server answers 500" in told
    assert len(told.splitlines()) == 1


def test_ctrl_c_while_fetching_keeps_what_has_come(
    recipe_file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(self: Mnist, progress: fetch.Progress, cancelled: object = None) -> None:
        def note(*numbers: object) -> None:
            raise KeyboardInterrupt

        fetch.fetch(self.source, self.part, progress=note)

    monkeypatch.setattr(Mnist, "fetch_files", interrupt)
    assert cli.train(cli.parse(["train", recipe_file, "--steps", "2"])) == 130
    assert capsys.readouterr().err == "stopped before the first step; what was fetched is kept for the next time\n"
    assert part_of(tmp_path) > 0
