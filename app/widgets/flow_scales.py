"""What the Flow view's colours are measured by: each tensor's own ruler, one for a row, held, or typed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from PySide6.QtWidgets import QInputDialog, QMenu, QWidget

from app.widgets.flow_model import Row, Tile
from app.widgets.flow_rulers import SteadyLimit, decade_limit, log_ruler, tensor_limit
from app.widgets.picture import Ruler


@dataclass(frozen=True)
class Scales:
    """What the user chose."""

    gradients_together: bool = True  # one log ruler for all gradients
    rows_together: bool = False  # one linear ruler for all activations, one for all parameters
    held: bool = False  # no ruler moves
    gradients_full: float | None = None  # where gradients have full colour; None: as it comes
    values_full: float | None = None  # the same for activations and parameters
    alone: frozenset[str] = frozenset()  # tensors that have rulers of their own whatever the others have

    @property
    def any_fixed(self) -> bool:
        """Whether there is a ruler that does not follow what it shows."""
        return self.held or self.gradients_full is not None or self.values_full is not None

    def fixed(self, tile: Tile) -> bool:
        """Whether the tile's ruler does not follow what it shows."""
        typed = self.gradients_full if tile.gradient else self.values_full
        return self.held or (typed is not None and tile.address not in self.alone)


class Rulers:
    """The rulers of all tiles; they follow the sizes of each frame, as `scales` has it."""

    def __init__(self) -> None:
        self.scales = Scales()
        self.forget()

    def forget(self) -> None:
        """Another run begins."""
        self._limits: dict[str, SteadyLimit] = {}

    def measure_again(self) -> None:
        """Those that share a ruler are others now: unless it is held, it takes the size of those that are left."""
        if not self.scales.held:
            for key in [key for key in self._limits if not key or key.startswith("row ")]:
                del self._limits[key]

    def gradients(self, largest: float) -> Ruler:
        """The one ruler of all gradients, `largest` the size of the largest entry."""
        return log_ruler(self.scales.gradients_full or self._follow("", decade_limit, largest))

    def alone(self, tile: Tile, size: float) -> Ruler:
        """The ruler of a tensor that has its own whatever the others have."""
        make, key = decade_limit if tile.gradient else tensor_limit, tile.address
        limit = self._follow(key, make, size)
        return log_ruler(limit) if tile.gradient else Ruler("linear", limit)

    def of_gradient(self, tile: Tile, size: float) -> Ruler:
        """A gradient's own ruler."""
        return log_ruler(self.scales.gradients_full or self._follow(tile.address, decade_limit, size))

    def of_value(self, tile: Tile, size: float) -> Ruler:
        """The ruler of an activation or a parameter, which may be its row's."""
        if self.scales.rows_together and self.scales.values_full is None:
            return Ruler("linear", self._limits[f"row {tile.row}"].limit or 1.0)
        return Ruler("linear", self.scales.values_full or self._follow(tile.address, tensor_limit, size))

    def follow_row(self, row: Row, size: float) -> None:
        """The size of the largest of a row, in this frame."""
        self._follow(f"row {row}", tensor_limit, size)

    def told(self, row: Row) -> str:
        """What is to be said of a row of activations or parameters whose tiles share a ruler; else ""."""
        if row not in (Row.ACTIVATIONS, Row.PARAMETERS):
            return ""
        limit = self.scales.values_full
        if limit is None and self.scales.rows_together and f"row {row}" in self._limits:
            limit = self._limits[f"row {row}"].limit
        return "" if not limit else f"full at ±{limit:g}"

    def _follow(self, key: str, make: Callable[[], SteadyLimit], size: float) -> float:
        limit = self._limits.setdefault(key, make())
        return limit.limit if self.scales.held and limit.limit else limit.follow(size)


def scales_menu(parent: QWidget, scales: Scales, changed: Callable[[Scales], None]) -> QMenu:
    """A menu of what can be chosen; `changed` is told."""
    menu = QMenu(parent)
    menu.setToolTipsVisible(True)
    switches: Iterable[tuple[str, str, str]] = (
        ("gradients_together", "One ruler for all gradients", "so that one that dies fades; else each has its own"),
        ("rows_together", "One ruler for each row of values", "activations are compared, and parameters are"),
        ("held", "Hold the rulers as they are", "so that what grows is seen to grow"),
    )
    for field, text, tip in switches:
        action = menu.addAction(text)
        action.setCheckable(True)
        action.setChecked(bool(getattr(scales, field)))
        action.setToolTip(tip)
        action.toggled.connect(lambda on, field=field: changed(replace(scales, **{field: on})))
    menu.addSeparator()
    for field, what in (("gradients_full", "gradients"), ("values_full", "activations and parameters")):
        set_at = getattr(scales, field)
        action = menu.addAction(f"Full colour of {what}: {'by itself' if set_at is None else f'±{set_at:g}'} …")
        action.triggered.connect(lambda _, field=field, what=what: _ask(parent, scales, field, what, changed))
    return menu


def _ask(parent: QWidget, scales: Scales, field: str, what: str, changed: Callable[[Scales], None]) -> None:
    """Let a number be typed; nothing, or "auto": as it comes."""
    told = getattr(scales, field)
    text, given = QInputDialog.getText(
        parent,
        "Ruler",
        f"Size at which {what} have full colour (empty: by itself)",
        text="" if told is None else f"{told:g}",
    )
    if given:
        changed(replace(scales, **{field: parsed(text)}))  # type: ignore[arg-type]


def parsed(text: str) -> float | None:
    """A positive number; None for anything else."""
    try:
        value = abs(float(text.strip().removeprefix("±")))
    except ValueError:
        return None
    return value if 0 < value < math.inf else None
