"""What a field's type says: its limits in words, a first value, how a number is written, read and stepped."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

INT32 = 2**31 - 1
Number = inspect.IntType | inspect.FloatType


type_info = cache(inspect.type_info)  # a form asks for those of a family and of each field, which takes milliseconds


def plain(kind: inspect.Type) -> inspect.Type:
    """A type without its titles and hints."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def readable(value: object) -> str:
    """A value of a choice on screen: "softmax_cross_entropy" → "softmax cross entropy"."""
    return str(value).replace("_", " ")


def item_types(kind: inspect.VarTupleType | inspect.TupleType) -> list[inspect.Type]:
    """The types of a tuple's items, one for any length."""
    return [plain(i) for i in ((kind.item_type,) if isinstance(kind, inspect.VarTupleType) else kind.item_types)]


def number_text(value: float) -> str:
    """A number as short as it can be without losing anything: 0.1, 100000, 1e-5."""
    text = repr(value).removesuffix(".0")
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else text


def _limit(value: float) -> str:
    """A limit as one reads it: 0.5, 65,536, 1e6."""
    if abs(value) >= 10_000 and value == int(value):
        digits = str(int(value))
        zeros = len(digits) - len(digits.rstrip("0"))
        return f"{digits[:-zeros]}e{zeros}" if zeros >= 6 and len(digits) - zeros == 1 else f"{int(value):,}"
    return number_text(value)


def limits_text(kind: Number) -> str:
    """The limits of a number in words, such as "at least 0 and less than 1"; empty where there are none."""
    if kind.ge is not None and kind.le is not None:
        return f"from {_limit(kind.ge)} to {_limit(kind.le)}"
    words = (("at least", kind.ge), ("more than", kind.gt), ("at most", kind.le), ("less than", kind.lt))
    return " and ".join(f"{word} {_limit(limit)}" for word, limit in words if limit is not None)


def wanted(kind: inspect.Type) -> str | None:
    """How the sentence "<Title> must be …" ends for a type; None where msgspec's own words must do."""
    match kind:
        case inspect.IntType() | inspect.FloatType():
            noun = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
            return f"{noun} {limits_text(kind)}".strip()
        case inspect.VarTupleType() | inspect.TupleType():
            items = item_types(kind)
            if isinstance(items[0], inspect.StrType):
                return "names with commas between"
            count = "" if isinstance(kind, inspect.VarTupleType) else f"{len(items)} "
            whole = "whole numbers" if isinstance(items[0], inspect.IntType) else "numbers"
            limits = limits_text(items[0]) if isinstance(items[0], Number) else ""
            return f"{count}{whole} with commas between{', each ' + limits if limits else ''}"
        case inspect.UnionType():
            return next((wanted(plain(t)) for t in kind.types if not isinstance(t, inspect.NoneType)), None)
    return None


def initial(kind: inspect.Type) -> Any:
    """A first value for a field that has no default."""
    match plain(kind):
        case inspect.IntType(gt=gt, ge=ge):
            return ge if ge is not None else gt + 1 if gt is not None else 0
        case inspect.FloatType(gt=gt, ge=ge, le=le, lt=lt):
            low = ge if ge is not None else gt
            high = le if le is not None else lt
            return _first_float(low, high, inclusive=ge is not None)
        case inspect.BoolType():
            return False
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.EnumType(cls=cls):
            return next(iter(cls)).value
        case inspect.VarTupleType(item_type=item, min_length=count):
            return [initial(item)] * (count or 0)
        case inspect.TupleType(item_types=items):
            return [initial(item) for item in items]
        case inspect.StrType(min_length=count):
            return "?" * (count or 0)
        case inspect.UnionType(types=types):
            return None if any(isinstance(t, inspect.NoneType) for t in types) else initial(types[0])
        case inspect.StructType(fields=fields, tag_field=tag_field, tag=tag):
            first = {f.encode_name: initial(f.type) for f in fields if f.required}
            return {**first, tag_field: tag} if tag_field else first
    return None


def _first_float(low: float | None, high: float | None, *, inclusive: bool) -> float:
    if low is None:
        return 0.0 if high is None or high > 0 else high - 1.0
    return float(low) if inclusive else (low + (high if high is not None else low + 2.0)) / 2


def parse_number(text: str) -> float:
    """A finite number from text; a comma or a real minus sign will do. Raises ValueError."""
    number = float(text.strip().replace(",", ".").replace("−", "-"))
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def stepped(value: float, up: bool, share: bool = False) -> float:
    """The next round number away from zero (up) or towards it: 1, 2, 5 × 10ⁿ; for a share 0.05 more or less."""
    if share:
        return round(value + (0.05 if up else -0.05), 10)
    if value == 0:
        return 1e-3 if up else -1e-3
    if value < 0:
        return -stepped(-value, not up)
    decade = 10.0 ** (math.floor(math.log10(value)) - 1)
    series = [float(f"{m * decade:.3g}") for m in (1, 2, 5, 10, 20, 50, 100, 200)]
    close = abs(value) * 1e-9
    if up:
        return next(s for s in series if s > value + close)
    return next(s for s in reversed(series) if s < value - close)


def problem_of(error: msgspec.ValidationError) -> str:
    """msgspec's message without its path, as a sentence's ending."""
    text = str(error).partition(" - at `")[0].replace("`", "")
    return text.removeprefix("Expected ").replace("str ", "text ")


def fits_spin_box(kind: inspect.IntType) -> bool:
    """Whether both limits are there and Qt's spin box can hold them."""
    low = kind.ge if kind.ge is not None else kind.gt
    high = kind.le if kind.le is not None else kind.lt
    return low is not None and high is not None and low >= -INT32 and high <= INT32


def is_share(kind: Number) -> bool:
    """Whether a number lives in so short a range that steps by factors make no sense."""
    low = kind.ge if kind.ge is not None else kind.gt
    high = kind.le if kind.le is not None else kind.lt
    return low is not None and high is not None and 0 < high - low <= 2


def allowed(kind: Number, value: float) -> bool:
    """Whether a number is within the type's limits."""
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )
