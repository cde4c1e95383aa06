"""What a column of the Flow view is, and how those of the data, of each layer, of a block and of the loss are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from app.widgets.sheets import Pictures, pictures_of
from engine.layers import LayerSpec
from engine.layers.base import Shape
from engine.layers.residual import SKIP, Residual
from engine.protocol import Built

SUM = "⊕"


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
    """The data, a layer, a layer inside a block, the sum at a block's end, the loss, or a fold of several."""

    title: str
    caption: str  # the long form under the title
    short: str  # where there is no room for the long one
    about: str
    place: str  # "data", "3", "3.0" inside a block, "loss"
    tiles: tuple[Tile, ...]
    block: int = 0  # of a sum: how many columns its block has, this one counted
    level: int = 0  # of a sum: how many blocks are around its block
    height: int = 0  # of a sum: how many blocks stand inside each other in its block, this one counted
    hidden: tuple[Column, ...] = ()  # of a fold: what it stands for

    @property
    def norm(self) -> str:
        """The scalar of its ‖grad_y‖, of the data ‖grad_x‖; "" of the loss."""
        return f"delta.{self.place}" if self.place != "loss" else ""

    @property
    def rms(self) -> str:
        """The scalar of the root mean square of what it passes on; "" of the loss."""
        return f"rms.{self.place}" if self.place != "loss" else ""

    @property
    def made_by(self) -> int:
        """The phase that computes what it passes on."""
        return (self.hidden or (self,))[0].tiles[0].made_by

    def row(self, row: Row) -> tuple[Tile, ...]:
        """Its tiles in a row, from the left."""
        return tuple(t for t in self.tiles if t.row == row)


def times(shape: tuple[int, ...]) -> str:
    """A shape as people write it: 32×64."""
    return "×".join(map(str, shape))


def describe(tile: Tile) -> str:
    """Address, shape and what it is."""
    return f"{tile.address}  {times(tile.shape)}\n{tile.about}"


def data_column(network: Built) -> Column:
    """The mini-batch, and what the loss asks of it."""
    data, formula = network.data, network.layers[0].formulas.get("grad_x", "")
    tiles = (
        *_tile(network, "data.x", Row.ACTIVATIONS, "the mini-batch: one row a sample"),
        *_tile(network, "0.grad_x", Row.GRADIENTS, _lines("∂loss/∂x: what the loss asks of the data", formula)),
    )
    shape = times(data.image_shape or data.shape)
    return Column("data", shape, shape, f"data: {data.training:,} samples of {shape}", "data", tiles)


def loss_column(network: Built) -> Column:
    """What the network says, as the loss takes it."""
    tiles = tuple(
        _tile(network, "loss.p", Row.ACTIVATIONS, "what the network says of each sample, as the loss takes it")
    )
    words = _lines(f"loss: {network.loss_title}, {network.loss_convention}", network.loss_formulas.get("forward", ""))
    return Column("loss", "", "", words, "loss", tiles)


def layer_columns(network: Built, i: int) -> list[Column]:
    """One column; of a residual block one for each layer inside, and one for the sum."""
    info, spec = network.layers[i], network.recipe.layers[i]
    above = network.layers[i + 1].formulas if i + 1 < len(network.layers) else {}
    source = above.get("grad_x") or network.loss_formulas.get("backward", "")
    if isinstance(spec, Residual):
        return _block(network, i, "", spec, info.in_shape, source, 0)
    name = f"layer {i}, {info.caption}"
    tiles = _layer_tiles(network, f"{i}.", f"{i}.grad_", name, info.parameters, info.formulas, source)
    sizes = info.caption.removeprefix(info.title).strip() or times(info.out_shape)
    about = f"{name}: {_count(info.parameter_count)}"
    return [Column(info.title, f"{i} · {sizes}", str(i), about, str(i), tiles)]


def _block(network: Built, i: int, path: str, spec: Residual, shape: Shape, source: str, level: int) -> list[Column]:
    """The columns of a block: `path` is "" or, of one inside another, where it is in there, such as "1."."""
    place, columns, height = f"{i}.{path}".removesuffix("."), [], 1
    named = spec.named(shape)
    inner = [name for name in named if name != SKIP]
    for name in inner:
        layer, at = named[name]
        above = named[inner[int(name) + 1]][0].formulas.get("grad_x", "") if name != inner[-1] else f"{SUM} hands it on"
        if isinstance(layer, Residual):
            columns += _block(network, i, f"{path}{name}.", layer, at, above, level + 1)
            height = max(height, 1 + columns[-1].height)
        else:
            columns.append(_inside(network, i, f"{path}{name}", layer, at, above))
    out = spec.output_shape(shape)
    projection = named[SKIP][0].caption(shape) if SKIP in named else ""
    name = f"block {place}, {spec.caption(shape)}"
    skip = spec.named(shape)[SKIP][0].parameters(shape) if projection else {}
    parameters = {f"{SKIP}.{role}": p.shape for role, p in skip.items()}
    tiles = _layer_tiles(
        network, f"{place}.", f"{i}.grad_{path}", name, parameters, {"forward": "y = block(x) + skip(x)"}, source
    )
    about = _lines(
        f"{name}: what comes through the layers, and x itself past them, added",
        f"on the skip a projection, {projection}" if projection else "",
        "backward the sum hands grad_y to both ways, and grad_x is the sum of what they bring back",
    )
    count = len(columns) + 1
    return [*columns, Column(SUM, f"{place} · {times(out)}", place, about, place, tiles, count, level, height)]


def _inside(network: Built, i: int, path: str, spec: LayerSpec, shape: Shape, source: str) -> Column:
    """The column of a layer inside a block."""
    place, caption, title = f"{i}.{path}", spec.caption(shape), spec.label()
    name = f"layer {path} inside layer {i}, {caption}"
    parameters = {role: p.shape for role, p in spec.parameters(shape).items()}
    tiles = _layer_tiles(network, f"{place}.", f"{i}.grad_{path}.", name, parameters, dict(spec.formulas), source)
    sizes = caption.removeprefix(title).strip() or times(spec.output_shape(shape))
    count = sum(p.size for p in spec.parameters(shape).values())
    return Column(title, f"{place} · {sizes}", place, f"{name}: {_count(count)}", place, tiles)


def _layer_tiles(
    network: Built,
    before: str,  # a role, in an address
    before_gradient: str,  # the role of a parameter, in the address of its gradient
    name: str,
    parameters: dict[str, Shape],
    formulas: dict[str, str],
    source: str,
) -> tuple[Tile, ...]:
    """y, the parameters with their gradients, and grad_y."""
    tiles = [*_tile(network, f"{before}y", Row.ACTIVATIONS, _lines(f"y of {name}", formulas.get("forward", "")))]
    for role in sorted(parameters, key=lambda role: len(parameters[role]) < 2):  # vectors at the right
        tiles += _tile(network, f"{before}{role}", Row.PARAMETERS, f"{role} of {name}")
        about = _lines(f"∂loss/∂{role} of {name}", formulas.get(f"grad_{role}", ""))
        tiles += _tile(network, f"{before_gradient}{role}", Row.PARAMETER_GRADIENTS, about)
    about = _lines(f"∂loss/∂y of {name}", f"from the right: {source}" if source else "")
    return (*tiles, *_tile(network, f"{before}grad_y", Row.GRADIENTS, about))


def _tile(network: Built, address: str, row: Row, about: str) -> Iterator[Tile]:
    info = network.tensors.get(address)
    if info is not None:
        role = address.partition(".")[2]
        gradient = "grad_" if "grad_" in role else ""
        plain = gradient + role.rpartition(".")[2].removeprefix("grad_")  # as its layer calls it
        yield Tile(address, row, -1, plain, info.shape, info.made_by, about, pictures_of(network, address, info.shape))


def _count(parameters: int) -> str:
    return f"{parameters:,} parameters" if parameters else "no parameters"


def _lines(*texts: str) -> str:
    return "\n".join(text for text in texts if text)
