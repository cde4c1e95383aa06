"""The mutation suite of the diagnosis: every bug in every kind of layer, loss and own code, and right code beside.

`--seeds N` (100 for the full figure) examines every mutant under N seeds, shapes and parameters drawn anew; right
subjects are 10,000 whatever N is. A line for each bug in each kind, then the overall figures with their bars.
"""

import os

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1"))

import argparse
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import report
from mutation import Tally, accusations, tallies

RIGHT, PORTION = 10_000, 250
SEEDS = 3  # by default; all in all two minutes on two cores


def suite(seeds: int, pool: ProcessPoolExecutor) -> dict[tuple[str, str], Tally]:
    """Every mutant under every seed, a seed a task."""
    total: dict[tuple[str, str], Tally] = {}
    for found in pool.map(tallies, [range(seed, seed + 1) for seed in range(seeds)]):
        for key, tally in found.items():
            total.setdefault(key, Tally()).join(tally)
    return total


def measure(seeds: int) -> Iterator[report.Figure]:
    """The table, then the three figures that the suite is judged by."""
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        total = suite(seeds, pool)
        portions = [range(start, start + PORTION) for start in range(0, RIGHT, PORTION)]
        accused = [line for lines in pool.map(accusations, portions) for line in lines]
    runs = sum(tally.runs for tally in total.values())
    for (kind, slug), tally in sorted(total.items(), key=lambda item: item[0][::-1]):
        case = f"{slug} in {kind}"
        yield report.figure(case, "detected", 100 * tally.detected / tally.runs, "%", None, True)
        called = ", ".join(tally.called)
        yield report.figure(
            case, "named" + (f", else {called}" if called else ""), 100 * tally.named / tally.runs, "%", None, True
        )
    for line in accused:
        print(line, file=sys.stderr)
    case = f"{runs:,} mutants, {len(total)} bugs in kinds"
    yield report.figure(case, "detected", sum(tally.detected for tally in total.values()) / runs, "", 0.99, True)
    yield report.figure(case, "named", sum(tally.named for tally in total.values()) / runs, "", 0.90, True)
    yield report.figure(f"{RIGHT:,} right subjects", "accused", len(accused), "", 0, False)


def main() -> int:
    """Read how many seeds; the rest is `report`'s."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options, rest = parser.parse_known_args()

    def measured() -> Iterator[report.Figure]:
        return measure(options.seeds)

    return report.main("diagnosis", measured, rest)


if __name__ == "__main__":
    sys.exit(main())
