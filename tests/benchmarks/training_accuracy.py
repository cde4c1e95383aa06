"""The accuracy that the notebooks' recipes reach, over several seeds; wants the MNIST test set."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from engine.recipe import Recipe
from engine.trainer import Trainer

import report

ROOT = Path(__file__).parents[2]
MNIST = ROOT.parent / "shared" / "data" / "mnist"
SEEDS = range(5)


def notebook(letter: str, seed: int) -> Trainer:
    """A trainer on a notebook's recipe, its data from the folder of MNIST."""
    recipe = json.loads((ROOT / "resources" / "recipes" / f"notebook_{letter}.json").read_text("utf-8"))
    recipe["data"]["folder"] = str(MNIST)
    return Trainer(Recipe.from_json(json.dumps(recipe | {"seed": seed})))


def accuracy(trainer: Trainer, steps: int) -> float:
    """On the validation part, once so many steps are done."""
    while trainer.step_count < steps:
        trainer.step()
    return trainer.evaluate()[1]


def measure() -> Iterator[report.Figure]:
    """A row per figure of the notebooks; none where the files are absent, which stderr says."""
    if not (MNIST / "t10k-images-idx3-ubyte.gz").is_file():
        print(f"no accuracies: MNIST is not at {MNIST}", file=sys.stderr)
        return
    name = f"over {len(SEEDS)} seeds"
    reached = median(accuracy(notebook("a", seed), 50) for seed in SEEDS)
    yield report.figure("notebook A", f"accuracy, median {name}", reached, "", 0.96, at_least=True)

    trainers = [notebook("b", seed) for seed in SEEDS]
    for steps, target, tolerance in ((1876, 0.77, 0.03), (9380, 0.898, 0.02)):
        off = max(abs(accuracy(trainer, steps) - target) for trainer in trainers)
        figure = f"accuracy at step {steps:,}, furthest from {target} {name}"
        yield report.figure("notebook B", figure, off, "", tolerance, at_least=False)

    accuracies = [accuracy(trainer, 25 * trainer.batches) for trainer in (notebook("e", seed) for seed in SEEDS)]
    figure = "accuracy after 25 epochs"
    yield report.figure("notebook E", f"{figure}, median {name}", median(accuracies), "", 0.955, at_least=True)
    yield report.figure("notebook E", f"{figure}, lowest {name}", min(accuracies), "", None, at_least=True)
