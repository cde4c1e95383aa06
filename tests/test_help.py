"""Help: all keys on one sheet, two sentences on each panel, a first hint, and a guide that needs no network."""

from __future__ import annotations

import re

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QSettings, Qt, QUrl
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import QLabel, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from app import guide, theme
from app.actions import ACTIONS
from app.first_hint import FirstHint, is_wanted
from app.guide import Pages, folder, slug
from app.key_sheet import KeySheet, sections
from app.panel import Panel, find_panels
from app.panel_help import HelpButton
from app.window import Window

from panel_tools import Desk

PANELS = pytest.mark.parametrize("kind", find_panels(), ids=lambda kind: kind.name())


@PANELS
def test_a_panels_help_is_two_sentences_and_its_page_is_in_the_guide(kind: type[Panel]) -> None:
    sentences = re.split(r"(?<=[.])\s+(?=[A-Z])", kind.hint.strip())
    assert len(sentences) == 2, sentences
    assert all(sentence.endswith(".") for sentence in sentences)
    headings = re.findall(r"^## (.+)$", (folder() / guide.PANELS).read_text(encoding="utf-8"), re.MULTILINE)
    assert kind.title in headings


@pytest.mark.parametrize(("colours", "hue"), [("blue and orange", "blue"), ("green and purple", "green")])
def test_help_names_the_hues_that_are_on_screen(colours: str, hue: str) -> None:
    look = theme.THEMES["dark", colours]
    inspector = next(kind for kind in find_panels() if kind.name() == "inspector")
    assert f"{hue} is positive" in look.worded(inspector.hint)
    for kind in find_panels():
        assert not re.search(r"\b(blue|orange|green|purple)\b", kind.hint), kind
        assert "{" not in look.worded(kind.hint)


def test_the_sheet_has_every_key_of_every_command_and_those_of_the_panels(qtbot: QtBot) -> None:
    desk = Desk()
    panels = [kind(desk.session) for kind in find_panels()]
    for panel in panels:
        qtbot.addWidget(panel)
    sheet = dict(sections(panels))
    told = {text: keys for rows in sheet.values() for keys, text in rows}
    for command in ACTIONS.values():
        if command.keys:
            keys = told[command.text.replace("&", "").removesuffix("…")]
            assert len(keys.split(", ")) == len(command.keys) or "Ctrl+," in keys
    assert ("P", "As pictures, or as the matrix") in sheet["In Inspector"]
    assert ("Del", "Remove layer") in sheet["In Network"]
    assert ("+, −, 0", "Closer, farther, all") in sheet["In Loss & accuracy, Norms"]
    assert all(len(rows) == len(set(rows)) for rows in sheet.values())
    everywhere = {key for command in ACTIONS.values() for key in command.keys}
    widgets = [widget for panel in panels for widget in (panel, *panel.findChildren(QWidget))]
    inside = {action.shortcut().toString() for widget in widgets for action in widget.actions()}
    assert not everywhere & inside, "Qt obeys neither of two that have one key"


@pytest.fixture
def pages(qtbot: QtBot) -> Pages:
    """The guide's browser."""
    pages = Pages()
    qtbot.addWidget(pages)
    pages.resize(500, 300)
    pages.show()
    return pages


def test_the_guide_opens_at_a_heading_and_follows_links_and_goes_back(pages: Pages) -> None:
    pages.go("guide/panels.md#norms")
    assert pages.verticalScrollBar().value() > 0
    assert pages.cursorForPosition(pages.viewport().rect().topLeft()).block().text() == "Norms"
    pages._follow(QUrl("../picture.md#beliefs"))
    assert pages.page == "picture.md#beliefs"
    pages._follow(QUrl("no_such_page.md"))
    assert pages.page == "picture.md#beliefs"
    pages.back()
    assert pages.page == "guide/panels.md#norms"
    first = pages.document().begin()
    assert (first.text(), first.blockFormat().headingLevel(), first.next().blockFormat().headingLevel()) == (
        "The panels",
        1,
        0,
    )


def test_pictures_of_the_guide_fit_the_window(pages: Pages) -> None:
    pages.go("guide/tour.md")
    url = pages.document().baseUrl().resolved(QUrl("../digits-dark.png"))
    image = pages.document().resource(QTextDocument.ResourceType.ImageResource.value, url)
    assert 100 < image.width() <= pages.viewport().width()


def test_headings_have_the_anchors_that_links_on_the_web_use() -> None:
    assert slug("Loss & accuracy") == "loss--accuracy"
    assert slug("The Flow view") == "the-flow-view"


def test_the_first_hint_is_sent_away_for_good(qtbot: QtBot, settings: QSettings) -> None:
    assert is_wanted(settings)
    assert not is_wanted(None)
    hint = FirstHint(settings)
    qtbot.addWidget(hint)
    hint.show()
    with qtbot.waitSignal(hint.tour_wanted) as tour:
        hint.tour.click()
    assert (folder() / tour.args[0]).is_file()
    assert hint.isHidden()
    assert not is_wanted(settings)


def test_help_that_was_opened_twice_leads_into_the_guide(qtbot: QtBot) -> None:
    button = HelpButton("Norms", "How large the weights are.")
    qtbot.addWidget(button)
    button.show()
    button.open()
    first = button.popup
    assert first is not None
    button.open()
    assert button.popup is not None
    button.popup.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    with qtbot.waitSignal(button.wanted):
        first.more.click()


def test_help_opens_from_the_window_and_stays_out_of_the_way(window: Window, qtbot: QtBot) -> None:
    assert window.first_hint is not None
    assert window.first_hint.isVisible()
    window.first_hint.dismiss.click()
    assert not window.first_hint.isVisible()
    qtbot.keyClick(window, Qt.Key.Key_F1)
    sheet = window.findChild(KeySheet)
    area, sheet_inside = sheet.findChild(QScrollArea), sheet.columns[0].parentWidget()
    assert sheet_inside.sizeHint().width() <= area.viewport().width(), "a screen of 800 pixels shows whole lines"
    assert "Step over: one phase" in "".join(label.text() for label in sheet.findChildren(QLabel))
    sheet.close()
    for name, panel in window.panels.items():
        card = panel.parentWidget()
        button = card.title_bar.help  # type: ignore[union-attr]
        if panel.seen:
            assert button.isVisible(), name
        button.open()
        assert button.popup.text.text() == theme.current().worded(panel.hint)
        button.popup.more.click()
        assert window.guide is not None
        assert window.guide.pages.page == f"{guide.PANELS}#{slug(panel.title)}"
    window.commands["show_settings"].trigger()
    assert window.settings_window is not None
    assert window.settings_window.isVisible()
    window.commands["step_batch"].trigger()
    qtbot.waitUntil(lambda: window.session.frame is not None and window.session.frame.step == 1)
