"""NumPy's and Python's global random generators, which code of the user's own may draw from: seeded, and put back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

SEED = 12345  # before a forward that draws from them


def seed_globals(seed: int = SEED) -> None:
    """Set the generators that own code may draw from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (this is the state that own code reads)


@contextmanager
def global_generators_kept() -> Iterator[None]:
    """Put NumPy's and Python's own generators back as they were."""
    ours, theirs = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(theirs)  # noqa: NPY002
