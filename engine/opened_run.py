"""The run that stands where a session file was written, bit for bit; what does not fit together is refused."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from engine.edits import INPUT, LABELS, TARGETS, Adopted, Edit, Loaded
from engine.forks import Change, Fork
from engine.frames import Array, Position
from engine.keyframes import Keyframe
from engine.layers.custom import take_up_own_code
from engine.network import lay_out, shape_chain
from engine.recipe import Recipe, only_live_fields_differ
from engine.recorder import Recorder
from engine.run import Run
from engine.saved_run import DOUBLE, digest, fingerprints
from engine.session_archive import DAMAGED, Archive
from engine.session_file import ChangeRecord, ForkRecord, KeyframeRecord, SessionFileError
from engine.timeline import BLOCK, Timeline
from engine.trainer import Trainer

MOST_WORK = 2e10  # multiply-adds that may be computed again to show the whole picture of where one stood
MOST_STEPS = 2000  # as many of them as that


def restore(archive: Archive, budget: int, most_threads: int | None = None) -> Run:
    """The run of a session file, where it stood. Nothing that was there before is touched.

    Raises SessionFileError or RecipeError: one sentence.
    """
    with archive.explained():
        manifest, recipes = archive.manifest, _recipes(archive)
        _check_sizes(archive)
        run = Run(recipes[0], budget=budget, health=True, name=manifest.run, most_threads=most_threads)
        if run.recorder.first.values.size != manifest.size:
            raise SessionFileError(f"its data have another shape than those that are read now; {DAMAGED}")
        first = Keyframe.of(0, recipes[0], 0, _read_states(archive, "first.npy", 1)[0])
        forks: list[Fork] = []
        for number in range(len(manifest.forks)):
            forks.append(_fork(archive, number, forks, run, recipes))
        if len({fork.name for fork in forks}) < len(forks) or manifest.path >= len(forks):
            raise SessionFileError(DAMAGED)
        path, run.kept = forks[manifest.path], manifest.kept
        run.recorder.take_over(first, forks, path)
        for found in manifest.breakpoints:
            run.breakpoints.keep(found)
        run.trainer.needs_input_gradient = True  # whatever looks at the picture first
        _go(run, archive, recipes)
        run.trainer.needs_input_gradient = False
    return run


def notice(archive: Archive, run: Run) -> str:
    """A sentence where something that the session hangs on is no more what it was; else ""."""
    manifest = archive.manifest
    changed = [
        Path(path).name
        for path, state in fingerprints(run.trainer.recipe).items()
        if manifest.own_code.get(path, state) != state
    ]
    if changed:
        return f"{changed[0]} has changed since this session was saved; what is computed again may come out otherwise"
    if manifest.data and manifest.data != digest(run.trainer):
        return "the data have changed since this session was saved; what is computed again may come out otherwise"
    return ""


def _recipes(archive: Archive) -> list[Recipe]:
    """All recipes of the run by number."""
    first = archive.recipe
    recipes = [first, *archive.manifest.recipes]
    if not all(only_live_fields_differ(first, recipe) for recipe in recipes):
        raise SessionFileError(f"a recipe in session.json is of another network than recipe.json; {DAMAGED}")
    return recipes


def _check_sizes(archive: Archive) -> None:
    """Compare every array's header with what the recipe makes of it, before memory is taken for any."""
    manifest, recipe = archive.manifest, archive.recipe
    take_up_own_code(recipe.layers)
    inputs = list(zip(recipe.layers, shape_chain(recipe, manifest.shape), strict=False))
    parameters = lay_out([spec.parameters(shape) for spec, shape in inputs])[1]
    buffers = lay_out([spec.buffers(shape) for spec, shape in inputs])[1]
    size = parameters * (1 + recipe.optimizer.slots) + buffers
    if recipe.dtype != manifest.dtype or size != manifest.size:
        raise SessionFileError(f"recipe.json and session.json are not of one session; {DAMAGED}")
    dtype = np.dtype(manifest.dtype)
    archive.check("first.npy", dtype, (1, size))
    if manifest.here is not None:
        archive.check("here.npy", dtype, (1, size))
    for number, fork in enumerate(manifest.forks):
        archive.check(f"keyframes/{number}.npy", dtype, (len(fork.keyframes), size))
        archive.check(f"scalars/{number}.npy", DOUBLE, (fork.length - fork.shared, len(manifest.columns)))


def _read_states(archive: Archive, name: str, count: int) -> list[Array]:
    manifest = archive.manifest
    rows = archive.rows(name, np.dtype(manifest.dtype), (count, manifest.size))
    return [row[0] for row in rows]


def _fork(archive: Archive, number: int, before: list[Fork], run: Run, recipes: list[Recipe]) -> Fork:
    """One path, on those before it. Raises SessionFileError where it cannot be one."""
    record, columns = archive.manifest.forks[number], run.recorder.columns
    last = len(run.trainer.all_phases) - 1
    start, tip = Position(*record.start), Position(*record.tip)
    if record.past is not None and record.past >= number:
        raise SessionFileError(DAMAGED)
    past = None if record.past is None else before[record.past]
    _check_path(record, past, last)
    history = Timeline(columns, past.history if past else None, record.shared)
    for rows in _scalars(archive, number, columns):
        history.extend(rows)
    fork = Fork(record.name, history, start, past)
    fork.tip, fork.doubtful_from = tip, record.doubtful_from
    fork.changes = [_change(run.trainer, change, recipes, archive) for change in record.changes]
    if any(later.at < sooner.at for sooner, later in zip(fork.changes, fork.changes[1:], strict=False)):
        raise SessionFileError(DAMAGED)
    states = _read_states(archive, f"keyframes/{number}.npy", len(record.keyframes))
    for kept, values in zip(record.keyframes, states, strict=True):
        fork.keyframes.append(_keyframe(kept, values, fork, recipes))
    return fork


def _check_path(record: ForkRecord, past: Fork | None, last: int) -> None:
    """Raise SessionFileError where the places in time of a path contradict each other."""
    start, tip, length = Position(*record.start), Position(*record.tip), record.length
    whole = Position(length, last) if length else Position(0, -1)
    steps = [keyframe.step for keyframe in record.keyframes]
    right = [
        start.phase <= last,
        start <= tip,
        tip == whole or (tip.step == length + 1 and -1 < tip.phase <= last),
        steps == sorted(set(steps)),
        record.shared <= length,
    ]
    if past is None:
        right += [record.shared == 0, steps[:1] == [start.step], start.step <= length]
        right += [start.phase == (last if start.step else -1)]
    else:
        right += [record.shared <= len(past.history), record.shared <= start.step <= record.shared + 1]
        right += [start >= past.origin, past.origin.step <= record.shared, all(s > record.shared for s in steps)]
        right += [record.shared == start.step or start.phase < last]
    right += [not steps or steps[-1] <= length]
    if not all(right):
        raise SessionFileError(f"the path {record.name[:60]!r} contradicts itself; {DAMAGED}")


def _scalars(archive: Archive, number: int, columns: list[str]) -> Iterator[Array]:
    """A path's own rows, in the columns of today: those that the file does not know are NaN."""
    manifest, record = archive.manifest, archive.manifest.forks[number]
    shape = record.length - record.shared, len(manifest.columns)
    rows = archive.rows(f"scalars/{number}.npy", DOUBLE, shape, BLOCK)
    if list(manifest.columns) == columns:
        yield from rows
        return
    known = {name: place for place, name in enumerate(manifest.columns)}
    common = [(place, known[name]) for place, name in enumerate(columns) if name in known]
    for part in rows:
        moved = np.full((len(part), len(columns)), np.nan)
        for place, old in common:
            moved[:, place] = part[:, old]
        yield moved


def _keyframe(record: KeyframeRecord, values: Array, fork: Fork, recipes: list[Recipe]) -> Keyframe:
    if record.recipe >= len(recipes) or record.changes > len(fork.changes):
        raise SessionFileError(DAMAGED)
    return Keyframe.of(record.step, recipes[record.recipe], record.changes, values)


def _change(trainer: Trainer, record: ChangeRecord, recipes: list[Recipe], archive: Archive) -> Change:
    """A change as it is made. Raises SessionFileError where there is no such recipe or cell."""
    at = Position(record.step, record.phase)
    if record.phase >= len(trainer.all_phases):
        raise SessionFileError(DAMAGED)
    if record.recipe is not None:
        if record.recipe >= len(recipes):
            raise SessionFileError(DAMAGED)
        return Adopted(at, recipes[record.recipe])
    if record.loaded is not None:
        return Loaded(at, record.address, _loaded(trainer, record, archive))
    shape, sample = _shape(trainer, record), record.sample
    fits = len(shape) == len(record.index) and all(i < n for i, n in zip(record.index, shape, strict=False))
    of_data = record.address.startswith("data.")
    if not fits or of_data != (sample is not None) or (sample is not None and sample >= len(trainer.x)):
        raise SessionFileError(f"it changes {record.address[:40]} where there is no such cell; {DAMAGED}")
    value = float(record.value)
    if record.address == LABELS and not (value.is_integer() and 0 <= value < max(trainer.network.shapes[-1][0], 2)):
        raise SessionFileError(DAMAGED)
    return Edit(at, record.address, record.index, value, sample)


def _loaded(trainer: Trainer, record: ChangeRecord, archive: Archive) -> dict[str, Array]:
    """Weights that had come out of a file, by address."""
    network = trainer.network
    shapes = {slot.address: slot.parameter.shape for slot in (*network.slots, *network.buffer_slots)}
    if not set(record.addresses) <= shapes.keys():
        raise SessionFileError(DAMAGED)
    ends = np.cumsum([prod(shapes[address]) for address in record.addresses]).astype(int)
    total = int(ends[-1]) if len(ends) else 0
    (flat,) = (row[0] for row in archive.rows(f"loaded/{record.loaded}.npy", network.dtype, (1, total)))
    parts = np.split(flat, ends[:-1])
    return {a: part.reshape(shapes[a]) for a, part in zip(record.addresses, parts, strict=True)}


def _shape(trainer: Trainer, record: ChangeRecord) -> tuple[int, ...]:
    """The shape of what a change is made in."""
    batch = trainer.recipe.batch_size
    if record.address == INPUT:
        return batch, *trainer.x.shape[1:]
    if record.address == LABELS and trainer.labels is not None:
        return (batch,)
    if record.address == TARGETS and trainer.labels is None:
        return batch, *trainer.targets.shape[1:]
    found = next((slot for slot in trainer.network.slots if slot.address == record.address), None)
    if found is None:
        raise SessionFileError(f"it changes {record.address[:40]!r}, which is not there; {DAMAGED}")
    return found.parameter.shape


def _go(run: Run, archive: Archive, recipes: list[Recipe]) -> None:
    """Be where one stood: with the whole picture where that is soon computed again."""
    manifest, recorder = archive.manifest, run.recorder
    path, target, here = recorder.path, Position(*manifest.position), manifest.here
    if not path.origin <= target <= path.tip or target.phase >= len(run.trainer.all_phases):
        raise SessionFileError(DAMAGED)
    kept = None
    if here is not None:
        kept = _keyframe(here, _read_states(archive, "here.npy", 1)[0], path, recipes)
        if not path.first_step <= kept.step <= target.step or kept.step < target.step - 1:
            raise SessionFileError(DAMAGED)
        _keep(recorder, kept)
    nearest = path.nearest(max(target.step - 2, path.first_step))
    assert nearest is not None
    if not _far(run, target.step - nearest.step):
        recorder.go(target, afresh=True)
    else:
        recorder.restore(kept or nearest)
        with run.trainer.computing():
            while kept is not None and recorder.here < target:
                next(recorder.advance())


def _keep(recorder: Recorder, keyframe: Keyframe) -> None:
    """Add a keyframe to the path where it has none at that step; one of a path is taken before changes made there."""
    owner = recorder.path.owner(keyframe.step)
    whole = Position(keyframe.step, len(recorder.trainer.all_phases) - 1 if keyframe.step else -1)
    if any(change.at == whole for change in recorder.path.changes):
        return
    if all(known.step != keyframe.step for known in owner.keyframes):
        owner.add(keyframe)
        recorder.keyframes.count += 1


def _far(run: Run, steps: int) -> bool:
    work = 3 * run.trainer.network.multiply_adds * run.trainer.recipe.batch_size
    return steps > MOST_STEPS or (steps > 3 and steps * work > MOST_WORK)
