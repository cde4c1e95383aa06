"""Finding forms 4 and 5: which functions make up a model, which loss is its own, and how it is fed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.generators import seed_globals
from engine.owncode.arrays import Array, arrays
from engine.owncode.blame import blamed
from engine.owncode.classes import ClassForm, batches
from engine.owncode.construct import HIDDEN, INS, OUTS, Builder, guesses
from engine.owncode.load import Source
from engine.owncode.models import KINDS, Call, ModelCode, OwnModel, attempt, loss_settings
from engine.owncode.names import FORWARD, LOSS, LOSSLIKE, arguments, meanings
from engine.owncode.pairs import Pair
from engine.owncode.setting import Setting, UnfitError, furthest, settings
from engine.owncode.slopes import agreement_or_apart
from engine.subject import SubjectError

_MAKES_PARAMETERS = re.compile(r"init|create|make|build|xavier|glorot|random_param|params|network", re.I)


def find_model_class(source: Source, builder: Builder, form: ClassForm) -> OwnModel:
    """A model class with its loss. Raises SubjectError where it cannot be run."""
    failures: list[SubjectError] = []
    for instance in builder.instances(form.cls):
        codes = [
            ModelCode(source, form.name, 4, instance, forward, loss, _method(source, form.cls, form.backward))
            for forward, loss in _class_losses(source, builder, form, instance)
        ]
        if not codes:
            line = source.at(form.name)
            raise SubjectError(f"{line} has no loss: add a method loss(y_pred, y), or a function of that name")
        try:
            return best(source, codes)
        except SubjectError as error:
            failures.append(error)
    raise furthest(failures)


def _method(source: Source, cls: type, name: str) -> Call:
    return Call(source.method(cls, name), name)


def _class_losses(
    source: Source, builder: Builder, form: ClassForm, instance: Any
) -> Iterator[tuple[Call, Call | None]]:
    """Forward and loss of a class, the likeliest first: its own method, one it holds, a function of the file."""
    cls = form.cls
    has = [
        name
        for name in FORWARD
        if name != form.backward and callable(getattr(instance, name, None)) and name in dir(cls)
    ]
    if "__call__" in has and not any("__call__" in vars(owner) for owner in cls.__mro__[:-1]):
        has.remove("__call__")
    plain_forward = next((n for n in has if "target" not in meanings(getattr(instance, n))), None)
    with_target = [n for n in (*LOSS[:-2], *has) if callable(getattr(instance, n, None)) and n in dir(cls)]
    if plain_forward is None:
        yield from ((_method(source, cls, n), None) for n in with_target if "target" in meanings(getattr(instance, n)))
        return
    forward = _method(source, cls, plain_forward)
    for name in with_target:
        if name not in (plain_forward, form.backward):
            yield forward, _method(source, cls, name)
    for attribute, value in vars(instance).items():
        if LOSSLIKE.search(attribute) and callable(value):
            yield forward, Call(attribute, "", None, attribute)
        for method in ("forward", "loss", "__call__", "calculate"):
            if (
                type(value).__module__ == source.module.__name__
                and LOSSLIKE.search(attribute)
                and hasattr(value, method)
            ):
                yield forward, Call(source.method(type(value), method), method, None, attribute)
    yield from ((forward, loss) for loss in loss_functions(source, form.name))


def loss_functions(source: Source, user: str) -> list[Call]:
    """The functions of the file that are losses by their names; those that `user` mentions first."""
    names = [n for n, f in source.own_functions.items() if LOSSLIKE.search(n) and len(arguments(f)) > 1]
    gradients = re.compile(r"grad|prime|deriv|backward|delta|^d_", re.I)
    names = [name for name in names if not gradients.search(name)]
    names.sort(key=lambda name: not source.mentions(user, name))
    return [Call(name, "", source.own_functions[name]) for name in names]


def find_model_functions(source: Source, pair: Pair) -> OwnModel:
    """A model written as plain functions of x, y and parameters. Raises SubjectError where it cannot be run."""
    functions = source.own_functions
    forward = Call(pair.forward, "", functions[pair.forward])
    backward = Call(pair.backward, "", functions[pair.backward])
    is_loss = "target" in meanings(functions[pair.forward])
    losses: list[Call | None] = [None] if is_loss else [*loss_functions(source, pair.backward)]
    if not losses:
        raise SubjectError(
            f"{source.at(pair.backward)} has no loss in this file: add a function loss(y_pred, y) "
            "of which it is the gradient"
        )
    failures: list[SubjectError] = []
    for params in parameter_sets(source):
        codes = [ModelCode(source, pair.forward, 5, {"params": params}, forward, loss, backward) for loss in losses]
        try:
            return best(source, codes)
        except SubjectError as error:
            failures.append(error)
    raise furthest(failures)


def parameter_sets(source: Source) -> Iterator[Any]:
    """Parameters for a model of functions: of the file's own initialiser, at its top level, or made up."""
    for name, function in source.own_functions.items():
        if not _MAKES_PARAMETERS.search(name):
            continue
        wanted = arguments(function)
        values = [guesses(parameter, unknown)[0] for unknown, parameter in enumerate(wanted)]
        try:
            seed_globals()
            with blamed(source.path, name):
                made = function(*values)
        except SubjectError:
            continue
        if _holds_arrays(made):
            yield _writable(made)
    for name, value in list(vars(source.module).items()):
        if (
            not name.startswith("__")
            and _holds_arrays(value)
            and max(a.size for a in arrays(value, "").values()) < 100_000
        ):
            yield _writable(value)
    rng = np.random.default_rng(8)
    sizes = [(INS, HIDDEN), (HIDDEN, OUTS)]
    for turned in (False, True):
        for flat in (True, False):
            layers = [
                (rng.standard_normal(s[::-1] if turned else s) * 0.5, _bias(s[1], turned, flat, rng)) for s in sizes
            ]
            yield layers
            yield {f"{n}{k + 1}": a for k, layer in enumerate(layers) for n, a in zip("Wb", layer, strict=True)}
        yield [weights for weights, _ in layers]
    yield from (rng.standard_normal(shape) for shape in ((INS, OUTS), (INS, 1), (INS,)))


def _bias(size: int, turned: bool, flat: bool, rng: np.random.Generator) -> Array:
    shape = (size,) if flat else (size, 1) if turned else (1, size)
    return rng.standard_normal(shape) * 0.1


def _holds_arrays(value: Any) -> bool:
    if not isinstance(value, list | tuple | dict) or not value:
        return False
    found = arrays(value, "")
    return bool(found) and all(array.dtype.kind == "f" for array in found.values())


def _writable(made: Any) -> Any:
    return list(made) if isinstance(made, tuple) else made


# --- the way it is fed ----------------------------------------------------------------------------


def best(source: Source, codes: list[ModelCode]) -> OwnModel:
    """The model under the loss and the kind of targets that its backward agrees with; else the first that runs."""
    failures: list[SubjectError] = []
    ran: list[OwnModel] = []
    for code in codes:
        found = {id(a): a for a in arrays(code.state, source.module.__name__).values()}
        dimensions = [d for array in found.values() if array.ndim > 1 for d in array.shape]
        sizes = dimensions + [d - 1 for d in dimensions] + [a.shape[0] for a in found.values() if a.ndim == 1] + [INS]
        for group in settings([s for s in sizes if 0 < s <= 4096], dimensions, batches(source)):
            subjects = list(_running(source, code, group, failures))
            for subject in subjects:
                if agreement_or_apart(subject, subject.setting.data.batch) == "same":
                    return subject
            ran += subjects
            if subjects:
                break
    if not ran:
        raise furthest(failures)
    return _scaled_before_others(ran)


def _scaled_before_others(ran: list[OwnModel]) -> OwnModel:
    for subject in ran:
        if agreement_or_apart(subject, subject.setting.data.batch) == "scaled":
            return subject
    return ran[0]


def _running(source: Source, code: ModelCode, group: list[Setting], failures: list[SubjectError]) -> Iterator[OwnModel]:
    for setting in loss_settings(source, code, group, KINDS):
        try:
            yield attempt(code, setting)
        except UnfitError as failure:
            failures.append(failure)
        except SubjectError as error:
            failures.append(error)
