"""The edits of the recipe: a list of recipes with a cursor, and what the engine last said to one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.edit_names import name_of_edit
from engine.protocol import BrokenChain
from engine.recipe import Recipe

MOST = 200  # recipes


@dataclass(frozen=True)
class Edited:
    """A place in the history of edits: the recipe, and the number of its run once the engine has told it."""

    recipe: Recipe
    run: int | None = None
    fresh: bool = False  # its run begins with weights drawn from the recipe


@dataclass(frozen=True)
class Answer:
    """What the engine last said: the place it spoke of, where that is, and why it cannot be where it is a draft."""

    edited: Edited
    at: int
    broken: BrokenChain | None = None


class EditHistory:
    """Where one is among the edits; there is always one recipe at least."""

    def __init__(self, recipe: Recipe) -> None:
        self.open((recipe,), 0)

    def open(self, recipes: Sequence[Recipe], cursor: int) -> None:
        """Have these edits instead, as they come out of a file."""
        self._edits, self._cursor = [Edited(recipe) for recipe in recipes], cursor
        self._key: object = None
        self._answer = Answer(self.present, cursor)

    @property
    def present(self) -> Edited:
        """Where one is."""
        return self._edits[self._cursor]

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """All recipes, the oldest first."""
        return tuple(edited.recipe for edited in self._edits)

    @property
    def cursor(self) -> int:
        """Which of them is the present one."""
        return self._cursor

    @property
    def answered(self) -> bool:
        """Whether the engine has said something to the present recipe."""
        return self.present.recipe == self._answer.edited.recipe

    def add(self, edited: Edited, key: object = None) -> None:
        """Make an edit, which ends what was undone; of those in a row with the same `key` only the last stays.

        The recipe that all began with stays in any case.
        """
        if key is None or key != self._key or self._cursor == self._answer.at == 0:
            self._edits[self._cursor + 1 :] = [edited]
            surplus = max(0, len(self._edits) - MOST)
            del self._edits[:surplus]
            self._answer = replace(self._answer, at=max(0, self._answer.at - surplus))
            self._cursor = len(self._edits) - 1
        else:
            self._edits[self._cursor] = edited
        self._key = key

    def beside(self, by: int) -> Edited | None:
        """The place so many edits further on, or back; None where there is none."""
        at = self._cursor + by
        return self._edits[at] if 0 <= at < len(self._edits) else None

    def name_beside(self, by: int) -> str:
        """The edit that lies between here and the next place, or the one before; "" where there is none."""
        other = self.beside(by)
        if other is None:
            return ""
        before, after = (self.present, other) if by > 0 else (other, self.present)
        return name_of_edit(before.recipe, after.recipe)

    def move(self, by: int) -> None:
        """Go there."""
        self._cursor += by
        self._key = None

    def forget_runs(self) -> None:
        """There is a new engine, which knows of no run."""
        self._edits = [replace(edited, run=None) for edited in self._edits]

    def accept(self, recipe: Recipe, run: int) -> None:
        """The engine trains by this recipe, in the run of this number."""
        if recipe == self.present.recipe:
            self._edits[self._cursor] = replace(self.present, run=run)
        self._answer = Answer(Edited(recipe, run), self._cursor)

    def keep_draft(self, broken: BrokenChain) -> None:
        """The engine says why the present recipe cannot be; it stays all the same."""
        self._answer = Answer(self.present, self._cursor, broken)

    def take_back(self) -> BrokenChain | None:
        """Go back to what the engine last answered, and end there; returns what it said of it where it is a draft."""
        self._cursor, self._key = min(self._answer.at, len(self._edits) - 1), None  # its place may have been undone
        self._edits[self._cursor :] = [self._answer.edited]
        return self._answer.broken
