"""Functions that belong together by their names: sigmoid and sigmoid_prime, loss and grad_loss."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from engine.owncode.load import Source
from engine.owncode.names import DERIVATIVE_FLAGS, arguments

_BEFORE = (
    "gradientof", "gradient", "gradof", "grad", "derivativeof", "derivative", "deriv", "backward", "backprop", "delta",
    "compute", "d",
)  # fmt: skip
_AFTER = (
    "primes", "prime", "derivatives", "derivative", "deriv", "der", "gradients", "gradient", "grads", "grad",
    "backward", "backwards", "backprop", "backpropagation", "bwd", "back", "delta", "dx", "dz", "d",
)  # fmt: skip
_FORWARD = r"forward|fwd|propagation|loss|cost|function|fn|compute|calculate|calc"
_LOSS = re.compile(r"loss|cost|lossfunction|costfunction|objective|computecost|computeloss")
_WHOLE = re.compile(
    r"(compute|calc|calculate|get)?(backward|backprop|backpropagate|backpropagation|backwardpropagation|backwardpass|"
    r"backpass|gradients?|grads?|bprop)(pass|step)?"
)
_WHOLE_FORWARD = re.compile(r"(model)?(forward|forwardpass|forwardpropagation|forwardprop|feedforward|fprop|predict|"
                            r"propagate|network|net|model|nn)(pass|step)?")  # fmt: skip


class Pair(NamedTuple):
    """A function and the one that computes its gradient; the same twice where a flag switches between them."""

    forward: str
    backward: str
    whole: bool = False  # named like the forward and backward of a whole network
    flag: str = ""  # the argument of `backward` that asks for the derivative


def pairs(source: Source) -> list[Pair]:
    """The pairs of a file, in its order."""
    functions = source.own_functions
    found: list[Pair] = []
    for name, function in functions.items():
        flag = _derivative_flag(function)
        if flag:
            found.append(Pair(name, name, flag=flag))
    for back in functions:
        partner = _partner(back, list(functions))
        if partner is not None:
            found.append(partner)
    return found


def _partner(back: str, names: list[str]) -> Pair | None:
    bases = _gradient_bases(back)
    for name in names:
        if name != back and bases & _bases(name):
            return Pair(name, back, whole=bool(_WHOLE.fullmatch(_key(back))))
    if _WHOLE.fullmatch(_key(back)):
        forward = next((name for name in names if _WHOLE_FORWARD.fullmatch(_key(name))), None)
        forward = forward or next((n for n in names if _LOSS.fullmatch(_key(n))), None)
        return Pair(forward, back, whole=True) if forward else None
    return None


def _key(name: str) -> str:
    return name.lower().replace("_", "")


def _bases(name: str) -> set[str]:
    """A forward's name, and that without words such as forward or loss."""
    key = _key(name)
    return {key, re.sub(_FORWARD, "", key)} - {""}


def _gradient_bases(name: str) -> set[str]:
    """What a function may be the gradient of; empty where its name does not say that it is one."""
    key = _key(name)
    found = {key.removeprefix(mark) for mark in _BEFORE if key.startswith(mark) and mark != "compute"}
    found |= {key.removesuffix(mark) for mark in _AFTER if key.endswith(mark)}
    found |= {re.sub(_FORWARD, "", base) for base in found}
    return {base for base in found if len(base) > 1}


def _derivative_flag(function: Callable[..., Any]) -> str:
    """The optional argument that asks for the derivative: sigmoid(x, derivative=False)."""
    optional = arguments(function, all_of_them=True)[len(arguments(function)) :]
    names = [p.name for p in optional if p.default is False and p.name.lower() in DERIVATIVE_FLAGS]
    return names[0] if names and len(arguments(function)) == 1 else ""
