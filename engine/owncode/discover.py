"""Everything in a file that has one of the six forms, as subjects of the check; and why the rest cannot be checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.owncode.averages import settle_averages
from engine.owncode.blame import blamed
from engine.owncode.classes import ClassForm, LayerFound, class_forms, convention, find_layers
from engine.owncode.construct import Builder
from engine.owncode.functions import find_derivative, find_function_layer
from engine.owncode.layers import OwnLayer
from engine.owncode.load import Source, within
from engine.owncode.losses import Evaluate, OwnLoss, feed, prediction_first
from engine.owncode.names import LOSSLIKE, arguments, flags, is_input_gradient, meanings
from engine.owncode.objects import fill
from engine.owncode.pairs import Pair, pairs
from engine.owncode.setting import Setting, furthest
from engine.owncode.wholes import find_model_class, find_model_functions
from engine.subject import Subject, SubjectError

NOTHING = (
    "{file} has nothing to check: neither a class with forward(x) and backward(grad_y), nor backward(input, "
    "grad_output) or backward(grad_output, learning_rate), nor a model with a loss and backward(y), nor functions "
    "forward(x, params) and backprop(x, y, params), nor loss(logits, y) and grad_loss(logits, y)"
)


@dataclass
class Found:
    """What is to be checked, in the order of the file, with notes for people; and one sentence for each that cannot."""

    subjects: list[Subject] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def discover(source: Source, given: dict[str, Any], only: str = "", seconds: float | None = None) -> Found:
    """All subjects of a file. `given`: constructor arguments by name; `only`: the one class or function to look at;
    `seconds`: what the first runs of each may take.

    Raises SubjectError where there is nothing of any form, or nothing of that name.
    """
    builder = Builder(source, given)
    found = Found()
    forms = [form for form in class_forms(source) if only in ("", form.name)]
    taken = [pair for pair in pairs(source) if only in ("", pair.forward, pair.backward)]
    layers = [form for form in forms if form.family == "layer"]
    results = list(find_layers(source, builder, layers, seconds))
    usual = convention([layer for layer in results if isinstance(layer, LayerFound)])
    for result in results:
        _note_layer(found, result)
    names = {name for pair in taken for name in (pair.forward, pair.backward)}
    finders = [_class_finder(source, builder, form) for form in forms if form.family != "layer"]
    finders += [_both(source, name) for name in _double(source, names) if only in ("", name)]
    of_pairs = [(_pair_kind(source, pair), pair) for pair in taken]
    layers_first = [_pair_finder(source, pair, kind) for kind, pair in of_pairs if kind == "layer"]
    finders += [_pair_finder(source, pair, kind) for kind, pair in of_pairs if kind != "layer"]
    for find in layers_first + finders:
        try:
            with within(seconds, source.path):
                subject = find(usual)
        except SubjectError as error:
            found.problems.append(str(error))
            continue
        found.subjects.append(subject)
        if usual is None and isinstance(subject, OwnLayer) and subject.copy().parameters:
            usual = subject.setting  # how the samples stand; what follows keeps to it where it fits either way
    if not (found.subjects or found.problems):
        raise _nothing(source, only)
    _unused(builder, found, given)
    found.notes |= settle_averages(found.subjects)
    found.subjects.sort(key=lambda subject: source.line(subject.name))
    found.problems = list(dict.fromkeys(found.problems))
    return found


def _note_layer(found: Found, result: LayerFound | SubjectError) -> None:
    if isinstance(result, SubjectError):
        found.problems.append(str(result))
        return
    found.subjects.append(result.subject)
    if result.problem:
        found.problems.append(result.problem)
    if result.subject.setting.single:
        why = f" ({result.subject.refusal})" if result.subject.refusal else ""
        found.notes[result.subject.name] = f"checked with one sample at a time: it takes no mini-batch{why}"


def _nothing(source: Source, only: str) -> SubjectError:
    if not only:
        return SubjectError(NOTHING.format(file=source.path.name))
    if source.line(only) == 0:
        return SubjectError(f"{source.path.name} defines no class or function {only}")
    return SubjectError(f"{source.at(only)} has none of the forms that can be checked, such as forward and backward")


def _unused(builder: Builder, found: Found, given: dict[str, Any]) -> None:
    missing = sorted(set(given) - builder.used)
    if missing:
        found.problems.insert(0, f"--args: no constructor here takes {', '.join(missing)}")


# --- classes that are no layers -------------------------------------------------------------------


Finder = Callable[[Setting | None], Subject]  # of how samples stand in the file, where that is known


def _class_finder(source: Source, builder: Builder, form: ClassForm) -> Finder:
    if form.family == "model":
        return lambda usual: find_model_class(source, builder, form)
    if form.family == "loss":
        return lambda usual: _loss_class(source, builder, form, usual)
    return lambda usual: _derivative_class(source, builder, form, usual)


def _derivative_class(source: Source, builder: Builder, form: ClassForm, usual: Setting | None) -> OwnLayer:
    instance = next(builder.instances(form.cls))
    names = (source.method(form.cls, form.forward), source.method(form.cls, form.backward))
    function, derivative = getattr(instance, form.forward), getattr(instance, form.backward)
    return find_derivative(source, form.name, names, function, derivative, usual, form=1)


def _loss_class(source: Source, builder: Builder, form: ClassForm, usual: Setting | None) -> OwnLoss:
    names = (source.method(form.cls, form.forward), source.method(form.cls, form.backward))
    failures: list[SubjectError] = []
    for _ in builder.instances(form.cls):

        def make() -> tuple[Evaluate, Evaluate]:
            instance = next(iter(builder.instances(form.cls)))
            return _evaluation(source, names[0], getattr(instance, form.forward)), _gradient(
                source, names[1], getattr(instance, form.backward)
            )

        try:
            return feed(source, form.name, form.name, make, (source.at(names[0]), source.at(names[1])), usual)
        except SubjectError as error:
            failures.append(error)
    raise furthest(failures)


# --- functions ------------------------------------------------------------------------------------


PairKind = Literal["derivative", "flag", "model", "loss", "layer"]


def _pair_kind(source: Source, pair: Pair) -> PairKind:
    """What two functions are, by their arguments."""
    functions = source.own_functions
    takes, gives = meanings(functions[pair.forward]), meanings(functions[pair.backward])
    if pair.flag:
        return "flag"
    if "target" in gives and ("params" in gives or "cache" in gives or len(gives) > 2):
        return "model"
    if len(takes) == 2 and ("target" in takes or LOSSLIKE.search(pair.forward)):
        return "loss"
    return "derivative" if len(takes) == 1 and len(gives) == 1 else "layer"


def _pair_finder(source: Source, pair: Pair, kind: PairKind) -> Finder:
    functions = source.own_functions
    forward, backward = functions[pair.forward], functions[pair.backward]
    names = (pair.forward, pair.forward if pair.flag else pair.backward)
    if kind == "flag":
        return lambda usual: find_derivative(
            source, pair.forward, names, forward, lambda x: forward(x, **{pair.flag: True}), usual
        )
    if kind == "model":
        return lambda usual: find_model_functions(source, pair)
    if kind == "loss":
        return lambda usual: _loss_pair(source, pair, usual)
    if kind == "derivative":
        return lambda usual: find_derivative(source, pair.forward, names, forward, backward, usual)
    return lambda usual: find_function_layer(source, pair, usual)


def _loss_pair(source: Source, pair: Pair, usual: Setting | None) -> OwnLoss:
    functions = source.own_functions

    def make() -> tuple[Evaluate, Evaluate]:
        forward, backward = functions[pair.forward], functions[pair.backward]
        return _evaluation(source, pair.forward, forward), _gradient(source, pair.backward, backward)

    ats = (source.at(pair.forward), source.at(pair.backward))
    return feed(source, pair.forward, pair.forward, make, ats, usual)


def _evaluation(source: Source, name: str, function: Callable[..., Any]) -> Evaluate:
    """A loss of two arguments, called as evaluate(predictions, targets)."""
    first = prediction_first([p.name for p in arguments(function)][:2])

    def evaluate(y: Any, targets: Any) -> Any:
        with blamed(source.path, name):
            return function(*((y, targets) if first else (targets, y)), **flags(function))

    return evaluate


def _gradient(source: Source, name: str, function: Callable[..., Any]) -> Evaluate:
    """The gradient of a loss: of two arguments, or of none or grad_y after a forward."""
    kinds = meanings(function)
    both = len(kinds) == 2 and ("grad" not in kinds or "target" in kinds)  # backward(dvalues, y_true) is of y_pred
    call = _evaluation(source, name, function)

    def gradient(y: Any, targets: Any) -> Any:
        if both:
            found = call(y, targets)
        else:
            values = {"prediction": y, "x": y, "target": targets, "grad": 1.0}
            with blamed(source.path, name):
                found = function(*fill(function, values, ("prediction", "target", "grad")))
        if found is None:
            kept = vars(getattr(function, "__self__", None) or object)
            found = next((value for key, value in kept.items() if is_input_gradient(key)), None)
        return found

    return gradient


def _double(source: Source, taken: set[str]) -> Iterator[str]:
    """Functions that return a loss and its gradient: softmax_loss(x, y) → loss, dx."""
    for name, function in source.own_functions.items():
        kinds = meanings(function)
        named = re.search(r"loss|cost|entropy|hinge|svm", name, re.I)
        returned = source.returned_names(name)
        if name not in taken and named and len(kinds) == 2 and "target" in kinds and len(returned) == 2:
            yield name


def _both(source: Source, name: str) -> Finder:
    function = source.own_functions[name]

    def make() -> tuple[Evaluate, Evaluate]:
        both = _evaluation(source, name, function)
        return lambda y, t: both(y, t)[0], lambda y, t: both(y, t)[1]

    return lambda usual: feed(source, name, name, make, (source.at(name), source.at(name)), usual)
