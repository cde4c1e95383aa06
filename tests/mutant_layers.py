"""Layers as people write them in NumPy, right where `bug` is "", else with the bug of that name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.subject import Array

PLACES = {"in": (2, 3, 7, 11), "out": (3, 5, 6)}


class Own:
    """What all have: a generator to start from, sizes, and the bug."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], bug: str) -> None:
        self.bug, self.shape = bug, shape
        self.parameters: dict[str, Array] = {}


class OwnDense(Own):
    """y = x·W + b."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], bug: str) -> None:
        super().__init__(rng, shape, bug)
        out = shape[0] if bug.startswith("square") else int(rng.choice(PLACES["out"]))
        self.parameters = {"W": rng.standard_normal((shape[0], out)), "b": rng.standard_normal(out)}
        if bug == "integer W":
            self.parameters["W"] = rng.integers(-3, 4, (shape[0], out))
        self.grads = {"W": np.zeros((shape[0], out)), "b": np.zeros(out)}
        self.decay = float(rng.uniform(0.001, 0.5))
        self.x: Any = None

    def forward(self, x: Array) -> Array:
        if self.bug == "centres x in place":
            x -= x.mean()
        if self.bug != "keeps the first x" or self.x is None:
            self.x = x
        if self.bug == "squeezes x":
            self.x = np.squeeze(x)
        return x @ self.parameters["W"] + self.parameters["b"]

    def backward(self, g: Array) -> dict[str, Array]:
        x, W = self.x, self.parameters["W"]
        if x.ndim == 1:
            x = x[:, None] if len(g) > 1 else np.repeat(x[None], 2, 0)[:1] * len(x)
        right = {"W": x.T @ g, "b": g.sum(axis=0), "x": g @ W.T}
        return right | self.wrong(g, x, W, right)

    def wrong(self, g: Array, x: Array, W: Array, right: dict[str, Array]) -> dict[str, Array]:
        """What the bug puts in the place of some gradients."""
        dW, db, dx = right["W"], right["b"], right["x"]
        guesses: dict[str, Callable[[], dict[str, Array]]] = {
            "dW doubled": lambda: {"W": 2 * dW},
            "db halved": lambda: {"b": db / 2},
            "dx tripled": lambda: {"x": 3 * dx},
            "dW negative": lambda: {"W": -dW},
            "dx negative": lambda: {"x": -dx},
            "dW averaged": lambda: {"W": dW / len(x)},
            "db averaged": lambda: {"b": g.mean(axis=0)},
            "both averaged": lambda: {"W": dW / len(x), "b": g.mean(axis=0)},
            "dW transposed": lambda: {"W": g.T @ x},
            "square dW transposed": lambda: {"W": g.T @ x},
            "square dx by W": lambda: {"x": g @ W},
            "db whole": lambda: {"b": g},
            "db over outputs": lambda: {"b": g.sum(axis=1)},
            "db of one sample": lambda: {"b": g[0]},
            "db one number": lambda: {"b": g.sum()},
            "db the sum everywhere": lambda: {"b": np.full_like(db, g.sum())},
            "dW without g": lambda: {"W": x.T @ np.ones_like(g)},
            "dx without g": lambda: {"x": np.ones_like(g) @ W.T},
            "piles up": lambda: self.pile_up(dW, db),
            "changes W": lambda: self.shrink(W),
            "decay in dW alone": lambda: {"W": dW + self.decay * W},
            "decay of the wrong sign": lambda: {"W": dW - self.decay * W},
            "integer dW": lambda: {"W": dW.astype(int)},
            "integer dx": lambda: {"x": dx.astype(int)},
            "squeezes g": lambda: {"b": np.squeeze(g).sum(axis=0) * np.ones_like(db)},
            "one sample as outputs": lambda: {"b": np.full_like(db, g.mean())} if len(g) == 1 else {},
            "noise": lambda: {"W": dW * np.linspace(0.5, 1.5, dW.size).reshape(dW.shape)},
        }
        return guesses[self.bug]() if self.bug in guesses else {}

    def pile_up(self, dW: Array, db: Array) -> dict[str, Array]:
        """Add to what is there."""
        self.grads["W"] += dW
        self.grads["b"] += db
        return self.grads

    def shrink(self, W: Array) -> dict[str, Array]:
        """Change the parameter in passing."""
        W *= 0.99
        return {}


class OwnRelu(Own):
    """y = x where x > 0, slope·x elsewhere; "leaky" has a slope of 0.1."""

    slope = 0.0

    def forward(self, x: Array) -> Array:
        if self.bug == "in place":
            x[x < 0] *= self.slope
        if self.bug != "keeps the first x" or not hasattr(self, "x"):
            self.x = x
        return np.where(x > 0, x, self.slope * x)

    def backward(self, g: Array) -> dict[str, Array]:
        inside = np.where(self.x > 0, 1.0, self.slope)
        guesses = {
            "no mask": g * 1.0,
            "inverted": g * np.where(self.x > 0, self.slope, 1.0),
            "mask of g": g * np.where(g > 0, 1.0, self.slope),
            "leak lost": g * (self.x > 0),
            "without g": inside,
            "doubled": 2 * g * inside,
            "negative": -g * inside,
        }
        return {"x": guesses.get(self.bug, g * inside)}


class OwnLeaky(OwnRelu):
    slope = 0.1


class OwnSigmoid(Own):
    """y = 1/(1 + e^−x)."""

    @staticmethod
    def f(x: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-x)))

    def slope(self, x: Array, y: Array) -> Array:
        return y * (1 - y)

    def forward(self, x: Array) -> Array:
        self.x = x
        self.y = self.f(x)
        return self.y

    def backward(self, g: Array) -> dict[str, Array]:
        x, y = self.x, self.y
        right = self.slope(x, y)
        guesses = {
            "no derivative": g * 1.0,
            "y alone": g * y,
            "1 − y alone": g * (1 - y),
            "twice": g * right * right,
            "of the output": g * self.slope(y, self.f(y)),
            "of the input": g * self.slope(y, x),
            "without g": right,
            "quartered": g * right / 4,
            "negative": -g * right,
        }
        return {"x": guesses.get(self.bug, g * right)}


class OwnTanh(OwnSigmoid):
    @staticmethod
    def f(x: Array) -> Array:
        return np.asarray(np.tanh(x))

    def slope(self, x: Array, y: Array) -> Array:
        return 1 - y * y


class OwnSoftmax(Own):
    """y = e^x / Σ e^x over the classes."""

    def forward(self, x: Array) -> Array:
        axis = 0 if self.bug == "forward too" else 1
        top = 0 if self.bug == "naive" else x.max(axis=axis, keepdims=True)
        e = np.exp(x - top)
        self.y = e / e.sum(axis=axis, keepdims=True)
        return self.y

    def backward(self, g: Array) -> dict[str, Array]:
        y = self.y
        right = y * (g - (g * y).sum(axis=0 if self.bug == "forward too" else 1, keepdims=True))
        guesses = {
            "diagonal": g * y * (1 - y),
            "dot term dropped": g * y,
            "dot over the batch": y * (g - (g * y).sum(axis=0)),
            "dot over all": y * (g - (g * y).sum()),
            "no derivative": g * 1.0,
            "negative": -right,
        }
        return {"x": guesses.get(self.bug, right)}


class OwnBatchNorm(Own):
    """Over axis 0; `OwnLayerNorm` over axis 1."""

    axis = 0

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], bug: str) -> None:
        super().__init__(rng, shape, bug)
        self.parameters = {"gamma": 1 + 0.3 * rng.standard_normal(shape), "beta": rng.standard_normal(shape)}
        self.running = np.zeros(shape)

    def forward(self, x: Array) -> Array:
        self.mean = x.mean(axis=self.axis, keepdims=True)
        self.running = 0.9 * self.running + 0.1 * x.mean(axis=0)
        self.inverse = 1 / np.sqrt(x.var(axis=self.axis, keepdims=True) + 1e-5)
        self.normal = (x - self.mean) * self.inverse
        return self.parameters["gamma"] * self.normal + self.parameters["beta"]

    def backward(self, g: Array) -> dict[str, Array]:
        normal, scaled = self.normal, g * self.parameters["gamma"]
        level = scaled.mean(axis=self.axis, keepdims=True)
        spread = normal * (scaled * normal).mean(axis=self.axis, keepdims=True)
        guesses = {
            "no mean": scaled - spread,
            "no variance": scaled - level,
            "neither": scaled,
            "variance halved": scaled - level - spread / 2,
        }
        dgamma, dbeta = (g * normal).sum(axis=0), g.sum(axis=0)
        match self.bug:
            case "dbeta whole":
                dbeta = g
            case "dbeta one number":
                dbeta = np.full_like(dbeta, g.sum())
            case "averaged":
                dgamma, dbeta = dgamma / len(g), dbeta / len(g)
        return {"x": guesses.get(self.bug, scaled - level - spread) * self.inverse, "gamma": dgamma, "beta": dbeta}


class OwnLayerNorm(OwnBatchNorm):
    axis = 1


class OwnDropout(Own):
    """Inverted dropout with NumPy's own global generator, as most write it."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], bug: str) -> None:
        super().__init__(rng, shape, bug)
        self.keep = float(rng.choice([0.5, 0.7, 0.8]))

    def forward(self, x: Array) -> Array:
        self.mask = self.draw(x.shape)
        return x * self.mask

    def draw(self, shape: tuple[int, ...]) -> Array:
        return (np.random.rand(*shape) < self.keep) / self.keep  # noqa: NPY002  # as people write it

    def backward(self, g: Array) -> dict[str, Array]:
        guesses: dict[str, Callable[[], Array]] = {
            "no scale": lambda: g * (self.mask > 0),
            "scaled twice": lambda: g * self.mask / self.keep,
            "redrawn": lambda: g * self.draw(g.shape),
            "no mask": lambda: g * 1.0,
        }
        return {"x": guesses.get(self.bug, lambda: g * self.mask)()}


class OwnResidual(Own):
    """y = tanh(x·W) + x, or + x·W where W is used twice ("shared")."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], bug: str) -> None:
        super().__init__(rng, shape, bug)
        self.parameters = {"W": rng.standard_normal((shape[0], shape[0]))}

    def forward(self, x: Array) -> Array:
        W = self.parameters["W"]
        self.x, self.inner = x, np.tanh(x @ W)
        return self.inner + (x @ W if self.bug.startswith("shared") else x)

    def backward(self, g: Array) -> dict[str, Array]:
        W, x = self.parameters["W"], self.x
        inner = g * (1 - self.inner**2)
        block, skip = inner @ W.T, g @ W.T if self.bug.startswith("shared") else g
        dW = x.T @ inner
        match self.bug:
            case "skip dropped":
                return {"W": dW, "x": block}
            case "block overwritten":
                return {"W": dW, "x": skip.copy()}
            case "shared, first use lost":
                return {"W": x.T @ g, "x": block + skip}
            case "shared, last use lost":
                return {"W": dW, "x": block + skip}
            case "shared":
                return {"W": dW + x.T @ g, "x": block + skip}
        return {"W": dW, "x": block + skip}
