"""The images of the Flow view's tiles, each on its ruler; made when a tile is painted, if a frame changed it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QImage

from app import theme as themes
from app.widgets.flow_clipping import Beyond, beyond
from app.widgets.flow_model import FlowModel, Row, Tile
from app.widgets.flow_rulers import (
    NORM_DECADES,
    decade_limit,
    extreme,
    log_ruler,
    typical_extreme,
)
from app.widgets.flow_scales import Rulers, Scales
from app.widgets.picture import Ruler, Values, shrink
from app.widgets.sheets import Order, Pictures, Plain, Sheet
from engine.frames import Frame, Picture

CARRIED_BACK = "delta.", "passed."  # scalars of gradients passed on
ACTIVITY_DECADES = 3  # from the widest arrow to the narrowest


@dataclass
class _Shown:
    """One tile as it was last drawn."""

    values: Values
    ruler: Ruler
    image: QImage
    drawn: QImage | None = None  # with no more pixels than the tile, and direct colours: they scale ten times quicker


class FlowImages:
    """The tiles' images and the rulers they are drawn on."""

    def __init__(self, model: FlowModel) -> None:
        self._model = model
        self._shown: dict[str, _Shown] = {}
        self._sizes: dict[str, tuple[int, int]] = {}  # pixels of tiles, across and down
        self._pictures: dict[str, Picture] = {}
        self.rulers = Rulers()
        self._first: set[str] = set()  # images that waited in the last painting
        self._late: set[str] = set()  # and those that wait in this one
        self._until = math.inf
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

    def show(self, frame: Frame) -> None:
        """Take a frame's tensors; what it has not computed in this mini-batch has no image."""
        tiles = self._model.tiles
        self._pictures = {a: p for a, p in frame.tensors.items() if p.computed and a in tiles and p.values.size}
        self.shapes = {a: p.shape for a, p in self._pictures.items()}
        now = frame.position.phase
        self.awaited = {a for a, t in tiles.items() if a not in frame.tensors and t.made_by <= now and t.column}
        if self.rulers.scales.rows_together:
            self._follow_rows()
        labels = frame.tensors.get("data.labels") if self.by_class else None
        known = labels is not None and labels.computed and labels.whole
        self._order = np.argsort(labels.values[:, 0], kind="stable") if labels is not None and known else None
        with np.errstate(all="ignore"):
            shared = (a for a in self._pictures if tiles[a].gradient and a not in self.rulers.scales.alone)
            sizes = [extreme(self._pictures[a].values) for a in shared]
        self.gradient_ruler = self.rulers.gradients(max(sizes, default=0.0))
        norms = [v for name, v in frame.scalars.items() if name.startswith(CARRIED_BACK) and math.isfinite(v)]
        self.norm_ruler = log_ruler(self._norms.follow(max(norms, default=0.0)), NORM_DECADES)
        self._activity = {name: v for name, v in frame.scalars.items() if name.startswith("rms.")}
        self._strongest = max((v for v in self._activity.values() if v < math.inf), default=0.0)
        self.beyond = dict(self._beyond())

    def _beyond(self) -> Iterator[tuple[str, Beyond]]:
        """What is beyond rulers that do not follow, by address."""
        for address, picture in self._pictures.items():
            tile = self._model.tiles[address]
            if self.rulers.scales.fixed(tile):
                found = beyond(picture.values, self._ruler(tile, picture.values).limit, picture.whole)
                if found is not None:
                    yield address, found

    def _follow_rows(self) -> None:
        """One ruler for all activations, one for all parameters."""
        for row in (Row.ACTIVATIONS, Row.PARAMETERS):
            alone, tiles = self.rulers.scales.alone, self._model.tiles
            shown = [p.values for a, p in self._pictures.items() if tiles[a].row is row and a not in alone]
            with np.errstate(all="ignore"):
                self.rulers.follow_row(row, max(map(typical_extreme, shown), default=0.0))

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
            size = self._sizes.get(address)
            return tile.pictures if size is None else tile.pictures.fitted(*size)
        samples = tile.row in (Row.ACTIVATIONS, Row.GRADIENTS)
        order = self._order if samples and self._order is not None and len(self._order) == picture.shape[0] else None
        return Plain(picture.shape, order)

    def _arranged(self, tile: Tile, values: Values) -> Values:
        sheet = self.sheet(tile.address)
        if isinstance(sheet, Pictures):
            with np.errstate(all="ignore"):
                return sheet.seen_from_afar(values, *self._sizes.get(tile.address, sheet.size[::-1]))
        return values if sheet is None else sheet.arrange(values)

    def _map(self, tile: Tile, values: Values) -> _Shown:
        """The values' image; the one already shown if they and their ruler are the same."""
        old = self._shown.get(tile.address)
        if old is not None and old.values is not values and _equal(old.values, values):
            old.values = values
        same = old is not None and old.values is values
        own = not tile.gradient and not self.rulers.scales.rows_together
        ruler = old.ruler if same and own and old is not None else self._ruler(tile, values)
        if old is None or not same or old.ruler != ruler:
            drawn = ruler.image(self._arranged(tile, values), themes.current())
            old = self._shown[tile.address] = _Shown(values, ruler, drawn)
        return old

    def _ruler(self, tile: Tile, values: Values) -> Ruler:
        with np.errstate(all="ignore"):
            if tile.address in self.rulers.scales.alone:
                return self.rulers.alone(tile, extreme(values) if tile.gradient else typical_extreme(values))
            if not tile.gradient:
                return self.rulers.of_value(tile, typical_extreme(values))
            together = self.rulers.scales.gradients_together
            return self.gradient_ruler if together else self.rulers.of_gradient(tile, extreme(values))

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
        for shown in self._shown.values():
            shown.image.setColorTable(themes.signed_table(themes.current()))
            shown.drawn = None

    def picture(self, address: str) -> Picture | None:
        """The tensor behind a tile, None where it is not computed."""
        return self._pictures.get(address)

    def ruler(self, address: str) -> Ruler | None:
        """The ruler a tile is drawn on, None where it is not computed."""
        picture = self._pictures.get(address)
        return None if picture is None else self._map(self._model.tiles[address], picture.values).ruler

    def begin(self, seconds: float) -> None:
        """Begin a painting that has so many seconds for images: then those of before stay, to come first next time."""
        self._until = time.perf_counter() + seconds
        self._first, self._late = (self._late if seconds < math.inf else set()), set()

    def image(self, address: str, width: int, height: int) -> QImage | None:
        """A tile's image with no more pixels than the screen has there; None where it is not computed."""
        picture = self._pictures.get(address)
        if picture is None:
            return None
        if self._sizes.get(address) != (width, height):
            self._sizes[address] = width, height
            self._shown.pop(address, None)
        old = self._shown.get(address)
        if old is not None and old.drawn is not None and self._must_wait(address):
            return old.drawn
        shown = self._map(self._model.tiles[address], picture.values)
        wanted = QSize(min(width, shown.image.width()), min(height, shown.image.height()))
        if shown.drawn is None or shown.drawn.size() != wanted:
            if self._model.tiles[address].pictures is not None:
                shown.drawn = _smaller(shown.image, wanted)
            else:
                small = shown.image if shown.image.size() == wanted else shrink(shown.image, width, height)
                shown.drawn = small.convertToFormat(QImage.Format.Format_RGB32)
        return shown.drawn

    def _must_wait(self, address: str) -> bool:
        """Whether there is no time left for this image, or others have waited longer."""
        if self._first and address not in self._first:
            return True
        if time.perf_counter() < self._until:
            return False
        self._late.add(address)
        return True


def _smaller(image: QImage, size: QSize) -> QImage:
    """Pictures as one sees them from afar: strokes stay where extremes would be noise."""
    direct = image.convertToFormat(QImage.Format.Format_RGB32)
    if direct.size() == size:
        return direct
    return direct.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation)


def _equal(one: Values, other: Values) -> bool:
    """The last entry tells most that are not."""
    return one.shape == other.shape and bool(one[-1, -1] == other[-1, -1]) and np.array_equal(one, other)
