"""The bug bench: every bug can be planted where it can live, hidden, guessed, revealed, undone and taken out."""

from __future__ import annotations

import random

import msgspec
import pytest
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from app import planting, theme
from app.bug_bench import NOTHING, BugBench
from app.session import Session
from app.transport import Transport
from app.window import Window
from engine.bugs import CATALOGUE, PlantedBug
from engine.protocol import Use
from engine.recipe import Recipe
from engine.trainer import Trainer

from panel_tools import Desk
from waiting import wait_for_step


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, theme.DARK)
    return Desk()


@pytest.fixture
def bench(qtbot: QtBot, desk: Desk) -> BugBench:
    bench = BugBench(desk.session, rng=random.Random(1))
    qtbot.addWidget(bench)
    bench.show()
    return bench


def follow(desk: Desk) -> None:
    """The engine builds what was asked for last."""
    desk.recipe = desk.sent(Use)[-1].recipe
    desk.start()


def choose(bench: BugBench, layer: int, slug: str) -> None:
    bench.place_box.setCurrentIndex(bench.place_box.findData(layer))
    bench.place_box.activated.emit(bench.place_box.currentIndex())
    bench.bug_box.setCurrentIndex(bench.bug_box.findData(slug))


def pressed(qtbot: QtBot, button: QPushButton) -> None:
    assert button.isVisible()
    button.click()


# --- what is possible -----------------------------------------------------------------------------


def test_every_place_offers_only_bugs_that_the_engine_takes_there(desk: Desk) -> None:
    network = desk.session.network
    assert network is not None
    found = planting.places(network)
    assert [place.layer for place in found] == [0, 1, 2, -1]
    for place in found:
        for slug in place.slugs:
            assert slug in CATALOGUE
            Trainer(planting.planted(network.recipe, place.layer, slug))  # or it raises RecipeError


def test_hidden_bugs_are_drawn_from_everywhere_and_are_always_others(desk: Desk) -> None:
    network = desk.session.network
    assert network is not None
    rng, seen = random.Random(0), set()
    for _ in range(60):
        recipe = planting.with_hidden(network, rng)
        (bug,) = recipe.bugs
        assert bug.hidden
        assert [bug] != list(network.recipe.bugs)
        network = msgspec.structs.replace(network, recipe=recipe)
        seen.add(bug.layer)
    assert seen == {0, 1, 2, -1}


# --- the dialog -----------------------------------------------------------------------------------


def test_a_bug_planted_openly_is_told_with_place_explanation_and_formula(
    bench: BugBench, desk: Desk, qtbot: QtBot
) -> None:
    assert bench.state.text() == NOTHING
    choose(bench, 2, "sign-flipped")
    pressed(qtbot, bench.plant_button)
    follow(desk)
    assert desk.session.recipe.bugs == (PlantedBug(layer=2, slug="sign-flipped"),)
    entry = CATALOGUE["sign-flipped"]
    assert "2 Dense: The sign is flipped" in bench.state.text()
    assert entry.formula in bench.state.text()
    assert "{tensor}" not in bench.state.text()
    assert (bench.place_box.currentData(), bench.bug_box.currentData()) == (2, "sign-flipped")


def test_planting_is_an_edit_like_any_other_and_can_be_undone(bench: BugBench, desk: Desk, qtbot: QtBot) -> None:
    choose(bench, 1, "relu-mask-missing")
    pressed(qtbot, bench.plant_button)
    follow(desk)
    desk.session.undo()
    follow(desk)
    assert desk.session.recipe.bugs == ()
    assert bench.state.text() == NOTHING


def test_a_second_bug_in_one_place_takes_the_first_ones_and_removing_takes_all(
    bench: BugBench, desk: Desk, qtbot: QtBot
) -> None:
    for layer, slug in ((2, "sign-flipped"), (1, "relu-mask-missing"), (2, "constant-factor")):
        choose(bench, layer, slug)
        pressed(qtbot, bench.plant_button)
        follow(desk)
    assert {(bug.layer, bug.slug) for bug in desk.session.recipe.bugs} == {
        (1, "relu-mask-missing"),
        (2, "constant-factor"),
    }
    pressed(qtbot, bench.remove_button)
    follow(desk)
    assert desk.session.recipe.bugs == ()
    assert not bench.remove_button.isEnabled()


def test_a_hidden_bug_is_guessed_step_by_step_and_told_in_the_end(bench: BugBench, desk: Desk, qtbot: QtBot) -> None:
    pressed(qtbot, bench.hide_button)
    follow(desk)
    bug = planting.hidden_bug(desk.session.recipe)
    assert bug is not None
    title = planting.title(bug.slug)
    assert title not in bench.state.text()
    assert not bench.plant_button.isVisible()
    places = planting.places(desk.session.network)
    here = next(place for place in places if place.layer == bug.layer)
    choose(bench, bug.layer, next(slug for slug in here.slugs if slug != bug.slug))
    pressed(qtbot, bench.guess_button)
    assert "The place is right, but the bug is another" in bench.state.text()
    assert title not in bench.state.text()
    choose(bench, bug.layer, bug.slug)
    pressed(qtbot, bench.guess_button)
    assert "Right" in bench.state.text()
    assert "2 guesses" in bench.state.text()
    assert title in bench.state.text()
    assert planting.hidden_bug(desk.session.recipe) is None
    assert bench.plant_button.isVisible()


@pytest.mark.parametrize(
    ("layer", "slug", "right", "words"),
    [
        (2, "sign-flipped", True, "Right"),
        (2, "constant-factor", False, "place is right"),
        (0, "sign-flipped", False, "bug is right"),
        (0, "constant-factor", False, "another bug, in another place"),
    ],
)
def test_a_guess_is_judged_by_place_and_bug(layer: int, slug: str, right: bool, words: str) -> None:
    judged = planting.judge_guess(PlantedBug(layer=2, slug="sign-flipped", hidden=True), layer, slug)
    assert judged[0] is right
    assert words in judged[1]


# --- the badge ------------------------------------------------------------------------------------


def test_a_badge_says_that_a_bug_is_planted_and_where_unless_it_is_hidden(desk: Desk) -> None:
    network, recipe = desk.session.network, desk.session.recipe
    assert network is not None
    assert planting.badge_text(recipe, network) == ("", "")
    bug = planting.planted(recipe, 2, "sign-flipped")
    assert planting.badge_text(bug, network) == ("✗ bug in 2 Dense", "2 Dense: The sign is flipped")
    text, tip = planting.badge_text(planting.planted(recipe, 2, "sign-flipped", hidden=True), network)
    assert text == "? a bug is hidden"
    assert "Dense" not in text + tip
    two = planting.planted(bug, -1, "constant-factor")
    assert planting.badge_text(two, network)[0] == "✗ 2 bugs planted"


def test_the_window_shows_the_badge_and_revealing_does_not_restart_the_run(
    session: Session, link: object, qtbot: QtBot
) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    window = Window(session, link, theme.Appearance(app, "dark"))  # type: ignore[arg-type]
    qtbot.addWidget(window)
    window.show()
    badge = window.findChild(Transport).bug_badge  # type: ignore[union-attr]
    assert not badge.isVisible()
    with qtbot.waitSignal(session.built):
        session.use(planting.planted(session.recipe, 2, "sign-flipped", hidden=True))
    assert badge.isVisible()
    assert badge.text() == "? a bug is hidden"
    session.train(40)
    wait_for_step(qtbot, session, 40)
    badge.click()
    assert window.bench is not None
    assert window.bench.isVisible()
    with qtbot.waitSignal(session.adopted):
        window.bench.reveal_button.click()
    assert badge.text() == "✗ bug in 2 Dense"
    session.step("batch")
    wait_for_step(qtbot, session, 41)
    assert len(session.history) == 41


def test_a_recipe_with_a_planted_bug_is_saved_and_opened_with_it(desk: Desk) -> None:
    recipe = planting.planted(desk.session.recipe, 2, "sign-flipped", hidden=True)
    assert Recipe.from_json(recipe.to_json()) == recipe
