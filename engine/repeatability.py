"""Which layer does not give the same numbers when the same mini-batch is computed again."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import numpy as np

from engine.frames import Phase
from engine.recorder import Recorder


def culprit(recorder: Recorder, step: int) -> str:
    """A sentence that names the first layer to differ between two replays of the steps up to `step`."""
    first = list(_prints(recorder, step))
    second = _prints(recorder, step)
    phase = next((phase for (phase, ours), (_, theirs) in zip(first, second, strict=True) if ours != theirs), None)
    layers = recorder.trainer.recipe.layers
    who = "the training"
    if phase is not None and phase.layer is not None:
        who = f"layers[{phase.layer}] ({layers[phase.layer].kind()}), in {phase},"
    elif phase is not None:
        who = f"the phase {phase}"
    return (
        f"{who} gave other numbers when step {step:,} was computed again: it is not repeatable, so from there on the "
        "timeline shows the past as it comes out now; let own code draw its random numbers from a seed"
    )


def _prints(recorder: Recorder, step: int) -> Iterator[tuple[Phase, int]]:
    """Every phase from the last keyframe to `step`, with a checksum of what it computed."""
    trainer = recorder.trainer
    start = recorder.path.nearest(step - 1)
    assert start is not None
    recorder.restore(start)
    made: dict[int, list[str]] = {}
    for address, info in trainer.tensor_infos.items():
        made.setdefault(info.made_by, []).append(address)
    with trainer.computing():
        while recorder.whole_steps < step:
            for phase in recorder.advance():
                total = 0
                for address in made.get(trainer.position.phase, []):
                    array = trainer.tensor(address)
                    if array is not None:
                        total = crc32(np.ascontiguousarray(array).tobytes(), total)
                yield phase, total
