"""A first pass through a run with prints of some positions, and whether they are the same when sought again."""

from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import msgspec
import numpy as np

from engine import Position, Recipe, Run


def with_rate(old: Recipe, lr: float) -> Recipe:
    """The recipe with another learning rate."""
    return msgspec.structs.replace(old, optimizer=msgspec.structs.replace(old.optimizer, lr=lr))


def prints(run: Run) -> dict[str, int]:
    """A checksum of everything there is at the present position: what it hangs on, and all tensors computed so far."""
    trainer = run.trainer
    network, here = trainer.network, trainer.position.phase
    arrays = {"parameters": network.parameters, "slots": network.optimizer_slots, "buffers": network.buffers}
    for address, info in trainer.tensor_infos.items():
        array = trainer.tensor(address)
        beyond = address == "0.grad_x" and not trainer.has_input_gradient
        if array is not None and info.made_by <= here and not beyond:
            arrays[address] = array
    return {name: crc32(np.ascontiguousarray(array).tobytes()) for name, array in arrays.items()}


def first_pass(run: Run, steps: int, wanted: set[Position], changes: dict[Position, Any]) -> dict[Position, Any]:
    """Train part by part where it is wanted, making changes on the way; the prints of the wanted positions."""
    seen = {}
    by_parts = {position.step for position in (*wanted, *changes)}
    while len(run.history) < steps:
        if len(run.history) + 1 in by_parts:
            run.step_part()
        else:
            run.step()
        if run.position in changes:
            changes[run.position](run)
        if run.position in wanted:
            seen[run.position] = prints(run)
    return seen


def random_positions(run: Run, steps: int, count: int, seed: int = 0) -> set[Position]:
    """Positions all over the first `steps` steps."""
    rng = Random(seed)
    return {Position(rng.randint(1, steps), rng.randrange(len(run.trainer.all_phases))) for _ in range(count)}


def unequal(run: Run, seen: dict[Position, Any], seed: int = 1) -> list[Position]:
    """The positions that are not as they were, looked up in random order."""
    order = sorted(seen)
    Random(seed).shuffle(order)
    wrong = []
    for position in order:
        run.seek(*position)
        if run.position != position or prints(run) != seen[position]:
            wrong.append(position)
    return wrong


def mnist_recipe(folder: Path) -> Recipe:
    """784-100-200-10 on MNIST with dropout, momentum and a cosine schedule."""
    hidden = [{"kind": "relu"}, {"kind": "dropout", "rate": 0.2}]
    files = {"images": str(folder / "t10k-images-idx3-ubyte.gz"), "labels": str(folder / "t10k-labels-idx1-ubyte.gz")}
    return Recipe.from_builtins(
        {
            "seed": 3,
            "data": {"kind": "idx", **files},
            "layers": [
                {"kind": "flatten"},
                *({"kind": "dense", "units": 100}, *hidden),
                *({"kind": "dense", "units": 200}, *hidden),
                {"kind": "dense", "units": 10},
            ],
            "optimizer": {"kind": "sgd", "lr": 0.05, "momentum": 0.9},
            "schedule": {"kind": "cosine", "steps": 10_000},
            "batch_size": 32,
        }
    )


def edits(run: Run, steps: int) -> dict[Position, Any]:
    """Two edits and a live change of the recipe in the course of a run."""
    return {
        Position(steps // 3, 4): lambda r: r.edit("4.W", (10, 20), 0.5),
        Position(steps // 2, 0): lambda r: r.edit("data.x", (3, 14 * 28 + 14), 1.0),
        Position(2 * steps // 3, len(run.trainer.all_phases) - 1): lambda r: r.adopt(with_rate(r.trainer.recipe, 0.02)),
    }
