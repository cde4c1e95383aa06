"""Activations from exponentials and the error function: ELU, SELU, GELU, SiLU, Softplus. With z the input: y = f(z).

Nothing here overflows, for any z: exponentials are taken of numbers ≤ 0 only.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.erf import erfc
from engine.layers.activations import Activation, ElementwiseLayer
from engine.layers.base import Array, Layer, LayerSpec, Shape
from engine.magnitude import magnitude

# Klambauer et al. 2017: with these two, mean 0 and variance 1 stay as they are from layer to layer.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def sigmoid(z: Array, out: Array | None = None, work: Array | None = None) -> Array:
    """σ(z) = e^min(z, 0) / (1 + e^−|z|), exact to the last digits on both sides; `work` is scratch."""
    top = np.exp(np.minimum(z, 0, out=out), out=out)
    bottom = np.negative(magnitude(z, work), out=work)
    np.exp(bottom, out=bottom)
    np.add(bottom, 1, out=bottom)
    return np.divide(top, bottom, out=top)


class ScratchLayer(ElementwiseLayer):
    """An elementwise layer with a buffer of its own, (B, *in)."""

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._work = np.zeros_like(self.y)


# --- ELU and SELU ---------------------------------------------------------------------------------


class ExponentialLayer(ScratchLayer):
    """y = scale·(z where z > 0, alpha·(e^z − 1) elsewhere)."""

    def constants(self) -> tuple[float, float]:
        """scale and alpha."""
        raise NotImplementedError

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = scale·(z > 0 ? z : alpha·(e^z − 1)) = scale·max(z, 0) + scale·alpha·(e^min(z, 0) − 1)."""
        scale, alpha = self.constants()
        y = np.minimum(x, 0, out=out)
        np.expm1(y, out=y)
        np.multiply(y, scale * alpha, out=y)
        np.multiply(x, scale, out=y, where=self.above(x))
        return y

    def derivative(self, out: Array) -> None:
        """scale where z > 0, scale·alpha·e^z elsewhere."""
        scale, alpha = self.constants()
        np.exp(np.minimum(self.x, 0, out=out), out=out)
        np.multiply(out, scale * alpha, out=out)
        np.copyto(out, scale, where=self.above(self.x))

    def decisions(self, x: Array) -> Array:
        """True where z > 0."""
        return x > 0


class ELULayer(ExponentialLayer):
    """y = z where z > 0, alpha·(e^z − 1) elsewhere."""

    spec: ELU

    def constants(self) -> tuple[float, float]:
        """1 and the spec's alpha."""
        return 1.0, self.spec.alpha


class ELU(Activation, frozen=True, kw_only=True):
    """y = z where z > 0, alpha·(e^z − 1) elsewhere (Clevert et al. 2016)."""

    alpha: Annotated[float, Meta(ge=0.0, le=100.0, title="alpha", description="−alpha is the value far below 0")] = 1.0

    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = z > 0 ? z : alpha·(e^z − 1)",
        "grad_x": "grad_x = grad_y ⊙ (z > 0 ? 1 : alpha·e^z)",
    }
    layer: ClassVar[type[Layer]] = ELULayer
    function: ClassVar[str] = r"\begin{cases} Z & Z > 0 \\ \alpha (e^{Z} - 1) & Z \le 0 \end{cases}"
    derivative: ClassVar[str] = r"\begin{cases} 1 & Z > 0 \\ \alpha \, e^{Z} & Z \le 0 \end{cases}"


class SELULayer(ExponentialLayer):
    """y = 1.0507·(z where z > 0, 1.6733·(e^z − 1) elsewhere)."""

    def constants(self) -> tuple[float, float]:
        """The fixed point's scale and alpha."""
        return SELU_SCALE, SELU_ALPHA


class SELU(Activation, frozen=True, kw_only=True):
    """y = 1.0507·(z where z > 0, 1.6733·(e^z − 1) elsewhere): keeps mean 0 and variance 1 (Klambauer et al. 2017)."""

    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = 1.0507·(z > 0 ? z : 1.6733·(e^z − 1))",
        "grad_x": "grad_x = grad_y ⊙ 1.0507·(z > 0 ? 1 : 1.6733·e^z)",
    }
    layer: ClassVar[type[Layer]] = SELULayer
    function: ClassVar[str] = r"1.0507 \begin{cases} Z & Z > 0 \\ 1.6733 (e^{Z} - 1) & Z \le 0 \end{cases}"
    derivative: ClassVar[str] = r"1.0507 \begin{cases} 1 & Z > 0 \\ 1.6733 \, e^{Z} & Z \le 0 \end{cases}"


# --- GELU -----------------------------------------------------------------------------------------


class GELULayer(ScratchLayer):
    """y = z·Φ(z), Φ the normal distribution's cumulative, or its approximation by a tanh."""

    spec: GELU

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._rest = np.zeros_like(self.y) if self.spec.approximate == "tanh" else None  # 1 − Φ(z)

    def gate(self, x: Array, out: Array) -> Array:
        """Φ(z) = ½·erfc(−z/√2), or ½·(1 + tanh(√(2/π)·(z + 0.044715·z³)))."""
        if self.spec.approximate == "none":
            erfc(np.multiply(x, -sqrt(0.5), out=out), out)
            return np.multiply(out, 0.5, out=out)
        np.multiply(x, x, out=out)
        np.multiply(out, 0.044715 * sqrt(2 / pi), out=out)
        np.add(out, sqrt(2 / pi), out=out)
        np.tanh(np.multiply(out, x, out=out), out=out)
        np.add(out, 1, out=out)
        return np.multiply(out, 0.5, out=out)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = z·Φ(z)."""
        y: Array = np.empty(x.shape, x.dtype) if out is None else out
        return np.multiply(x, self.gate(x, y), out=y)

    def forward(self, x: Array) -> Array:
        """y = z·Φ(z); keeps Φ(z)."""
        self.x = x
        return np.multiply(x, self.gate(x, self._work), out=self.y)

    def derivative(self, out: Array) -> None:
        """Φ + z·e^(−z²/2)/√(2π); with the tanh: Φ + 2·z·Φ·(1 − Φ)·√(2/π)·(1 + 3·0.044715·z²)."""
        z, phi = self.x, self._work
        np.multiply(z, z, out=out)
        if self._rest is None:
            np.exp(np.multiply(out, -0.5, out=out), out=out)
            np.multiply(out, 1 / sqrt(2 * pi), out=out)
        else:
            np.multiply(out, 3 * 0.044715, out=out)
            np.add(out, 1, out=out)
            np.multiply(out, 2 * sqrt(2 / pi), out=out)
            np.multiply(out, phi, out=out)
            np.multiply(out, np.subtract(1, phi, out=self._rest), out=out)
        np.multiply(out, z, out=out)
        np.add(out, phi, out=out)


class GELU(Activation, frozen=True, kw_only=True):
    """y = z·Φ(z), Φ the normal distribution's cumulative (Hendrycks and Gimpel 2016), exact or by a tanh."""

    approximate: Annotated[
        Literal["none", "tanh"], Meta(title="approximate", description="Φ by the error function, or by a tanh")
    ] = "none"

    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = z·Φ(z), Φ(z) = ½(1 + erf(z/√2)), or ½(1 + tanh(√(2/π)(z + 0.044715·z³)))",
        "grad_x": "grad_x = grad_y ⊙ (Φ(z) + z·Φ′(z))",
    }
    layer: ClassVar[type[Layer]] = GELULayer
    function: ClassVar[str] = r"Z \, \Phi \left( Z \right)"
    derivative: ClassVar[str] = r"\Phi \left( Z \right) + Z \, \Phi' \left( Z \right)"


# --- SiLU and Softplus ----------------------------------------------------------------------------


class SiLULayer(ScratchLayer):
    """y = z·σ(z)."""

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._gate = np.zeros_like(self.y)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = z·σ(z)."""
        y = sigmoid(x, out)
        return np.multiply(y, x, out=y)

    def forward(self, x: Array) -> Array:
        """y = z·σ(z); keeps σ(z)."""
        self.x = x
        return np.multiply(x, sigmoid(x, self._gate, self._work), out=self.y)

    def derivative(self, out: Array) -> None:
        """σ(z) + y·(1 − σ(z))."""
        np.subtract(1, self._gate, out=out)
        np.multiply(out, self.y, out=out)
        np.add(out, self._gate, out=out)


class SiLU(Activation, frozen=True, kw_only=True, tag="silu"):
    """y = z·σ(z), also called swish."""

    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = z·σ(z), σ(z) = 1 / (1 + e^−z)",
        "grad_x": "grad_x = grad_y ⊙ (σ(z) + y(1 − σ(z)))",
    }
    layer: ClassVar[type[Layer]] = SiLULayer
    function: ClassVar[str] = r"Z \, \sigma \left( Z \right)"
    derivative: ClassVar[str] = r"\sigma \left( Z \right) + Y \left( 1 - \sigma \left( Z \right) \right)"


class SoftplusLayer(ScratchLayer):
    """y = log(1 + e^(beta·z)) / beta, as max(z, 0) + log(1 + e^−|beta·z|) / beta, which cannot overflow."""

    spec: Softplus

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = max(z, 0) + log(1 + e^−|beta·z|) / beta."""
        beta = self.spec.beta
        y = magnitude(x, out)
        np.exp(np.multiply(y, -beta, out=y), out=y)
        np.log1p(y, out=y)
        np.divide(y, beta, out=y)
        return np.add(y, x, out=y, where=self.above(x))

    def derivative(self, out: Array) -> None:
        """σ(beta·z)."""
        np.multiply(self.x, self.spec.beta, out=self._work)
        sigmoid(self._work, out, self._work)


class Softplus(Activation, frozen=True, kw_only=True):
    """y = log(1 + e^(beta·z)) / beta, a smooth ReLU.

    The formula holds for every z; PyTorch's gives z itself where beta·z > 20, which differs by at most 2e-9.
    """

    beta: Annotated[float, Meta(ge=0.01, le=1000.0, title="beta", description="The larger, the sharper the bend")] = 1.0

    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = log(1 + e^(beta·z)) / beta",
        "grad_x": "grad_x = grad_y ⊙ σ(beta·z)",
    }
    layer: ClassVar[type[Layer]] = SoftplusLayer
    function: ClassVar[str] = r"\frac{1}{\beta} \log \left( 1 + e^{\beta \, Z} \right)"
    derivative: ClassVar[str] = r"\sigma \left( \beta \, Z \right)"
