"""The terms a number is made of: the formula of a cell with the real numbers, each linked to the cell it came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Index = tuple[int, ...]
Tensors = Callable[[str], Array]  # a layer's tensor by role ("x", "W", "grad_y"), as it was when the cell was computed
GRAD_Y = "g"  # how the gradient of a layer's output, ∂L/∂y, is written in formulas
MOST = 400  # terms that are told one by one; the rest is told as a sum


class Factor(msgspec.Struct, frozen=True, array_like=True):
    """One number in a term. `value` is what is multiplied; `cell`, where it is of a tensor, what the tensor holds."""

    symbol: str  # LaTeX, such as "x_{3,5}"
    value: float
    address: str = ""  # of the tensor; "" for a constant
    index: Index = ()
    cell: float = float("nan")  # the tensor's own number: `value` is a function of it, mostly itself


class Term(msgspec.Struct, frozen=True, array_like=True):
    """One of the numbers that are added up: the product of its factors, or a function of them."""

    value: float
    factors: tuple[Factor, ...]
    sample: int = -1  # whose of the mini-batch; −1: of none


class Explanation(msgspec.Struct, frozen=True):
    """How one cell came about. `terms` are the largest, `rest` the sum of the `count` − len(terms) others."""

    address: str
    index: Index
    value: float  # as the engine holds it
    formula: str  # LaTeX, in general
    numbers: str  # LaTeX, with this cell's numbers; "" where the terms say all
    shapes: dict[str, Index]  # of the tensors in the formula, by symbol
    sources: tuple[str, ...]  # the addresses of the tensors it was computed from
    terms: tuple[Term, ...]
    count: int
    total: float  # of all terms, added up in float64
    size: float  # of all terms' absolute values: what a share is a share of
    rest: float
    pulls: tuple[float, ...] = ()  # of a gradient: what each sample of the mini-batch adds, (B,)
    cancellation: float = float("nan")  # |mean| / mean|·| of the pulls


@dataclass(frozen=True)
class Cells:
    """A factor of many terms at once: T cells of one tensor, or one constant for all."""

    symbol: str  # LaTeX of the tensor or constant, such as "x" or r"\\eta"
    values: Array | float  # (T,), or one for all: as the tensor holds them
    address: str = ""  # the tensor's role in its layer, loss or update ("x", "0.W" inside a block); "" for a constant
    index: tuple[Array | int, ...] = ()  # one (T,) array, or one number, for each axis
    applied: Array | None = None  # (T,) what is multiplied, where that is a function of the values
    function: str = ""  # LaTeX of the function, with {} for the symbol: r"-\\log {}"


@dataclass(frozen=True)
class Product:
    """T terms, each the product of its factors; or `results` (T,), where a term is another function of them."""

    factors: Sequence[Cells]
    results: Array | None = None
    samples: Array | int | None = None  # (T,), or one number: the sample that each term belongs to


@dataclass(frozen=True)
class Sum:
    """What a layer, a loss or an optimizer tells of one cell: the formula and all of its terms."""

    formula: str  # LaTeX
    products: Sequence[Product]
    shapes: dict[str, Index]
    numbers: str = ""  # LaTeX


def cells(symbol: str, tensor: Array, address: str, index: tuple[Array | int, ...]) -> Cells:
    """T cells of a tensor as a factor; `index` has one (T,) array, or one number, for each axis."""
    return Cells(symbol, np.asarray(tensor[index], np.float64), address, index)


def slope(of: str) -> str:
    """LaTeX of "∂L/∂x =": the left side of a gradient's formula."""
    return rf"\frac{{\partial L}}{{\partial {of}}} = "


def only(shapes: dict[str, Index], *symbols: str) -> dict[str, Index]:
    """The shapes of some of the tensors."""
    return {symbol: shapes[symbol] for symbol in symbols}


def constant(symbol: str, value: float) -> Cells:
    """A factor that is of no tensor."""
    return Cells(symbol, float(value))


def number(value: float) -> str:
    """A number as LaTeX, six digits."""
    if not np.isfinite(value):
        return {True: r"\mathrm{NaN}"}.get(bool(np.isnan(value)), r"\infty" if value > 0 else r"-\infty")
    mantissa, _, exponent = f"{value:.6g}".partition("e")
    return f"{mantissa} \\cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def bracketed(value: float) -> str:
    """A number as LaTeX that may stand behind an operator: negative ones in parentheses."""
    text = number(value)
    return rf"\left({text}\right)" if text.startswith("-") else text


def explanation(
    address: str,
    index: Index,
    value: float,
    found: Sum,
    named: Callable[[str], str],
    *,
    batch: int = 0,
    most: int = MOST,
) -> Explanation:
    """A sum with its largest terms one by one; `named` makes a role in it the address of a tensor.

    With `batch`, the number of samples, the pull of each is told too.
    """
    values = [_values(product) for product in found.products]
    flat = np.concatenate(values) if values else np.zeros(0)
    owners = np.repeat(np.arange(len(values)), [len(v) for v in values])
    within = np.concatenate([np.arange(len(v)) for v in values]) if values else np.zeros(0, int)
    magnitude = np.where(np.isnan(flat), np.inf, np.abs(flat))  # what is no number comes first
    order = np.argsort(-magnitude, kind="stable")[:most]
    terms = tuple(
        _term(found.products[owners[i]], int(within[i]), len(values[owners[i]]), float(flat[i]), named) for i in order
    )
    left_out = np.delete(flat, order)
    pulls = _pulls(found, values, batch)
    return Explanation(
        address=address,
        index=index,
        value=value,
        formula=found.formula,
        numbers=found.numbers,
        shapes=found.shapes,
        sources=_sources(found, named),
        terms=terms,
        count=len(flat),
        total=_add(flat),
        size=_add(np.abs(flat)),
        rest=_add(left_out),
        pulls=tuple(pulls.tolist()),
        cancellation=cancellation(pulls) if len(pulls) else float("nan"),
    )


def cancellation(pulls: Array) -> float:
    """|mean| / mean|·|: 1 where all samples pull the same way, near 0 where they cancel each other."""
    size = float(np.abs(pulls).mean())
    return abs(float(pulls.mean())) / size if size else float("nan")


def _pulls(found: Sum, values: list[Array], batch: int) -> Array:
    """What each sample adds, (B,)."""
    pulls = np.zeros(batch)
    for product, terms in zip(found.products, values, strict=True):
        if batch and product.samples is not None:
            np.add.at(pulls, np.broadcast_to(np.asarray(product.samples), len(terms)), terms)
    return pulls


def _add(values: Array) -> float:
    """The sum, rounded once; NaN and infinity as numpy has them."""
    with np.errstate(all="ignore"):
        return fsum(values) if np.isfinite(values).all() else float(values.sum())


def _values(product: Product) -> Array:
    """Each term of a product, (T,), in float64."""
    if product.results is not None:
        return np.atleast_1d(np.asarray(product.results, np.float64))
    with np.errstate(all="ignore"):
        value: Array = np.ones(1)
        for factor in product.factors:
            value = value * np.asarray(factor.values if factor.applied is None else factor.applied, np.float64)
    return np.atleast_1d(value)


def _term(product: Product, place: int, count: int, value: float, named: Callable[[str], str]) -> Term:
    sample = product.samples
    number = -1 if sample is None else int(np.broadcast_to(sample, count)[place])
    return Term(value, tuple(_factor(f, place, count, named) for f in product.factors), number)


def _factor(factor: Cells, place: int, count: int, named: Callable[[str], str]) -> Factor:
    cell = float(np.broadcast_to(factor.values, count)[place])
    value = cell if factor.applied is None else float(np.broadcast_to(factor.applied, count)[place])
    index = tuple(int(np.broadcast_to(axis, count)[place]) for axis in factor.index)
    symbol = factor.symbol + (f"_{{{','.join(map(str, index))}}}" if index else "")
    if factor.function:
        symbol = factor.function.replace("{}", symbol)
    return Factor(symbol, value, named(factor.address) if factor.address else "", index, cell)


def _sources(found: Sum, named: Callable[[str], str]) -> tuple[str, ...]:
    addresses = (named(f.address) for product in found.products for f in product.factors if f.address)
    return tuple(dict.fromkeys(addresses))
