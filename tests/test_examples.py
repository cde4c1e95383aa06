"""The examples' menu: every recipe in the box is in it once, and a click trains by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from app.cli import shipped_recipes
from app.examples import GROUPS, titles
from app.link import EngineLink
from app.session import Session
from app.theme import Appearance
from app.window import Window
from engine.recipe import Recipe


@pytest.fixture
def window(link: EngineLink, digits: Recipe, qtbot: QtBot, qapp: QApplication) -> Iterator[Window]:
    session = Session(link, digits)
    appearance = Appearance(qapp, "dark")
    window = Window(session, link, appearance)
    qtbot.addWidget(window)
    with qtbot.waitSignal(session.shown, timeout=10_000):
        window.show()
    yield window
    window.close()
    appearance.deleteLater()


def entries(window: Window) -> dict[str, QAction]:
    """Title and action of every example."""
    (menu,) = (m for m in window.menuBar().findChildren(QMenu) if m.title() == "&Examples")
    menu.aboutToShow.emit()
    return {a.text(): a for group in menu.findChildren(QMenu) for a in group.actions()}


def test_every_shipped_recipe_has_its_place_in_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == shipped_recipes()


def test_the_menu_names_every_recipe_and_a_click_trains_by_it(window: Window, qtbot: QtBot) -> None:
    found = entries(window)
    assert sorted(found) == sorted(titles().values())
    with qtbot.waitSignal(window.session.built, timeout=10_000):
        found["Vanishing gradient"].trigger()
    assert window.session.recipe.name == "Vanishing gradient"
    assert window.session.can_undo()


def test_an_example_whose_network_cannot_be_says_why_and_the_run_before_it_goes_on(
    window: Window, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(window.session.said, timeout=10_000) as told:
        entries(window)["Notebook D: pictures not flattened"].trigger()
    assert told.args[1]
    assert window.session.recipe.name == "Digits"
