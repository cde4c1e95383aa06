"""What a cell is made of: the formula of the phase that computed it, with the numbers that went into it."""

from __future__ import annotations

import numpy as np

from engine.explain_update import Untold, as_it_was, as_the_optimizer_got_it, of_parameter, updated
from engine.frames import Array, Phase
from engine.terms import MOST, Explanation, Index, Sum, explanation
from engine.trainer import Trainer

LOSS = "loss"  # the address of the loss itself, a single number: its index is ()
DATA = "this is the data itself: it comes from no formula"


def explain(trainer: Trainer, address: str, index: Index, most: int = MOST) -> Explanation | None:
    """The formula of one cell and its terms, the `most` largest one by one; "loss", () is the loss itself.

    None where there is nothing to tell, see `why_untold`. Raises ValueError, a sentence, where there is no such cell.
    """
    try:
        return _explained(trainer, address, index, most)
    except Untold:
        return None


def why_untold(trainer: Trainer, address: str, index: Index) -> str:
    """A sentence that says why `explain` gives None; "" where it does not. Raises ValueError as that does."""
    try:
        _explained(trainer, address, index, 0)
    except Untold as reason:
        return str(reason)
    return ""


def _explained(trainer: Trainer, address: str, index: Index, most: int) -> Explanation:
    """As `explain`; raises Untold in place of None."""
    value = _value(trainer, address, index)
    _check_computed(trainer, address)
    origin = _origin(trainer, address)
    place, _, role = origin.partition(".")
    found = _of_loss(trainer, role, index) if place == LOSS else _of_layer(trainer, int(place), role, index)
    if found is None:
        raise Untold(f"{address} comes from code that does not tell its terms")

    def named(role: str) -> str:
        return _named(trainer, place, role)

    summed = place != LOSS and (trainer.of_parameter(int(place), role) or ("",))[0] == "grad"
    batch = len(trainer.current.x) if summed else 0  # of a parameter's gradient, which every sample pulls at
    return explanation(address, index, value, found, named, batch=batch, most=most)


def _value(trainer: Trainer, address: str, index: Index) -> float:
    """The cell's own number. Raises ValueError where there is no such cell."""
    array = np.asarray(trainer.loss) if address == LOSS else trainer.tensor(address)
    if array is None:
        raise ValueError(
            f"there is no tensor {address}; choose one such as {', '.join(list(trainer.tensor_infos)[:6])}"
        )
    inside = len(index) == array.ndim and all(0 <= i < n for i, n in zip(index, array.shape, strict=True))
    if not inside:
        raise ValueError(f"{address} has no cell {list(index)}: its shape is {array.shape}; choose a cell inside")
    return float(array[index])


def _check_computed(trainer: Trainer, address: str) -> None:
    """Raise Untold where a tensor has not been computed yet in this mini-batch."""
    info, number = trainer.tensor_infos.get(address), trainer.position.phase
    made_by = trainer.all_phases.index(Phase("loss")) if address == LOSS else info.made_by if info else -1
    if made_by > number or (address == "0.grad_x" and not trainer.has_input_gradient):
        raise Untold(f"{address} is not computed yet in this mini-batch; step on until it is")


def _origin(trainer: Trainer, address: str) -> str:
    """The address under which a tensor was computed: x is the y of the layer below, grad_y the grad_x of that above."""
    place, _, role = address.partition(".")
    if place == "data" or address == "0.x":
        raise Untold(DATA)
    if role == "x":
        return f"{int(place) - 1}.y"
    if role == "grad_y" and place != LOSS:
        above = int(place) + 1
        return f"{above}.grad_x" if above < len(trainer.recipe.layers) else "loss.grad_y"
    return address


def _of_loss(trainer: Trainer, role: str, index: Index) -> Sum | None:
    run = trainer.current
    known = {"y": run.layers[-1].y, "p": run.loss.p, "targets": run.targets, "labels": run.targets}
    return run.loss.terms(role, index, known.__getitem__)


def _of_layer(trainer: Trainer, layer: int, role: str, index: Index) -> Sum | None:
    if any(buffer.address == f"{layer}.{role}" for buffer in trainer.network.buffer_slots):
        raise Untold(f"{layer}.{role} is a running mean over all mini-batches so far; no formula of this one made it")
    found = trainer.of_parameter(layer, role)
    if found is not None and found[0] != "grad":
        return of_parameter(trainer, *found, index)
    told = trainer.current.layers[layer].terms(role, index, lambda role: _at(trainer, layer, role))
    if found is None or told is None or not updated(trainer):
        return told
    return as_the_optimizer_got_it(trainer, found[1], index, told)


def _at(trainer: Trainer, layer: int, role: str) -> Array:
    """A layer's tensor as it was in forward and backward."""
    found = trainer.of_parameter(layer, role)
    if found is not None and found[0] in ("", "grad"):
        return as_it_was(trainer, found[1], 1 if found[0] else 0)
    array = trainer.tensor(f"{layer}.{role}")
    assert array is not None, f"layer {layer} asks for its {role}, which it has not"
    return array


def _named(trainer: Trainer, place: str, role: str) -> str:
    """The address of what a layer or the loss calls `role`: that under which the Flow view shows it."""
    if place == LOSS:
        if role in ("targets", "labels"):
            rows = trainer.batch_labels is None or trainer.current.targets.ndim > 1
            return "data.targets" if rows else "data.labels"
        return f"{len(trainer.recipe.layers) - 1}.y" if role == "y" else f"loss.{role}"
    if role == "x":
        return f"{int(place) - 1}.y" if place != "0" else "data.x"
    return f"{place}.{role}"


# --- what a phase reads and makes -----------------------------------------------------------------


def sources_of(trainer: Trainer, phase: Phase) -> tuple[str, ...]:
    """The tensors that a phase reads, by the addresses under which the Flow view shows them.

    Of the update these are the gradients: what else it reads, it writes.
    """
    if phase.kind == "batch":
        return ()
    if phase.kind == "update":
        return tuple(f"{slot.layer}.grad_{slot.role}" for slot in trainer.network.slots)
    if phase.kind == "loss":
        labels = ("data.labels",) if trainer.labels is not None else ()
        return (_named(trainer, LOSS, "y"), *labels)
    assert phase.layer is not None
    return tuple(_named(trainer, str(phase.layer), role) for role in _read_by(trainer, phase.layer, phase))


def _read_by(trainer: Trainer, layer: int, phase: Phase) -> tuple[str, ...]:
    """The roles that a phase of a layer reads."""
    spec, parameters = trainer.recipe.layers[layer], tuple(s.role for s in trainer.network.slots_of(layer))
    declared = spec.read_by(phase.part or phase.kind, trainer.network.shapes[layer])
    if declared is not None:
        return declared
    if phase.kind == "backward":
        return ("grad_y", "x", *(parameters if phase.part == "grad_x" else ()))
    steps = spec.forward_parts
    if phase.part is None:
        return ("x", *parameters)
    earlier = steps[: steps.index(phase.part)]
    return (earlier[-1], *parameters) if phase.part == "y" and earlier else ("x", *earlier)


def outputs_of(trainer: Trainer, phase: Phase) -> tuple[str, ...]:
    """The tensors that a phase makes, by all of their addresses. Running statistics, which move on, are not named."""
    number = trainer.all_phases.index(phase)
    made = tuple(address for address, info in trainer.tensor_infos.items() if info.made_by == number)
    return (*made, *(slot.address for slot in trainer.network.slots)) if phase.kind == "update" else made
