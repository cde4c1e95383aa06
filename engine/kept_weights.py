"""Weights that a changed network takes over from the one before: of each layer that is still there and still fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.frames import Array
from engine.layers import LayerSpec
from engine.network import Network, Slot
from engine.recipe import Recipe


@dataclass(eq=False)
class Piece:
    """A layer, or one inside a block, with its tensors by role; `layer` is the number of the outermost one."""

    layer: int
    spec: LayerSpec
    slots: dict[str, Slot]

    def fitting(self, other: Piece) -> list[str]:
        """The roles whose tensors have the same shape in both and begin in the same way."""
        return [role for role, slot in self.slots.items() if role in other.slots and _alike(slot, other.slots[role])]


def may_keep(old: Recipe, new: Recipe) -> bool:
    """Whether a network changed from `old` to `new` keeps weights: not where other first weights were asked for."""
    return (old.seed, old.weights_draw) == (new.seed, new.weights_draw)


def keep_weights(old: Network, new: Network, parameters: Array, buffers: Array) -> tuple[int, int]:
    """Copy what fits of the flat arrays of `old` into `new`; how many layers were kept, of how many with weights."""
    before, after = list(_pieces(old)), list(_pieces(new))
    missed = set()
    for piece, source in _matched(before, after):
        roles = piece.fitting(source) if source is not None else []
        missed |= {piece.layer} if len(roles) < len(piece.slots) else set()
        for role in roles:
            mine, theirs = piece.slots[role], source.slots[role]  # type: ignore[union-attr]
            of_buffer = mine in new.buffer_slots
            mine.view(new.buffers if of_buffer else new.parameters)[...] = theirs.view(
                buffers if of_buffer else parameters
            )
    weighty = {slot.layer for slot in new.slots}
    return len(weighty - missed), len(weighty)


def _pieces(network: Network) -> Iterator[Piece]:
    """All layers with tensors, those inside blocks too, from the first to the last."""
    for index, spec in enumerate(network.recipe.layers):
        prefixes = dict(spec.inside())
        slots = [slot for slot in (*network.slots, *network.buffer_slots) if slot.layer == index]
        for prefix, inner in prefixes.items():
            own = {
                slot.role.removeprefix(prefix): slot
                for slot in slots
                if prefix == max((p for p in prefixes if slot.role.startswith(p)), key=len)
            }
            if own:
                yield Piece(index, inner, own)


def _matched(before: list[Piece], after: list[Piece]) -> list[tuple[Piece, Piece | None]]:
    """Each new piece with the old one that it most likely was: the same spec and sizes, else the same kind."""
    left, found = list(before), dict[Piece, Piece | None]()
    for same in (_same, _same_kind):
        for piece in after:
            if found.get(piece) is None:
                found[piece] = source = next((p for p in left if same(p, piece)), None)
                if source is not None:
                    left.remove(source)
    return list(found.items())


def _same(old: Piece, new: Piece) -> bool:
    return old.spec == new.spec and len(new.fitting(old)) == len(new.slots)


def _same_kind(old: Piece, new: Piece) -> bool:
    return type(old.spec) is type(new.spec) and bool(new.fitting(old))


def _alike(one: Slot, other: Slot) -> bool:
    return (one.parameter.shape, one.parameter.initializer) == (other.parameter.shape, other.parameter.initializer)
