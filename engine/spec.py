"""The base of all specs: frozen, with limits in the annotations, read from JSON, shown as a form."""

from __future__ import annotations

import importlib
import math
import pkgutil
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

_S = TypeVar("_S", bound="Spec")


class RecipeError(ValueError):
    """A recipe that cannot be used; the message is one sentence: where, what, what to do."""


def snake_case(name: str) -> str:
    """The kind of a spec class as it stands in JSON: LeakyReLU → leaky_relu."""
    name = name.replace("ReLU", "Relu")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen description of one thing. Fields carry limits, a title and a hint as `msgspec.Meta`.

    Raises ValueError (msgspec turns it into a sentence with the field's path) for NaN and infinity.
    """

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, not {value}")


class KindSpec(Spec, frozen=True, kw_only=True, tag_field="kind", tag=snake_case):
    """A spec that is one of a family; JSON names it by its `kind`."""

    @classmethod
    def kind(cls) -> str:
        """The name in JSON, such as "leaky_relu"."""
        return str(cls.__struct_config__.tag)

    @classmethod
    def title(cls) -> str:
        """The name on screen, such as "LeakyReLU"."""
        return cls.__name__


def members(family: type[_S]) -> tuple[type[_S], ...]:
    """The concrete kinds of a family in the order they were defined: its leaf classes."""

    def leaves(cls: type[_S]) -> Iterator[type[_S]]:
        children = cls.__subclasses__()
        if not children:
            yield cls
        for child in children:
            yield from leaves(child)

    return tuple(leaves(family))


def import_all(package: str, path: Any) -> None:
    """Import every module of a package, so that a new kind needs no other file to be known."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")


# Annotated types that recur. `extra={"live": True}` marks a field that may change in mid-run.
LIVE = {"live": True}
LARGEST_RATE = 1e6
Rate = Annotated[
    float, Meta(ge=0.0, le=LARGEST_RATE, title="learning rate", description="Size of an update step", extra=LIVE)
]
Frozen = Annotated[
    Literal["nothing", "weights", "biases", "all"],
    Meta(title="frozen", description="Parameters that the update leaves as they are", extra=LIVE),
]
L1 = Annotated[float, Meta(ge=0.0, le=1e6, title="L1 penalty", description="Adds l1·Σ|W| to the loss", extra=LIVE)]
L2 = Annotated[float, Meta(ge=0.0, le=1e6, title="L2 penalty", description="Adds l2/2·ΣW² to the loss", extra=LIVE)]
