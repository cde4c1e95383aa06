"""Pictures of tensors: what is reduced keeps every extreme and every NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import frames, shared
from engine.frames import Picture, as_matrix, reduce_extremes
from engine.protocol import WatchItem
from engine.recipe import Recipe
from engine.run import Run
from engine.shared import FrameSlots, Packer, read_frame, within_float32

SIZES = st.integers(1, 70), st.integers(1, 70), st.integers(2, 24), st.integers(2, 24), st.integers(0, 99)


@settings(deadline=None, max_examples=150)
@given(*SIZES)
def test_a_reduced_picture_fits_and_holds_the_extremes_in_their_places(
    rows: int, columns: int, most_rows: int, most_columns: int, seed: int
) -> None:
    matrix = np.random.default_rng(seed).normal(size=(rows, columns))
    small = reduce_extremes(matrix, most_rows, most_columns)
    assert small.shape[0] <= max(most_rows, 2)
    assert small.shape[1] <= max(most_columns, 2)
    assert small.min() == matrix.min()
    assert small.max() == matrix.max()
    spike_row, spike_column = rows // 2, columns // 2
    matrix[spike_row, spike_column] = 1e6
    row, column = np.argwhere(reduce_extremes(matrix, most_rows, most_columns) == 1e6)[0]
    assert abs((row + 0.5) / small.shape[0] - (spike_row + 0.5) / rows) <= 2 / small.shape[0]
    assert abs((column + 0.5) / small.shape[1] - (spike_column + 0.5) / columns) <= 2 / small.shape[1]


@settings(deadline=None, max_examples=150)
@given(*SIZES, st.booleans())
def test_a_large_matrix_is_reduced_as_a_small_one(
    rows: int, columns: int, most_rows: int, most_columns: int, seed: int, holes: bool
) -> None:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, columns))
    matrix[random.random(size=matrix.shape) < 0.1] = np.nan
    small = reduce_extremes(matrix, most_rows, most_columns, holes=holes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "SMALL", 0)
        np.testing.assert_array_equal(small, reduce_extremes(matrix, most_rows, most_columns, holes=holes))


def test_a_matrix_that_fits_is_shown_entry_by_entry() -> None:
    matrix = np.arange(12.0).reshape(3, 4)
    assert reduce_extremes(matrix, 3, 4) is matrix


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_entry_in_a_large_tensor_is_seen(bad: float) -> None:
    matrix = np.zeros((1000, 700), np.float32)
    matrix[613, 401] = bad
    assert not np.isfinite(reduce_extremes(matrix, 96, 128)).all()


def test_any_tensor_is_laid_out_as_a_matrix() -> None:
    assert as_matrix(np.zeros(5)).shape == (5, 1)
    assert as_matrix(np.zeros((2, 3, 4))).shape == (2, 12)


def test_a_finite_value_beyond_float32_never_looks_infinite() -> None:
    values = within_float32(np.array([[1e300, -1e300, np.inf, np.nan, 0.5]])).astype(np.float32)[0]
    assert np.isfinite(values).tolist() == [True, True, False, False, True]
    assert values[0] > 1e38
    assert values[1] < -1e38
    assert values[4] == 0.5


def test_while_playing_what_may_wait_comes_in_turn_and_the_rest_in_every_frame(
    digits: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "PACK_WITHIN", -1.0)  # no time for anything that may wait
    run, slots = Run(digits), FrameSlots()
    try:
        packer, watch = Packer(slots), (*(WatchItem(f"{i}.y", may_wait=True) for i in range(5)), WatchItem("0.W"))
        shown: dict[str, Picture] = {}
        seen = []
        for playing in (True, True, True, True, False):
            run.step()
            event = packer.pack(run, None, watch, playing, (), {0: run.history}, {}, hurried=playing)
            frame = read_frame(slots, event, run.trainer.all_phases, 1, shown)
            assert frame.tensors.keys() == {item.address for item in watch}
            seen.append(sorted(a for a in frame.tensors if frame.tensors[a] is not shown.get(a)))
            np.testing.assert_array_equal(frame.tensors["0.W"].values, run.trainer.parameters["0.W"])
            shown = dict(frame.tensors)
        everything = sorted(item.address for item in watch)
        assert seen == [everything, ["0.W", "0.y"], ["0.W", "1.y"], ["0.W", "2.y"], everything]
    finally:
        slots.close()
