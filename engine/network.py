"""A network built from a recipe: one flat array for all parameters, one for buffers, a pass for each batch size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.layers import Layer, ShapeError, shape_text
from engine.layers.base import Array, Parameter, Shape
from engine.losses import Loss
from engine.plants import plant, plants_for
from engine.recipe import Recipe
from engine.spec import RecipeError

MAX_PARAMETERS = 250_000_000
ALIGN = 16  # entries; each tensor starts at a multiple of it
INIT, SHUFFLE, DATA = 0, 1, 2  # purposes of the recipe's random streams


class ChainError(RecipeError):
    """Layers that cannot follow each other: `at` is the one that does not fit, `shapes` what enters each up to it.

    `outputs`: it is the last, and what it gives does not fit the loss or the `classes`.
    """

    def __init__(
        self, sentence: str, recipe: Recipe, shapes: list[Shape], *, outputs: bool = False, classes: int = 0
    ) -> None:
        super().__init__(sentence)
        self.recipe, self.shapes, self.outputs, self.classes = recipe, shapes, outputs, classes
        self.at = len(shapes) - 1 - outputs


def random_stream(seed: int, *purpose: int) -> np.random.Generator:
    """The random stream for one purpose; streams never touch each other."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=purpose)))


def shape_chain(recipe: Recipe, shape: Shape) -> list[Shape]:
    """The shape of a sample before each layer and after the last.

    Raises ChainError: the layer, the shape it gets, the shape it wants and the cure.
    """
    shapes = [shape]
    for index, spec in enumerate(recipe.layers):
        try:
            shapes.append(spec.output_shape(shapes[-1]))
        except ShapeError as error:
            giver = "the data" if index == 0 else f"layers[{index - 1}] ({recipe.layers[index - 1].kind()})"
            sentence = f"layers[{index}] ({spec.kind()}) {error.problem} from {giver}; {error.cure}"
            raise ChainError(sentence, recipe, shapes) from None
    return shapes


def check_outputs(recipe: Recipe, shapes: list[Shape], classes: int) -> None:
    """Raise ChainError where the last layer's outputs do not fit the loss or the classes."""
    last, kind, outputs = len(recipe.layers) - 1, recipe.layers[-1].kind(), shapes[-1]
    if len(outputs) != 1:
        raise ChainError(
            f"layers[{last}] ({kind}) gives {shape_text(outputs)} arrays, but the loss takes vectors; "
            f"end with a flatten and a dense layer of {max(classes, 1)} units",
            recipe,
            shapes,
            outputs=True,
            classes=classes,
        )
    two_in_one = outputs[0] == 1 and classes == 2 and not recipe.loss.needs_classes
    if outputs[0] < classes and not two_in_one:
        raise ChainError(
            f"layers[{last}] ({kind}) gives {outputs[0]} outputs, but the data has {classes} classes; "
            f"set the units of the last dense layer to {classes}",
            recipe,
            shapes,
            outputs=True,
            classes=classes,
        )


def check_bugs(recipe: Recipe, shapes: list[Shape]) -> None:
    """Raise RecipeError where a planted bug is unknown, or cannot live where it is planted."""
    last, taken = len(recipe.layers) - 1, set()
    for number, bug in enumerate(recipe.bugs):
        where = f"bugs[{number}]"
        if bug.layer > last:
            raise RecipeError(
                f"{where}: there is no layer {bug.layer}; choose one from 0 to {last}, or -1 for the loss"
            )
        if bug.layer in taken:
            raise RecipeError(f"{where}: {_place(recipe, bug.layer)} has a bug already; plant one in each place only")
        taken.add(bug.layer)
        if bug.layer < 0:
            possible = plants_for(recipe.loss, shapes[-1])
        else:
            possible = plants_for(recipe.layers[bug.layer], shapes[bug.layer])
        if bug.slug not in possible:
            raise RecipeError(
                f"{where}: {bug.slug!r} cannot be planted into {_place(recipe, bug.layer)}; "
                f"use one of {', '.join(possible)}"
            )


def _place(recipe: Recipe, layer: int) -> str:
    """A layer, or the loss, in a sentence."""
    return f"the loss ({recipe.loss.kind()})" if layer < 0 else f"layers[{layer}] ({recipe.layers[layer].kind()})"


@dataclass(frozen=True)
class Slot:
    """Where one parameter tensor, or one buffer, lies in the flat arrays."""

    layer: int
    role: str
    parameter: Parameter
    start: int

    @property
    def address(self) -> str:
        """Such as "0.W"."""
        return f"{self.layer}.{self.role}"

    def view(self, flat: Array) -> Array:
        """This tensor's part of a flat array (P,), in its own shape."""
        return flat[self.start : self.start + self.parameter.size].reshape(self.parameter.shape)


def lay_out(tensors: list[dict[str, Parameter]]) -> tuple[list[Slot], int]:
    """Places in a flat array for the tensors of each layer by role, and the length of the array."""
    slots, end = [], 0
    for layer, by_role in enumerate(tensors):
        for role, parameter in by_role.items():
            slots.append(Slot(layer, role, parameter, end))
            end += -(-parameter.size // ALIGN) * ALIGN
    return slots, end


@dataclass
class Pass:
    """The layers and the loss with buffers for one batch size, all on the network's parameters."""

    layers: list[Layer]
    loss: Loss
    x: Array
    targets: Array
    drawing: list[Layer]  # the layers that want `prepare`
    drawn_targets: Array | None = None  # room for the targets of mini-batches of the data


class Network:
    """Layers on flat storage. `store` (3 + slots, P): parameters, gradients, updates, then the optimizer's slots.

    `buffers` (N,) holds what layers keep without training it; `buffers_before` the same before the last `begin`.
    `begins` says whether any layer needs `begin` before a training mini-batch.

    Raises RecipeError where the layers cannot follow each other or would not fit in memory.
    """

    def __init__(self, recipe: Recipe, shape: Shape, dtype: str | None = None) -> None:
        self._recipe = recipe
        self.dtype = np.dtype(dtype or recipe.dtype)
        self.shapes = shape_chain(recipe, shape)
        check_bugs(recipe, self.shapes)
        inputs = list(zip(recipe.layers, self.shapes, strict=False))
        self.slots, end = lay_out([spec.parameters(shape) for spec, shape in inputs])
        self.buffer_slots, buffers = lay_out([spec.buffers(shape) for spec, shape in inputs])
        if end > MAX_PARAMETERS:
            raise RecipeError(
                f"layers: the network would have {end:,} parameters, more than the {MAX_PARAMETERS:,} that are "
                "allowed; make its largest dense layer smaller"
            )
        self.store: Array = np.zeros((3 + recipe.optimizer.slots, end), self.dtype)
        self.parameters, self.gradients, self.updates = self.store[:3]
        self.optimizer_slots = self.store[3:]
        self.buffers: Array = np.zeros(buffers, self.dtype)
        self._reset_buffers()
        self.buffers_before = self.buffers.copy()
        self.drawn_for = 1  # the step whose random numbers the layers hold
        self._passes: dict[int, Pass] = {}
        self.begins = bool(self.buffer_slots)

    @property
    def multiply_adds(self) -> int:
        """Multiplications with an addition in the forward of one sample."""
        return sum(spec.multiply_adds(shape) for spec, shape in zip(self._recipe.layers, self.shapes, strict=False))

    @property
    def recipe(self) -> Recipe:
        """The recipe; one that differs in live fields only may be set, and the layers go on with it."""
        return self._recipe

    @recipe.setter
    def recipe(self, recipe: Recipe) -> None:
        self._recipe = recipe
        for run in self._passes.values():
            for layer, spec in zip(run.layers, recipe.layers, strict=True):
                if layer.spec != spec:
                    layer.adopt(spec)

    def initialize(self) -> None:
        """Draw every parameter from the recipe's seed and draw; each layer has a random stream of its own."""
        self.store.fill(0)
        for layer in range(len(self.recipe.layers)):
            rng = random_stream(self.recipe.seed, INIT, self.recipe.weights_draw, layer)
            for slot in self.slots_of(layer):
                p = slot.parameter
                slot.view(self.parameters)[...] = p.initializer.draw(rng, p.shape, p.fan_in, p.fan_out)
        self._reset_buffers()

    def _reset_buffers(self) -> None:
        """Give every buffer its first value."""
        rng = random_stream(self.recipe.seed, INIT)  # of no use to the constants that buffers start with
        for slot in self.buffer_slots:
            p = slot.parameter
            slot.view(self.buffers)[...] = p.initializer.draw(rng, p.shape, p.fan_in, p.fan_out)

    def same_tensors(self, other: Network) -> bool:
        """Whether two networks have the same parameters and buffers, by name and shape."""
        mine, theirs = (
            [(slot.address, slot.parameter.shape) for slot in (*network.slots, *network.buffer_slots)]
            for network in (self, other)
        )
        return mine == theirs

    def slots_of(self, layer: int) -> Iterator[Slot]:
        """The parameter tensors of one layer."""
        return (slot for slot in self.slots if slot.layer == layer)

    def at(self, batch: int) -> Pass:
        """The pass for mini-batches of `batch` samples, made when first asked for."""
        found = self._passes.get(batch)
        if found is None:
            if len(self._passes) >= 4:  # the batch size, the last short batch, and two of the user's own
                self._passes.pop(next(iter(self._passes)))
            found = self._passes[batch] = self._make_pass(batch)
        return found

    def _make_pass(self, batch: int) -> Pass:
        built, bugs = [], {bug.layer: bug.slug for bug in self.recipe.bugs}
        for index, spec in enumerate(self.recipe.layers):
            layer = spec.build(self.shapes[index], batch, self.dtype)
            slots = list(self.slots_of(index))
            layer.stream_key = (self.recipe.seed, index)
            layer.attach(
                {slot.role: slot.view(self.parameters) for slot in slots},
                {slot.role: slot.view(self.gradients) for slot in slots},
            )
            layer.attach_buffers({s.role: s.view(self.buffers) for s in self.buffer_slots if s.layer == index})
            built.append(plant(layer, bugs[index]) if index in bugs else layer)
        outputs = self.shapes[-1][0]
        loss = self.recipe.loss.build(outputs, batch, self.dtype)
        if -1 in bugs:
            loss = plant(loss, bugs[-1])
        x = np.zeros((batch, *self.shapes[0]), self.dtype)
        run = Pass(built, loss, x, np.zeros(0), [layer for layer in built if layer.draws])
        for layer in run.drawing:
            layer.prepare(self.drawn_for)
            self.begins = True
        return run

    def begin(self, run: Pass, step: int) -> None:
        """Make ready for training mini-batch `step` on this pass: keep the buffers as they are, draw anew."""
        np.copyto(self.buffers_before, self.buffers)
        self.drawn_for = step
        for layer in run.drawing:
            layer.prepare(step)

    def apply(self, x: Array) -> Array:
        """The output for any number of samples, (N, *in) → (N, out); touches no buffer of training."""
        for layer in self.at(1).layers:
            x = layer.apply(x)
        return x

    def views(self, flat: Array) -> dict[str, Array]:
        """Every tensor of a flat array (P,) by its address."""
        return {slot.address: slot.view(flat) for slot in self.slots}
