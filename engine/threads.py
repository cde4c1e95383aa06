"""How many threads the matrix products of a network get: one for small networks, every core for large ones.

The number hangs on the recipe and the machine alone, never on a clock: products of float32 that are shared out among
threads round otherwise, and the same recipe must give the same bits.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

# Multiply-adds of one mini-batch's forward from which on a second thread pays, as tests/benchmarks/threads.py measures
# it: below, handing work over eats most of what is won; above, a step takes 1.3 to 1.7 times as long on one thread.
WORTH_SHARING = 30_000_000


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_for(multiply_adds: int, most: int | None = None) -> int:
    """Threads, `most` at most, for a network whose forward takes so many multiply-adds a mini-batch."""
    if multiply_adds < WORTH_SHARING:
        return 1
    return cores() if most is None else min(cores(), most)


@cache
def _pools() -> tuple[Any, ...]:
    """The BLAS libraries whose threads can be set: numpy's, as a rule one."""
    from threadpoolctl import ThreadpoolController  # takes some milliseconds: not before a network stands

    return tuple(ThreadpoolController().select(user_api="blas").lib_controllers)


class BlasThreads:
    """`with BlasThreads(n):` sets how many threads matrix products get, and puts the number before it back.

    May be entered again inside itself; costs about a microsecond where the number is right already.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._before: list[tuple[int, ...] | None] = []  # None: the number was right already

    def __enter__(self) -> None:
        before = tuple([pool.get_num_threads() for pool in _pools()])
        if all(number == self.count for number in before):
            self._before.append(None)
            return
        self._before.append(before)
        for pool in _pools():
            pool.set_num_threads(self.count)

    def __exit__(self, *_: object) -> None:
        before = self._before.pop()
        if before is not None:
            for pool, number in zip(_pools(), before, strict=True):
                pool.set_num_threads(number)
