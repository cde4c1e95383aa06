"""Numbers as text that keeps its width while its digits change."""

from __future__ import annotations

import math

import numpy as np

FIGURE_SPACE = "\u2007"  # as wide as a digit
NONE = "–"


def figures(value: float, digits: int = 4) -> str:
    """A magnitude always as wide: 0.4721, 2.3026, 12.346; outside of that 1.24e-05; or a word for what is no number."""
    if not math.isfinite(value):
        return no_number(value)
    size = abs(value)
    if value == 0:
        return f"{0:.{digits}f}"
    if 10 ** (1 - digits) <= size < 10 ** (digits - 1):
        whole = len(str(int(size)))
        return _minus(f"{value:.{digits - whole + 1}f}")
    return exponent(value)


def exponent(value: float, digits: int = 3) -> str:
    """Always with an exponent: 1.24e-01."""
    return _minus(f"{value:.{digits - 1}e}") if math.isfinite(value) else no_number(value)


def signed(value: float) -> str:
    """With a sign, four decimals or an exponent: +0.3784, −1.24e-05; the sign's place is kept for 0."""
    if not math.isfinite(value):
        return no_number(value)
    if value == 0:
        return f"{FIGURE_SPACE}0"
    return _minus(f"{value:+.4f}" if 1e-3 <= abs(value) < 1e3 else f"{value:+.2e}")


def exact(value: float, dtype: str) -> str:
    """With a sign and as many digits as bring back the same number of that type."""
    if not math.isfinite(value):
        return no_number(value)
    if value == 0:
        return "0"
    kind = np.float64 if dtype == "float64" else np.float32
    plain = 1e-4 <= abs(value) < 1e7
    write = np.format_float_positional if plain else np.format_float_scientific
    return _minus(write(kind(value), unique=True, trim="-", sign=True))


def percent(share: float) -> str:
    """A share of one: 89.1 %."""
    return f"{100 * share:.1f} %" if math.isfinite(share) else NONE


def tiny(value: float) -> str:
    """As errors are written: 4e-10; plain from a hundredth on, 0.48."""
    if not math.isfinite(value):
        return no_number(value)
    if value == 0 or abs(value) >= 0.01:
        return f"{value:.2g}"
    mantissa, _, power = f"{value:.0e}".partition("e")
    return f"{mantissa}e{int(power)}"


def ratio(value: float) -> str:
    """How many times: 1.8, 230, 14,000, 1.2e+09."""
    if value < 100:
        return f"{value:.1f}"
    return f"{value:,.0f}" if value < 1e6 else exponent(value, 2)


def count(number: int) -> str:
    """With commas: 1,797."""
    return f"{number:,}"


def no_number(value: float) -> str:
    """NaN, ∞ or −∞."""
    return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"


def _minus(text: str) -> str:
    """A real minus sign, but the plain one in an exponent."""
    return "−" + text[1:] if text.startswith("-") else text
