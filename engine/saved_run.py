"""A run as a session file holds it: all that it hangs on at one moment, to be written while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import inf

import numpy as np

from engine.edits import Adopted, Loaded
from engine.forks import Change, Fork
from engine.frames import Position
from engine.keyframes import Keyframe
from engine.layers.custom import own_files
from engine.recipe import Recipe
from engine.recorder import Recorder
from engine.run import Run
from engine.session_file import ChangeRecord, ForkRecord, KeyframeRecord, Manifest, Member, View
from engine.trainer import Trainer

SAMPLED = 1000  # samples whose values tell whether the data are the same
DOUBLE = np.dtype(np.float64)


@dataclass(frozen=True)
class Snapshot:
    """All of a run at one moment; what it refers to is not written again while `Keyframes.lent` is set."""

    recipe: Recipe
    manifest: Manifest
    members: tuple[Member, ...]


class _Recipes:
    """Recipes by number, each once; number 0 is the first."""

    def __init__(self, first: Recipe) -> None:
        self.all = [first]

    def number(self, recipe: Recipe) -> int:
        """The number of a recipe, given when first asked for."""
        found = next((i for i, known in enumerate(self.all) if known is recipe or known == recipe), None)
        if found is None:
            self.all.append(recipe)
            return len(self.all) - 1
        return found


def snapshot(run: Run, view: View, room: float = inf) -> Snapshot:
    """The run as it stands, to be written; of its keyframes as many as fit into `room` bytes, and what it needs."""
    recorder, trainer = run.recorder, run.trainer
    tip, network, recipes = recorder.tip, trainer.network, _Recipes(recorder.first.recipe)
    forks, here = list(recorder.forks.values()), _here(recorder)
    chosen = _chosen(recorder, forks, room)
    dtype, size = network.dtype, len(recorder.first.values)
    members = [_states("first.npy", dtype, size, [recorder.first])]
    records, loaded = [], list[Loaded]()
    for number, fork in enumerate(forks):
        kept = [keyframe for keyframe in fork.keyframes if id(keyframe) in chosen]
        changes = tuple(_of_change(change, recipes, loaded) for change in fork.changes)
        records.append(_record(fork, forks, kept, recipes, tip if fork is recorder.path else fork.tip, changes))
        members.append(_states(f"keyframes/{number}.npy", dtype, size, kept))
        shape = len(fork.history) - fork.shared, len(recorder.columns)
        members.append(Member(f"scalars/{number}.npy", DOUBLE, shape, fork.history.own_rows()))
    if here is not None:
        members.append(_states("here.npy", dtype, size, [here]))
    members += [_of_loaded(number, weights, dtype) for number, weights in enumerate(loaded)]
    manifest = Manifest(
        run=run.name,
        dtype=trainer.recipe.dtype,
        shape=network.shapes[0],
        size=size,
        columns=tuple(recorder.columns),
        forks=tuple(records),
        path=forks.index(recorder.path),
        kept=run.kept,
        position=recorder.here,
        here=None if here is None else _of_keyframe(here, recipes),
        data=digest(trainer),
        own_code=fingerprints(trainer.recipe),
        breakpoints=tuple(run.breakpoints),
        view=view,
        recipes=tuple(recipes.all[1:]),
    )
    return Snapshot(recipes.all[0], manifest, tuple(members))


def _here(recorder: Recorder) -> Keyframe | None:
    """The last whole step as a keyframe; None where a change since has been written into it."""
    step, last = recorder.whole_steps, recorder.here
    whole = Position(step, len(recorder.trainer.all_phases) - 1 if step else -1)
    before = sum(change.at <= whole for change in recorder.path.changes)
    if last != whole and before != sum(change.at <= last for change in recorder.path.changes):
        return None
    state, dtype = recorder.trainer.state(), recorder.trainer.network.dtype
    values = np.frombuffer(b"".join((state.parameters, state.optimizer_slots, state.buffers)), dtype)
    return Keyframe.of(step, state.recipe, before, values)


def _chosen(recorder: Recorder, forks: list[Fork], room: float) -> set[int]:
    """The ids of the keyframes to keep: those that are needed, then others, evenly, as many as fit."""
    all_of_them = [keyframe for fork in forks for keyframe in fork.keyframes]
    needed = {id(fork.keyframes[0]) for fork in forks if fork.past is None}
    nearest = recorder.path.nearest(max(recorder.here.step - 2, recorder.path.first_step))
    needed.add(id(nearest))
    count = min(len(all_of_them), room // max(recorder.keyframes.size, 1))
    if count == len(all_of_them):
        return {id(keyframe) for keyframe in all_of_them}
    places = np.linspace(0, len(all_of_them) - 1, int(count)).astype(int)
    return needed | {id(all_of_them[place]) for place in places}


def _states(name: str, dtype: np.dtype[np.generic], size: int, keyframes: list[Keyframe]) -> Member:
    values = [keyframe.values for keyframe in keyframes]
    return Member(name, dtype, (len(values), size), lambda: values)


def _of_keyframe(keyframe: Keyframe, recipes: _Recipes) -> KeyframeRecord:
    return KeyframeRecord(keyframe.step, keyframe.changes, recipes.number(keyframe.recipe))


def _record(
    fork: Fork,
    forks: list[Fork],
    kept: list[Keyframe],
    recipes: _Recipes,
    tip: Position,
    changes: tuple[ChangeRecord, ...],
) -> ForkRecord:
    return ForkRecord(
        name=fork.name,
        past=None if fork.past is None else forks.index(fork.past),
        start=fork.start,
        tip=tip,
        shared=fork.shared,
        length=len(fork.history),
        changes=changes,
        keyframes=tuple(_of_keyframe(keyframe, recipes) for keyframe in kept),
        doubtful_from=fork.doubtful_from,
    )


def _of_change(change: Change, recipes: _Recipes, loaded: list[Loaded]) -> ChangeRecord:
    """The change as text; weights out of a file are added to `loaded`."""
    if isinstance(change, Adopted):
        return ChangeRecord(*change.at, recipe=recipes.number(change.recipe))
    if isinstance(change, Loaded):
        loaded.append(change)
        addresses = tuple(change.values)
        return ChangeRecord(*change.at, address=change.source, loaded=len(loaded) - 1, addresses=addresses)
    return ChangeRecord(
        *change.at, address=change.address, index=change.index, value=repr(float(change.value)), sample=change.sample
    )


def _of_loaded(number: int, weights: Loaded, dtype: np.dtype[np.generic]) -> Member:
    flat = [np.asarray(value, dtype).reshape(-1) for value in weights.values.values()]
    return Member(f"loaded/{number}.npy", dtype, (1, sum(map(len, flat))), lambda: flat)


def digest(trainer: Trainer) -> str:
    """What tells whether the samples are others: from a thousand of them, spread evenly, as they were loaded."""
    x = trainer.samples.x
    chosen = x[:: -(-len(x) // SAMPLED) or 1]
    return sha256(repr(x.shape).encode() + np.ascontiguousarray(chosen, np.float64).tobytes()).hexdigest()


def fingerprints(recipe: Recipe) -> dict[str, str]:
    """What tells whether the files with code of the user's own are others, by path."""
    files = own_files(recipe.layers)
    if not files:
        return {}
    from engine.owncode.trust import fingerprint  # only where there is own code

    return {str(file): fingerprint(file) for file in files if file.is_file()}
