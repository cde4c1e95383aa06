"""Where the Tab key goes: through the window as one reads it, whatever was made later or moved since."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QDockWidget, QMainWindow, QScrollArea, QTabBar, QToolBar, QWidget

TOP, BOTTOM = Qt.DockWidgetArea.TopDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
LEFT, RIGHT = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
CENTRE = Qt.DockWidgetArea.NoDockWidgetArea
AREAS = (TOP, LEFT, CENTRE, RIGHT, BOTTOM)


def move_focus(window: QMainWindow, forward: bool) -> bool:
    """Give the focus to the control after (or before) the one that has it; False where there is none."""
    order, now = controls(window), window.focusWidget()
    if not order:
        return False
    here = order.index(now) if now in order else (-1 if forward else 0)
    found = order[(here + (1 if forward else -1)) % len(order)]
    found.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
    _scroll_to(found)
    return True


def controls(window: QMainWindow) -> list[QWidget]:
    """All that can have the focus by key: bar, top, left, centre, right, bottom; in each part row by row."""
    return [control for part in _parts(window) for control in _rows(_focusable(part), part)]


def _parts(window: QMainWindow) -> list[QWidget]:
    """The bars, docks and tabs of the window, as one reads them."""

    def place(part: QWidget) -> tuple[int, int, int]:
        where = part.mapTo(window, QPoint())
        if isinstance(part, QToolBar):
            return -1, where.x(), 0
        area = window.dockWidgetArea(part) if isinstance(part, QDockWidget) else CENTRE
        if isinstance(part, QTabBar):  # it is below its docks
            area = next((window.dockWidgetArea(d) for d in docks if _is_over(d, part, window)), BOTTOM)
        upright = area in (LEFT, RIGHT)
        return AREAS.index(area), *((where.y(), where.x()) if upright else (where.x() + 10_000 * _low(part), where.y()))

    def _low(part: QWidget) -> bool:
        """Whether it is the strip along the lower edge, which comes last."""
        return part.width() > 0.6 * window.width() and part is not window.centralWidget()

    docks = [
        d for d in window.findChildren(QDockWidget) if d.isVisible() and not d.isFloating() and _on_show(d, window)
    ]
    direct = Qt.FindChildOption.FindDirectChildrenOnly
    tabs = [t for t in window.findChildren(QTabBar, options=direct) if t.isVisible() and _on_show(t, window)]
    bars = [b for b in window.findChildren(QToolBar) if b.isVisible()]
    return sorted([*bars, window.centralWidget(), *docks, *tabs], key=place)


def _is_over(dock: QDockWidget, tabs: QTabBar, window: QMainWindow) -> bool:
    place, below = dock.geometry(), tabs.mapTo(window, QPoint())
    return place.left() - 8 <= below.x() <= place.right() and abs(place.bottom() - below.y()) < 2 * tabs.height()


def _on_show(widget: QWidget, window: QMainWindow) -> bool:
    """Whether it lies in the window; a dock behind another tab lies beside it."""
    return window.rect().contains(widget.mapTo(window, widget.rect().center()))


def _focusable(part: QWidget) -> Iterator[QWidget]:
    for widget in (part, *part.findChildren(QWidget)):
        by_key = widget.focusPolicy().value & Qt.FocusPolicy.TabFocus.value and widget.focusProxy() is None
        if by_key and widget.isVisible() and widget.isEnabled() and widget.window() is part.window():
            yield widget


def _rows(widgets: Iterator[QWidget], part: QWidget) -> list[QWidget]:
    """Row by row from the top, each from the left; what overlaps the row's first one in height is in its row."""
    rows: list[list[QWidget]] = []
    for widget in sorted(widgets, key=lambda w: w.mapTo(part, QPoint()).y()):
        middle = widget.mapTo(part, widget.rect().center()).y()
        first = rows[-1][0] if rows else None
        if (
            first is not None
            and middle < first.mapTo(part, QPoint()).y() + first.height()
            and _low_enough(widget, first)
        ):
            rows[-1].append(widget)
        else:
            rows.append([widget])
    return [widget for row in rows for widget in sorted(row, key=lambda w: w.mapTo(part, QPoint()).x())]


def _low_enough(widget: QWidget, first: QWidget) -> bool:
    """A row is of controls of about one height: what stands beside a tall view is read after it."""
    return widget.height() < 2 * first.height() and first.height() < 2 * widget.height()


def _scroll_to(widget: QWidget) -> None:
    parent = widget.parentWidget()
    while parent is not None:
        if isinstance(parent, QScrollArea):
            parent.ensureWidgetVisible(widget)
        parent = parent.parentWidget()
