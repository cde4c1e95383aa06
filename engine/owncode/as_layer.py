"""A class of a user's file as a layer of a network: constructed for the shape that the layer before it gives."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from engine.generators import global_generators_kept, seed_globals
from engine.owncode.arrays import get, walk
from engine.owncode.classes import chosen, class_form, class_forms, number
from engine.owncode.construct import Builder, constructor, nearest, parse_arguments, takes_inputs
from engine.owncode.layers import OwnLayer, OwnLayerCopy, attempt, independent, influential
from engine.owncode.load import Source, load
from engine.owncode.objects import ObjectWorker, Template
from engine.owncode.setting import BATCHES, Setting, UnfitError, furthest
from engine.owncode.trust import check_allowed
from engine.subject import SubjectError

SECONDS = 5.0  # the file's top level may take
Shape = tuple[int, ...]


def own_layer(path: Path, name: str, arguments: str, shape: Shape, seed: int | None = None) -> OwnLayer:
    """The class at work on samples of `shape`; `seed` draws its first parameters.

    Raises RecipeError where the file may not run, SubjectError where the class cannot be a layer here.
    """
    if path not in _in_use:
        take_up([path])
    return _own_layer(path, _in_use[path][0], name, arguments, shape, seed)


# Of each file the state that runs, and its module: a file that was changed on disk, perhaps into one that may not run
# or does not parse, must not reach into the run that stands.
_in_use: dict[Path, tuple[str, Source]] = {}


def take_up(paths: Iterable[Path]) -> None:
    """Run the files as they are now, unless they run so already; from here on their layers are of this state.

    Raises RecipeError where one may not run, SubjectError where one cannot; then all stay as they were.
    """
    found = {}
    for path in paths:
        state = check_allowed(path)
        if path not in _in_use or _in_use[path][0] != state:
            source = load(path, SECONDS)
            if source.problem and not source.own_classes:
                raise SubjectError(source.problem)
            found[path] = state, source
    _in_use.update(found)


@lru_cache(maxsize=64)
@global_generators_kept()
def _own_layer(path: Path, _state: str, name: str, arguments: str, shape: Shape, seed: int | None) -> OwnLayer:
    source = _in_use[path][1]
    builder = Builder(source, _given(source, name, arguments, shape))
    form = class_form(source, _class(source, name))
    if form is None or form.family != "layer":
        raise SubjectError(
            f"{source.at(name)} is not a layer: it needs forward(x) and backward(grad_y) that give arrays; "
            "choose another class"
        )
    failures: list[SubjectError] = []
    if seed is not None:
        seed_globals(seed)
    for instance in builder.instances(form.cls, rewind=seed is None):
        template = Template(source, instance, form.forward, form.backward)
        try:
            return _fed(template, form.name, number(form), shape)
        except SubjectError as error:
            failures.append(error)
    raise furthest(failures)


def _class(source: Source, name: str) -> type:
    """The class of that name. Raises SubjectError with the names there are."""
    named = {cls.__name__: cls for cls in source.own_classes}
    if name in named:
        return named[name]
    there = ", ".join(form.name for form in class_forms(source) if form.family == "layer") or "none"
    raise SubjectError(
        source.problem or f"{source.path.name} has no class {name!r}{nearest(name, list(named))}; layers in it: {there}"
    )


def _given(source: Source, name: str, arguments: str, shape: Shape) -> dict[str, Any]:
    """The constructor's arguments: those that the recipe names, and the number of inputs, which the network knows."""
    try:
        given = parse_arguments(arguments) if arguments.strip() else {}
    except ValueError as error:
        raise SubjectError(f"args: {error}; write them as units_in=5, units_out=3") from error
    known = constructor(_class(source, name))
    unknown = given.keys() - {parameter.name for parameter in known}
    if unknown:
        takes = ", ".join(parameter.name for parameter in known) or "no arguments"
        raise SubjectError(f"{source.at(name)} takes no argument {min(unknown)!r}; it takes {takes}")
    for parameter in known:
        if len(shape) == 1 and takes_inputs(parameter.name):
            given.setdefault(parameter.name, shape[0])
    missing = [p.name for p in known if p.default is p.empty and p.name not in given]
    if missing:
        example = ", ".join(f"{argument}=…" for argument in missing)
        raise SubjectError(f"{source.at(name)} needs {' and '.join(missing)}; write {example} into its arguments")
    return given


def _fed(template: Template, name: str, form: int, shape: Shape) -> OwnLayer:
    """The layer with samples as rows or as columns, whichever it takes."""

    def make(setting: Setting) -> OwnLayer:
        names = (template.what_forward, template.what_backward)
        return OwnLayer(name, form, lambda: ObjectWorker(template), setting, names)

    taken = {d for slot in template.slots for d in get(template.instance, slot.path).shape} | set(shape)
    batch = next((b for b in BATCHES if b not in taken), BATCHES[-1] + 2)
    choices, failures = [], []
    for layout in ("rows", "columns"):
        try:
            subject, x, y, _, gradients = attempt(make, Setting(layout, shape, batch))
        except UnfitError as failure:
            failures.append(failure)
            continue
        subject.roles = influential(subject, x, y)
        choices.append((subject, independent(subject, x, y), gradients["x"].shape == x.shape))
    if not choices:
        raise SubjectError(str(max(failures, key=lambda failure: failure.stage)))
    return chosen(choices)


def draw_anew(copy: OwnLayerCopy, seed: int) -> None:
    """Let every generator that the code may draw from begin at `seed`, also those that the object holds."""
    seed_globals(seed)
    worker = copy.worker
    held = walk(worker.target, worker.template.module) if isinstance(worker, ObjectWorker) else ()
    for _, value in held:
        if isinstance(value, np.random.Generator):
            value.bit_generator.state = type(value.bit_generator)(seed).state
        elif isinstance(value, np.random.RandomState | random.Random):
            value.seed(seed)
