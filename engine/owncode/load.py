"""A user's Python file, run as a module with its line numbers intact, statement by statement.

A file of a newcomer often ends in training code that is not guarded by `if __name__ == "__main__"`, and that code may
fail, wait or run for minutes. What was defined before is still worth a check, so a statement that fails is noted, and
behind it only definitions, imports and plain values are run.
"""

from __future__ import annotations
import __future__

import ast
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.owncode.blame import TooLong, blamed, place, sentence
from engine.subject import SubjectError

LARGEST = 2_000_000  # bytes of a file; more is data, not code
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
FUTURE = {name: getattr(__future__, name).compiler_flag for name in __future__.all_feature_names}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Source:
    """A file that was run: its module, its syntax tree, and why a part of it could not be run, if so."""

    path: Path
    module: types.ModuleType
    tree: ast.Module
    problem: str = ""

    def __post_init__(self) -> None:
        self.functions = dict(_functions(self.tree, ""))
        self.classes = {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}

    @property
    def own_classes(self) -> list[type]:
        """The classes that this file defines, in its order."""
        found = [value for value in vars(self.module).values() if isinstance(value, type)]
        mine = [cls for cls in dict.fromkeys(found) if cls.__module__ == self.module.__name__]
        return sorted(mine, key=lambda cls: self.line(cls.__name__))

    @property
    def own_functions(self) -> dict[str, Callable[..., Any]]:
        """The functions that this file defines, by name, in its order."""
        names = [node.name for node in self.tree.body if isinstance(node, ast.FunctionDef)]
        values = {name: getattr(self.module, name, None) for name in dict.fromkeys(names)}
        values |= {
            name: value
            for name, value in vars(self.module).items()
            if isinstance(value, types.FunctionType) and value.__name__ == "<lambda>"
        }
        return {name: value for name, value in values.items() if callable(value) and not isinstance(value, type)}

    def line(self, name: str) -> int:
        """The line where "Dense", "Dense.forward" or "loss" is defined; 0 where it is not."""
        node = self.functions.get(name) or self.classes.get(name)
        return node.lineno if node else 0

    def method(self, cls: type, name: str) -> str:
        """The qualified name of a method as this file defines it, perhaps in a base class."""
        owners = [owner for owner in cls.__mro__ if name in vars(owner)]
        return f"{owners[0].__name__ if owners else cls.__name__}.{name}"

    def at(self, name: str) -> str:
        """The start of a sentence about "Dense.forward": file, line, name."""
        line = self.line(name)
        return f"{self.path.name}, line {line}: {name}" if line else f"{self.path.name}: {name}"

    def returned_names(self, name: str) -> list[str]:
        """The names in a function's last `return a, b`; "" for what is not a plain name; [] where it is no tuple."""
        node = self.functions.get(name)
        returns = [inner for inner in ast.walk(node) if isinstance(inner, ast.Return)] if node else []
        for inner in sorted(returns, key=lambda found: -found.lineno):
            if isinstance(inner.value, ast.Tuple | ast.List):
                return [_name(element) for element in inner.value.elts]
        return []

    def mentions(self, name: str, what: str) -> bool:
        """Whether the code of a class or function mentions a name."""
        node: ast.AST | None = self.functions.get(name) or self.classes.get(name)
        return any(_name(inner) == what for inner in ast.walk(node)) if node else False


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.ClassDef):
            yield from _functions(inner, f"{inner.name}.")
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + inner.name, inner
        elif isinstance(inner, ast.If | ast.Try):
            yield from _functions(inner, prefix)


def load(path: Path, seconds: float | None = None) -> Source:
    """Run a file. `seconds`: what its top level may take, where the system can stop it. Raises SubjectError.

    A statement that fails is told in `problem`, what stands before and the definitions behind it count.
    """
    tree = parse(path)
    module = types.ModuleType(f"checked_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    return Source(path, module, tree, _run(tree, path, module, seconds))


def parse(path: Path) -> ast.Module:
    """The syntax tree of a file. Raises SubjectError where it cannot be read or does not parse."""
    if path.suffix == ".ipynb":
        raise SubjectError(f"{path.name} is a notebook; save it as a Python file first (File, Save and export as)")
    try:
        if path.stat().st_size > LARGEST:
            raise SubjectError(f"{path.name} is larger than {LARGEST // 10**6} MB: that is no code to check")
        content = path.read_bytes()
    except OSError as error:
        raise SubjectError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    try:
        return ast.parse(content, filename=str(path))
    except SyntaxError as error:
        raise SubjectError(sentence(error, path)) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SubjectError(f"{path.name} does not parse: {error}") from error


def _run(tree: ast.Module, path: Path, module: types.ModuleType, seconds: float | None) -> str:
    """Run the statements in turn; why not all of them could be run, or ""."""
    problem, flags = "", _future_flags(tree)
    for node in tree.body:
        if problem and not _harmless(node):
            continue
        try:
            code = compile(ast.Module([node], []), str(path), "exec", flags=flags, dont_inherit=True)
            with within(seconds, path, '; put training code under `if __name__ == "__main__":`, or give it more time'):
                exec(code, vars(module))
        except SubjectError as error:
            problem = problem or str(error)
        except SyntaxError as error:  # found only by the compiler, such as a `return` outside a function
            raise SubjectError(sentence(error, path)) from error
    return problem


def _harmless(node: ast.stmt) -> bool:
    """Definitions, imports, and values that call nothing."""
    if isinstance(node, DEFINITIONS):
        return True
    called = any(isinstance(inner, ast.Call) for inner in ast.walk(node))
    return isinstance(node, ast.Assign | ast.AnnAssign) and not called


def _future_flags(tree: ast.Module) -> int:
    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for alias in node.names:
                flags |= FUTURE.get(alias.name, 0)
    return flags


@contextmanager
def within(seconds: float | None, path: Path, cure: str = "; is that an endless loop?") -> Iterator[None]:
    """Blame the file for whatever is raised inside, and for taking longer. Raises SubjectError.

    Only a main thread can be stopped, and only where the system has such a timer.
    """
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if seconds is None or not usable:
        with blamed(path):
            yield
        return

    def stop(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with blamed(path):
            yield
    except TooLong as error:
        raise SubjectError(f"{place(error, path)}: still running after {seconds:g} s{cure}") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
