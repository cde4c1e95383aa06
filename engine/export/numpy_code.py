"""A script for NumPy alone, and how every kind of loss, optimizer and clipping is written in it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from engine.export.moment import Moment
from engine.export.numpy_layers import places, written
from engine.export.writing import Section, comparing, indented, listed, looping, rate_function, reading, settings
from engine.losses.likelihood import smallest_probability
from engine.recipe import Recipe

TOLERANCE = 1e-12

# --- what is trained for, and how -----------------------------------------------------------------


LEAST = repr(smallest_probability("float64"))


def _squared_error(recipe: Recipe) -> str:
    convention = recipe.loss.convention  # type: ignore[attr-defined]  # of this kind
    scale = {"mean": "1 / {y}.size", "sum": "1.0", "half": "0.5 / len({y})"}[convention]
    return f"squared_error({{y}}, t, scale={scale})"


LOSSES: dict[str, Callable[[Any], str]] = {
    "softmax_cross_entropy": lambda r: (
        f"softmax_cross_entropy({{y}}, t, smoothing={r.loss.label_smoothing!r})"
        if r.loss.label_smoothing
        else "softmax_cross_entropy({y}, t)"
    ),
    "cross_entropy": lambda _: f"cross_entropy({{y}}, t, least={LEAST})",
    "hinge": lambda r: f"hinge({{y}}, t, margin={r.loss.margin!r})",
    "binary_cross_entropy": lambda _: "binary_cross_entropy({y}, t)",
    "binary_cross_entropy_on_probabilities": lambda _: (
        f"binary_cross_entropy_on_probabilities({{y}}, t, least={LEAST})"
    ),
    "mean_squared_error": _squared_error,
    "absolute_error": lambda _: "absolute_error({y}, t)",
    "huber": lambda r: f"huber({{y}}, t, delta={r.loss.delta!r})",
}


def _sgd(o: Any) -> list[str]:
    if not o.momentum:
        return ["p[name] -= lr * grad"]
    looks_ahead = o.nesterov and o.momentum > 1e-12
    move = "(grad + momentum * velocity[name])" if looks_ahead else "velocity[name]"
    return ["velocity[name] = momentum * velocity[name] + grad", f"p[name] -= lr * {move}"]


def _rmsprop(o: Any) -> list[str]:
    lines = [
        "squares[name] = alpha * squares[name] + (1 - alpha) * grad**2",
        "move = grad / (np.sqrt(squares[name]) + eps)",
    ]
    if o.momentum:
        lines.append("move = velocity[name] = momentum * velocity[name] + move")
    return [*lines, "p[name] -= lr * move"]


ADAM = [
    "first[name] = beta1 * first[name] + (1 - beta1) * grad",
    "second[name] = beta2 * second[name] + (1 - beta2) * grad**2",
    "mean = first[name] / (1 - beta1 ** (done + 1))",
    "square = second[name] / (1 - beta2 ** (done + 1))",
]
OPTIMIZERS: dict[str, Callable[[Any], list[str]]] = {
    "sgd": _sgd,
    "adagrad": lambda _: ["squares[name] += grad**2", "p[name] -= lr * grad / (np.sqrt(squares[name]) + eps)"],
    "rmsprop": _rmsprop,
    "adam": lambda _: [*ADAM, "p[name] -= lr * mean / (np.sqrt(square) + eps)"],
    "adamw": lambda o: [
        *ADAM,
        *(["p[name] -= lr * weight_decay * p[name]"] if o.weight_decay else []),
        "p[name] -= lr * mean / (np.sqrt(square) + eps)",
    ],
}
CLIPS: dict[str, Callable[[Any], list[str]]] = {
    "none": lambda _: [],
    "clip_by_norm": lambda c: [
        "norm = math.sqrt(sum(float((g[name] ** 2).sum()) for name in trained))",
        f"if norm + 1e-6 > {c.max_norm!r}:",
        "    for name in trained:",
        f"        g[name] = g[name] * ({c.max_norm!r} / (norm + 1e-6))",
    ],
    "clip_by_value": lambda c: [
        "for name in trained:",
        f"    g[name] = np.clip(g[name], {-c.limit!r}, {c.limit!r})",
    ],
}


def penalties(recipe: Recipe) -> Iterator[tuple[str, float, float]]:
    """Address, l1 and l2 of every matrix that costs something."""
    for index, spec in enumerate(recipe.layers):
        for prefix, held in spec.inside():
            l1, l2 = getattr(held, "l1", 0.0), getattr(held, "l2", 0.0)
            if l1 or l2:
                yield f"{index}.{prefix}W", l1, l2


# --- the script -----------------------------------------------------------------------------------


@cache
def _functions() -> dict[str, tuple[str, frozenset[str]]]:
    """The source of every function of numpy_functions, in order, and the names that stand in it."""
    source = Path(__file__).with_name("numpy_functions.py").read_text("utf-8")
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            names = frozenset(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
            found[node.name] = ast.get_source_segment(source, node) or "", names
    return found


def functions_for(codes: Iterable[str]) -> str:
    """The source of the functions that pieces of code call, and of those that these call."""
    known, wanted = _functions(), set[str]()
    waiting = {node.id for code in codes for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    while waiting:
        name = waiting.pop()
        if name in known and name not in wanted:
            wanted.add(name)
            waiting |= known[name][1]
    return "\n\n\n".join(source for name, (source, _) in known.items() if name in wanted)


def passes(moment: Moment) -> str:
    """Forward and backward, line by line."""
    around = list(places(moment))
    lines = [written(spec, at) for spec, at in around]
    last = around[-1][1]
    loss = LOSSES[moment.recipe.loss.kind()](moment.recipe).format(y=last.y)
    body = [
        '"""The loss of mini-batch `number`, and the gradient of every parameter by its name."""',
        "g = {}",
        *[line for forward, _ in lines for line in forward],
        f"# the loss: {moment.recipe.loss.title()}",
        f"loss, {last.gy} = {loss}",
        "# backward, from the last layer to the first",
        *[line for _, backward in reversed(lines) for line in backward],
        "return loss, g",
    ]
    return "def passes(x, t, number):\n" + indented(body)


def update(moment: Moment) -> str:
    """What the optimizer does with the gradients, and what is done to them before."""
    recipe = moment.recipe
    optimizer = recipe.optimizer
    body = ['"""Move the parameters; `done` mini-batches came before."""']
    for address, l1, l2 in penalties(recipe):
        W = f'p["{address}"]'
        terms = ([f"{l1!r} * np.sign({W})"] if l1 else []) + ([f"{l2!r} * {W}"] if l2 else [])
        body.append(f'g["{address}"] = g["{address}"] + ' + " + ".join(terms))
    if len(moment.trained) < len(moment.parameters) or recipe.clip.kind() != "none":
        body += listed("trained = ", moment.trained)
    body += CLIPS[recipe.clip.kind()](recipe.clip)
    if recipe.schedule.kind() != "constant":
        body.append("lr = rate(done)")
    decays = getattr(optimizer, "weight_decay", 0.0) and optimizer.kind() != "adamw"
    body.append("for name in trained:" if "trained = " in "".join(body) else "for name in p:")
    body.append("    grad = g[name]" + (" + weight_decay * p[name]" if decays else ""))
    body += ["    " + line for line in OPTIMIZERS[optimizer.kind()](optimizer)]
    return "def update(g, done):\n" + indented(body)


def state(moment: Moment) -> str:
    """The lines that read what was saved."""
    lines = [
        *reading(moment),
        *listed("names = ", moment.parameters),
        "p = {name: saved[name] for name in names}  # parameters by layer and role",
    ]
    for slot in moment.recipe.optimizer.slot_names:
        lines.append(f'{slot} = {{name: saved[f"{slot}.{{name}}"] for name in p}}')
    if any(".running_" in name for name in moment.arrays):
        lines.append('averages = {name: a for name, a in saved.items() if ".running_" in name}  # which inference uses')
    if any(name.startswith("kept.") for name in moment.arrays):
        lines.append('kept = {name[5:]: saved[name].astype(saved["x"].dtype) for name in saved if name[:5] == "kept."}')
    return "\n".join(lines)


def sections(moment: Moment) -> list[Section]:
    """The script in pieces."""
    recipe = moment.recipe
    work = [passes(moment), update(moment)]
    rate = rate_function(moment)
    functions = functions_for(work)
    hyper = settings(recipe.optimizer)
    loop = [
        *looping(moment),
        '    loss, g = passes(saved["x"][chosen], saved["t"][chosen], number)',
        "    update(g, done + number)",
        *comparing(moment, TOLERANCE),
    ]
    uses_math = any("math." in text for text in (*work, rate, functions))
    head = ["import math"] if uses_math else []
    head += ["from pathlib import Path", "", "import numpy as np"]
    if functions:
        head += ["", "Array = np.ndarray"]
    found = [Section("what was saved", "\n".join(head) + "\n\n" + state(moment))]
    if functions:
        found.append(Section("layers and loss", functions))
    found.append(Section("forward and backward, layer by layer", work[0]))
    title = f"the update: {recipe.optimizer.title()}"
    found.append(Section(title, "\n".join(hyper) + "\n\n\n" + (rate + "\n\n\n" if rate else "") + work[1]))
    return [*found, Section("the next mini-batches", "\n".join(loop))]
