"""What the Flow view shows of a network: columns, the tiles in them, and what a phase lights up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from app.widgets.sheets import Pictures, pictures_of
from engine.frames import Frame, Phase
from engine.protocol import Built, LayerInfo

Direction = Literal["forward", "backward"]


class Row(IntEnum):
    """The rows of tiles, from the top."""

    ACTIVATIONS = 0
    PARAMETERS = 1
    PARAMETER_GRADIENTS = 2
    GRADIENTS = 3


@dataclass(frozen=True)
class Tile:
    """One tensor on screen."""

    address: str
    row: Row
    column: int
    role: str
    shape: tuple[int, ...]
    made_by: int  # the phase that computes it; −1: it is always there
    about: str  # what it is, in words and perhaps a formula
    pictures: Pictures | None = None  # where people look at it as such

    @property
    def gradient(self) -> bool:
        """Whether it is drawn on the one log ruler of all gradients."""
        return self.row in (Row.PARAMETER_GRADIENTS, Row.GRADIENTS)

    @property
    def strip(self) -> bool:
        """Whether it is a vector, drawn as a narrow column."""
        return self.row in (Row.PARAMETERS, Row.PARAMETER_GRADIENTS) and len(self.shape) < 2


@dataclass(frozen=True)
class Column:
    """The data, a layer, or the loss."""

    title: str
    caption: str  # the long form under the title
    short: str  # where there is no room for the long one
    about: str
    norm: str  # the scalar of its ‖grad‖, "" where it has none
    tiles: tuple[Tile, ...]

    def row(self, row: Row) -> tuple[Tile, ...]:
        """Its tiles in a row, from the left."""
        return tuple(t for t in self.tiles if t.row == row)


def times(shape: tuple[int, ...]) -> str:
    """A shape as people write it: 32×64."""
    return "×".join(map(str, shape))


def describe(tile: Tile) -> str:
    """Address, shape and what it is."""
    return f"{tile.address}  {times(tile.shape)}\n{tile.about}"


class FlowModel:
    """The columns of a network, and where its tiles lie to each other."""

    def __init__(self, network: Built) -> None:
        self.network = network
        last = len(network.layers) - 1
        layers = [self._layer(i, info) for i, info in enumerate(network.layers)]
        self.columns: tuple[Column, ...] = (self._data(), *layers, self._loss(last + 2))
        self.tiles = {tile.address: tile for column in self.columns for tile in column.tiles}
        self.rows = {row: line for row in Row if (line := [t for c in self.columns for t in c.row(row)])}

    def _tile(self, address: str, row: Row, column: int, about: str) -> Iterator[Tile]:
        info = self.network.tensors.get(address)
        if info is not None:
            role, pictures = address.partition(".")[2], pictures_of(self.network, address, info.shape)
            yield Tile(address, row, column, role, info.shape, info.made_by, about, pictures)

    def _data(self) -> Column:
        network, data = self.network, self.network.data
        formula = network.layers[0].formulas.get("grad_x", "")
        tiles = (
            *self._tile("data.x", Row.ACTIVATIONS, 0, "the mini-batch: one row a sample"),
            *self._tile("0.grad_x", Row.GRADIENTS, 0, _lines("∂loss/∂x: what the loss asks of the data", formula)),
        )
        shape = times(data.image_shape or data.shape)
        return Column("data", shape, shape, f"data: {data.training:,} samples of {shape}", "delta.data", tiles)

    def _layer(self, i: int, info: LayerInfo) -> Column:
        name, formulas = f"layer {i}, {info.caption}", info.formulas
        above = self.network.layers[i + 1].formulas if i + 1 < len(self.network.layers) else {}
        source = above.get("grad_x") or self.network.loss_formulas.get("backward", "")
        grad_y = _lines(f"∂loss/∂y of {name}", f"from the right: {source}" if source else "")
        tiles = [*self._tile(f"{i}.y", Row.ACTIVATIONS, i + 1, _lines(f"y of {name}", formulas.get("forward", "")))]
        roles = sorted(info.parameters, key=lambda role: len(info.parameters[role]) < 2)  # vectors at the right
        for role in roles:
            tiles += self._tile(f"{i}.{role}", Row.PARAMETERS, i + 1, f"{role} of {name}")
            about = _lines(f"∂loss/∂{role} of {name}", formulas.get(f"grad_{role}", ""))
            tiles += self._tile(f"{i}.grad_{role}", Row.PARAMETER_GRADIENTS, i + 1, about)
        tiles += self._tile(f"{i}.grad_y", Row.GRADIENTS, i + 1, grad_y)
        sizes = info.caption.removeprefix(info.title).strip() or times(info.out_shape)
        about = f"{name}: {info.parameter_count:,} parameters" if info.parameter_count else f"{name}: no parameters"
        return Column(info.title, f"{i} · {sizes}", str(i), about, f"delta.{i}", tuple(tiles))

    def _loss(self, column: int) -> Column:
        network = self.network
        about = "what the network says of each sample, as the loss takes it"
        tiles = tuple(self._tile("loss.p", Row.ACTIVATIONS, column, about))
        words = _lines(
            f"loss: {network.loss_title}, {network.loss_convention}", network.loss_formulas.get("forward", "")
        )
        return Column("loss", "", "", words, "", tiles)

    @property
    def loss_made_by(self) -> int:
        """The phase that computes the loss."""
        return next(i for i, phase in enumerate(self.network.phases) if phase.kind == "loss")

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
            return next(iter(self.tiles))
        line, rows = self.rows[tile.row], list(self.rows)
        if across:
            place = line.index(tile) + across
            return line[min(max(place, 0), len(line) - 1)].address
        place = rows.index(tile.row) + down
        line = self.rows[rows[min(max(place, 0), len(rows) - 1)]]
        role = tile.role.removeprefix("grad_")
        return min(line, key=lambda t: (abs(t.column - tile.column), t.role.removeprefix("grad_") != role)).address


def _lines(*texts: str) -> str:
    return "\n".join(text for text in texts if text)


@dataclass(frozen=True)
class Lit:
    """What the phase just computed lights up, like a debugger's current line."""

    column: int | None = None
    row: Row | None = None
    direction: Direction = "forward"
    fresh: tuple[str, ...] = ()  # the tiles just written
    earlier: tuple[str, ...] = ()  # those written by earlier parts of the same operation

    @classmethod
    def of(cls, model: FlowModel, frame: Frame | None) -> Lit:
        """What a frame's phase lights up."""
        if frame is None or frame.phase is None:
            return cls()
        phase, now = frame.phase, frame.position.phase
        if phase.kind == "update":
            updated = tuple(t.address for t in model.rows.get(Row.PARAMETERS, ()))
            return cls(None, Row.PARAMETERS, "backward", updated)
        fresh = tuple(t.address for t in model.tiles.values() if t.made_by == now)
        phases = model.network.phases
        parts = {i for i in range(now) if phase.same_operation(phases[i])}
        earlier = tuple(t.address for t in model.tiles.values() if t.made_by in parts)
        return cls(_column(phase, len(model.columns)), None, _direction(phase), fresh, earlier)


def _column(phase: Phase, columns: int) -> int:
    if phase.layer is not None:
        return phase.layer + 1
    return 0 if phase.kind == "batch" else columns - 1


def _direction(phase: Phase) -> Direction:
    return "backward" if phase.kind == "backward" else "forward"
