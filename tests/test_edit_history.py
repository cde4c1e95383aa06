"""Edits of the recipe and a cursor among them: what one can undo, and where a refused edit leads back to."""

from __future__ import annotations

import pytest

from app.edit_history import MOST, Edited, EditHistory
from engine.recipe import Recipe


def recipe(batch: int) -> Recipe:
    """One of many that differ."""
    raw = {"data": {"kind": "digits"}, "layers": [{"kind": "dense", "units": 10}], "batch_size": batch}
    return Recipe.from_builtins(raw)


@pytest.fixture
def edits() -> EditHistory:
    """Five edits, each in training at once as run n."""
    history = EditHistory(recipe(1))
    history.accept(recipe(1), 0)
    for batch in range(2, 7):
        history.add(Edited(recipe(batch)))
        history.accept(recipe(batch), batch - 1)
    return history


def batches(edits: EditHistory) -> list[int]:
    """What tells the recipes apart."""
    return [made.batch_size for made in edits.recipes]


def test_an_edit_after_undo_ends_what_was_undone(edits: EditHistory) -> None:
    edits.move(-2)
    assert edits.present == Edited(recipe(4), 3)
    assert (edits.name_beside(-1), edits.name_beside(+1)) == ("batch size 3 → 4", "batch size 4 → 5")
    edits.add(Edited(recipe(9)))
    assert (batches(edits), edits.cursor) == ([1, 2, 3, 4, 9], 4)
    assert edits.beside(+1) is None


def test_of_edits_with_one_key_the_last_stays_but_never_in_place_of_the_first_recipe() -> None:
    edits = EditHistory(recipe(1))
    for batch in (2, 3, 4):
        edits.add(Edited(recipe(batch)), "batch size")
    assert batches(edits) == [1, 4]
    edits.add(Edited(recipe(5)), "another field")
    assert batches(edits) == [1, 4, 5]


def test_a_refused_edit_leads_back_to_what_the_engine_trains(edits: EditHistory) -> None:
    assert edits.answered
    edits.add(Edited(recipe(100)))
    assert not edits.answered
    assert edits.take_back() is None
    assert (edits.present, edits.cursor) == (Edited(recipe(6), 5), 5)


def test_where_its_place_was_undone_meanwhile_the_engines_recipe_stands_in_place_of_the_refused_one(
    edits: EditHistory,
) -> None:
    edits.move(-3)  # which the engine has not answered yet
    edits.add(Edited(recipe(100)))
    edits.take_back()
    assert (batches(edits), edits.cursor) == ([1, 2, 3, 6], 3)


def test_the_oldest_edits_are_forgotten_and_the_answered_one_keeps_its_place(edits: EditHistory) -> None:
    for batch in range(7, MOST + 3):
        edits.add(Edited(recipe(batch)))
        edits.accept(recipe(batch), batch - 1)
    edits.add(Edited(recipe(1000)))
    assert (len(edits.recipes), edits.cursor) == (MOST, MOST - 1)
    edits.take_back()
    assert batches(edits)[-3:] == [MOST, MOST + 1, MOST + 2]


def test_a_new_engine_knows_of_no_run(edits: EditHistory) -> None:
    edits.forget_runs()
    assert edits.present == Edited(recipe(6))
