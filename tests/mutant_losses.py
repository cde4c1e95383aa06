"""Losses and whole models as people write them in NumPy, right where `bug` is "", else with the bug of that name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mutant_layers import Own

from engine.subject import Array


class OwnSquaredError(Own):
    """Mean over batch and outputs of (y − t)²."""

    first: Array | None = None

    def forward(self, x: Array, t: Array) -> Array:
        if self.bug == "compares all with all":
            t = t.reshape(-1)
        if self.first is None:
            self.first = t
        self.d = x - t
        self.x, self.t = x, t
        return np.asarray(np.mean(self.d**2))

    def backward(self) -> dict[str, Array]:
        d, count = self.d, self.d.size
        assert self.first is not None
        guesses: dict[str, Callable[[], Array]] = {
            "no 2": lambda: d / count,
            "no mean": lambda: 2 * d / d.shape[1],
            "mean twice": lambda: 2 * d / count / len(d),
            "negative": lambda: -2 * d / count,
            "outputs not averaged": lambda: 2 * d / len(d),
            "no target": lambda: 2 * self.x / count,
            "target of the first sample": lambda: 2 * (self.x - self.t[:1]) / count,
            "keeps the first targets": lambda: 2 * (self.x - self.first) / count,
            "compares all with all": lambda: 2 * d.mean(axis=1, keepdims=True) / len(d),
            "integer": lambda: (2000 * d / count).astype(int),
            "squeezed": lambda: 2 * (d if len(d) > 1 else d.mean(keepdims=True) + 0 * d) / count,
        }
        return {"x": guesses.get(self.bug, lambda: 2 * d / count)()}


class OwnCrossEntropy(Own):
    """Softmax with cross-entropy over integer labels."""

    first: Array | None = None

    def forward(self, x: Array, t: Array) -> Array:
        if self.first is None:
            self.first = t
        self.t, rows = t, np.arange(len(x))
        if self.bug == "naive":
            e = np.exp(x)
            self.p = e / e.sum(axis=1, keepdims=True)
            return np.asarray(-np.mean(np.log(self.p[rows, t])))
        z = x - x.max(axis=1, keepdims=True)
        self.p, self.x = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), x
        return np.asarray(np.mean(np.log(np.exp(z).sum(axis=1)) - z[rows, t]))

    def backward(self) -> dict[str, Array]:
        p, t, batch = self.p, self.t, len(self.p)
        hot = np.eye(p.shape[1])
        right = (p - hot[t]) / batch
        assert self.first is not None
        guesses: dict[str, Callable[[], Array]] = {
            "no mean": lambda: p - hot[t],
            "mean twice": lambda: right / batch,
            "negative": lambda: -right,
            "softmax again": lambda: right * p * (1 - p),
            "softmax over the batch": lambda: (np.exp(self.x) / np.exp(self.x).sum(axis=0) - hot[t]) / batch,
            "no target": lambda: p / batch,
            "target 0": lambda: (p - hot[0 * t]) / batch,
            "keeps the first targets": lambda: (p - hot[self.first]) / batch,
            "only the label's column": lambda: hot[t] * right,
            "squeezed": lambda: right if batch > 1 else right * 0 + right.mean(),
        }
        return {"x": guesses.get(self.bug, lambda: right)()}


class OwnNetwork(Own):
    """Two dense layers with a ReLU (or tanh) between them, softmax cross-entropy, a weight penalty; a whole model."""

    curved = False

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], bug: str) -> None:
        super().__init__(rng, shape, bug)
        hidden, self.decay = 11, 0.1 if "decay" in bug else 0.0
        self.parameters = {
            "W1": rng.standard_normal((shape[0], hidden)) / np.sqrt(shape[0]),
            "b1": 0.1 * rng.standard_normal(hidden),
            "W2": rng.standard_normal((hidden, 3)) / np.sqrt(hidden),
            "b2": 0.1 * rng.standard_normal(3),
        }

    def forward(self, x: Array, t: Array) -> Array:
        W1, b1, W2, b2 = self.parameters.values()
        self.x, self.t, z = x, t, x @ W1 + b1
        self.h = np.tanh(z) if self.curved else np.maximum(z, 0)
        logits = self.h @ W2 + b2
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.p = np.exp(log_p)
        penalty = self.decay / 2 * (np.sum(W1**2) + np.sum(W2**2)) if self.bug != "decay in the gradient alone" else 0
        return np.asarray(-log_p[np.arange(len(x)), t].mean() + penalty)

    def backward(self) -> dict[str, Array]:
        W1, _, W2, _ = self.parameters.values()
        hot = np.eye(3)[0 * self.t if self.bug == "target 0" else self.t]
        delta = self.p - hot
        delta = delta if self.bug == "no mean" else delta / len(delta)
        delta = -delta if self.bug == "negative" else delta
        dW2, db2 = self.h.T @ delta, delta.sum(axis=0)
        back = delta @ W2.T
        slope = 1 - self.h**2 if self.curved else (self.h > 0).astype(float)
        slope = {
            "no derivative": np.ones_like(slope),
            "inverted": 1 - slope,
            "twice": slope * slope,
            "of the output": 1 - np.tanh(self.h) ** 2,
        }.get(self.bug, slope)
        first = back * slope
        dW1, db1 = self.x.T @ first, first.sum(axis=0)
        if self.bug != "decay in the loss alone":
            dW1, dW2 = dW1 + self.decay * W1, dW2 + self.decay * W2
        match self.bug:
            case "db1 averaged":
                db1 = first.mean(axis=0)
            case "db1 one number":
                db1 = np.full_like(db1, first.sum())
            case "db2 whole":
                db2 = delta
            case "dW1 transposed":
                dW1 = dW1.T
            case "dW2 doubled":
                dW2 = 2 * dW2
        return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


class OwnCurvedNetwork(OwnNetwork):
    curved = True
