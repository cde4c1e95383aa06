"""Equal groups of layers that follow each other, and the one column that stands for those folded away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.widgets.flow_columns import Column
from engine.layers.residual import Residual
from engine.protocol import Built

FEWEST = 3  # equal groups, to be worth folding
LONGEST = 8  # layers of a group
READABLE = 40  # columns


@dataclass(frozen=True)
class Repeat:
    """`count` equal groups of `period` layers each, from layer `start` on."""

    start: int
    period: int
    count: int
    names: str  # of the layers of one group: "Dense, ReLU"

    @property
    def layers(self) -> range:
        """All of them."""
        return range(self.start, self.start + self.period * self.count)

    @property
    def hidden(self) -> range:
        """Those that are folded away: all but the first group and the last."""
        return range(self.start + self.period, self.start + self.period * (self.count - 1))


def begins_folded(network: Built) -> frozenset[Repeat]:
    """Runs of residual blocks, where all columns of their layers would be too narrow to be read."""
    layers = network.recipe.layers
    columns = sum(1 + len(layer.layers) if isinstance(layer, Residual) else 1 for layer in layers)
    if columns <= READABLE:
        return frozenset()
    return frozenset(r for r in repeats_of(network) if any(isinstance(layers[i], Residual) for i in r.layers))


def repeats_of(network: Built) -> tuple[Repeat, ...]:
    """The longest runs of equal groups, from the left; none share a layer."""
    keys, found, start = [_key(network, i) for i in range(len(network.layers))], [], 0
    while start < len(keys):
        options = [(_count(keys, start, period), period) for period in range(1, LONGEST + 1)]
        count, period = max(options, key=lambda o: (o[0] >= FEWEST, o[0] * o[1], -o[1]))
        group = network.layers[start : start + period]
        headless = any(layer.parameters for layer in group) and not group[0].parameters  # it begins a layer later
        if count < FEWEST or headless:
            start += 1
            continue
        found.append(Repeat(start, period, count, ", ".join(layer.title for layer in group)))
        start += period * count
    return tuple(found)


def _key(network: Built, i: int) -> object:
    """What is equal of equal layers: kind, sizes, and the kinds of layers inside."""
    info, spec = network.layers[i], network.recipe.layers[i]
    inside = tuple((name, layer.kind()) for name, layer in spec.inside())
    return info.kind, info.caption, info.in_shape, info.out_shape, tuple(info.parameters.items()), inside


def _count(keys: Sequence[object], start: int, period: int) -> int:
    """How often the group at `start` stands there, one after the other."""
    group, count = keys[start : start + period], 1
    if len(group) < period:
        return 0
    while keys[start + count * period : start + (count + 1) * period] == group:
        count += 1
    return count


def fold_column(repeat: Repeat, hidden: Sequence[Column]) -> Column:
    """The column that stands for those folded away; what it passes on is the last one's."""
    first, last = repeat.hidden[0], repeat.hidden[-1]
    count = repeat.count - 2
    about = (
        f"layers {first} to {last}: {count} × {repeat.names}, folded; a click unfolds them\n"
        "{forward}: the root mean square of y of each, {backward}: its ‖grad_y‖, on the scale of the bars below"
    )
    span = f"{first}–{last}"
    return Column(f"×{count}", span, span, about, hidden[-1].place, (), hidden=tuple(hidden))
