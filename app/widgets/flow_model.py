"""What the Flow view shows of a network: columns, the tiles in them, and what a phase lights up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from app.widgets.flow_columns import (
    SUM,
    Column,
    Row,
    Tile,
    data_column,
    describe,
    layer_columns,
    loss_column,
    times,
)
from app.widgets.flow_folds import Repeat, fold_column, repeats_of
from engine.frames import Frame, Phase
from engine.protocol import Built

__all__ = ["SUM", "Block", "Bracket", "Column", "Direction", "FlowModel", "Lit", "Row", "Tile", "describe", "times"]

Direction = Literal["forward", "backward"]


@dataclass(frozen=True)
class Block:
    """A residual block: its columns from `first` to `last`, where the sum stands."""

    place: str  # "3", or "3.1" of one inside another
    first: int
    last: int
    level: int  # how many blocks are around it
    height: int  # how many stand inside each other in it, this one counted


@dataclass(frozen=True)
class Bracket:
    """Columns that belong together, with words over them; a click on one that has a repeat folds or unfolds it."""

    first: int
    last: int
    level: int  # lines from the top
    text: str
    about: str
    repeat: Repeat | None = None


class FlowModel:
    """The columns of a network, and where its tiles lie to each other; `folded` repeats show two of their groups."""

    def __init__(self, network: Built, folded: Iterable[Repeat] = ()) -> None:
        self.network = network
        self.repeats = repeats_of(network)
        self.folded = frozenset(folded) & frozenset(self.repeats)
        self._spans: dict[int, tuple[int, int]] = {}  # first and last column of each layer
        columns = [data_column(network)]
        for i in range(len(network.layers)):
            self._add(columns, i)
        columns.append(loss_column(network))
        self.columns = tuple(_numbered(column, index) for index, column in enumerate(columns))
        self.tiles = {tile.address: tile for column in self.columns for tile in column.tiles}
        self.gradients = frozenset(address for address, tile in self.tiles.items() if tile.gradient)
        self.rows = {row: line for row in Row if (line := [t for c in self.columns for t in c.row(row)])}
        self.hidden = {t.address: t for c in self.columns for h in c.hidden for t in h.tiles}
        self.blocks = [
            Block(column.place, index - column.block + 1, index, column.level, column.height)
            for index, column in enumerate(self.columns)
            if column.block
        ]
        self.sums = {(block.last - 1, Row.ACTIVATIONS): block for block in self.blocks}  # between which columns
        self.sums |= {(block.first - 1, Row.GRADIENTS): block for block in self.blocks}
        self.brackets = tuple(self._brackets())

    def _add(self, columns: list[Column], i: int) -> None:
        """The columns of a layer, or, with the first of those folded away, their fold."""
        fold = next((repeat for repeat in self.folded if i in repeat.hidden), None)
        if fold is None:
            mine = layer_columns(self.network, i)
            self._spans[i] = len(columns), len(columns) + len(mine) - 1
            columns += mine
        elif i == fold.hidden[0]:
            hidden = [_numbered(c, len(columns)) for h in fold.hidden for c in layer_columns(self.network, h)]
            self._spans |= dict.fromkeys(fold.hidden, (len(columns), len(columns)))
            columns.append(fold_column(fold, hidden))

    def _brackets(self) -> Iterable[Bracket]:
        for repeat in self.repeats:
            folded = repeat in self.folded
            first, last = self._spans[repeat.layers[0]][0], self._spans[repeat.layers[-1]][1]
            text = f"{'▸' if folded else '▾'} {repeat.count} × {repeat.names}"
            about = (
                f"{repeat.count} equal groups: {repeat.names}\na click {'unfolds' if folded else 'folds'} them (F: all)"
            )
            yield Bracket(first, last, 0, text, about, repeat)
        for block in self.blocks:
            level = bool(self.repeats) + block.level
            title = f"Residual {block.place}"
            yield Bracket(block.first, block.last, level, title, self.columns[block.last].about)

    @property
    def levels(self) -> int:
        """How many lines the brackets take."""
        return max((bracket.level + 1 for bracket in self.brackets), default=0)

    @property
    def nested(self) -> int:
        """How many blocks stand inside each other at most; 0 where there is none."""
        return max((block.height for block in self.blocks), default=0)

    @property
    def loss_made_by(self) -> int:
        """The phase that computes the loss."""
        return next(i for i, phase in enumerate(self.network.phases) if phase.kind == "loss")

    def span(self, phase: Phase) -> tuple[int, int]:
        """The first and last column that a phase works in; of a part of a block the layer inside."""
        if phase.layer is None:
            place = 0 if phase.kind == "batch" else len(self.columns) - 1
            return place, place
        whole = self._spans[phase.layer]
        inside = f"{phase.layer}.{(phase.part or '').removeprefix('grad_').rpartition('.')[0]}"
        for index in range(whole[0], whole[1] + 1):
            if self.columns[index].place == inside:
                return index, index
        return (whole[1], whole[1]) if ".skip" in inside else whole

    def tile_of(self, address: str) -> str:
        """The address of the tile that shows a tensor: what is passed on is the neighbour's, under another name."""
        place, _, role = address.partition(".")
        if address == "loss.grad_y":
            return f"{len(self.network.layers) - 1}.grad_y"
        if role == "grad_x" and place != "0":
            return f"{int(place) - 1}.grad_y"
        if role == "x" and place.isdigit():
            return "data.x" if place == "0" else f"{int(place) - 1}.y"
        return address

    def title(self, row: Row) -> str:
        """The words over a row."""
        roles = dict.fromkeys(t.role for t in self.rows.get(row, ()))
        return {
            Row.ACTIVATIONS: "activations  y",
            Row.PARAMETERS: "parameters  " + ", ".join(roles),
            Row.PARAMETER_GRADIENTS: "gradients  " + ", ".join(roles),
            Row.GRADIENTS: "gradients  grad_y",
        }[row]

    def neighbour(self, address: str, across: int, down: int) -> str:
        """The tile beside another: `across` along its row, or `down` in its column (or the nearest that has one)."""
        tile = self.tiles.get(address)
        if tile is None:
            return self._beside_fold(address, across)
        line, rows = self.rows[tile.row], list(self.rows)
        if across:
            place = line.index(tile) + across
            return line[min(max(place, 0), len(line) - 1)].address
        place = rows.index(tile.row) + down
        line = self.rows[rows[min(max(place, 0), len(rows) - 1)]]
        role = tile.role.removeprefix("grad_")
        return min(line, key=lambda t: (abs(t.column - tile.column), t.role.removeprefix("grad_") != role)).address

    def _beside_fold(self, address: str, across: int) -> str:
        """From a tile folded away to the one before or after the fold; from anywhere else to the first of all."""
        tile = self.hidden.get(address)
        if tile is None:
            return next(iter(self.tiles))
        line = self.rows[tile.row]
        before = [t for t in line if t.column < tile.column]
        after = [t for t in line if t.column > tile.column]
        return (after[0] if across > 0 or not before else before[-1]).address


def _numbered(column: Column, index: int) -> Column:
    """The column with its number in its tiles."""
    return replace(column, tiles=tuple(replace(tile, column=index) for tile in column.tiles))


@dataclass(frozen=True)
class Lit:
    """What the phase just computed lights up, like a debugger's current line."""

    columns: tuple[int, int] | None = None  # first and last
    row: Row | None = None
    direction: Direction = "forward"
    fresh: tuple[str, ...] = ()  # the tiles just written
    earlier: tuple[str, ...] = ()  # those written by earlier parts of the same operation

    def holds(self, column: int) -> bool:
        """Whether a column is lit."""
        return self.columns is not None and self.columns[0] <= column <= self.columns[1]

    @classmethod
    def of(cls, model: FlowModel, frame: Frame | None) -> Lit:
        """What a frame's phase lights up."""
        if frame is None or frame.phase is None:
            return cls()
        phase, now = frame.phase, frame.position.phase
        if phase.kind == "update":
            updated = tuple(t.address for t in model.rows.get(Row.PARAMETERS, ()))
            return cls(None, Row.PARAMETERS if updated else None, "backward", updated)
        fresh = tuple(t.address for t in model.tiles.values() if t.made_by == now)
        phases = model.network.phases
        parts = {i for i in range(now) if phase.same_operation(phases[i])}
        earlier = tuple(t.address for t in model.tiles.values() if t.made_by in parts)
        return cls(model.span(phase), None, _direction(phase), fresh, earlier)


def _direction(phase: Phase) -> Direction:
    return "backward" if phase.kind == "backward" else "forward"
