"""Heatmaps: what a colour says is what the number is, and the pointer finds the right cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication

from app import theme
from app.theme import DARK, LIGHT, Theme
from app.widgets.heatmap import Heatmap, Ruler, draw_colour_bar, hatch, indexed_image, shrink

TABLE = theme.signed_table(DARK)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def pixels(image: QImage) -> Any:
    """The indices of an image's pixels, (rows, cols), as a copy."""
    lines = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return lines[:, : image.width()].copy()


def indices(values: Any, limit: float, floor: float | None = None) -> list[int]:
    row = np.atleast_2d(np.asarray(values, dtype=np.float64))
    return [int(i) for i in pixels(indexed_image(row, limit, TABLE, floor))[0]]


def drawn(widget: Heatmap) -> QImage:
    return widget.grab().toImage()


@pytest.mark.parametrize("look", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("floor", [None, 1e-6])
def test_zero_is_the_colour_of_the_paper(look: Theme, floor: float | None) -> None:
    image = indexed_image(np.array([[0.0, -0.0]]), 1.0, theme.signed_table(look), floor)
    assert [QColor(image.pixelColor(x, 0)).name() for x in (0, 1)] == [look.panel] * 2


@DTYPES
@pytest.mark.parametrize("floor", [None, 1e-6])
def test_the_sign_is_the_hue_and_the_size_the_strength(dtype: Any, floor: float | None) -> None:
    values = np.array([[-5.0, -1.0, -0.5, 0.0, 0.5, 1.0, 5.0]], dtype)
    result = pixels(indexed_image(values, 1.0, TABLE, floor))[0].astype(int)
    assert list(result[:2]) == [1, 1]
    assert list(result[-2:]) == [255, 255]
    assert result[2] < 128 == result[3] < result[4]
    assert result[4] - 128 == pytest.approx(128 - result[2], abs=1)


@DTYPES
@pytest.mark.parametrize("floor", [None, 1e-6])
def test_what_is_no_number_is_loud(dtype: Any, floor: float | None) -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 1e-300 if dtype is np.float64 else 1e-40]], dtype)
    image = indexed_image(values, 1.0, TABLE, floor)
    assert [image.pixelColor(x, 0).name() for x in range(4)] == [DARK.alarm] * 3 + [DARK.panel]


def test_values_too_large_for_float32_are_simply_strong() -> None:
    assert indices([1e300, -1e300], 1.0) == indices([1e300, -1e300], 1.0, 1e-3) == [255, 1]


def test_a_log_rulers_strength_counts_decades() -> None:
    middle, third, below = indices([1e-2, 1e-3, 1e-5], 1.0, 1e-4)
    assert middle == 128 + round(127 / 2)
    assert third == 128 + round(127 / 4)
    assert below == 128


@pytest.mark.parametrize("limit", [0.0, -1.0, 1e-300, 1e300, float("nan"), float("inf")])
@pytest.mark.parametrize("floor", [None, 0.0, 10.0])
def test_a_senseless_limit_still_gives_a_picture(limit: float, floor: float | None) -> None:
    assert indices([0.0], limit, floor) == [128]
    assert indices([np.nan], limit, floor) == [0]


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_an_empty_tensor_gives_an_empty_image(shape: tuple[int, int]) -> None:
    assert indexed_image(np.zeros(shape), 1.0, TABLE).isNull()


def test_an_image_outlives_its_values_and_rows_of_any_width_fit() -> None:
    for cols in range(1, 9):
        values = np.linspace(-1, 1, 3 * cols).reshape(3, cols)
        expected = np.floor(values * 127 + 128.5)
        image = indexed_image(values, 1.0, TABLE)
        values[:] = 0
        del values
        assert np.array_equal(pixels(image.copy()), expected)


def test_values_need_not_lie_in_one_piece_of_memory() -> None:
    values = np.arange(24.0).reshape(4, 6)
    assert np.array_equal(pixels(indexed_image(values.T, 24, TABLE)), pixels(indexed_image(values.T.copy(), 24, TABLE)))


def test_shrinking_keeps_extremes_and_alarms() -> None:
    values = np.zeros((100, 70))
    values[37, 11], values[90, 60], values[3, 5] = -1.0, 1.0, np.nan
    small = shrink(indexed_image(values, 1.0, TABLE), 10, 20)
    assert (small.width(), small.height()) == (10, 20)
    assert sorted(np.unique(pixels(small))) == [0, 1, 128, 255]
    assert [int(n) for n in np.bincount(pixels(small).ravel())[[0, 1, 255]]] == [1, 1, 1]


def test_a_nice_ruler_has_round_ends_that_hold_the_old_ones() -> None:
    for limit in (0.0003, 0.19, 0.2, 1.0, 7.3, 12345.0):
        nice = Ruler("linear", limit).nice()
        assert limit <= nice.limit * (1 + 1e-9) <= 2.5 * limit * 1.01
        assert nice.nice() == nice
    assert Ruler("log", 0.07, 3e-6).nice() == Ruler("log", 0.1, 1e-6)
    for broken in (0.0, float("nan"), float("inf")):
        assert Ruler("linear", broken).nice().limit == 1.0


def test_a_ruler_says_what_it_measures() -> None:
    assert Ruler("linear", 0.5).label == "±0.5"
    assert Ruler("log", 0.1, 1e-5).label == "log, ±1e-5 … ±0.1"
    assert [label for _, label in Ruler("log", 0.1, 1e-5).ticks() if label] == ["−0.1", "±1e-5", "+0.1"]


@pytest.mark.parametrize("rect", [QRect(0, 0, 200, 30), QRect(0, 0, 70, 160)], ids=["wide", "tall"])
def test_a_colour_bar_runs_from_orange_through_paper_to_blue(qapp: QApplication, rect: QRect) -> None:
    canvas = QImage(rect.size(), QImage.Format.Format_RGB32)
    painter = QPainter(canvas)
    draw_colour_bar(painter, rect, Ruler("log", 0.1, 1e-5), DARK)
    painter.end()
    wide = rect.width() > rect.height()
    low, mid, high = (
        [canvas.pixelColor(x, 2) for x in (1, 99, 198)] if wide else [canvas.pixelColor(2, y) for y in (158, 79, 1)]
    )
    assert low.red() > low.blue() + 100
    assert high.blue() > high.red() + 100
    assert max(abs(mid.red() - 0x1B), abs(mid.blue() - 0x26)) < 12


def test_not_computed_is_hatched_and_not_like_zero(qtbot: Any, qapp: QApplication) -> None:
    theme.apply(qapp, DARK)
    heatmap = Heatmap()
    qtbot.addWidget(heatmap)
    heatmap.resize(100, 80)
    empty = drawn(heatmap)
    heatmap.show_values(np.zeros((4, 4)), Ruler("linear", 1.0))
    zeros = drawn(heatmap)
    inner = QRect(5, 5, 90, 70)
    assert len({empty.copy(inner).pixel(x, 30) for x in range(90)}) > 1
    assert {zeros.copy(inner).pixelColor(x, 30).name() for x in range(90)} == {DARK.panel}
    heatmap.clear()
    assert drawn(heatmap) == empty


def test_hatching_leaves_the_painter_as_it_was(qapp: QApplication) -> None:
    canvas = QImage(50, 50, QImage.Format.Format_RGB32)
    painter = QPainter(canvas)
    pen = painter.pen()
    hatch(painter, QRect(5, 5, 20, 20), LIGHT)
    assert painter.pen() == pen
    assert not painter.hasClipping()
    painter.end()


@pytest.fixture
def heatmap(qtbot: Any, qapp: QApplication) -> Heatmap:
    theme.apply(qapp, DARK)
    widget = Heatmap(name="3.grad_W")
    qtbot.addWidget(widget)
    widget.resize(160, 120)
    widget.show_values(np.arange(-6.0, 6.0).reshape(3, 4), Ruler("linear", 6.0))
    widget.show()
    return widget


def test_the_pointer_finds_the_cell(heatmap: Heatmap) -> None:
    assert heatmap.cell_at(QPointF(0, 0)) == (0, 0)
    assert heatmap.cell_at(QPointF(45, 85)) == (2, 1)
    assert heatmap.cell_at(QPointF(159.9, 119.9)) == (2, 3)
    assert heatmap.cell_at(QPointF(-1, 5)) is None
    assert heatmap.cell_rect(2, 1).contains(QPointF(45, 85))


def test_a_reduced_picture_gives_indices_of_the_whole_tensor(heatmap: Heatmap) -> None:
    heatmap.show_values(np.zeros((10, 20)), Ruler("linear", 1.0), shape=(1000, 300))
    assert heatmap.cell_at(QPointF(80, 60)) == (500, 150)
    assert heatmap.cell_at(QPointF(159.99, 119.99)) == (999, 299)


def test_square_cells_leave_margins_that_are_no_cells(qtbot: Any) -> None:
    widget = Heatmap(square=True)
    qtbot.addWidget(widget)
    widget.resize(300, 100)
    widget.show_values(np.zeros((8, 8)), Ruler("linear", 1.0))
    assert widget.cell_at(QPointF(20, 50)) is None
    assert widget.cell_at(QPointF(150, 1)) == (0, 4)


def test_a_still_pointer_hears_of_new_values(qtbot: Any, heatmap: Heatmap) -> None:
    heard: list[tuple[int, int]] = []
    heatmap.hovered.connect(lambda row, col: heard.append((row, col)))
    qtbot.mouseMove(heatmap, QPoint(45, 85))
    assert heard[-1] == (2, 1)
    count = len(heard)
    heatmap.show_values(np.ones((3, 4)), Ruler("linear", 1.0))
    assert heard[count:] == [(2, 1)]


def test_a_click_marks_the_cell_and_tells(qtbot: Any, heatmap: Heatmap) -> None:
    with qtbot.waitSignal(heatmap.clicked) as heard:
        qtbot.mouseClick(heatmap, Qt.MouseButton.LeftButton, pos=QPoint(45, 85))
    assert heard.args == [2, 1]
    assert heatmap.marked == (2, 1)


def test_the_keyboard_moves_the_marked_cell_within_the_tensor(qtbot: Any, heatmap: Heatmap) -> None:
    heatmap.mark((0, 3))
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Left):
        qtbot.keyClick(heatmap, key, Qt.KeyboardModifier.ShiftModifier)
    assert heatmap.marked == (1, 2)


def test_a_new_theme_recolours_the_picture(heatmap: Heatmap, qapp: QApplication) -> None:
    heatmap.show_values(np.zeros((2, 2)), Ruler("linear", 1.0))
    theme.apply(qapp, LIGHT)
    assert drawn(heatmap).pixelColor(40, 40).name() == LIGHT.panel


def test_every_cell_of_the_picture_has_its_own_colour(heatmap: Heatmap) -> None:
    image = drawn(heatmap)
    colours = [[image.pixelColor(20 + 40 * col, 20 + 40 * row) for col in range(4)] for row in range(3)]
    assert colours[0][0].name() == DARK.backward
    assert colours[1][2].name() == DARK.panel
    assert colours[2][3].blue() > colours[1][3].blue()


def test_one_spike_among_many_cells_is_seen(heatmap: Heatmap) -> None:
    values = np.zeros((700, 900))
    values[333, 444] = 1.0
    heatmap.show_values(values, Ruler("linear", 1.0))
    image = drawn(heatmap)
    found = [(x, y) for x in range(1, 159) for y in range(1, 119) if image.pixelColor(x, y).name() == DARK.forward]
    assert len(found) == 1
    assert heatmap.cell_rect(333, 444).intersects(QRectF(*found[0], 1, 1))


def test_a_heatmap_has_a_name_for_those_who_cannot_see_it(heatmap: Heatmap) -> None:
    from PySide6.QtGui import QAccessible

    assert QAccessible.queryAccessibleInterface(heatmap).text(QAccessible.Text.Name) == "3.grad_W"
