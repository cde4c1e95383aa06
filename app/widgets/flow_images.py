"""The images of the Flow view's tiles, each on its ruler; made before a painting, if a frame changed them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

from app import theme as themes
from app.widgets.flow_clipping import Beyond, beyond
from app.widgets.flow_model import FlowModel, Row, Tile
from app.widgets.flow_rulers import (
    NORM_DECADES,
    Size,
    decade_limit,
    log_ruler,
    sizes_of,
)
from app.widgets.flow_scales import Rulers, Scales
from app.widgets.picture import Ruler, Values
from app.widgets.sheets import Order, Pictures, Plain, Sheet
from app.widgets.tile_colours import image_of, keys_of, strongest
from engine.frames import Frame, Picture

CARRIED_BACK = "delta.", "passed."  # scalars of gradients passed on
ACTIVITY_DECADES = 3  # from the widest arrow to the narrowest


@dataclass
class _Shown:
    """One tile as it was last drawn."""

    values: Values
    ruler: Ruler
    pixels: tuple[int, int]  # of the tile, across and down
    image: QImage  # with no more pixels than the tile


class FlowImages:
    """The tiles' images and the rulers they are drawn on."""

    def __init__(self, model: FlowModel) -> None:
        self._model = model
        self._shown: dict[str, _Shown] = {}
        self._pictures: dict[str, Picture] = {}
        self._sizes: dict[str, Size] = {}  # of the pictures' values
        self._measured: dict[str, Picture] = {}  # the pictures that those are of
        self._pixels: dict[str, tuple[int, int]] = {}  # of the tiles, across and down
        self.rulers = Rulers()
        self.shapes: dict[str, tuple[int, ...]] = {}  # of the tensors that are computed
        self.awaited: set[str] = set()  # tensors that stand, but were not asked for yet
        self.by_class = False  # whether the samples stand sorted by class
        self._order: Order | None = None
        self._activity: dict[str, float] = {}  # root mean squares of what is passed on, by the scalar's name
        self._strongest = 0.0
        self.beyond: dict[str, Beyond] = {}  # by address: what is beyond a ruler that does not follow
        self.reset()

    def reset(self) -> None:
        """Forget the sizes seen: another run begins."""
        self.rulers.forget()
        self._norms = decade_limit()
        self.gradient_ruler = log_ruler(1.0)
        self.norm_ruler = log_ruler(1.0, NORM_DECADES)

    def show(self, frame: Frame, now: Collection[str] | None = None) -> None:
        """Take a frame's tensors; what it has not computed in this mini-batch has no image.

        `now`: the tiles that are painted next; of others the size that was measured last may serve.
        """
        tiles = self._model.tiles
        self._pictures = {a: p for a, p in frame.tensors.items() if p.computed and a in tiles and p.values.size}
        self.shapes = {a: p.shape for a, p in self._pictures.items()}
        self._measure(now)
        phase = frame.position.phase
        self.awaited = {a for a, t in tiles.items() if a not in frame.tensors and t.made_by <= phase and t.column}
        if self.rulers.scales.rows_together:
            self._follow_rows()
        labels = frame.tensors.get("data.labels") if self.by_class else None
        told = labels is not None and labels.computed and labels.whole
        self._order = np.argsort(labels.values[:, 0], kind="stable") if labels is not None and told else None
        alone = self.rulers.scales.alone
        together, sizes = self._model.gradients - alone, self._sizes
        gradients = (sizes[a].largest for a in together if a in sizes)
        self.gradient_ruler = self.rulers.gradients(max(gradients, default=0.0))
        norms = [v for name, v in frame.scalars.items() if name.startswith(CARRIED_BACK) and math.isfinite(v)]
        self.norm_ruler = log_ruler(self._norms.follow(max(norms, default=0.0)), NORM_DECADES)
        self._activity = {name: v for name, v in frame.scalars.items() if name.startswith("rms.")}
        self._strongest = max((v for v in self._activity.values() if v < math.inf), default=0.0)
        self.beyond = dict(self._beyond())

    def _measure(self, now: Collection[str] | None) -> None:
        """How large the values are, of what is not measured yet."""
        pictures, sizes = self._pictures, {a: s for a, s in self._sizes.items() if a in self._pictures}
        new = {a: p for a, p in pictures.items() if self._measured.get(a) is not p}
        if now is not None:
            new = {a: p for a, p in new.items() if a in now or a not in sizes}
        self._sizes = sizes | sizes_of({a: p.values for a, p in new.items()})
        self._measured = {a: p for a, p in self._measured.items() if a in pictures} | new

    def _beyond(self) -> Iterator[tuple[str, Beyond]]:
        """What is beyond rulers that do not follow, by address."""
        for address, picture in self._pictures.items() if self.rulers.scales.any_fixed else ():
            tile = self._model.tiles[address]
            if self.rulers.scales.fixed(tile):
                found = beyond(picture.values, self._ruler(tile).limit, picture.whole)
                if found is not None:
                    yield address, found

    def _follow_rows(self) -> None:
        """One ruler for all activations, one for all parameters."""
        alone = self.rulers.scales.alone
        for row in (Row.ACTIVATIONS, Row.PARAMETERS):
            shown = (size for a, size in self._sizes.items() if self._model.tiles[a].row is row and a not in alone)
            self.rulers.follow_row(row, max((size.typical_extreme for size in shown), default=0.0))

    def activity(self, name: str) -> float:
        """How strong what is passed on is, 0 … 1, by its scalar: log, the strongest of all being 1."""
        size = self._activity.get(name, 0.0)
        if not 0 < size < math.inf:
            return float(size != 0)
        return max(1 + math.log10(size / self._strongest) / ACTIVITY_DECADES, 0.0)

    def adopt(self, model: FlowModel) -> None:
        """Go on with the same network's tiles laid out otherwise."""
        self._model = model

    def sheet(self, address: str) -> Sheet | None:
        """How a tile's entries lie on it; None where it is not computed, or too large to show each."""
        picture, tile = self._pictures.get(address), self._model.tiles[address]
        if picture is None or not picture.whole:
            return None
        if tile.pictures is not None and picture.shape == tile.shape:
            pixels = self._pixels.get(address)
            return tile.pictures if pixels is None else tile.pictures.fitted(*pixels)
        samples = tile.row in (Row.ACTIVATIONS, Row.GRADIENTS)
        order = self._order if samples and self._order is not None and len(self._order) == picture.shape[0] else None
        return Plain(picture.shape, order)

    def draw(self, pixels: Mapping[str, tuple[int, int]]) -> None:
        """Make the images of these tiles, of so many pixels across and down, if anything about them changed."""
        self._pixels.update(pixels)
        groups: dict[object, list[tuple[Tile, Values]]] = {}
        for address, size in pixels.items():
            picture, tile = self._pictures.get(address), self._model.tiles[address]
            if picture is not None and not self._is_as_before(tile, picture.values, size):
                arranged = self._arranged(tile, picture.values, size)
                groups.setdefault((arranged.shape, size, tile.pictures is None), []).append((tile, arranged))
        table = themes.signed_table(themes.current())
        for group in groups.values():
            self._draw_alike(group, pixels[group[0][0].address], table)

    def _draw_alike(self, group: list[tuple[Tile, Values]], pixels: tuple[int, int], table: list[int]) -> None:
        """Tiles of one size whose values are of one shape, together: many small arrays cost more than a large one."""
        together = keys_of(np.stack([values for _, values in group]) if len(group) > 1 else group[0][1][None])
        if group[0][0].pictures is None:
            together = strongest(together, pixels[1], pixels[0])
        for (tile, _), keys in zip(group, together, strict=True):
            ruler = self._ruler(tile)
            image = _smaller(image_of(keys, ruler, table), pixels)
            self._shown[tile.address] = _Shown(self._pictures[tile.address].values, ruler, pixels, image)

    def _is_as_before(self, tile: Tile, values: Values, pixels: tuple[int, int]) -> bool:
        """Whether the image that is there shows these values still."""
        old = self._shown.get(tile.address)
        if old is None or old.pixels != pixels:
            return False
        if old.values is not values:
            if not _equal(old.values, values):
                return False
            old.values = values
        own = not tile.gradient and not self.rulers.scales.rows_together
        return own or old.ruler == self._ruler(tile)

    def _arranged(self, tile: Tile, values: Values, pixels: tuple[int, int]) -> Values:
        sheet = self.sheet(tile.address)
        if isinstance(sheet, Pictures):
            with np.errstate(all="ignore"):
                return sheet.seen_from_afar(values, *pixels)
        return values if sheet is None else sheet.arrange(values)

    def _ruler(self, tile: Tile) -> Ruler:
        size = self._sizes[tile.address]
        if tile.address in self.rulers.scales.alone:
            return self.rulers.alone(tile, size.largest if tile.gradient else size.typical_extreme)
        if not tile.gradient:
            return self.rulers.of_value(tile, size.typical_extreme)
        together = self.rulers.scales.gradients_together
        return self.gradient_ruler if together else self.rulers.of_gradient(tile, size.largest)

    def scale(self, scales: Scales) -> None:
        """Measure the colours otherwise from now on."""
        if scales.alone != self.rulers.scales.alone:
            self.rulers.measure_again()
        self.rulers.scales = scales
        self._shown.clear()

    def sort(self, by_class: bool) -> None:
        """Show the samples sorted by class from the next frame on, or as they were drawn."""
        self.by_class = by_class
        self._shown.clear()

    def recolour(self) -> None:
        """The same images in another theme's colours."""
        self._shown.clear()

    def picture(self, address: str) -> Picture | None:
        """The tensor behind a tile, None where it is not computed."""
        return self._pictures.get(address)

    def ruler(self, address: str) -> Ruler | None:
        """The ruler a tile is drawn on, None where it is not computed."""
        if address not in self._pictures:
            return None
        shown = self._shown.get(address)
        return shown.ruler if shown is not None else self._ruler(self._model.tiles[address])

    def image(self, address: str) -> QImage | None:
        """A tile's image as it was last drawn; None where it is not computed."""
        return self._shown[address].image if address in self._pictures else None


def _smaller(image: QImage, pixels: tuple[int, int]) -> QImage:
    """Pictures as one sees them from afar: strokes stay where extremes would be noise."""
    width, height = min(pixels[0], image.width()), min(pixels[1], image.height())
    if (width, height) == (image.width(), image.height()):
        return image
    return image.scaled(width, height, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation)


def _equal(one: Values, other: Values) -> bool:
    """The last entry tells most that are not."""
    return one.shape == other.shape and bool(one[-1, -1] == other[-1, -1]) and np.array_equal(one, other)
