"""The benchmarks' report: what it prints can be trusted and read by a machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch):
    """The module that the benchmarks share; it lies beside them, outside any package."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "benchmarks"))
    return pytest.importorskip("report")


def test_json_is_one_line_per_figure_and_never_nan(report, capsys):
    def measure():
        yield report.figure("digits", "speed", 2.5, "x", 2, at_least=True)
        yield report.figure("digits", "gap", 40.0, "ms", 34, at_least=False)
        yield report.figure("digits", "lost", float("nan"), "ms", 34, at_least=False)

    assert report.main("name", measure, ["--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == {"case": "digits", "figure": "speed", "value": 2.5, "unit": "x", "bar": 2.0, "holds": True}
    assert [line["holds"] for line in lines] == [True, False, False]
    assert lines[2]["value"] is None
    assert report.main("name", measure, ["--strict"]) == 1
    assert "MISSED" in capsys.readouterr().out


def test_rivals_take_turns_and_the_ratio_is_of_their_medians(report):
    order = []

    def ours():
        order.append("ours")
        return 3.0

    def rival():
        order.append("rival")
        return 2.0

    assert report.ratio_of_medians(ours, rival, 3, timer=lambda run: run()) == 1.5
    assert order == ["ours", "rival", "ours", "rival", "rival", "ours", "ours", "rival"]
