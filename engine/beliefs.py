"""What the network believes: of samples, with its mistakes; of values; and unit by unit all over the plane.

Everything is asked of the network as it stands, as `Layer.apply` answers: nothing is dropped out, running statistics
are used, and no state of the training and no random generator is touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from engine.answers import MOST_OUTPUTS, Answers, Part, ask, most_samples
from engine.boundary import beliefs, grid, is_plane
from engine.layers import LayerSpec
from engine.layers.base import Array
from engine.recipe import Recipe
from engine.subject import SubjectError
from engine.trainer import Trainer

MOST_CELLS = 300_000  # values of samples that are sent with the mistakes
MOST_UNITS = 64  # whose responses are sent
MOST_KEPT = 5_000_000  # parameters that are compared to see whether anything has changed
REST = 0.3  # seconds between two looks while playing, at least
TIMES = 24  # times what a look took must pass before the next


def curve(trainer: Trainer, size: int) -> Array:
    """For samples of one number: `size` places over all of them and the outputs there, (size, 1 + K)."""
    x = trainer.samples.x
    low, high = float(x.min()), float(x.max())
    room = 0.05 * (high - low) or 1.0
    places = np.linspace(low - room, high + room, size)[:, None]
    return np.hstack([places, trainer.predict(places)[:, :MOST_OUTPUTS]])


class UnitLayer(NamedTuple):
    """A layer whose units' responses are shown: its first so many of all."""

    layer: int
    shown: int
    units: int


def unit_layers(layers: Sequence[LayerSpec], sizes: Sequence[int]) -> list[UnitLayer]:
    """The hidden layers worth a look, and how many units of each: MOST_UNITS in all, shared evenly.

    Of a linear layer and the activation after it the activation; what only drops or reshapes is left out. `sizes`:
    units of each layer's output.
    """
    hidden = [
        i
        for i in range(len(layers) - 1)
        if layers[i].family not in ("Regularisation", "Shape")
        and layers[i + 1].family not in ("Activation", "Normalisation")
    ]
    shown, left = {}, MOST_UNITS
    for done, i in enumerate(sorted(hidden, key=lambda i: sizes[i])):  # what small layers leave, larger ones get
        shown[i] = min(sizes[i], left // (len(hidden) - done))
        left -= shown[i]
    return [UnitLayer(i, shown[i], sizes[i]) for i in hidden if shown[i]]


def responses(trainer: Trainer, size: int) -> dict[int, Array]:
    """What hidden units answer on a grid of size × size over the plane: by layer (units shown, size·size)."""
    network, found = trainer.network, {}
    wanted = {u.layer: u.shown for u in unit_layers(trainer.recipe.layers, [prod(s) for s in network.shapes[1:]])}
    y = grid(trainer, size).astype(network.dtype)
    with trainer.computing():
        for i, layer in enumerate(network.at(1).layers):
            y = layer.apply(y)
            if i in wanted:
                found[i] = y.reshape(len(y), -1)[:, : wanted[i]].T.copy()
    return found


class Asked(NamedTuple):
    """An address of what is believed, such as "beliefs.mistakes_validation_3_5": class 3 taken for class 5."""

    role: str
    part: Part
    layer: int  # of "units_2"
    cell: tuple[int, int] | None


def is_belief(address: str) -> bool:
    """Whether an address is one of these."""
    return address.startswith("beliefs.")


def understood(address: str) -> Asked | None:
    """What an address asks for; None where it asks for nothing there is."""
    role, *rest = address.removeprefix("beliefs.").split("_")
    part: Part = "training" if rest[:1] == ["training"] else "validation"
    if rest[:1] == [part]:
        del rest[0]
    numbers = [int(word) for word in rest if word.isdigit()]
    if len(numbers) != len(rest) or len(numbers) not in {"units": (1,)}.get(role, (0, 2)):
        return None
    cell = (numbers[0], numbers[1]) if len(numbers) == 2 else None
    return Asked(role, part, numbers[0] if role == "units" else -1, cell)


class Beliefs:
    """Answers what is watched, from one look at the network for each part, kept until the network is another.

    At rest everything is of the position shown. While training plays a look is taken a few times a second, and no more
    than a small share of the time; what is told then is of the step it says it is of.
    """

    def __init__(self, pulse: Callable[[], None] = lambda: None) -> None:
        self.pulse = pulse  # called again and again during a long look
        self.spent = 0.0  # seconds on the present frame
        self._of: tuple[Trainer, Recipe] | None = None
        self._state: tuple[Array, Array] | None = None  # parameters and buffers that were looked at
        self._looks: dict[object, Any] = {}
        self._most: dict[Part, int] = {}  # samples of a part that there was time for
        self._due, self._cost = 0.0, 0.0

    def begin(self, trainer: Trainer, playing: bool) -> None:
        """A frame is about to be packed: forget what is no longer true, unless it is too early to look again."""
        self.spent = 0.0
        if self._of is None or self._of[0] is not trainer or self._of[1] is not trainer.recipe:
            self._of = trainer, trainer.recipe
            self._looks.clear()
            self._most.clear()
        elif time.perf_counter() >= self._due if playing else not self._still(trainer):
            self._looks.clear()
        if not self._looks:
            self._cost = 0.0

    def _still(self, trainer: Trainer) -> bool:
        """Whether the network is the one that was looked at."""
        network, state = trainer.network, self._state
        return (
            state is not None
            and np.array_equal(state[0], network.parameters)
            and np.array_equal(state[1], network.buffers)
        )

    def tensor(self, trainer: Trainer, address: str, most: int) -> Array | None:
        """What an address asks for, `most` rows of samples or a grid as fine as that; None: there is no such thing.

        Where a layer of the user's own refuses the samples there are no facts either: (0, 6).
        """
        asked, told = understood(address), (address, most)
        if asked is None:
            return None
        if told not in self._looks:
            try:
                found = self._answer(trainer, asked, most)
            except (SubjectError, ValueError, MemoryError):
                found = np.zeros((0, 6)) if asked.role == "facts" else None
            self._looks[told] = found
        answer: Array | None = self._looks[told]
        return answer

    def _answer(self, trainer: Trainer, asked: Asked, most: int) -> Array | None:
        if asked.role in ("units", "boundary"):
            return self._of_plane(trainer, asked, most) if is_plane(trainer) else None
        if asked.role == "curve":
            return self._curve(trainer, most)
        return self._of_samples(self._answers(trainer, asked.part), asked, most)

    def _of_plane(self, trainer: Trainer, asked: Asked, size: int) -> Array | None:
        if asked.role == "boundary":
            everywhere: Array = self._look(trainer, ("boundary", size), lambda: beliefs(trainer, size))
            return everywhere
        by_layer: dict[int, Array] = self._look(trainer, ("units", size), lambda: responses(trainer, size))
        return by_layer.get(asked.layer)

    def _curve(self, trainer: Trainer, size: int) -> Array | None:
        if trainer.labels is not None or trainer.network.shapes[0] != (1,):
            return None
        found: Array = self._look(trainer, ("curve", size), lambda: curve(trainer, size))
        return found

    def _answers(self, trainer: Trainer, part: Part) -> Answers:
        most = self._most.setdefault(part, most_samples(trainer))
        answers: Answers = self._look(trainer, part, lambda: ask(trainer, part, most, self.pulse))
        self._most[part] = len(answers.x) or most
        return answers

    def _of_samples(self, answers: Answers, asked: Asked, most: int) -> Array | None:
        """What is told of the samples looked at."""
        if asked.role == "facts":
            return answers.facts()
        if answers.labels is None:
            return answers.values()[:most] if asked.role == "values" else None
        if asked.role == "confusion":
            return answers.confusion()
        if asked.role == "mistakes":
            return answers.mistakes(asked.cell, most)
        if asked.role == "points" and answers.x.shape[1:] == (2,):
            return answers.points()
        if asked.role == "inputs":
            most = min(most, MOST_CELLS // prod(answers.x.shape[1:]))
            return answers.x[answers.worst(asked.cell, most)].reshape(-1, prod(answers.x.shape[1:]))
        return None

    def _look(self, trainer: Trainer, what: object, work: Callable[[], Any]) -> Any:
        """What a look found, taken now where none of this network is kept."""
        if what in self._looks:
            return self._looks[what]
        if self._looks and not self._still(trainer):
            self._looks.clear()  # they are of an earlier step
        network, start = trainer.network, time.perf_counter()
        if not self._looks:
            small = network.parameters.size <= MOST_KEPT
            self._state = (network.parameters.copy(), network.buffers.copy()) if small else None
        found = self._looks[what] = work()
        end = time.perf_counter()
        self.spent += end - start
        self._cost += end - start
        self._due = end + max(REST, TIMES * self._cost)
        return found
