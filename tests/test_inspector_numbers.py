"""What is counted, drawn over the steps and copied of a tensor is what its entries are, outliers or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtGui import QFontMetricsF
from pytestqt.qtbot import QtBot

from app.widgets.copying import csv_text, numpy_text
from app.widgets.distribution_strip import MOST, Course, DistributionStrip
from app.widgets.facts import Facts
from app.widgets.picture import Ruler
from app.widgets.ruler_bar import RulerBar, counted
from app.widgets.tensor_numbers import (
    PERCENTS,
    SAMPLE,
    moments,
    percentiles,
    places,
    ranges_of_sums,
    sample,
    usual_extreme,
)
from app.widgets.tensor_view import SteadyRuler

RNG = np.random.default_rng(5)
WEIGHTS = RNG.normal(0, 0.1, (64, 32)).astype(np.float32)


def with_outlier(size: float) -> Any:
    values = WEIGHTS.copy()
    values[3, 4] = size
    return values


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (784, 100)])
def test_mean_and_norm_are_those_of_all_entries_in_float64(shape: tuple[int, int]) -> None:
    values = (RNG.standard_normal(shape) + 3).astype(np.float32)
    found, wide = moments(values), values.astype(np.float64)
    assert found is not None
    assert (found.low, found.high) == (values.min(), values.max())
    assert found.mean == pytest.approx(wide.mean(), rel=1e-12)
    assert found.norm == pytest.approx(np.linalg.norm(wide), rel=1e-12)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_where_one_entry_is_no_number_there_are_no_moments(wrong: float) -> None:
    assert moments(with_outlier(wrong)) is None
    assert moments(np.zeros((0, 3), np.float32)) is None


def test_a_value_of_the_largest_size_a_float32_has_is_a_number() -> None:
    assert moments(with_outlier(3.4e38)) is not None


def test_percentiles_are_entries_at_their_places_in_the_order() -> None:
    entries = RNG.permutation(np.arange(1001, dtype=np.float32))
    assert percentiles(entries) == tuple(10.0 * p for p in PERCENTS)
    assert percentiles(np.zeros(0, np.float32)) == ()


def test_a_sample_takes_of_every_column_and_no_more_than_it_may() -> None:
    columns = np.tile(np.arange(100, dtype=np.float32), (784, 1))
    chosen = sample(columns)
    assert SAMPLE / 2 < chosen.size <= SAMPLE
    assert set(chosen.tolist()) == set(range(100))
    assert np.nan not in sample(with_outlier(np.nan))


def test_one_huge_weight_does_not_turn_the_others_into_paper_and_is_told_of() -> None:
    usual, huge = (SteadyRuler(log=False).follow(v, sample(v)) for v in (WEIGHTS, with_outlier(40.0)))
    assert huge.limit <= 2 * usual.limit
    found = counted(with_outlier(40.0), huge, every=True)
    assert (found.below, found.above) == (0, 1)
    assert f"1 of 2,048 entries lie beyond ±{huge.limit:g}" in found.told(huge)
    below = counted(with_outlier(-40.0), huge, every=True)
    assert (below.below, below.above) == (1, 0)


@pytest.mark.parametrize(
    "values",
    [
        WEIGHTS,
        RNG.uniform(-1, 1, (40, 40)).astype(np.float32),
        np.array([[0.1, 40.0]], np.float32),
        np.where(RNG.random((50, 50)) < 0.02, 7.0, 0.0).astype(np.float32),
        np.zeros((30, 30), np.float32),
    ],
    ids=["normal", "uniform", "two entries", "sparse", "zeros"],
)
def test_where_no_entry_is_an_outlier_the_ruler_reaches_to_the_largest(values: Any) -> None:
    assert usual_extreme(values, sample(values)) == np.abs(values).max()
    ruler = SteadyRuler(log=False).follow(values, sample(values))
    found = counted(values, ruler, every=True)
    assert found.below == found.above == 0


def test_a_log_ruler_reaches_to_the_largest_whatever_the_others_are() -> None:
    values = with_outlier(40.0)
    assert SteadyRuler(log=True).follow(values, sample(values)).limit >= 40


def test_places_along_a_log_ruler_are_decades() -> None:
    ruler = Ruler("log", 1.0, 1e-4)
    assert places([1e-9, 1e-4, 1e-2, 1.0, 50.0, -1e-2], ruler) == pytest.approx([0, 0, 0.5, 1, 1, -0.5])


def test_every_entry_is_counted_once_and_what_is_sampled_is_said(qtbot: QtBot) -> None:
    bar = RulerBar()
    qtbot.addWidget(bar)
    values = RNG.standard_normal((300, 100)).astype(np.float32)
    bar.show_ruler(Ruler("linear", 2.0))
    bar.show_counts(values, every=False)
    assert bar.counted is not None
    assert bar.counted.bins.sum() == values.size
    assert f"of {bar.counted.looked_at:,} of 30,000 entries" in bar.toolTip()
    bar.show_counts(values, every=True)
    assert "while training plays" not in bar.toolTip()
    assert bar.counted.percentiles == percentiles(values.ravel())
    assert bar.counted.above == (values > 2).sum()
    bar.resize(bar.sizeHint().width(), 90)
    bar.grab()
    bar.set_roomy(True)
    bar.grab()


def test_sums_are_exact_where_float32_would_round() -> None:
    values = np.array([[2**24, 1, 1], [1, 1, -3]], np.float32)
    assert ranges_of_sums(values) == ((-1.0, 2.0**24 + 2), (-2.0, 2.0**24 + 1))


# --- over the steps -----------------------------------------------------------------------------


def test_a_course_never_grows_and_keeps_what_was_seen_last_of_each_place() -> None:
    course = Course()
    for step in range(0, 40_000, 7):
        course.note(step, (float(step),) * 5)
    assert len(course) <= MOST
    assert course.stride == 256
    assert course.at(39_999 // 256) is not None
    for place, seen in course.rows():
        assert seen.step // course.stride == place
        assert seen.percentiles[0] == seen.step


def test_many_steps_that_were_not_seen_are_left_blank_over_a_few_the_last_one_is_drawn_on(qtbot: QtBot) -> None:
    strip = DistributionStrip()
    qtbot.addWidget(strip)
    strip.resize(500, 60)
    for step in (*range(10, 14), 18, 19, *range(61, 69)):
        strip.course.note(step, (-1.0, -0.5, 0.0, 0.5, 1.0))
    strip.show_course(None, 68)
    plot = strip._plot()

    def x_of(step: int) -> int:
        return int((step - 10 + 0.5) / 59 * plot.width())

    picture = strip.grab().toImage()
    paper = picture.pixelColor(x_of(45), 12)
    assert picture.pixelColor(x_of(30), 12) == paper
    assert picture.pixelColor(x_of(15), 12) != paper
    assert picture.pixelColor(x_of(63), 12) != paper
    assert strip.step_at(x_of(12)) == 12
    assert [strip.step_at(x_of(step)) for step in (13, 14, 17, 18)] == [13, 13, 13, 18]
    assert strip.step_at(x_of(45)) is None
    assert strip.tell(x_of(45)) == "nothing was seen of steps 45 to 45"
    assert strip.tell(x_of(63)).startswith("step 63: 1 %: −1.0000")
    assert strip.tell(499).startswith("percentiles")


def test_what_came_after_a_fork_is_forgotten() -> None:
    course = Course()
    for step in range(50):
        course.note(step, (0.0,) * 5)
    course.truncate(20)
    assert [seen.step for _, seen in course.rows()] == list(range(21))
    course.clear()
    assert course.ends == (0, 0)


@pytest.mark.parametrize("row", [(0.0,) * 5, (3.0,) * 5, (-1e-30,) * 5, (-2e30, -1.0, 0.0, 1.0, 3e30)])
def test_a_strip_can_be_painted_whatever_the_numbers(qtbot: QtBot, row: tuple[float, ...]) -> None:
    strip = DistributionStrip()
    qtbot.addWidget(strip)
    for height in (10, 26, 90):
        strip.resize(300, height)
        strip.grab()
        strip.course.note(height, row)
        strip.show_course(None, None)
        strip.grab()
        strip.show_course(Ruler("log", 1.0, 1e-4), height)
        strip.grab()


# --- copying ------------------------------------------------------------------------------------

SPECIAL = [np.nan, np.inf, -np.inf, -0.0, 1e-42, 0.1, 16_777_216.0, -3.4e38]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 3, 2, 2), (1, 1)])
def test_a_copied_literal_evaluates_to_the_very_same_array(shape: tuple[int, ...], dtype: str) -> None:
    array = (RNG.standard_normal(shape) * 10.0 ** RNG.integers(-8, 8, shape)).astype(dtype)
    if dtype != "int64":
        array.flat[: min(array.size, len(SPECIAL))] = np.array(SPECIAL, dtype)[: array.size]
    again = eval(numpy_text(array), {"np": np})
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tobytes() == array.tobytes() or np.array_equal(again, array, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copied_lines_bring_back_every_number(dtype: str) -> None:
    array = RNG.standard_normal((3, 2, 2)).astype(dtype)
    array[0, 0] = np.nan, np.inf
    lines = csv_text(array).splitlines()
    assert len(lines) == 3
    again = np.array([[float(word) for word in line.split(",")] for line in lines]).astype(dtype)
    assert np.array_equal(again, array.reshape(3, -1), equal_nan=True)
    assert csv_text(array[0, 1]).count("\n") == 1


# --- numbers side by side -----------------------------------------------------------------------


@pytest.mark.parametrize("width", [180, 234, 334, 700])
def test_numbers_side_by_side_never_run_into_each_other(qtbot: QtBot, width: int) -> None:
    facts = Facts(("min", "max", "mean", "norm"))
    qtbot.addWidget(facts)
    facts.resize(width, 34)
    facts.show_values(("−1.24e-05", "+1.24e-05", "−7.04e-04", "1.24e+12"))
    texts, font = facts._fitting(width / 4 - 6)
    assert max(QFontMetricsF(font).horizontalAdvance(text) for text in texts) <= width / 4
    assert [float(text.replace("−", "-")) for text in texts] == [-1.24e-5, 1.24e-5, -7.04e-4, 1.24e12]
