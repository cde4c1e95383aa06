"""What an exported script starts from and what it has to reproduce: tensors, the next mini-batches, their losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite

import msgspec
import numpy as np

from engine.datasets import Samples
from engine.frozen import ROLES as FROZEN
from engine.layers import Layer
from engine.layers.base import Array, Shape
from engine.layers.custom import Custom
from engine.layers.dropout import DropoutLayer
from engine.layers.residual import ResidualLayer
from engine.recipe import Recipe
from engine.spec import RecipeError
from engine.trainer import Trainer

STEPS = 10  # mini-batches that a script goes on for
SHAKE = 2.0**-50  # a few roundings
MARK = "nablascope.export"  # stands in every file of arrays that belongs to a script


@dataclass(frozen=True)
class Moment:
    """A network at a whole mini-batch, and the next ones.

    `arrays` by name: parameters and buffers by address ("0.W"), optimizer slots ("velocity.0.W"), what dropout keeps
    ("kept.2", (steps, B, *in)), the samples `x` and targets `t` of the next mini-batches, which of these each one takes
    (`order`, (steps, B), −1 where one is shorter), and their `losses`, computed in float64 whatever the recipe says:
    in float32 no two libraries agree to more than a few digits. A float32 run's own are `losses_float32`.
    """

    recipe: Recipe
    done: int  # mini-batches that came before
    shapes: tuple[Shape, ...]
    parameters: tuple[str, ...]
    trained: tuple[str, ...]  # those that are not frozen
    is_ragged: bool  # some mini-batch is shorter than others
    blur: (
        float  # how far apart roundings drive the losses, times ten; of most networks some 1e-14, of chaotic ones more
    )
    arrays: dict[str, Array]


def refuse_what_cannot_be_written(recipe: Recipe) -> None:
    """Raise RecipeError, one sentence, where a script cannot do what the recipe does."""
    for bug in recipe.bugs:
        where = "the loss" if bug.layer < 0 else f"layers[{bug.layer}] ({recipe.layers[bug.layer].kind()})"
        what = "a hidden bug is planted in this network" if bug.hidden else f"{bug.slug!r} is planted into {where}"
        raise RecipeError(f"{what}, and a script would not have it; take the bug out and export again")
    for index, spec in enumerate(recipe.layers):
        for prefix, held in spec.inside():
            if isinstance(held, Custom):
                raise RecipeError(
                    f"layers[{index}]{f' {prefix}' if prefix else ''} is a layer of your own ({held.label()}), whose "
                    "code cannot be exported; take it out, or put a built-in layer in its place"
                )


def moment_of(trainer: Trainer, pulse: Callable[[], None] = lambda: None, steps: int = STEPS) -> Moment:
    """The trainer's last whole mini-batch and the `steps` that follow it, which it computes; it is left there.

    Raises RecipeError where there is something that no script can do.
    """
    recipe, frozen = trainer.recipe, frozen_addresses(trainer.recipe)
    refuse_what_cannot_be_written(recipe)
    parameters = tuple(slot.address for slot in trainer.network.slots)
    trained = tuple(address for address in parameters if address not in frozen)
    if not trained:
        raise RecipeError("there is no parameter to train in this network; add a dense layer, or thaw one")
    trainer.abandon()
    done, arrays = trainer.step_count, _tensors(trainer)
    wide, shaken = _in_float64(trainer), _in_float64(trainer)
    flat = shaken.network.parameters
    flat *= 1 + SHAKE * np.random.default_rng(0).choice([-1.0, 1.0], flat.size)
    rows, losses, kept = [], [], []
    for _ in range(steps):
        losses.append(_loss_of_step(trainer, None, pulse))
        rows.append(trainer.chosen.copy())
        kept.append({a: layer.mask > 0 for a, layer in dropouts(trainer.current.layers)})
    batches = [(trainer.x[row], trainer.targets[row]) for row in rows]
    if recipe.dtype == "float32":
        arrays["losses_float32"] = np.array(losses)
        losses = [_loss_of_step(wide, batch, pulse) for batch in batches]
    blur = _apart(losses, [_loss_of_step(shaken, batch, pulse) for batch in batches])
    arrays |= {"losses": np.array(losses), MARK: np.array(1)} | _mini_batches(trainer, rows, kept)
    is_ragged = len({len(row) for row in rows}) > 1
    return Moment(recipe, done, tuple(trainer.network.shapes), parameters, trained, is_ragged, blur, arrays)


def _mini_batches(trainer: Trainer, rows: list[Array], kept: list[dict[str, Array]]) -> dict[str, Array]:
    """The samples that the rows name, each once; which of these each mini-batch takes; what dropout keeps in each."""
    longest = max(map(len, rows))
    samples, places = np.unique(np.concatenate(rows), return_inverse=True)
    order = np.split(places.reshape(-1), np.cumsum([len(row) for row in rows])[:-1])
    found = {"x": trainer.x[samples], "t": trainer.targets[samples]}
    found["order"] = np.stack([_padded(row, longest, -1) for row in order])
    for address in kept[0]:
        found[f"kept.{address}"] = np.stack([_padded(masks[address], longest, False) for masks in kept])
    return found


def _loss_of_step(trainer: Trainer, batch: tuple[Array, Array] | None, pulse: Callable[[], None]) -> float:
    """The loss of the next mini-batch, or of the given one, which is trained on."""
    with trainer.computing():
        for _ in trainer.phases(batch):
            pulse()
    return trainer.loss


def _apart(losses: list[float], others: list[float]) -> float:
    """Ten times the largest difference, against the loss where that is above 1; 0 where none is finite."""
    found = [abs(a - b) / max(1.0, abs(a)) for a, b in zip(losses, others, strict=True)]
    return 10 * max((d for d in found if isfinite(d)), default=0.0)


@dataclass(frozen=True)
class _Batch:
    """Some samples as data, so that a trainer can be made, which is then given its mini-batches. No one's choice."""

    trainer: Trainer
    validation: float = 0.0
    shuffle: bool = False
    drop_last: bool = False

    def load(self, _: np.random.Generator) -> Samples:
        """x (B, *in), all 0, and labels (B,) or values (B, K)."""
        of = self.trainer
        x, t = np.zeros_like(of.x[: of.recipe.batch_size]), of.targets[: of.recipe.batch_size]
        return Samples(x, t if t.ndim == 1 else None, of.samples.classes, None if t.ndim == 1 else t)


def _in_float64(trainer: Trainer) -> Trainer:
    """A trainer that stands where this one does, with the very same numbers in float64."""
    recipe = msgspec.structs.replace(trainer.recipe, dtype="float64", data=_Batch(trainer))
    wide, network = Trainer(recipe), trainer.network
    wide.go_to(trainer.step_count, network.parameters, network.optimizer_slots, network.buffers)
    return wide


def frozen_addresses(recipe: Recipe) -> set[str]:
    """Parameters that the update leaves as they are, such as "0.W"."""
    return {
        f"{index}.{prefix}{role}"
        for index, spec in enumerate(recipe.layers)
        for prefix, held in spec.inside()
        for role in FROZEN[getattr(held, "frozen", "nothing")]
    }


def dropouts(layers: list[Layer]) -> Iterator[tuple[str, DropoutLayer]]:
    """Every dropout with its address, "2" or "4.1", those in blocks too."""
    for index, layer in enumerate(layers):
        yield from _dropouts_in(str(index), layer)


def _dropouts_in(address: str, layer: Layer) -> Iterator[tuple[str, DropoutLayer]]:
    if isinstance(layer, DropoutLayer):
        yield address, layer
    if isinstance(layer, ResidualLayer):
        for name, held in layer.layers.items():
            yield from _dropouts_in(f"{address}.{name}", held)


def _tensors(trainer: Trainer) -> dict[str, Array]:
    """Copies of parameters, buffers and optimizer slots by name."""
    network = trainer.network
    found = {slot.address: slot.view(network.parameters).copy() for slot in network.slots}
    found |= {slot.address: slot.view(network.buffers).copy() for slot in network.buffer_slots}
    for name, flat in zip(trainer.recipe.optimizer.slot_names, network.optimizer_slots, strict=False):
        found |= {f"{name}.{slot.address}": slot.view(flat).copy() for slot in network.slots}
    return found


def _padded(row: Array, length: int, fill: int | bool) -> Array:
    """A row, or rows, filled up to a length."""
    found = np.full((length, *row.shape[1:]), fill, row.dtype)
    found[: len(row)] = row
    return found
