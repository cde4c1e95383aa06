"""Frames for the Flow view from a run in this process, as the engine would send them."""

from __future__ import annotations

import numpy as np

from engine.carried import carried
from engine.frames import Frame, Picture, as_matrix, reduce_extremes
from engine.run import Run


def frame_of(run: Run, cells: tuple[int, int] = (96, 128), **replaced: np.ndarray) -> Frame:
    """The frame of a run's position with every tensor, in at most so many cells; `W_0=array` in place of some."""
    trainer, frame = run.trainer, run.trainer.frame()
    pictures = {}
    for address, info in trainer.tensor_infos.items():
        array = replaced.get(address.replace(".", "_"), trainer.tensor(address))
        if array is not None:
            matrix = reduce_extremes(as_matrix(array), *cells).astype(np.float32)
            pictures[address] = Picture(matrix, array.shape, info.made_by <= frame.position.phase)
    scalars = {**frame.scalars, **carried(run)}
    return Frame(frame.position, frame.phase, frame.epoch, frame.batch, frame.batches, scalars, pictures)


def advance(run: Run, phase: str) -> None:
    """Step to where this phase has just been computed."""
    for _ in range(200):
        run.step_part()
        if str(run.trainer.phase) == phase:
            return
    raise AssertionError(f"there is no phase {phase}")
