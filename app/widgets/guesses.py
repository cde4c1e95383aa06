"""What the network says of each sample, in words: its guess, how sure it is, whether it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Guess:
    """One sample's guess. `right` is None where nothing was guessed yet."""

    right: bool | None
    text: str  # short: "3 82%", or wrong with the true class: "✗1/9 40%"
    sentence: str

    @property
    def field(self) -> Literal["good_text", "bad_text", "muted"]:
        """The field of the theme that colours the text."""
        return "muted" if self.right is None else "good_text" if self.right else "bad_text"


def guesses(
    labels: NDArray[Any] | None, p: NDArray[Any] | None, classes: Sequence[str], count: int, *, sure: bool = True
) -> list[Guess]:
    """One guess a sample, from labels (B,) and beliefs p (B, K). `sure`: p are probabilities, not just values."""
    true = [None] * count if labels is None else [_name(classes, int(k)) for k in labels.tolist()]
    if p is None or not p.shape[1]:
        return [Guess(None, "…" if t is None else f"…/{t}", _not_yet(t)) for t in true]
    if p.shape[1] == 1 and len(classes) == 2:
        p = np.hstack([1 - p, p])  # one output says class 1 or, where it is small, class 0
    finite = np.isfinite(p).all(axis=1)
    best = np.where(finite, np.nan_to_num(p).argmax(axis=1), -1).tolist()
    strength = p.max(axis=1).tolist()
    return [
        _judge(_name(classes, k), s, t, sure)
        if k >= 0
        else Guess(False, "✗ NaN", "the network's output is not a number")
        for k, s, t in zip(best, strength, true, strict=True)
    ]


def told_mistakes(rows: NDArray[Any], classes: Sequence[str], *, sure: bool) -> list[Guess]:
    """One guess a row: number, class, class named, what is believed of that, what of its own class, loss; (M, 6)."""
    found = []
    for _, true, guessed, p, p_true, loss in rows.tolist():
        name = _name(classes, int(true))
        if guessed < 0:
            found.append(Guess(False, f"✗NaN/{name}", f"the network's output is not a number; it is {name}"))
            continue
        guess = _judge(_name(classes, int(guessed)), p, name, sure)
        gets = f"{100 * p_true:.2f} %" if sure else f"an output of {p_true:.4g}"
        more = "" if guess.right else f", which gets {gets}"
        found.append(Guess(guess.right, guess.text, f"{guess.sentence}{more}; loss {loss:.4g}"))
    return found


def _judge(guess: str, strength: float, true: str | None, sure: bool) -> Guess:
    how = f"{100 * strength:.0f}%" if sure else f"{strength:.2f}"
    exactly = f"with a probability of {100 * strength:.2f} %" if sure else f"with an output of {strength:.4g}"
    if true is None:
        return Guess(None, f"{guess} {how}", f"predicted {guess} {exactly}")
    if guess == true:
        return Guess(True, f"{guess} {how}", f"predicted {guess} {exactly}, which is right")
    return Guess(False, f"✗{guess}/{true} {how}", f"predicted {guess} {exactly}, but it is {true}")


def _not_yet(true: str | None) -> str:
    return "not predicted yet" + ("" if true is None else f"; it is {true}")


def _name(classes: Sequence[str], k: int) -> str:
    return classes[k] if 0 <= k < len(classes) else str(k)
