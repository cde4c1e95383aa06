"""What a run remembers of its steps takes less room than the numbers, and loses none of their bits."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.packing import Block
from engine.recipe import Recipe
from engine.run import Run
from engine.timeline import BLOCK, Timeline

NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(width=32),
    st.sampled_from([0.0, -0.0, np.nan, -np.nan, np.inf, 5e-324, 1e-50, 1e300, 0.125]),
)


def kinds(length: int, seed: int = 0) -> np.ndarray:
    """A column of every kind that a run records, and of those that nothing fits."""
    draw = np.random.default_rng(seed)
    single = draw.normal(size=length).astype(np.float32).astype(np.float64)
    mostly = single.copy()
    mostly[::45] = draw.normal(size=len(mostly[::45]))
    sparse = np.full(length, np.nan)
    sparse[::64] = draw.normal(size=len(sparse[::64]))
    columns = [
        np.full(length, 0.1),
        draw.integers(0, 33, length) / 32,
        single,
        np.sqrt(np.abs(single)),
        mostly,
        sparse,
        draw.normal(size=length),
        np.where(draw.random(length) < 0.1, -0.0, single),
        single * 1e300,
    ]
    return np.stack(columns, axis=1)


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    """Also of NaN, and of the sign of zero."""
    return np.array_equal(np.ascontiguousarray(one).view(np.int64), np.ascontiguousarray(other).view(np.int64))


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 5)), elements=NUMBERS))
@settings(deadline=None)
def test_whatever_is_packed_comes_back_bit_for_bit(rows: np.ndarray) -> None:
    assert same_bits(Block(rows).rows(), rows)


def test_every_part_of_a_packed_column_is_that_of_the_rows() -> None:
    rows = kinds(BLOCK)
    block = Block(rows)
    for place in range(rows.shape[1]):
        for first, last in ((0, 1), (44, 46), (45, 46), (100, 900), (BLOCK - 1, BLOCK), (7, 7)):
            assert same_bits(block.column(place, first, last), rows[first:last, place])


def test_a_norm_takes_half_the_room_a_share_an_eighth_and_a_constant_none() -> None:
    rows = kinds(BLOCK)

    def bytes_a_row(place: int) -> float:
        wide = np.repeat(rows[:, place : place + 1], 20, axis=1)
        return Block(wide).nbytes / wide.size

    assert bytes_a_row(0) < 0.2
    assert bytes_a_row(1) < 1.5
    assert bytes_a_row(2) < 4.2
    assert bytes_a_row(3) < 4.2
    assert bytes_a_row(4) < 4.5
    assert bytes_a_row(5) < 1.5
    assert bytes_a_row(6) < 8.2


@pytest.mark.parametrize("length", [1, BLOCK, 2 * BLOCK, 2 * BLOCK + 1, 5 * BLOCK + 77])
def test_a_long_timeline_is_read_as_a_short_one(length: int) -> None:
    rows = kinds(length)
    names = [str(i) for i in range(rows.shape[1])]
    at_once, one_by_one = Timeline(names), Timeline(names)
    at_once.extend(rows)
    for row in rows:
        one_by_one.append(row[:-2], *row[-2:])
    for timeline in (at_once, one_by_one):
        assert len(timeline) == length
        assert same_bits(timeline.rows(), rows)
        assert same_bits(timeline.rows(length // 3, length // 2), rows[length // 3 : length // 2])
        assert same_bits(timeline["4"], rows[:, 4])
        assert same_bits(timeline.read((6, 1), length // 2, length), rows[length // 2 :, [6, 1]].T)
        some = np.unique(np.linspace(0, length - 1, 50).astype(np.intp))
        assert same_bits(timeline.sample("3", some), rows[some, 3])
        for step in {1, length, length // 2 + 1}:
            assert same_bits(timeline.at(step), rows[step - 1])
            assert struct.pack("d", timeline.value("6", step)) == struct.pack("d", rows[step - 1, 6])
    assert at_once.nbytes == one_by_one.nbytes


@pytest.mark.parametrize("shared", [10, BLOCK, 2 * BLOCK + 5, 4 * BLOCK - 1])
def test_a_fork_reads_its_past_through_what_is_packed(shared: int) -> None:
    rows, more = kinds(4 * BLOCK), kinds(3 * BLOCK, seed=1)
    names = [str(i) for i in range(rows.shape[1])]
    past = Timeline(names)
    past.extend(rows)
    fork = Timeline(names, past, shared)
    fork.extend(more)
    expected = np.concatenate([rows[:shared], more])
    assert same_bits(fork.rows(), expected)
    assert same_bits(fork.rows(shared - 3, shared + 3), expected[shared - 3 : shared + 3])
    some = np.arange(0, len(expected), 37)
    assert same_bits(fork.sample("6", some), expected[some, 6])
    for step in (1, shared, shared + 1, len(expected)):
        assert same_bits(fork.at(step), expected[step - 1])


@pytest.mark.parametrize("length", [0, 5, BLOCK, BLOCK + 3, 3 * BLOCK])
def test_a_timeline_cut_short_goes_on_from_there(length: int) -> None:
    rows = kinds(4 * BLOCK)
    timeline = Timeline([str(i) for i in range(rows.shape[1])])
    timeline.extend(rows)
    before = timeline.at(1)
    timeline.truncate(length)
    assert len(timeline) == length
    timeline.extend(rows[: 2 * BLOCK])
    assert same_bits(timeline.rows(), np.concatenate([rows[:length], rows[: 2 * BLOCK]]))
    assert same_bits(before, rows[0])


def test_rows_looked_at_stay_what_they_were_while_the_timeline_grows() -> None:
    rows = kinds(4 * BLOCK)
    timeline = Timeline([str(i) for i in range(rows.shape[1])])
    timeline.extend(rows[:BLOCK])
    seen = timeline.rows(BLOCK // 2)
    timeline.extend(rows[BLOCK:])
    assert same_bits(seen, rows[BLOCK // 2 : BLOCK])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_long_run_remembers_its_steps_in_half_the_room_of_its_numbers(optimizer: str) -> None:
    layers = [{"kind": "dense", "units": 32}, {"kind": "relu"}, {"kind": "dense", "units": 10}]
    recipe = {"data": {"kind": "digits"}, "layers": layers, "optimizer": {"kind": optimizer}}
    run = Run(Recipe.from_builtins(recipe), health=True)
    kept = []
    for _ in range(3 * BLOCK):
        run.step()
        kept.append(run.history.at(len(run.history)).copy())
    assert same_bits(run.history.rows(), np.array(kept))
    packed = run.history.nbytes - 2 * BLOCK * 8 * len(run.history.columns)
    assert packed < 0.55 * BLOCK * 8 * len(run.history.columns)


def test_a_fork_ends_where_its_past_does_until_the_rest_of_that_has_come() -> None:
    past = Timeline(["loss"])
    past.extend(np.arange(30.0)[:, None])
    fork = Timeline(["loss"], past, 40)
    assert fork["loss"].tolist() == list(range(30))
    past.extend(np.arange(30.0, 50.0)[:, None])
    fork.append(np.array([7.0]))
    assert fork["loss"].tolist() == [*range(40), 7.0]
