"""The mutation suite in small: bugs are found and named, right code is never accused."""

from __future__ import annotations

import os

import pytest

from mutation import accusations, tallies

SLICE = os.environ.get("NABLASCOPE_SLICE") == "1"


def rates(seeds: range, every: int = 1) -> tuple[float, float]:
    """The shares of mutants that were detected and that were called by their name."""
    found = tallies(seeds, every).values()
    runs = sum(tally.runs for tally in found)
    return sum(t.detected for t in found) / runs, sum(t.named for t in found) / runs


def test_bugs_are_found_wherever_they_live_and_nearly_all_are_named() -> None:
    detected, named = rates(range(1), every=4)
    assert detected >= 0.99
    assert named >= 0.90


def test_right_code_is_not_accused() -> None:
    assert accusations(range(20_000, 20_080)) == []


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_the_whole_suite_over_many_seeds() -> None:
    detected, named = rates(range(1, 2 if SLICE else 40))
    assert detected >= 0.99
    assert named >= 0.90


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_ten_thousand_right_subjects_are_not_accused() -> None:
    assert accusations(range(500 if SLICE else 10_000)) == []
