"""Whole models that are a chain of dense layers: where on its way back the gradient goes wrong.

The chain is recognised by its numerical gradients alone: the activation and the loss are those whose backprop gives
them, but for one factor and a penalty. Then backprop is run with one bug after the other until it gives what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from engine.bugs import Bug, found
from engine.hypotheses.case import Case, Gap, same
from engine.subject import INPUT, Array

Slope = Callable[[Array, Array], Array]  # f′ from (z, f(z))


def _sigmoid(z: Array) -> Array:
    return np.asarray(0.5 + 0.5 * np.tanh(z / 2))


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _leaky(slope: float, z: Array) -> Array:
    return np.where(z > 0, z, slope * z)


def _leaky_slope(slope: float, z: Array, y: Array) -> Array:
    return np.where(z > 0, 1.0, slope)


def _itself(z: Array) -> Array:
    return z


ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Slope]] = {
    "relu": (partial(_leaky, 0.0), partial(_leaky_slope, 0.0)),
    "tanh": (np.tanh, lambda z, y: 1 - y * y),
    "sigmoid": (_sigmoid, lambda z, y: y * (1 - y)),
    **{f"leaky relu {s}": (partial(_leaky, s), partial(_leaky_slope, s)) for s in (0.01, 0.1, 0.2)},
    "none": (_itself, lambda z, y: np.ones_like(z)),
}
ENDS: dict[str, Callable[[Array, Array], Array]] = {  # ∂L/∂z of the last layer, but for a factor
    "softmax with cross-entropy": lambda z, t: _softmax(z) - t,
    "sigmoid with cross-entropy": lambda z, t: _sigmoid(z) - t,
    "squared error": lambda z, t: z - t,
    "sigmoid with squared error": lambda z, t: (_sigmoid(z) - t) * _sigmoid(z) * (1 - _sigmoid(z)),
    "tanh with squared error": lambda z, t: (np.tanh(z) - t) * (1 - np.tanh(z) ** 2),
}


@dataclass
class Chain:
    """Dense layers one after the other: the roles of their weights and biases, and how W stands."""

    case: Case
    layers: list[tuple[str, str | None]]
    by_rows: bool  # W is (out, in)
    activation: str
    end: str
    factor: float = 1.0
    decay: float = 0.0

    def weights(self, index: int) -> Array:
        """W of a layer as (in, out)."""
        W = self.case.land.tensors[self.layers[index][0]]
        return W.T if self.by_rows else W

    def backprop(self, bend: Callable[[int, Array, Array, Array, Array], Array] | None = None) -> dict[str, Array]:
        """All gradients by role; `bend` (layer, δ, slope, z, h) → δ before the activation of a layer, the last too."""
        land, f = self.case.land, ACTIVATIONS[self.activation]
        inputs, zs = [land.x], []
        for index, (_, bias) in enumerate(self.layers):
            z = inputs[-1] @ self.weights(index)
            zs.append(z if bias is None else z + land.tensors[bias].reshape(1, -1))
            inputs.append(f[0](zs[-1]))
        targets = _rows(self.case, zs[-1].shape)
        delta = self.factor * ENDS[self.end](zs[-1], targets)
        gradients: dict[str, Array] = {}
        for index in reversed(range(len(self.layers))):
            z, h = zs[index], inputs[index + 1]
            last = index == len(self.layers) - 1
            slope = np.ones_like(z) if last else f[1](z, h)
            delta = delta * slope if bend is None else bend(index, delta, slope, z, h)
            W, bias = self.layers[index]
            dW = inputs[index].T @ delta
            gradients[W] = (dW.T if self.by_rows else dW) + self.decay * land.tensors[W]
            if bias is not None:
                gradients[bias] = delta.sum(axis=0).reshape(land.tensors[bias].shape)
            delta = delta @ self.weights(index).T
        gradients[INPUT] = delta
        return gradients


def _rows(case: Case, shape: tuple[int, ...]) -> Array:
    """The targets as (B, outputs)."""
    targets = case.targets
    assert targets is not None
    if targets.ndim == 1 and targets.dtype.kind in "iu" and shape[1] > 1:
        return np.eye(max(shape[1], int(targets.max()) + 1))[targets][:, : shape[1]]
    return np.asarray(targets.reshape(len(targets), -1), np.float64)


def _layers(case: Case, by_rows: bool) -> list[tuple[str, str | None]] | None:
    """Weights and biases in the order of the chain from x; None where the parameters do not make one."""
    width = case.x.shape[-1]
    roles = [role for role in case.land.tensors if role != INPUT]
    matrices = [role for role in roles if _is_matrix(case, role)]
    biases = [role for role in roles if role not in matrices]
    found_layers: list[tuple[str, str | None]] = []
    for role in matrices:
        shape = case.land.tensors[role].shape
        enter, leave = shape[::-1] if by_rows else shape
        if enter != width:
            return None
        bias = next((b for b in biases if case.land.tensors[b].size == leave), None)
        if bias is not None:
            biases.remove(bias)
        found_layers.append((role, bias))
        width = leave
    return found_layers if found_layers and not biases else None


def _is_matrix(case: Case, role: str) -> bool:
    """Whether a tensor is a weight matrix; one with an axis of one entry by its name."""
    shape = case.land.tensors[role].shape
    return len(shape) == 2 and (min(shape) > 1 or role[:1] in "Ww")


def recognised(case: Case, numeric: dict[str, Array]) -> Chain | None:
    """The chain whose backprop gives the numerical gradients; None where none does."""
    if case.targets is None or case.x.ndim != 2:
        return None
    for by_rows in (False, True):
        layers = _layers(case, by_rows)
        if layers is None or not all(W in numeric for W, _ in layers):
            continue
        for activation in ACTIVATIONS:
            for end in ENDS:
                chain = Chain(case, layers, by_rows, activation, end)
                if _fits(chain, numeric):
                    return chain
    return None


def _fits(chain: Chain, numeric: dict[str, Array]) -> bool:
    """Find factor and decay by the last W, and see whether everything follows."""
    last = chain.layers[-1][0]
    try:
        guess = chain.backprop()
    except (ValueError, IndexError):
        return False
    n, theta = numeric[last].reshape(-1), chain.case.land.tensors[last].reshape(-1)
    basis = np.stack([guess[last].reshape(-1), theta], axis=1)
    if not np.isfinite(basis).all() or not np.isfinite(n).all():
        return False
    (factor, decay), *_ = np.linalg.lstsq(basis, n, rcond=None)
    if not same(basis @ np.array([factor, decay]), n):
        return False
    chain.factor, chain.decay = float(factor), float(decay) if abs(decay) > 1e-7 else 0.0
    guess = chain.backprop()
    return all(same(guess[role], value, np.isfinite(value)) for role, value in numeric.items() if role in guess)


Bend = Callable[[int, Array, Array, Array, Array], Array]


def _bends(chain: Chain) -> Iterator[tuple[str, str, Bend]]:
    """Slug, what is said, and how δ is bent, for every place."""
    piecewise = "relu" in chain.activation
    f = ACTIVATIONS[chain.activation]
    kinds: dict[str, tuple[str, Callable[[Array, Array, Array, Array], Array]]] = {
        "the derivative of the activation is missing": (
            "relu-mask-missing" if piecewise else "local-derivative-missing",
            lambda delta, slope, z, h: delta,
        ),
        "its mask is inverted": ("relu-mask-inverted", lambda delta, slope, z, h: delta * (1 - slope)),
        "the mask is taken of the gradient": (
            "relu-mask-missing",
            lambda delta, slope, z, h: delta * f[1](delta, delta),
        ),
        "the leak is lost": ("relu-mask-missing", lambda delta, slope, z, h: delta * (z > 0)),
        "the derivative stands twice": ("extra-derivative", lambda delta, slope, z, h: delta * slope * slope),
        "the derivative is taken of the output": (
            "extra-derivative",
            lambda delta, slope, z, h: delta * f[1](h, f[0](h)),
        ),
        "the derivative's formula in terms of the output is given the input": (
            "extra-derivative",
            lambda delta, slope, z, h: delta * f[1](z, z),
        ),
        "only y of the derivative stands there": ("local-derivative-missing", lambda delta, slope, z, h: delta * h),
        "only 1 − y of the derivative stands there": (
            "local-derivative-missing",
            lambda delta, slope, z, h: delta * (1 - h),
        ),
    }
    hidden = range(len(chain.layers) - 1)
    for detail, (slug, bent) in kinds.items():
        if slug == "relu-mask-inverted" and not piecewise:
            continue
        for places in ([*hidden], *([k] for k in hidden if len(hidden) > 1)):
            where = "behind " + ", ".join(chain.layers[k][0] for k in places)
            yield slug, f"{where} {detail}", partial(_bent_at, places, bent)
    for detail, end_slug, extra in _ends(chain):
        yield end_slug, detail, partial(_bent_at, [len(hidden)], extra)


def _bent_at(
    places: list[int],
    bent: Callable[[Array, Array, Array, Array], Array],
    index: int,
    delta: Array,
    slope: Array,
    z: Array,
    h: Array,
) -> Array:
    return bent(delta, slope, z, h) if index in places else delta * slope


def _ends(chain: Chain) -> Iterator[tuple[str, str, Callable[[Array, Array, Array, Array], Array]]]:
    """What may be wrong where the loss begins."""

    def sigmoid(z: Array) -> Array:
        return np.asarray(_sigmoid(z) * (1 - _sigmoid(z)))

    if "cross-entropy" in chain.end:
        p = _softmax if "softmax" in chain.end else _sigmoid
        text = "the derivative of the last activation stands once more at the output"
        yield text, "extra-derivative", lambda delta, slope, z, h: delta * p(z) * (1 - p(z))
    elif "sigmoid" in chain.end:
        text = "the derivative of the sigmoid is missing at the output"
        yield text, "local-derivative-missing", lambda delta, slope, z, h: delta / sigmoid(z)
        yield "it stands twice at the output", "extra-derivative", lambda delta, slope, z, h: delta * sigmoid(z)
    elif "tanh" in chain.end:
        text = "the derivative of tanh is missing at the output"
        yield text, "local-derivative-missing", lambda delta, slope, z, h: delta / (1 - np.tanh(z) ** 2)


def explain(case: Case, numeric: dict[str, Array], gaps: list[Gap]) -> Iterator[Bug]:
    """The bug on the way back that gives every failing gradient, where the model is a chain of dense layers."""
    chain = recognised(case, numeric)
    if chain is None:
        return
    for slug, detail, bend in _bends(chain):
        with np.errstate(all="ignore"):
            guess = chain.backprop(bend)
        if all(gap.role in guess and gap.is_(guess[gap.role]) for gap in gaps):
            evidence = {
                "activation": chain.activation,
                "loss": chain.end,
                "tensors": [gap.role for gap in gaps],
            }
            sentence = f"Here {detail}, which all gradients in front of it show."
            yield found(slug, gaps[0].role, 0.9, evidence, sentence)
            return
