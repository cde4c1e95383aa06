"""How tensors lie on a tile: every cell leads to its entry and back, and shows that entry's number."""

from math import prod

import numpy as np
import pytest

from app.widgets.sheets import Pictures, Plain, pictures_of
from engine import Recipe, Run
from engine.describe import describe
from engine.frames import as_matrix
from engine.protocol import Built

CONV = [
    {"kind": "reshape", "shape": [1, 8, 8]},
    {"kind": "conv2d", "filters": 6, "kernel": 3},
    {"kind": "relu"},
    {"kind": "conv2d", "filters": 4, "kernel": 2},
    {"kind": "flatten"},
    {"kind": "dense", "units": 10},
]
DENSE = [{"kind": "dense", "units": 32}, {"kind": "relu"}, {"kind": "dense", "units": 10}]


def network(layers: list[dict[str, object]], data: str = "digits") -> Built:
    """What the screen knows of such a network."""
    return describe(Run(Recipe.from_builtins({"data": {"kind": data}, "layers": layers})))


def entries(shape: tuple[int, ...]) -> np.ndarray:
    """A tensor in which every entry is its own number, from 1."""
    return np.arange(1, prod(shape) + 1, dtype=np.float32).reshape(shape)


@pytest.mark.parametrize(
    ("layers", "address"),
    [
        (DENSE, "0.W"),
        (DENSE, "0.grad_W"),
        (CONV, "1.W"),
        (CONV, "3.W"),
        (CONV, "1.y"),
        (CONV, "0.y"),
        (CONV, "1.grad_y"),
    ],
)
def test_each_cell_of_pictures_shows_the_entry_that_it_leads_to(layers: list[dict[str, object]], address: str) -> None:
    built = network(layers)
    shape = built.tensors[address].shape
    sheet = pictures_of(built, address, shape)
    assert sheet is not None
    tensor = entries(shape)
    drawn = sheet.arrange(as_matrix(tensor))
    assert drawn.shape == sheet.size
    shown = 0
    for row in range(sheet.size[0]):
        for column in range(sheet.size[1]):
            index = sheet.index_at(row, column)
            assert drawn[row, column] == (0 if index is None else tensor[index])
            if index is not None:
                shown += 1
                assert sheet.cell_of(index) == (row, column)
    assert shown == np.count_nonzero(drawn)


def test_a_unit_of_the_first_layer_is_the_picture_it_looks_for() -> None:
    built = network(DENSE)
    sheet = pictures_of(built, "0.W", (64, 32))
    assert sheet is not None
    assert sheet.count == 32
    W = entries((64, 32))
    np.testing.assert_array_equal(sheet.arrange(W)[:8, :8], W[:, 0].reshape(8, 8))
    np.testing.assert_array_equal(sheet.arrange(W)[:8, 9:17], W[:, 1].reshape(8, 8))


def test_filters_of_one_unit_stand_in_one_row_and_maps_of_one_sample_too() -> None:
    built = network(CONV)
    filters, W = pictures_of(built, "3.W", (4, 6, 2, 2)), entries((4, 6, 2, 2))
    assert filters is not None
    np.testing.assert_array_equal(filters.arrange(as_matrix(W))[:2, 3:5], W[0, 1])
    maps, y = pictures_of(built, "1.y", (32, 6, 6, 6)), entries((32, 6, 6, 6))
    assert maps is not None
    np.testing.assert_array_equal(maps.arrange(as_matrix(y))[:6, 7:13], y[0, 1])
    np.testing.assert_array_equal(maps.arrange(as_matrix(y))[7:13, :6], y[1, 0])


@pytest.mark.parametrize("address", ["2.W", "0.b", "0.y", "loss.p", "data.x"])
def test_what_is_no_picture_is_none(address: str) -> None:
    built = network(DENSE)
    assert pictures_of(built, address, built.tensors[address].shape) is None


def test_weights_that_read_points_are_no_pictures() -> None:
    built = network([{"kind": "dense", "units": 4}, {"kind": "relu"}, {"kind": "dense", "units": 2}], "moons")
    assert pictures_of(built, "0.W", (2, 4)) is None


def test_a_tensor_too_large_to_be_sent_whole_is_none() -> None:
    assert pictures_of(network(DENSE), "0.W", (64, 4097)) is None


def test_sorted_rows_lead_to_their_samples() -> None:
    labels = np.array([2, 0, 1, 0])
    sheet = Plain((4, 3), np.argsort(labels, kind="stable"))
    values = entries((4, 3))
    np.testing.assert_array_equal(sheet.arrange(values)[:, 0], values[[1, 3, 2, 0], 0])
    assert sheet.index_at(1, 2) == (3, 2)
    assert sheet.cell_of((3, 2)) == (1, 2)
    assert sheet.cell_of((4, 0)) is None


def test_pictures_with_a_gap_between_have_no_entry_in_it() -> None:
    sheet = Pictures((2, 4), np.arange(8).reshape(2, 2, 2), 2)
    assert sheet.size == (2, 5)
    assert sheet.index_at(0, 2) is None
    assert sheet.cell_of((1, 3)) == (1, 4)


def test_from_afar_a_block_of_cells_is_their_mean() -> None:
    sheet = Pictures((1, 36), np.arange(36).reshape(1, 6, 6), 1)
    values = entries((1, 36))
    near = sheet.seen_from_afar(values, 6, 6)
    np.testing.assert_array_equal(near, values.reshape(6, 6))
    far = sheet.seen_from_afar(values, 2, 3)
    np.testing.assert_allclose(far, values.reshape(3, 2, 3, 2).mean(axis=(1, 3)))


def test_pictures_stand_in_a_grid_of_the_tiles_proportions() -> None:
    built = network(DENSE)
    sheet = pictures_of(built, "0.W", built.tensors["0.W"].shape)
    assert sheet is not None
    for width, height in ((40, 200), (60, 60), (300, 60)):
        fitted = sheet.fitted(width, height)
        rows, columns = fitted.size
        assert 0.5 < (width / columns) / (height / rows) < 2, "a picture is about as wide as it is high"
        assert fitted.count == 32
    assert sheet.fitted(40, 200).size[1] < sheet.fitted(300, 60).size[1]


def test_channels_stay_in_one_row_and_a_high_tile_shows_more_samples() -> None:
    built = network(CONV)
    maps = pictures_of(built, "1.y", built.tensors["1.y"].shape)
    assert maps is not None
    high, wide = maps.fitted(60, 120), maps.fitted(120, 60)
    assert high.count > wide.count
    assert high.count % 6 == wide.count % 6 == 0
    filters = pictures_of(built, "3.W", built.tensors["3.W"].shape)
    assert filters is not None
    for size in ((40, 200), (200, 40)):
        assert filters.fitted(*size).size[1] in (3 * 6 - 1, 3 * 12 - 1, 3 * 24 - 1)


def test_each_cell_of_a_fitted_grid_leads_to_its_entry() -> None:
    built = network(CONV)
    for address in ("1.W", "3.W", "1.y"):
        shape = built.tensors[address].shape
        whole = pictures_of(built, address, shape)
        assert whole is not None
        sheet, tensor = whole.fitted(30, 170), entries(shape)
        drawn = sheet.arrange(as_matrix(tensor))
        for row, column in np.ndindex(*sheet.size):
            index = sheet.index_at(row, column)
            assert drawn[row, column] == (0 if index is None else tensor[index])
            assert index is None or sheet.cell_of(index) == (row, column)
