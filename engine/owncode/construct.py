"""Instances of a user's classes: constructor arguments told by their names, annotations and defaults."""

from __future__ import annotations

import ast
import copy
import difflib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.generators import seed_globals
from engine.owncode.blame import blamed
from engine.owncode.load import Source
from engine.owncode.names import RATES, words
from engine.subject import SubjectError

INS, OUTS, HIDDEN = 7, 3, 11  # different primes, so that a factor or a shape names its dimension
SMALL = 16  # a default size above is made smaller: nothing is learnt from a check of 784 inputs
VARIANTS = 4  # sets of guesses that are tried

_IN = re.compile(
    r"(^|_)(in|input|inputs|fan_in|prev|previous|features|nin|idim|vocab|d_model)(_|$)|^n_x$|^nin$|^D$|^d$"
)
_OUT = re.compile(
    r"(^|_)(out|output|outputs|fan_out|neurons|units|classes|nout|odim|labels|answers|next)(_|$)|^n_y$|^nout$|^K$|^k$|^C$"
)
_HIDDEN = re.compile(r"hidden|^n_h$|^H$|^h$|middle", re.I)
_LIST = re.compile(r"sizes|dims|topology|architecture|structure|layers|layout|units_list|neurons_list", re.I)
_BY_NAME: tuple[tuple[str, list[Any]], ...] = (
    (r"keep", [0.8]),
    (r"eps|epsilon", [1e-5]),
    (r"momentum|decay|beta1|beta2|gamma_rate", [0.9]),
    (r"(^|_)(p|prob|rate|drop|dropout|ratio)(_|$)|drop", [0.3]),
    (r"slope|leak|alpha|negative", [0.1]),
    (r"seed", [0]),
    (r"name|title", ["layer"]),
    (r"init(ializ|$)|initialis", ["xavier", "he", "normal"]),
    (r"kernel|filter_size|window|f_size|field", [3, (3, 3)]),
    (r"pool", [2, (2, 2)]),
    (r"stride", [1]),
    (r"pad", [0]),
    (r"in_channels|channels|depth", [2]),
    (r"out_channels|num_filters|n_filters|filters", [3]),
    (r"axis", [1]),
    (r"reg|lambda|l2|l1|weight_decay", [0.01]),
    (r"scale|std|sigma|stddev", [0.5]),
    (r"batch", [5]),
)


def guesses(parameter: inspect.Parameter, unknown: int) -> list[Any]:
    """Values to try for one constructor argument; `unknown`: how many before it had a name that tells nothing."""
    name, annotation = parameter.name, _annotation(parameter)
    if annotation == "bool":
        return [True]
    low = name.lower()
    if re.fullmatch(r"rng|generator|random_state", low):
        return [np.random.default_rng(0), 0]
    if low in RATES and low not in {"rate", "alpha"}:
        return [1.0]
    array = _arrays(low)
    if array and "int" not in annotation:
        return array
    if "shape" in low:
        return [(INS,), INS, (INS, OUTS), (2, 6, 4), (6, 4, 2)]
    if _LIST.search(low) and annotation != "int":
        return [[INS, HIDDEN, OUTS]]
    if "activation" in low or "nonlin" in low:
        return _activations(low)
    size = _size(name)
    if size is not None and "channel" not in low and annotation != "float":
        return [size]
    for pattern, values in _BY_NAME:
        if re.search(pattern, low):
            return values
    by_annotation: dict[str, list[Any]] = {"float": [0.5], "str": ["layer"], "list[int]": [[INS, HIDDEN, OUTS]]}
    return by_annotation.get(annotation, [[INS, OUTS, HIDDEN][min(unknown, 2)], 0.5, "layer"])


def _annotation(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _size(name: str) -> int | None:
    """A number of units, where the name says which."""
    spelled = "_".join(words(name)) if len(name) > 1 else name
    for pattern, size in ((_HIDDEN, HIDDEN), (_OUT, OUTS), (_IN, INS)):
        if pattern.search(spelled) and not (pattern is _OUT and re.search(r"(^|_)in(put)?(_|$)|input", spelled)):
            return size
    return None


def holds_layers(parameter: inspect.Parameter) -> bool:
    """Whether a constructor's argument is a list of layers, by its name."""
    return parameter.name.lower() in {"layers", "modules", "blocks", "network", "layer_list"}


def takes_inputs(name: str) -> bool:
    """Whether an argument of this name is the number of inputs of a layer."""
    return _size(name) == INS


def nearest(name: str, known: list[str]) -> str:
    """The known name most like this one, for a sentence: "; did you mean Dense?"; "" where none is."""
    found = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {found[0]}?" if found else ""


def _arrays(low: str) -> list[Any]:
    """Weights and biases that a constructor wants to be given: (in, out) with (out,), then turned round."""
    rng = np.random.default_rng(5)
    if low in {"w", "weights", "weight", "kernel"}:
        return [rng.standard_normal((INS, OUTS)), rng.standard_normal((INS, OUTS)), rng.standard_normal((OUTS, INS))]
    if low in {"b", "bias", "biases"}:
        return [rng.standard_normal(OUTS), rng.standard_normal((1, OUTS)), rng.standard_normal((OUTS, 1))]
    return [rng.standard_normal(INS)] if low in {"gamma", "beta"} else []


def _activations(low: str) -> list[Any]:
    if re.search(r"prime|deriv|grad|backward", low):
        return [lambda x: 1.0 - np.tanh(x) ** 2]
    return [np.tanh, "tanh", "relu", "sigmoid"]


class Builder:
    """Makes instances of the classes of one file; `given` are arguments the user named on the command line."""

    def __init__(self, source: Source, given: dict[str, Any]) -> None:
        self.source, self.given = source, given
        self.used: set[str] = set()  # which of the given arguments some constructor takes
        self.blocks: list[Any] = []  # layers of the file that fit behind each other, for a network of layers

    def instances(self, cls: type, rewind: bool = True) -> Iterator[Any]:
        """Instances of a class, the likeliest first. Raises SubjectError where none can be made.

        `rewind`: seed NumPy's and Python's generators before each.
        """
        failures: list[SubjectError] = []
        made = 0
        for variant in self._variants(cls):
            try:
                with blamed(self.source.path, self.source.method(cls, "__init__")):
                    if rewind:
                        seed_globals()
                    instance = cls(**variant)
            except SubjectError as error:
                failures.append(error)
                continue
            made += 1
            yield instance
        existing = self._existing(cls)
        if existing is not None:
            made += 1
            yield existing
        if not made:
            raise self._refusal(cls, failures[0])

    def _variants(self, cls: type) -> Iterator[dict[str, Any]]:
        wanted = [p for p in constructor(cls) if p.name in self.given or _to_be_guessed(p)]
        self.used |= {p.name for p in wanted if p.name in self.given}
        unknown, values = 0, {}
        for parameter in wanted:
            if parameter.name in self.given:
                values[parameter.name] = [self.given[parameter.name]]
                continue
            options = guesses(parameter, unknown)
            if holds_layers(parameter) and self.blocks:
                options = [self.blocks, self.blocks[:1], *options]
            values[parameter.name] = options
            unknown += _size(parameter.name) is None
            if parameter.default is not parameter.empty:
                values[parameter.name] = values[parameter.name][:1]
        longest = min(VARIANTS, max((len(options) for options in values.values()), default=1))
        for k in range(longest):
            yield {name: copy.deepcopy(options[min(k, len(options) - 1)]) for name, options in values.items()}
        optional = {p.name for p in wanted if p.default is not p.empty and p.name not in self.given}
        if optional:  # as the author has it
            yield {name: options[0] for name, options in values.items() if name not in optional}

    def _existing(self, cls: type) -> Any:
        """An instance that the file itself made at its top level, perhaps in a list."""
        for value in list(vars(self.source.module).values()):
            for candidate in [value, *(value if isinstance(value, list | tuple) else ())]:
                if type(candidate) is cls:
                    return candidate
        return None

    def _refusal(self, cls: type, failure: SubjectError) -> SubjectError:
        """Why a class cannot be constructed, and how to give the arguments."""
        required = [p.name for p in constructor(cls) if p.default is p.empty]
        if not required:
            return failure
        example = ",".join(f"{name}=…" for name in required)
        return SubjectError(f"{failure}; give its arguments with --args {example}")


def constructor(cls: type) -> list[inspect.Parameter]:
    """The arguments of a class's constructor, without self."""
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return []
    try:
        parameters = list(inspect.signature(cls).parameters.values())
    except (TypeError, ValueError):
        return []
    return [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def _to_be_guessed(parameter: inspect.Parameter) -> bool:
    """Arguments without a default, and sizes whose default is large."""
    if parameter.default is parameter.empty:
        return True
    large = type(parameter.default) is int and parameter.default > SMALL
    return large and _size(parameter.name) is not None


def parse_arguments(text: str) -> dict[str, Any]:
    """The values of "units_in=5,shape=(2,3)": numbers, tuples and so on, else words. Raises ValueError."""
    found: dict[str, Any] = {}
    for part in re.split(r",(?=\s*[A-Za-z_]\w*\s*=)", text):
        name, equals, value = part.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"{part.strip()!r} is not NAME=VALUE")
        try:
            found[name.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            found[name.strip()] = value.strip()
    return found
