"""The key of a plot: a row for each curve, with its line, its name and its value at the step looked at."""

from __future__ import annotations

from typing import Literal, NamedTuple

from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QApplication, QSizePolicy, QWidget

from app import theme as themes
from app.theme import Theme

Weight = Literal["plain", "faint", "strong"]  # faint: the raw curve behind its own mean, which is strong
STROKES = {"plain": 2.0, "faint": 1.0, "strong": 3.0}  # pixels
SAMPLE = 18.0  # pixels of a curve's line
GAP = 6.0


class KeyRow(NamedTuple):
    """One curve: its name, its colour's place in the theme's series, how it is drawn."""

    name: str
    color: int
    markers: bool = False
    dashed: bool = False
    weight: Weight = "plain"


class Key(QWidget):
    """Rows in as many columns as its height asks for; a heading over them."""

    def __init__(
        self, longest: tuple[str, ...] = ("0.000000",), titles: tuple[str, ...] = (), parent: QWidget | None = None
    ) -> None:
        """Each row has as many values as there are texts in `longest`, each the longest there may be."""
        super().__init__(parent)
        self._rows: tuple[KeyRow, ...] = ()
        self._values: tuple[tuple[str, ...], ...] = ()
        self._heading = ""
        self._longest, self._titles = longest, titles or ("",) * len(longest)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("key of the curves")

    def set_rows(self, rows: tuple[KeyRow, ...]) -> None:
        """The curves there are."""
        self._rows = rows
        self._values = ()
        self._fit()

    def set_titles(self, titles: tuple[str, ...], longest: tuple[str, ...]) -> None:
        """What the values of a row are, one after the other."""
        self._titles, self._longest = titles, longest
        self._fit()

    def set_values(self, heading: str, values: tuple[tuple[str, ...], ...]) -> None:
        """What the curves are at the step that the heading names."""
        if (heading, values) != (self._heading, self._values):
            self._heading, self._values = heading, values
            spoken = (" ".join((row.name, *filter(None, of))) for row, of in zip(self._rows, values, strict=False))
            self.setAccessibleDescription(", ".join((heading, *spoken)))
            self.update()

    def fonts(self) -> tuple[QFont, QFont]:
        """For names, and for values."""
        font = themes.tabular(QApplication.font())
        font.setPointSizeF(font.pointSizeF() * 0.9)
        return font, themes.mono_font(0.86)

    def _measures(self) -> tuple[float, float, list[float]]:
        """Line height, and the widths of names and of each row's values."""
        names, values = (QFontMetricsF(font) for font in self.fonts())
        widest = max((names.horizontalAdvance(row.name) for row in self._rows), default=0.0)
        both = zip(self._longest, self._titles, strict=True)
        widths = [max(values.horizontalAdvance(text), names.horizontalAdvance(title)) for text, title in both]
        return names.height() + 1, widest, widths

    def _columns(self, height: float) -> int:
        line, _, _ = self._measures()
        fitting = max(1, int(height / line) - 1)
        return max(1, -(-len(self._rows) // fitting))

    def natural_size(self) -> QSize:
        """With all rows in one column."""
        line, name, values = self._measures()
        return QSize(round(SAMPLE + name + sum(values) + (2 + len(values)) * GAP), round(line * (len(self._rows) + 1)))

    def sizeHint(self) -> QSize:
        """Its natural width."""
        return QSize(self.natural_size().width(), 40)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Take the columns that this height needs."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        parent = self.parentWidget()
        if parent is not None:
            width = self.natural_size().width()
            room = max(1, int(parent.width() * 0.45) // max(1, width))
            self.setFixedWidth(width * min(self._columns(self.height()), room))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The heading, then the rows column by column; the last place says how many more there are."""
        theme, painter = themes.current(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        names, values = self.fonts()
        line, _, widths = self._measures()
        width = self.natural_size().width()
        painter.setFont(names)
        painter.setPen(theme.color("muted"))
        painter.drawText(QRectF(GAP, 0, self.width() - GAP, line), Qt.AlignmentFlag.AlignVCenter, self._heading)
        _draw_values(painter, QRectF(0, 0, width, line), self._titles, widths)
        deep = max(1, int(self.height() / line) - 1)
        places = deep * max(1, self.width() // width)
        shown = len(self._rows) if len(self._rows) <= places else places - 1
        for number, row in enumerate(self._rows[:shown]):
            column, place = divmod(number, deep)
            box = QRectF(column * width, (place + 1) * line, width, line)
            painter.setFont(names)
            _draw_sample(painter, box, row, theme)
            painter.setPen(theme.color("text"))
            painter.drawText(box.adjusted(SAMPLE + GAP, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, row.name)
            painter.setFont(values)
            _draw_values(painter, box, self._values[number] if self._values else (), widths)
        if shown < len(self._rows):
            column, place = divmod(shown, deep)
            painter.setFont(names)
            painter.setPen(theme.color("muted"))
            where = QPointF(column * width + SAMPLE + GAP, (place + 1.75) * line)
            painter.drawText(where, f"… {len(self._rows) - shown} more")


def series_color(number: int, theme: Theme) -> str:
    """The colour of a curve; after the last one they begin anew."""
    return theme.series[number % len(theme.series)]


def _draw_values(painter: QPainter, box: QRectF, texts: tuple[str, ...], widths: list[float]) -> None:
    """Each to the right in a column of its own, the last at the right end."""
    right = box.right() - GAP
    for text, width in reversed(list(zip(texts, widths, strict=False))):
        place = QRectF(right - width, box.top(), width, box.height())
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, text)
        right -= width + GAP


def _draw_sample(painter: QPainter, box: QRectF, row: KeyRow, theme: Theme) -> None:
    colour = QColor(series_color(row.color, theme))
    middle = box.top() + box.height() / 2
    style = Qt.PenStyle.DashLine if row.dashed else Qt.PenStyle.SolidLine
    painter.setPen(QPen(colour, STROKES[row.weight], style))
    painter.drawLine(QLineF(box.left() + 2, middle, box.left() + SAMPLE, middle))
    if row.markers:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawEllipse(QPointF(box.left() + 2 + (SAMPLE - 2) / 2, middle), 3, 3)
