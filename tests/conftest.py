"""Every test runs without a screen and leaves nothing behind: no widget, thread, process or shared memory."""

import gc
import multiprocessing
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QSettings
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.link import EngineLink
from app.overrides import guard_overrides
from app.session import Session
from app.theme import Appearance
from app.window import Window
from engine.recipe import Recipe
from engine.shared import FrameSlots

from warm_engines import start_warm

SHIPPED = Path(__file__).parents[1] / "resources" / "recipes"
MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"


guard_overrides()  # an error in a method that Qt calls fails a test; it must not end all of them
BLOCKS: set[str] = set()  # names of the shared memory made in this process


def remember_block(self: FrameSlots, name: str | None = None) -> None:
    """Make frame slots and note their name."""
    make_slots(self, name)
    BLOCKS.add(self.name)


make_slots = FrameSlots.__init__
FrameSlots.__init__ = remember_block  # type: ignore[method-assign]

start_warm()


@pytest.fixture(autouse=True)
def nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compare what is alive before and after a test."""
    threads = set(threading.enumerate())
    widgets = set(map(id, QApplication.topLevelWidgets())) if QApplication.instance() else set()
    yield
    if "qapp" in request.fixturenames:  # collecting takes longer than most tests of the engine
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        gc.collect()
        gc.freeze()  # what lives now stays: looking through all of it after each test takes minutes
        left = [w for w in QApplication.topLevelWidgets() if id(w) not in widgets and not w.property("keep")]
        assert not left, f"widgets were left: {left}"
    assert not multiprocessing.active_children(), "an engine process was left"
    new_threads = [t for t in threading.enumerate() if t not in threads and t.is_alive()]
    assert not new_threads, f"threads were left: {new_threads}"
    left_blocks = [name for name in BLOCKS if Path("/dev/shm", name.lstrip("/")).exists()]
    assert not left_blocks, f"shared memory was left: {left_blocks}"


@pytest.fixture
def qtbot(qtbot: QtBot) -> Iterator[QtBot]:
    """pytest-qt's, which alone knows widgets only weakly: one in a cycle could be collected while it is painted."""
    kept, plain = [], qtbot.addWidget

    def add_widget(widget: QWidget, **how: Any) -> None:
        kept.append(widget)
        plain(widget, **how)

    qtbot.addWidget = add_widget  # type: ignore[method-assign]
    yield qtbot
    kept.clear()


@pytest.fixture
def digits() -> Recipe:
    """The default recipe."""
    return Recipe.from_file(SHIPPED / "digits.json")


@pytest.fixture
def link(qapp: QApplication) -> Iterator[EngineLink]:
    """A real engine process."""
    link = EngineLink()
    yield link
    link.close()


@pytest.fixture
def session(link: EngineLink, digits: Recipe, qtbot: object) -> Session:
    """A session on the default recipe with a real engine, its network built and its first frame shown."""
    session = Session(link, digits)
    with qtbot.waitSignal(session.shown, timeout=10_000):  # type: ignore[attr-defined]
        pass
    return session


@pytest.fixture(scope="session")
def mnist() -> Path:
    """The folder of the MNIST test set; tests that want it skip where it is absent."""
    if not (MNIST / "t10k-images-idx3-ubyte.gz").is_file():
        pytest.skip(f"MNIST is not at {MNIST}")
    return MNIST


@pytest.fixture
def settings(tmp_path: Path) -> QSettings:
    """The user's settings, in a file of their own."""
    return QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def window(link: EngineLink, digits: Recipe, settings: QSettings, qtbot: QtBot, qapp: QApplication) -> Iterator[Window]:
    """The real window on the default recipe, its first frame shown."""
    session = Session(link, digits)
    appearance = Appearance(qapp, "dark")
    window = Window(session, link, appearance, settings)
    qtbot.addWidget(window)
    with qtbot.waitSignal(session.shown, timeout=10_000):
        window.show()
    qtbot.waitUntil(lambda: len(window.panels) == len(window.docks) + 1)  # some are made after the first frame
    qtbot.wait(100)  # for what they ask for
    yield window
    window.close()
    appearance.deleteLater()
