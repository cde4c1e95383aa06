"""The colours of the Flow view's tiles, made many at once, are those of the ruler, and no spike is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QImage

from app import theme
from app.widgets.picture import ZERO, Ruler
from app.widgets.tile_colours import Keys, image_of, keys_of, strongest

TABLE = [i << 8 for i in range(256)]  # so that a pixel's green is its place in the table
LINEAR, LOG = Ruler("linear", 0.5), Ruler("log", 1.0, 1e-4)


def places(image: QImage) -> np.ndarray:
    """The places in the table, (rows, cols)."""
    pixels = np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), image.width())
    return (pixels >> 8 & 255).astype(int)


def drawn(values: np.ndarray, ruler: Ruler) -> np.ndarray:
    """One picture's places."""
    return places(image_of(keys_of(values[None])[0], ruler, TABLE))


@pytest.mark.parametrize("ruler", [LINEAR, LOG])
def test_a_value_has_the_colour_that_its_ruler_gives_it(ruler: Ruler) -> None:
    sizes = 10.0 ** np.random.default_rng(1).uniform(-7, 3, (60, 50))
    values = (sizes * np.sign(np.random.default_rng(2).normal(size=sizes.shape))).astype(np.float32)
    image = ruler.image(values, theme.DARK)
    exact = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1)[:, : image.width()].astype(int)
    assert np.abs(drawn(values, ruler) - exact).max() <= 1


@pytest.mark.parametrize("ruler", [LINEAR, LOG])
def test_zero_is_paper_and_no_number_is_loud(ruler: Ruler) -> None:
    values = np.array([[0.0, -0.0, np.nan, np.inf, -np.inf, 1e30, -1e30]], np.float32)
    assert drawn(values, ruler).tolist() == [[ZERO, ZERO, 0, 0, 0, 255, 1]]


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_each_block_keeps_its_most_extreme_value(rows: int, columns: int, most: int, wide: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(2, rows, columns)).astype(np.float32)
    small: Keys = strongest(keys_of(values), most, wide)
    assert small.shape == (2, min(rows, most), min(columns, wide))
    row_edges = np.arange(small.shape[1] + 1) * rows // small.shape[1]
    column_edges = np.arange(small.shape[2] + 1) * columns // small.shape[2]
    for i in range(small.shape[1]):
        for j in range(small.shape[2]):
            block = values[:, row_edges[i] : row_edges[i + 1], column_edges[j] : column_edges[j + 1]].reshape(2, -1)
            extreme = block[np.arange(2), np.abs(block).argmax(axis=1)]
            np.testing.assert_array_equal(small[:, i, j], keys_of(extreme[None, None])[0, 0])


def test_one_nan_in_a_block_is_seen() -> None:
    values = np.full((1, 40, 40), 1e30, np.float32)
    values[0, 17, 23] = np.nan
    assert (places(image_of(strongest(keys_of(values), 5, 5)[0], LINEAR, TABLE)) == 0).sum() == 1
