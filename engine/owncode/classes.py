"""The classes of a file: which are layers, models or losses, which are only bases, and how each layer is fed."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from engine.owncode.arrays import get
from engine.owncode.construct import INS, Builder, constructor, holds_layers
from engine.owncode.layers import OwnLayer, attempt, independent, influential
from engine.owncode.load import Source, within
from engine.owncode.names import BACKWARD, FORWARD, LOSS, arguments, meaning, plain, words
from engine.owncode.objects import ObjectWorker, Template
from engine.owncode.setting import Setting, furthest, settings, working
from engine.subject import SubjectError

Family = Literal["layer", "model", "loss", "derivative"]
LARGEST_BATCH = 256  # of arrays at the top of a file, tried as numbers of samples


@dataclass(frozen=True)
class ClassForm:
    """A class with a forward and a backward: what it is, and how the two methods are called."""

    cls: type
    family: Family
    forward: str
    backward: str

    @property
    def name(self) -> str:
        """Its name in the file."""
        return self.cls.__name__


def class_forms(source: Source) -> list[ClassForm]:
    """The classes of a file that have a forward and a backward and are not only there to be derived from."""
    found = (class_form(source, cls) for cls in source.own_classes)
    return [form for form in found if form is not None]


def class_form(source: Source, cls: type) -> ClassForm | None:
    """What a class is; None where it has no form, or is abstract."""
    if inspect.isabstract(cls) or issubclass(cls, BaseException):
        return None
    backward = next((name for name in BACKWARD if _has(cls, name)), None)
    forward = next((name for name in FORWARD if _has(cls, name) and name != backward), None)
    if backward is None:
        return None
    takes = _meanings(cls, backward)
    if forward is None or (_takes_target(cls, forward) and len(_meanings(cls, forward)) > 1):
        forward = next((name for name in LOSS if _has(cls, name)), None)
        if forward is None:
            return None
    if _only_to_derive_from(source, cls, forward, backward):
        return None
    return ClassForm(cls, _family(cls, forward, backward, takes), forward, backward)


def _family(cls: type, forward: str, backward: str, takes: list[str]) -> Family:
    if _takes_target(cls, forward) and not any(_has(cls, n) for n in ("predict",)):
        return "model" if "x" in takes or len(takes) > 2 else "loss"
    if "target" in takes and "grad" not in takes:
        return "model"
    if len(takes) == 1 and takes[0] != "grad" and (set(words(backward)) & {"derivative", "prime", "gradient", "grad"}):
        return "derivative"
    if not takes and _has_any(cls, LOSS[:-2]):
        return "model"
    return "loss" if not takes and len(_meanings(cls, forward)) > 1 else "layer"


def _has(cls: type, name: str) -> bool:
    owners = [owner for owner in cls.__mro__[:-1] if name in vars(owner)]
    return bool(owners) and callable(getattr(cls, name))


def _has_any(cls: type, names: tuple[str, ...]) -> bool:
    return any(_has(cls, name) for name in names)


def _meanings(cls: type, method: str) -> list[str]:
    """What a method's arguments are; self aside."""
    static = isinstance(inspect.getattr_static(cls, method), staticmethod | classmethod)
    return [meaning(p.name) for p in arguments(getattr(cls, method))[0 if static else 1 :]]


def _optional_too(cls: type, method: str) -> bool:
    """Whether a method takes any argument beside self, required or not; *args count."""
    try:
        parameters = list(inspect.signature(getattr(cls, method)).parameters)
    except (TypeError, ValueError):
        return True
    return len(parameters) > (0 if isinstance(inspect.getattr_static(cls, method), staticmethod) else 1)


def _takes_target(cls: type, method: str) -> bool:
    return "target" in _meanings(cls, method)


def _only_to_derive_from(source: Source, cls: type, forward: str, backward: str) -> bool:
    """Whether a class stands there as a pattern: its methods are empty, and others fill them in or nobody does."""
    bodies = [source.functions.get(source.method(cls, name)) for name in (forward, backward)]
    empty = [node is not None and all(_does_nothing(s) for s in node.body) for node in bodies]
    raising = [node is not None and any(isinstance(s, ast.Raise) for s in node.body) for node in bodies]
    return any(empty) and (any(raising) or bool(_derived(source, cls)))


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise):
        return "NotImplemented" in ast.dump(statement)
    if isinstance(statement, ast.Return):
        return statement.value is None or isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass)


def _derived(source: Source, cls: type) -> list[type]:
    return [other for other in source.own_classes if cls in other.__mro__[1:]]


# --- layers ---------------------------------------------------------------------------------------


@dataclass
class LayerFound:
    """A layer class at work: every setting that works, of which one is chosen by the file's convention."""

    form: ClassForm
    subject: OwnLayer
    choices: list[tuple[OwnLayer, bool, bool]]  # subject, samples independent, the input's gradient has its shape
    instance: Any
    problem: str = ""

    @property
    def decided(self) -> bool:
        """Whether its parameters leave no doubt how samples stand."""
        return bool(self.subject.copy().parameters) and len({s.setting.layout for s, _, _ in self.choices}) == 1


def find_layers(
    source: Source, builder: Builder, forms: list[ClassForm], seconds: float | None = None
) -> Iterator[LayerFound | SubjectError]:
    """Each layer class at work, or why it cannot be checked; those that fit any layout follow the others."""
    found: dict[ClassForm, LayerFound | SubjectError] = {}
    for form in sorted(forms, key=_of_layers):  # networks of layers last: they are made of the others
        if _of_layers(form):
            builder.blocks = blocks([layer for layer in found.values() if isinstance(layer, LayerFound)])
        try:
            with within(seconds, source.path):
                found[form] = _layer(source, builder, form, None)
        except SubjectError as error:
            found[form] = error
    usual = convention([f for f in found.values() if isinstance(f, LayerFound)])
    for form in forms:
        layer = found[form]
        if isinstance(layer, LayerFound) and not layer.decided and usual is not None:
            with suppress(SubjectError), within(seconds, source.path):  # it works by itself: a preference only
                layer = _layer(source, builder, form, usual)
        elif isinstance(layer, LayerFound) and usual is not None and layer.subject.setting.single > usual.single:
            layer = SubjectError(layer.subject.refusal)  # the others take mini-batches: so should it
        if isinstance(layer, SubjectError) and (_derived(source, form.cls) or (_of_layers(form) and builder.blocks)):
            continue  # a base class that wants what only its children give; a network of layers that are checked
        yield layer


def _of_layers(form: ClassForm) -> bool:
    return any(holds_layers(parameter) for parameter in constructor(form.cls))


def blocks(found: list[LayerFound]) -> list[Any]:
    """A layer with parameters and one without, to make a network of."""
    usable = [layer for layer in found if len(layer.subject.setting.shape) == 1]
    chosen_ones = [next((f for f in usable if bool(f.subject.roles) is wanted), None) for wanted in (True, False)]
    return [layer.instance for layer in chosen_ones if layer is not None]


def convention(found: list[LayerFound]) -> Setting | None:
    """How the samples stand in most of the layers whose parameters tell."""
    decided = [f.subject.setting for f in found if f.decided]
    counted = Counter((s.layout, s.single) for s in decided)
    usual = counted.most_common(1)
    if not usual:
        return None
    (layout, single), _ = usual[0]
    return replace(decided[0], layout=layout, only=single, batch=1 if single else 5)


def _layer(source: Source, builder: Builder, form: ClassForm, usual: Setting | None) -> LayerFound:
    failures: list[SubjectError] = []
    for method, wanted in ((form.forward, "the input x"), (form.backward, "the gradient grad_y of its output")):
        if not _optional_too(form.cls, method):
            raise SubjectError(f"{source.at(source.method(form.cls, method))} takes no argument; it needs {wanted}")
    for instance in builder.instances(form.cls):
        template = Template(source, instance, form.forward, form.backward)
        try:
            return _fed(source, form, template, usual)
        except SubjectError as error:
            failures.append(error)
    raise furthest(failures)


def _fed(source: Source, form: ClassForm, template: Template, usual: Setting | None) -> LayerFound:
    """A layer with the settings that it takes."""
    made = template

    def make(setting: Setting) -> OwnLayer:
        names = (template.what_forward, template.what_backward)
        return OwnLayer(form.name, number(form), lambda: ObjectWorker(made), setting, names)

    shapes = [get(template.instance, slot.path).shape for slot in template.slots]
    groups = settings(_sizes(template, shapes), [d for shape in shapes for d in shape], batches(source))
    trials = list(groups)
    if usual is not None:
        trials = [_as_usual(group, usual) for group in trials]
        trials = [group for group in trials if group]
    results, failures = working(trials, lambda setting: attempt(make, setting))
    if not template.slots:  # perhaps the first forward makes the parameters
        setting, (_, x, *_rest) = results[0]
        made = template.warmed(setting.give(x))
        if not made.slots:
            made = template
    choices = []
    for _, (subject, x, y, _, gradients) in results:
        subject.roles = influential(subject, x, y)
        choices.append((subject, independent(subject, x, y), gradients["x"].shape == x.shape))
    subject = chosen(choices)
    if subject.setting.single and failures:
        subject.refusal = str(furthest(failures))
    return LayerFound(form, subject, choices, made.instance, _missing_gradients(subject))


def _as_usual(group: list[Setting], usual: Setting) -> list[Setting]:
    same = [s for s in group if s.layout == usual.layout]
    return [s for s in same if s.single == usual.single]


def number(form: ClassForm) -> int:
    """Which form a layer class has."""
    takes = _meanings(form.cls, form.backward)
    if "rate" in takes:
        return 3
    return 2 if len(takes) > 1 else 1


def _sizes(template: Template, shapes: list[tuple[int, ...]]) -> list[int]:
    """How many inputs to try: the parameters' dimensions, one less for an absorbed bias, numbers it keeps, any."""
    dimensions = [d for shape in shapes if len(shape) > 1 for d in shape]
    kept = (
        [v for v in vars(template.instance).values() if type(v) is int]
        if hasattr(template.instance, "__dict__")
        else []
    )
    flat = [d for shape in shapes if len(shape) == 1 for d in shape]
    sizes = dimensions + [d - 1 for d in dimensions] + flat + [INS] + kept
    return [size for size in dict.fromkeys(sizes) if 1 <= size <= 4096]


def batches(source: Source) -> list[int]:
    """Numbers of samples that arrays at the top of the file have, for code that takes labels from there."""
    held = [v for v in vars(source.module).values() if isinstance(v, np.ndarray) and v.ndim]
    return [v.shape[0] for v in held if 1 < v.shape[0] <= LARGEST_BATCH]


def chosen(choices: list[tuple[OwnLayer, bool, bool]]) -> OwnLayer:
    """The first whose samples are independent and whose input's gradient has the input's shape, as far as there is one.

    `choices`: a subject, whether its samples are independent, whether the gradient has its shape.
    """
    for want_fit in (True, False):
        for subject, alone, fits in choices:
            if alone and fits >= want_fit:
                return subject
    return next((subject for subject, _, fits in choices if fits), choices[0][0])


def _missing_gradients(subject: OwnLayer) -> str:
    """A sentence where backward gives no gradient of a parameter; other arrays without one are no parameters."""
    rng = np.random.default_rng(3)
    worker = subject.copy()
    x, _ = subject.draw(rng, subject.setting.batch)
    gradients = worker.backward(rng.standard_normal(worker.forward(x).shape))
    without = [role for role in worker.parameters if role not in gradients]
    subject.roles = set(worker.parameters) - set(without)
    wanted = [
        role for role in without if plain(role.rpartition(".")[2]).rstrip("0123456789") in {"w", "b", "gamma", "beta"}
    ]
    if not wanted:
        return ""
    role = wanted[0]
    return (
        f"{subject.backward_name} gives no gradient of {role}; keep it as grad_{role} or d{role}, or return it behind "
        "the input's"
    )
