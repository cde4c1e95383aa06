"""Steps a mini-batch of every shipped recipe phase by phase and adds the terms of random cells up again.

    python tests/readd_terms.py [--cells 100] [--mnist FOLDER] [NAME ...]

Prints a row for each recipe and exits 1 where terms do not give their cell, or a factor is not the engine's number.

The bound. A sum of n products, computed in any order with unit roundoff u, is off by at most γ(n)·Σ|terms|, where
γ(n) = n·u / (1 − n·u) (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. 2002, §3.1 (3.5) and §4.2
(4.4)). n counts an addition for each term, a multiplication for each factor of one, and CALLS for a factor that is a
function of its cell; what underflows adds the smallest subnormal for each operation. The terms themselves are computed
and added in float64.

An update counts UPDATE more. Adam and AdamW keep m as (m − g)·β + g: the first two roundings are of up to |m| + |g|
each, times β, while the terms are β·|m| + (1 − β)·|g|. With β = 0.9 that is up to 2·β / (1 − β) = 18 times a rounding
of the terms; two more, and CALLS for the root and the division that the other optimizers have too.

A softmax is e^d / Σ e^d with d = y − max y. A rounding of d moves e^d by |d| of them, at most −log p; and there is a
sum over the classes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from math import ceil, fsum, log, prod
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine.explain import explain, outputs_of, why_untold
from engine.explain_update import Untold
from engine.frames import Phase
from engine.recipe import Recipe
from engine.spec import RecipeError
from engine.terms import Explanation, Factor, Index
from engine.trainer import Trainer

Array = np.ndarray[Any, Any]
MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"
ALL = 10**9  # terms to be told one by one
CALLS = 8  # roundings in a function of a cell: exp, log, a division, and what is around them
UPDATE = 20 + CALLS
TRAINED = 2  # steps before, so that momentum has something to keep
SKIPPED = "there is no MNIST here"


@dataclass
class Row:
    """What came out for one recipe."""

    name: str
    phases: int = 0
    cells: int = 0
    bent: int = 0  # cells of a planted bug that are not what the formula says, as they should not be
    worst: float = 0.0  # the largest error in units of the bound
    where: str = ""
    failures: list[str] = field(default_factory=list)
    skipped: str = ""


def gamma(n: int, dtype: np.dtype[Any]) -> float:
    """Higham's γ(n) = n·u / (1 − n·u)."""
    roundings = n * float(np.finfo(dtype).eps) / 2
    return roundings / (1 - roundings)


def bound(told: Explanation, dtype: np.dtype[Any]) -> float:
    """How far a cell may lie from the sum of its terms."""
    factors = max((len(term.factors) for term in told.terms), default=0)
    called = any(not same(factor.value, factor.cell) for term in told.terms for factor in term.factors)
    operations = told.count + factors + CALLS * called + UPDATE * (".update_" in told.address)
    if told.address == "loss.p" and 0 < told.value < 1:
        operations += told.shapes["y"][-1] + ceil(-log(told.value))
    return gamma(operations, dtype) * told.size + operations * float(np.finfo(dtype).smallest_subnormal)


def same(one: float, other: float) -> bool:
    """Whether two numbers have the same bits, but for the kind of NaN."""
    return np.float64(one).tobytes() == np.float64(other).tobytes() or (np.isnan(one) and np.isnan(other))


def error(told: Explanation, dtype: np.dtype[Any]) -> float:
    """How far a cell lies from the sum of its terms, in units of the bound; NaN and infinity must be the same."""
    with np.errstate(all="ignore"):
        total = sum_of(told)
        if not np.isfinite(told.value):
            return 0.0 if same(float(dtype.type(total)), told.value) else np.inf
        gap = abs(total - told.value)
        return gap / bound(told, dtype) if gap else 0.0


def sum_of(told: Explanation) -> float:
    """All terms added up, each the product of its factors as they are shown."""
    products = [prod(factor.value for factor in term.factors) for term in told.terms]
    return fsum(products) if np.isfinite(products).all() else float(np.sum(products))


def wrong_factors(told: Explanation, trainer: Trainer, before: Mapping[str, Array]) -> Iterator[str]:
    """The factors whose cell is not what the engine holds, nor what it held before the update."""
    for factor in (factor for term in told.terms for factor in term.factors if factor.address):
        tensors = trainer.tensor(factor.address), before.get(factor.address)
        if not any(held is not None and same(float(held[factor.index]), factor.cell) for held in tensors):
            yield describe(factor)


def describe(factor: Factor) -> str:
    """A factor in words."""
    return f"{factor.symbol} is told as {factor.cell!r}, but {factor.address} {list(factor.index)} holds another number"


def check_cell(trainer: Trainer, address: str, index: Index, before: Mapping[str, Array]) -> tuple[float, str]:
    """The error of a cell in units of the bound, and what else is wrong with it. Raises Untold."""
    told = explain(trainer, address, index, ALL)
    if told is None:
        raise Untold(why_untold(trainer, address, index))
    held = trainer.tensor(address)
    if not same(told.value, trainer.loss if held is None else float(held[index])):
        return np.inf, "the cell is told as another number"
    if len(told.terms) != told.count:
        return np.inf, "not all terms are told"
    return error(told, trainer.network.dtype), next(wrong_factors(told, trainer, before), "")


def cells_of(trainer: Trainer, phase: Phase, count: int, rng: np.random.Generator) -> Iterator[tuple[str, Index]]:
    """Random cells of the tensors that a phase made; after the update, of all that there are."""
    if phase.kind == "loss":
        yield "loss", ()
    kept = {slot.address for slot in trainer.network.buffer_slots}
    made = (*trainer.tensor_infos,) if phase.kind == "update" else outputs_of(trainer, phase)
    made = tuple(address for address in made if address not in kept and has_terms(trainer, address))
    order = rng.permutation(len(made))
    for place in range(count if made else 0):
        address = made[order[place % len(made)]]
        held = trainer.tensor(address)
        assert held is not None, address
        yield address, tuple(int(rng.integers(n)) for n in held.shape)


def has_terms(trainer: Trainer, address: str) -> bool:
    """Whether a tensor is neither the data themselves nor what the optimizer keeps to itself."""
    place, _, role = address.partition(".")
    found = trainer.of_parameter(int(place), role) if place.isdigit() else None
    return place != "data" and address != "0.x" and (not found or found[0] not in trainer.recipe.optimizer.slot_names)


def is_bent(trainer: Trainer, address: str) -> bool:
    """Whether a planted bug has its fingers in a tensor."""
    place, _, role = address.partition(".")
    makers = {-1 if place == "loss" else int(place)} if place != "data" else set()
    if role == "grad_y" and place != "loss":
        makers = {int(place) + 1 if int(place) + 1 < len(trainer.recipe.layers) else -1}
    return role.startswith("grad_") and bool(makers & {bug.layer for bug in trainer.recipe.bugs})


def step_through(trainer: Trainer, name: str, cells: int, seed: int = 0) -> Row:
    """One mini-batch, phase by phase, and random cells of each."""
    row, rng = Row(name), np.random.default_rng(seed)
    trainer.needs_input_gradient = True
    for _ in range(TRAINED):
        trainer.step()
    before = trainer.parameters
    with trainer.computing():
        for phase in trainer.phases():
            row.phases += 1
            for address, index in cells_of(trainer, phase, cells, rng):
                _judge(trainer, row, address, index, before)
            if phase == trainer.all_phases[-2]:  # next, the update penalises and clips
                gradients = (address.replace(".", ".grad_", 1) for address in trainer.gradients)
                before |= dict(zip(gradients, trainer.gradients.values(), strict=True))
    if trainer.recipe.bugs and not row.bent:
        row.failures.append("the planted bug shows in no cell")
    return row


def _judge(trainer: Trainer, row: Row, address: str, index: Index, before: Mapping[str, Array]) -> None:
    """Note in the row how a cell comes out."""
    where = f"{trainer.phase}: {address} {list(index)}"
    row.cells += 1
    try:
        found, problem = check_cell(trainer, address, index, before)
    except Untold as reason:
        row.failures.append(f"{where}: {reason}")
        return
    if problem:
        row.failures.append(f"{where}: {problem}")
    if is_bent(trainer, address):
        row.bent += found > 1
        return
    if found > 1:
        row.failures.append(f"{where}: off by {found:.3g} times the bound")
    if found > row.worst:
        row.worst, row.where = found, where


def shipped() -> dict[str, Recipe]:
    """Every recipe in the box by its file's name."""
    folder = resources.files("resources").joinpath("recipes")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return {file.name.removesuffix(".json"): Recipe.from_json(file.read_bytes()) for file in files}


def readd(name: str, recipe: Recipe, cells: int, mnist: Path) -> Row:
    """A recipe's row; it is skipped where its data are not here, or where it is there to be refused."""
    if recipe.data.kind() == "mnist":
        if not mnist.is_dir():
            return Row(name, skipped=SKIPPED)
        recipe = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, folder=str(mnist)))
    try:
        trainer = Trainer(recipe)
    except RecipeError as refusal:
        return Row(name, skipped=f"refused: {refusal}")
    return step_through(trainer, name, cells)


def main() -> int:
    """A table of all recipes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100, help="cells of each phase")
    parser.add_argument("--mnist", type=Path, default=MNIST, help="folder of the MNIST test set")
    parser.add_argument("names", nargs="*", help="recipes; without any, all")
    asked = parser.parse_args()
    recipes = shipped()
    failed = False
    print(f"{'recipe':28} {'phases':>6} {'cells':>6} {'bent':>5}  worst error / bound")
    for name in asked.names or recipes:
        row = readd(name, recipes[name], asked.cells, asked.mnist)
        failed |= bool(row.failures)
        if row.skipped:
            print(f"{name:28} skipped: {row.skipped}")
            continue
        print(
            f"{name:28} {row.phases:6} {row.cells:6} {row.bent:5}  {row.worst:.3f}  {row.where}",
            flush=True,
        )
        for failure in row.failures[:5]:
            print(f"    FAILED  {failure}")
        if len(row.failures) > 5:
            print(f"    … and {len(row.failures) - 5} more")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
