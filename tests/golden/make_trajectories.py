"""Makes trajectories.npz: ten trainings of 1,000 mini-batches by PyTorch in float64. Run it where that is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import in_torch
import numpy as np
import torch
from trajectory_recipes import RECIPES

Array = np.ndarray[Any, Any]
HERE = Path(__file__).parent
DIGITS = HERE.parents[1] / "resources" / "data" / "digits.npz"
SAMPLES, BATCH, STEPS = 96, 8, 1000
KEPT_STEPS = (1, 10, 100, 1000)


def tasks() -> dict[str, Array]:
    """x (96, in) of four tasks by name, and "name.t": labels (96,), or values (96, K)."""
    rng = np.random.default_rng(5)
    with np.load(DIGITS) as digits:
        chosen = np.flatnonzero(digits["labels"] < 4)[:SAMPLES]
        images, labels = digits["images"][chosen].reshape(SAMPLES, -1) / 16, digits["labels"][chosen].astype(np.int64)
    arms, way = np.arange(SAMPLES) % 3, np.sqrt(rng.random(SAMPLES))
    angle = 3 * way + 2 * np.pi / 3 * arms + rng.normal(0, 0.15, SAMPLES)
    x = rng.standard_normal((SAMPLES, 3))
    curves = np.stack([np.sin(2 * x[:, 0]) + x[:, 1], x[:, 0] * x[:, 2]], axis=1) + rng.normal(0, 0.1, (SAMPLES, 2))
    asked = rng.standard_normal((SAMPLES, 5))
    answers = asked @ rng.standard_normal((5, 3)) + asked[:, :3] * asked[:, 2:] > 0
    answers ^= rng.random((SAMPLES, 3)) < 0.05
    return {
        "digits": images,
        "digits.t": labels,
        "spirals": 2 * np.stack([way * np.cos(angle), way * np.sin(angle)], axis=1),
        "spirals.t": arms,
        "curves": x,
        "curves.t": curves,
        "questions": asked,
        "questions.t": answers.astype(float),
        "questions.first": asked,
        "questions.first.t": answers[:, 0].astype(np.int64),
    }


def first_values(model: torch.nn.Module, rng: np.random.Generator) -> None:
    """Normal numbers: matrices of variance 1/fan_in, what begins at 1 near 1, all else near 0."""
    for address, parameter in in_torch.by_address(model).items():
        drawn = torch.from_numpy(rng.standard_normal(tuple(parameter.shape)))
        size = parameter[0].numel() ** -0.5 if address.endswith("W") else 0.1
        start = {"gamma": 1.0, "slope": 0.25}.get(address.rpartition(".")[2], 0.0)
        parameter.data = start + size * drawn


def snapshot(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, Array]:
    """Copies in our layout, by names that begin with `prefix`."""
    return {f"{prefix}.{address}": in_torch.laid_out(address, tensor) for address, tensor in tensors.items()}


def trajectory(recipe: dict[str, Any], x: Array, t: Array, order: Array) -> dict[str, Array]:
    """The loss of every mini-batch; parameters, gradients and buffers after some; what the network gives at the end.

    A gradient is what the optimizer got: with the penalty's, and clipped. A frozen parameter has none.
    """
    model = in_torch.network(recipe["layers"], x.shape[1:])
    first_values(model, np.random.default_rng(recipe["seed"]))
    parameters, samples, wanted = in_torch.by_address(model), torch.from_numpy(x), torch.from_numpy(t)
    trained = {address: p for address, p in parameters.items() if p.requires_grad}
    optimizer = in_torch.optimizer(recipe["optimizer"], trained.values())
    found, losses = snapshot(parameters, "start"), []
    for step, _ in enumerate(in_torch.rates(recipe["schedule"], optimizer, len(order)), 1):
        chosen = order[step - 1]
        in_torch.begin(model, recipe["seed"], step)
        optimizer.zero_grad()
        loss = in_torch.loss(recipe["loss"], model(samples[chosen]), wanted[chosen])
        (loss + in_torch.penalty(recipe["layers"], parameters)).backward()
        in_torch.clip(recipe.get("clip", {"kind": "none"}), trained.values())
        optimizer.step()
        losses.append(loss.item())
        if step in KEPT_STEPS:
            found |= snapshot(parameters, f"{step}.parameter")
            found |= snapshot({address: p.grad for address, p in trained.items()}, f"{step}.gradient")
            found |= snapshot(in_torch.by_address(model, buffers=True), f"{step}.buffer")
    return found | {"losses": np.array(losses), "outputs": model.eval()(samples).detach().numpy()}


def made(steps: int = STEPS) -> dict[str, Array]:
    """The tasks, the order of samples that all recipes share, and every trajectory's first `steps` mini-batches."""
    rng = np.random.default_rng(6)
    order = np.concatenate([rng.permutation(SAMPLES) for _ in range(-(-STEPS * BATCH // SAMPLES))])
    order = order[: STEPS * BATCH].reshape(STEPS, BATCH)
    given = tasks()
    found = {f"task.{name}": array for name, array in given.items()}
    found |= {"order": order.astype(np.uint8), "steps": np.array([step for step in KEPT_STEPS if step <= steps])}
    for seed, (name, (task, parts)) in enumerate(RECIPES.items(), 1):
        recipe = {"name": name, "seed": seed, "dtype": "float64", "batch_size": BATCH, **parts}
        found[f"{name}.recipe"], found[f"{name}.task"] = np.array(json.dumps(recipe)), np.array(task)
        kept = trajectory(recipe, given[task], given[f"{task}.t"], order[:steps])
        found |= {f"{name}.{what}": array for what, array in kept.items()}
    return found


if __name__ == "__main__":
    np.savez_compressed(HERE / "trajectories.npz", **made())
