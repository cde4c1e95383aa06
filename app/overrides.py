"""Methods that Qt calls: an error in one is raised as any other, rather than end the process.

Up to Python 3.11 an error that C code has raised, such as that of `[][0]` or `int("x")`, is no exception object yet
when it leaves a method; Shiboken, which adds the method's name to it, reads what is there as if it were one, and
breaks with a segmentation fault. A `try` on its way makes it whole.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any

from shiboken6 import Shiboken


def guard_overrides() -> None:
    """Guard the methods of all classes that derive from Qt's, those there are and those to come."""
    if sys.version_info >= (3, 12) or "__init_subclass__" in vars(Shiboken.Object):
        return

    def begin(cls: Any, /, **named: Any) -> None:
        super(Shiboken.Object, cls).__init_subclass__(**named)
        _guard(cls)

    Shiboken.Object.__init_subclass__ = classmethod(begin)  # type: ignore[assignment]
    found, pending = set[type](), [Shiboken.Object]
    while pending:
        cls = pending.pop()
        if cls not in found:  # it may derive from two that are here
            found.add(cls)
            _guard(cls)
            pending += cls.__subclasses__()


def _guard(cls: type) -> None:
    """Guard what a class overrides of Qt's own classes; those are left as they are."""
    if _is_of_qt(cls):
        return
    of_qt = [vars(base) for base in cls.__mro__ if _is_of_qt(base)]
    for name, method in list(vars(cls).items()):
        if isinstance(method, FunctionType) and not name.startswith("__") and any(name in base for base in of_qt):
            setattr(cls, name, _whole(method))


def _is_of_qt(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in ("PySide6", "Shiboken", "shiboken6")


def _whole(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, whose errors are exception objects once they have left it."""

    @wraps(method)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return method(*given, **named)
        except BaseException:  # which makes it whole
            raise

    return call
