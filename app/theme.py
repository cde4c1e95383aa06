"""The look: two palettes, the colour tables of heatmaps, and how both reach Qt and pyqtgraph.

Widgets ask `current()` when they paint and react to a change in `changeEvent(QEvent.Type.PaletteChange)`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PySide6.QtCore import QCoreApplication, QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette, QPen
from PySide6.QtWidgets import QApplication, QWidget

from app import colour_pairs
from app.colour_pairs import ColourPair
from app.stylesheet import stylesheet

if TYPE_CHECKING:
    import pyqtgraph as pg

Mode = Literal["system", "dark", "light"]
Role = Literal[
    "card",
    "strip",
    "chip",
    "title",
    "dock-title",
    "muted",
    "error",
    "bug",
    "quiet-badge",
    "alert",
    "good",
    "primary",
    "quiet",
    "switch",
]

POINT_SIZE = 10.0
SMALLEST, LARGEST = 6.0, 32.0  # points
_PROPERTY = "nablascope_theme"
_STROKE = "nablascope_stroke"


@dataclass(frozen=True)
class Theme:
    """Colours as "#rrggbb". The `*_text` colours are the hues dark (or light) enough to be read as small text."""

    name: str
    window: str
    panel: str
    line: str
    text: str
    muted: str
    forward: str
    backward: str
    good: str
    bad: str
    lit: str
    field: str  # inputs, buttons and the cards of the layer list
    hatch: str  # the strokes of "not computed yet"
    disabled: str
    on_accent: str  # text and icons on a forward-coloured button
    forward_text: str
    backward_text: str
    good_text: str
    bad_text: str
    alarm: str  # NaN and infinity, never used for anything else
    series: tuple[str, ...]  # curves, in order
    colours: ColourPair = colour_pairs.FIRST

    def color(self, field: str) -> QColor:
        """The colour of a field as Qt's: `theme.color("muted")`."""
        return QColor(str(getattr(self, field)))

    def worded(self, text: str) -> str:
        """A text with the names of the two hues in place of "{forward}" and "{backward}"."""
        forward, backward = colour_pairs.NAMES[self.colours]
        return text.replace("{forward}", forward).replace("{backward}", backward)


DARK = Theme(
    name="dark",
    window="#14171c",
    panel="#1b1f26",
    line="#2b323d",
    text="#e6e9ef",
    muted="#8b94a3",
    forward="#4aa8ff",
    backward="#ff9f43",
    good="#3fb68b",
    bad="#ef5b5b",
    lit="#232a35",
    field="#14171c",
    hatch="#2b323d",
    disabled="#5a6270",
    on_accent="#0d1117",
    forward_text="#4aa8ff",
    backward_text="#ff9f43",
    good_text="#3fb68b",
    bad_text="#f26d6d",
    alarm="#ff00ff",
    series=("#4aa8ff", "#ff9f43", "#3fb68b", "#c792ea", "#f2d24b", "#ef5b5b", "#5ad1d8", "#b7c0ce"),
)

LIGHT = Theme(
    name="light",
    window="#eef0f3",
    panel="#ffffff",
    line="#d5dae1",
    text="#1c222b",
    muted="#626c7c",  # the drawing's #687283 has 4.25:1 on a card and 4.43:1 on the lit column
    forward="#1f77d0",
    backward="#d9730d",
    good="#1e8e63",
    bad="#c73535",
    lit="#eef5ff",
    field="#eef0f3",
    hatch="#d5dae1",
    disabled="#a3abb8",
    on_accent="#ffffff",
    forward_text="#1767b8",
    backward_text="#a3540a",
    good_text="#17734f",
    bad_text="#b92b2b",
    alarm="#ff00ff",
    series=("#1f77d0", "#d9730d", "#1e8e63", "#8445bc", "#9a7b00", "#c73535", "#128a93", "#4d5868"),
)

THEMES: dict[tuple[str, str], Theme] = {
    (first.name, colours): replace(first, colours=colours, **changes[first.name])
    for colours, changes in colour_pairs.CHANGES.items()
    for first in (DARK, LIGHT)
}
DARK, LIGHT = (THEMES[name, colour_pairs.FIRST] for name in ("dark", "light"))


def current() -> Theme:
    """The theme last applied to the running application; dark before that."""
    app = QCoreApplication.instance()
    name, _, colours = str(app.property(_PROPERTY)).partition("/") if app else ("", "", "")
    return THEMES.get((name, colours), DARK)


def stroke() -> float:
    """How many times wider than usual lines are drawn: for a class, twice."""
    app = QCoreApplication.instance()
    return float(app.property(_STROKE) or 1.0) if app else 1.0


def set_stroke(times: float) -> None:
    """Draw lines so many times as wide; with the next change of font or palette it is seen."""
    app = QCoreApplication.instance()
    assert app is not None
    app.setProperty(_STROKE, times)


def apply(app: QApplication, theme: Theme, point_size: float = POINT_SIZE, *, native: bool = True) -> None:
    """Give the whole application a theme and a base font size in points (zoom = another size).

    `native` also asks the system for matching window frames; it is off while the system itself is followed.
    """
    first = app.property(_PROPERTY) is None
    app.setProperty(
        _PROPERTY, f"{theme.name}/{theme.colours}"
    )  # first: widgets ask current() while the palette event reaches them
    if first:  # under a style sheet the style does not tell its name, and setting it again takes a third of a second
        app.setStyle("Fusion")
    if native:
        scheme = Qt.ColorScheme.Dark if theme.name == "dark" else Qt.ColorScheme.Light
        app.styleHints().setColorScheme(scheme)
    font = app.font()
    font.setPointSizeF(point_size)
    app.setFont(font)
    app.setPalette(palette(theme))
    app.setStyleSheet(stylesheet(theme, point_size))


class Appearance(QObject):
    """What the user chose: dark, light, or as the system; the zoom; the hues. Keep one, owned by the application."""

    changed = Signal()

    def __init__(
        self,
        app: QApplication,
        mode: Mode = "system",
        point_size: float = POINT_SIZE,
        colours: ColourPair = colour_pairs.FIRST,
    ) -> None:
        super().__init__(app)
        self._app = app
        self._mode: Mode = mode
        self._point_size = point_size
        self._colours: ColourPair = colours
        app.styleHints().colorSchemeChanged.connect(self._follow)
        self._apply()

    @property
    def mode(self) -> Mode:
        """The choice, not the theme it led to (`current()` is that)."""
        return self._mode

    @property
    def point_size(self) -> float:
        """The base font size in points."""
        return self._point_size

    @property
    def colours(self) -> ColourPair:
        """The hues of what is signed."""
        return self._colours

    def set_mode(self, mode: Mode) -> None:
        """Choose dark, light or system."""
        self.use(mode, self._colours, self._point_size)

    def set_point_size(self, point_size: float) -> None:
        """Zoom: the base font size, kept between 6 and 32 points."""
        self.use(self._mode, self._colours, point_size)

    def set_colours(self, colours: ColourPair) -> None:
        """Choose the hues of what is signed, in every picture, curve and legend."""
        self.use(self._mode, colours, self._point_size)

    def use(self, mode: Mode, colours: ColourPair, point_size: float) -> None:
        """All three at once: a change dresses every widget anew, which is the longest wait in the window."""
        wanted = mode, colours, min(LARGEST, max(SMALLEST, point_size))
        if wanted != (self._mode, self._colours, self._point_size):
            self._mode, self._colours, self._point_size = wanted
            self._apply()

    def _apply(self) -> None:
        if self._mode == "system":
            self._app.styleHints().unsetColorScheme()
            dark = self._app.styleHints().colorScheme() != Qt.ColorScheme.Light
            apply(self._app, self._theme("dark" if dark else "light"), self._point_size, native=False)
        else:
            apply(self._app, self._theme(self._mode), self._point_size)
        self.changed.emit()

    def _theme(self, name: str) -> Theme:
        return THEMES[name, self._colours]

    def _follow(self, scheme: Qt.ColorScheme) -> None:
        theme = self._theme("light" if scheme == Qt.ColorScheme.Light else "dark")
        if self._mode == "system" and theme is not current():
            apply(self._app, theme, self._point_size, native=False)
            self.changed.emit()


def palette(theme: Theme) -> QPalette:
    """Qt's palette, the Disabled group included."""
    group, role = QPalette.ColorGroup, QPalette.ColorRole
    colours = {
        role.Window: theme.window,
        role.WindowText: theme.text,
        role.Base: theme.field,
        role.AlternateBase: theme.lit,
        role.Text: theme.text,
        role.PlaceholderText: theme.muted,
        role.Button: theme.panel,
        role.ButtonText: theme.text,
        role.BrightText: theme.bad,
        role.ToolTipBase: theme.panel,
        role.ToolTipText: theme.text,
        role.Highlight: theme.forward,
        role.HighlightedText: theme.on_accent,
        role.Accent: theme.forward,
        role.Link: theme.forward_text,
        role.LinkVisited: theme.forward_text,
        role.Light: theme.line,
        role.Midlight: theme.line,
        role.Mid: theme.line,
        role.Dark: theme.line,
        role.Shadow: theme.window,
    }
    result = QPalette()
    for key, colour in colours.items():
        result.setColor(key, QColor(colour))
    for key in (role.WindowText, role.Text, role.ButtonText, role.PlaceholderText, role.ToolTipText):
        result.setColor(group.Disabled, key, theme.color("disabled"))
    result.setColor(group.Disabled, role.Highlight, theme.color("line"))
    result.setColor(group.Disabled, role.HighlightedText, theme.color("muted"))
    return result


def mark(widget: QWidget, role: Role) -> None:
    """Give a widget one of the stylesheet's roles: a QFrame is a card, a QLabel a title, a button primary."""
    widget.setProperty("role", role)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def tabular(font: QFont) -> QFont:
    """The same font with figures of one width, so that nothing jumps when digits change."""
    result = QFont(font)
    result.setFeature(QFont.Tag.fromString("tnum"), 1)
    return result


def mono_font(scale: float = 1.0) -> QFont:
    """The system's fixed-width font at the application's size times `scale`."""
    result = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    result.setStyleHint(QFont.StyleHint.Monospace)
    result.setFixedPitch(True)
    result.setPointSizeF(QApplication.font().pointSizeF() * scale)
    return result


def restyle(plot: pg.PlotWidget, theme: Theme) -> None:
    """Bring a pyqtgraph plot into the theme: background, axes, grid, title, legend. Curves keep their own pens."""
    plot.setBackground(theme.color("panel"))
    font = tabular(QApplication.font())
    font.setPointSizeF(font.pointSizeF() * 0.9)
    item = plot.getPlotItem()
    for side in ("left", "bottom", "right", "top"):
        axis = item.getAxis(side)
        axis.setPen(QPen(theme.color("line"), 1))
        axis.setTextPen(QPen(theme.color("muted")))
        axis.setTickFont(font)
        axis.label.setFont(font)
    item.titleLabel.setAttr("color", theme.muted)
    item.titleLabel.setAttr("size", f"{font.pointSizeF():.1f}pt")
    item.titleLabel.setText(item.titleLabel.text)
    if item.legend is not None:
        _restyle_legend(item.legend, theme, font.pointSizeF())


def _restyle_legend(legend: Any, theme: Theme, point_size: float) -> None:
    behind = theme.color("panel")
    behind.setAlpha(225)  # labels stay legible where a curve runs behind them
    legend.setBrush(behind)
    legend.setLabelTextColor(theme.muted)
    legend.setLabelTextSize(f"{point_size:.1f}pt")
    for _, label in legend.items:
        label.setText(label.text)  # pyqtgraph notes a new colour and size, but writes them only with a new text
    legend.updateSize()


def signed_table(theme: Theme) -> list[int]:
    """256 ARGB colours: 1 … 127 negative (orange, as a rule), 128 zero (the panel's own colour), 129 … 255 positive.

    Index 0 is what is no number: NaN and infinity, in a colour that nothing else has.
    """
    return list(_table(theme, theme.backward, theme.forward))


def magnitude_table(theme: Theme) -> list[int]:
    """Like `signed_table`, but both halves go from the panel's colour to the negative hue: what counts is the size."""
    return list(_table(theme, theme.backward, theme.backward))


@lru_cache(maxsize=8)
def _table(theme: Theme, negative: str, positive: str) -> tuple[int, ...]:
    paper, low, high, alarm = (np.array(_rgb(c), dtype=float) for c in (theme.panel, negative, positive, theme.alarm))
    strength = (np.arange(256) - 128)[:, None] / 127.0
    colours = paper + np.abs(strength) * (np.where(strength < 0, low, high) - paper)
    colours[0] = alarm
    red, green, blue = np.rint(colours).astype(np.int64).T
    return tuple((0xFF000000 | red << 16 | green << 8 | blue).tolist())


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours after WCAG 2.1: 1 … 21; small text wants 4.5."""

    def luminance(colour: str) -> float:
        parts = [part / 255 for part in _rgb(colour)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def text_fields() -> tuple[str, ...]:
    """The fields of a Theme that may colour small text."""
    return tuple(f.name for f in fields(Theme) if f.name in ("text", "muted") or f.name.endswith("_text"))
