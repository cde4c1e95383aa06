"""What every benchmark shares: fair timing of two rivals, and the report that says whether each bar holds.

A benchmark is a file whose `measure()` yields a `figure(...)` for each of its numbers and that ends in
`sys.exit(main("name", measure))`. It prints a table, or with `--json` one line of JSON per figure as it comes, and
exits 0 whether or not the bars hold; with `--strict` it exits 1 when one does not.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number and the bar it must reach."""

    case: str
    figure: str
    value: float
    unit: str
    bar: float | None  # None: told for orientation, nothing to hold
    at_least: bool

    @property
    def holds(self) -> bool:
        """Whether the value is on the right side of its bar; NaN never is."""
        if self.bar is None:
            return True
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    def as_json(self) -> str:
        """The figure as one line of JSON."""
        return json.dumps(
            {
                "case": self.case,
                "figure": self.figure,
                "value": float(f"{self.value:.4g}") if math.isfinite(self.value) else None,
                "unit": self.unit,
                "bar": self.bar,
                "holds": self.holds,
            }
        )

    def as_row(self) -> tuple[str, ...]:
        """The figure as the cells of a table a person reads."""
        bar = "" if self.bar is None else f"{'>=' if self.at_least else '<='} {self.bar:g}"
        verdict = "" if self.bar is None else "holds" if self.holds else "MISSED"
        return self.case, self.figure, f"{self.value:.4g}", self.unit, bar, verdict


def figure(case: str, figure: str, value: float, unit: str, bar: float | None, at_least: bool) -> Figure:
    """One number for a benchmark to yield; `at_least` tells whether the bar is a floor or a ceiling."""
    return Figure(case, figure, float(value), unit, bar, at_least)


def table(figures: Sequence[Figure]) -> str:
    """The figures in aligned columns, numbers to the right."""
    rows = [("case", "figure", "value", "unit", "bar", ""), *(figure.as_row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = {2, 4}
    lines = (
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def main(name: str, measure: Callable[[], Iterable[Figure]], argv: Sequence[str] | None = None) -> int:
    """Run a benchmark and print each figure that `measure()` yields; returns the exit code."""
    parser = argparse.ArgumentParser(prog=f"{name}.py", description=sys.modules[measure.__module__].__doc__)
    parser.add_argument("--json", action="store_true", help="print one line of JSON per figure")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a bar is missed")
    options = parser.parse_args(argv)
    figures = []
    for measured in measure():
        figures.append(measured)
        if options.json:
            print(measured.as_json(), flush=True)
    if not options.json:
        print(table(figures))
    missed = any(not figure.holds for figure in figures)
    return 1 if options.strict and missed else 0


def seconds(run: Callable[[], object]) -> float:
    """How long one call takes, in seconds."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ratio_of_medians(
    ours: Callable[[], object],
    rival: Callable[[], object],
    rounds: int,
    timer: Callable[[Callable[[], object]], float] = seconds,
) -> float:
    """The median time of `ours` over that of `rival`: below 1 means that ours is faster, 1/ratio times as fast.

    Both run once unmeasured, then take turns, the first of a round alternating, so that a slow moment of the machine
    and a warm cache fall on both. `timer` turns a callable into seconds; a callable may time itself with `timer=call`.
    """
    for run in (ours, rival):
        timer(run)
    times: dict[str, list[float]] = {"ours": [], "rival": []}
    for index in range(rounds):
        pair = [("ours", ours), ("rival", rival)]
        for name, run in pair if index % 2 == 0 else reversed(pair):
            times[name].append(timer(run))
    return statistics.median(times["ours"]) / statistics.median(times["rival"])
