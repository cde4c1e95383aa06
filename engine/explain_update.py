"""What the cells are made of that the update phase leaves: gradients penalised and clipped, updates, parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.frames import Array, Phase
from engine.network import Slot
from engine.terms import Cells, Index, Product, Sum, cells, constant, number
from engine.trainer import Trainer

SYMBOLS = {"gamma": r"\gamma", "beta": r"\beta", "slope": r"\alpha"}  # of parameters, where the role is not the symbol


class Untold(Exception):  # noqa: N818  # no error: nothing is wrong where nothing can be told
    """There is a cell, but no formula for it here; the message is a sentence."""


def updated(trainer: Trainer) -> bool:
    """Whether the update of the present mini-batch has been made, so that parameters are no longer what they were."""
    return trainer.phase == Phase("update")


def as_it_was(trainer: Trainer, slot: Slot, row: int) -> Array:
    """A row of the network's store, one tensor of it, as it was before the update. Raises Untold where not kept."""
    return slot.view(_store_before(trainer)[row])


def _store_before(trainer: Trainer) -> Array:
    """The network's store as it was before the update, where that has been made. Raises Untold where not kept."""
    if not updated(trainer):
        return trainer.network.store
    if trainer.before.step != trainer.step_count:
        raise Untold("what the update has overwritten was not kept; step back to a phase before the update")
    return trainer.before.store


def of_parameter(trainer: Trainer, kind: str, slot: Slot, index: Index) -> Sum | None:
    """A cell that belongs to a parameter and is no gradient: kind "" itself, "update", "penalty" or a slot's name."""
    if kind not in ("", "update", "penalty"):
        raise Untold(f"{kind} is the optimizer's own state; the formula of the update tells how it moves")
    if kind == "penalty":
        return _penalty(trainer, slot, index)
    return _update(trainer, slot, index) if kind else _parameter(trainer, slot, index)


def as_the_optimizer_got_it(trainer: Trainer, slot: Slot, index: Index, found: Sum) -> Sum:
    """A gradient after the update: backward's terms, the penalty's, and all of them clipped."""
    gradient, penalised = _penalised(trainer), f"penalty_{slot.role}"
    added = _penalty_of(trainer, slot)
    products, formula = list(found.products), found.formula
    if added is not None:
        products.append(Product((cells(r"\mathrm{penalty}", added, penalised, index),)))
        formula += r" + \mathrm{penalty}"
    if _is_frozen(trainer, slot):
        return replace(found, products=products, formula=formula)
    factor = trainer.before.recipe.clip.factor(gradient, float(slot.view(gradient)[index]))
    if factor == 1.0:
        return replace(found, products=products, formula=formula)
    clip = constant(r"\mathrm{clip}", factor)
    products = [
        replace(
            product,
            factors=(*product.factors, clip),
            results=None if product.results is None else np.asarray(product.results) * factor,
        )
        for product in products
    ]
    left, right = formula.split(" = ", 1)
    numbers = rf"\mathrm{{clip}} = {number(factor)}"
    return replace(
        found, products=products, formula=rf"{left} = \mathrm{{clip}} \cdot \left( {right} \right)", numbers=numbers
    )


def _penalised(trainer: Trainer) -> Array:
    """The gradient of all parameters (P,) as clipping got it: with the penalties, 0 where a parameter is frozen."""
    gradient: Array = _store_before(trainer)[1].copy()
    for slot in trainer.network.slots:
        added, view = _penalty_of(trainer, slot), slot.view(gradient)
        if added is not None:
            np.add(view, added, out=view)
        if _is_frozen(trainer, slot):
            view.fill(0)
    return gradient


def _penalty_of(trainer: Trainer, slot: Slot) -> Array | None:
    """What a penalty has added to a parameter's gradient."""
    address = f"{slot.layer}.penalty_{slot.role}"
    return next((penalty.added for penalty in trainer.before.penalties if penalty.address == address), None)


def _is_frozen(trainer: Trainer, slot: Slot) -> bool:
    updates = slot.view(trainer.network.updates)
    return any(np.shares_memory(part.update, updates) for part in trainer.before.frozen)


def _penalty(trainer: Trainer, slot: Slot, index: Index) -> Sum:
    """l2·W + l1·sign(W)."""
    weights, address = as_it_was(trainer, slot, 0), f"{slot.layer}.penalty_{slot.role}"
    penalty = next((p for p in trainer.before.penalties if p.address == address), None)
    if penalty is None or trainer.tensor(address) is not penalty.added:
        raise Untold("a penalty was set anew after this update; step on to see what it adds")
    cell = cells("W", weights, slot.role, index)
    sign = replace(cell, applied=np.sign(cell.values), function=r"\mathrm{sign} \left( {} \right)")
    products = []
    if penalty.l2:
        products.append(Product((constant(r"\lambda_2", penalty.l2), cell)))
    if penalty.l1:
        products.append(Product((constant(r"\lambda_1", penalty.l1), sign)))
    formula = r"\mathrm{penalty} = \lambda_2 \, W + \lambda_1 \, \mathrm{sign} \left( W \right)"
    return Sum(formula, products, {"W": weights.shape})


def _parameter(trainer: Trainer, slot: Slot, index: Index) -> Sum:
    """What it was, and its update."""
    if not updated(trainer):
        raise Untold(f"{slot.address} was last changed before this mini-batch; see it after an update")
    symbol, update = _symbol(slot), slot.view(trainer.network.updates)
    old, now = as_it_was(trainer, slot, 0)[index], slot.view(trainer.network.parameters)[index]
    if not np.array_equal(old + update[index], now, equal_nan=True):
        raise Untold("this cell has been typed over since the update, so that no formula made it")
    products = [
        Product((_once(rf"{symbol}^{{\mathrm{{old}}}}", old, index),)),
        Product((cells(rf"\Delta {symbol}", update, f"update_{slot.role}", index),)),
    ]
    return Sum(rf"{symbol} \leftarrow {symbol} + \Delta {symbol}", products, {symbol: slot.parameter.shape})


def _update(trainer: Trainer, slot: Slot, index: Index) -> Sum | None:
    """What the optimizer made of one cell."""
    network, before = trainer.network, trainer.before
    symbol, shape = _symbol(slot), slot.parameter.shape
    state = [as_it_was(trainer, slot, 3 + i)[index] for i in range(before.recipe.optimizer.slots)]
    if _is_frozen(trainer, slot):
        return Sum(rf"\Delta {symbol} = 0 \quad \mathrm{{(frozen)}}", [], {symbol: shape})
    gradient = cells("g", slot.view(network.gradients), f"grad_{slot.role}", index)
    parameter = _once(r"\theta", as_it_was(trainer, slot, 0)[index], index)
    told = before.recipe.optimizer.terms(gradient, parameter, list(map(float, state)), trainer.step_count, trainer.lr)
    return None if told is None else replace(told, shapes={rf"\theta = {symbol}": shape})


def _once(symbol: str, value: float, index: Index) -> Cells:
    """A cell of a tensor that is no more, so that no address leads to it."""
    return Cells(rf"{symbol}_{{{','.join(map(str, index))}}}", float(value))


def _symbol(slot: Slot) -> str:
    """A parameter's role as LaTeX; of a layer inside a block its own."""
    role = slot.role.rpartition(".")[2]
    return SYMBOLS.get(role, role if len(role) == 1 else rf"\mathrm{{{role.replace('_', ' ')}}}")
