"""How every kind of layer, loss, optimizer and clipping is written with NumPy alone: forward and backward in full."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from engine.export.moment import Moment
from engine.export.writing import Section, comparing, indented, listed, looping, rate_function, reading, settings
from engine.layers import LayerSpec
from engine.layers.base import Shape
from engine.layers.residual import SKIP, Residual
from engine.layers.smooth import SELU_ALPHA, SELU_SCALE
from engine.losses.likelihood import smallest_probability
from engine.recipe import Recipe


@dataclass(frozen=True)
class Place:
    """Where a layer stands: its address ("4" or "4.1"), the variables that go in and out, and their gradients."""

    address: str
    x: str
    y: str
    gx: str
    gy: str
    shape: Shape  # of a sample that goes in
    wants_gx: bool  # whether anything before it is trained

    @property
    def tag(self) -> str:
        """What ends the names of the layer's own variables."""
        return self.address.replace(".", "_")

    def p(self, role: str) -> str:
        """A parameter."""
        return f'p["{self.address}.{role}"]'

    def g(self, role: str) -> str:
        """The gradient of a parameter."""
        return f'g["{self.address}.{role}"]'

    def filled(self, text: str) -> str:
        """A line with the variables' names in it."""
        return text.format(x=self.x, y=self.y, gx=self.gx, gy=self.gy, tag=self.tag)


TOLERANCE = 1e-12
Lines = tuple[list[str], list[str]]  # of forward, and of backward

# --- layers ---------------------------------------------------------------------------------------


def _dense(s: Any, at: Place) -> Lines:
    y = f"{at.y} = {at.x} @ {at.p('W')}" + (f" + {at.p('b')}" if s.bias else "")
    back = [f"{at.g('W')} = {at.x}.T @ {at.gy}"]
    back += [f"{at.g('b')} = {at.gy}.sum(axis=0)"] if s.bias else []
    return [y], [*back, *([f"{at.gx} = {at.gy} @ {at.p('W')}.T"] if at.wants_gx else [])]


def _conv2d(s: Any, at: Place) -> Lines:
    how = f"stride={s.stride}, padding={s.padding}, dilation={s.dilation}"
    y = f"{at.y} = conv2d({at.x}, {at.p('W')}, {how})" + (f" + {at.p('b')}[:, None, None]" if s.bias else "")
    back = [f"{at.g('W')} = conv2d_grad_W({at.gy}, {at.x}, {at.p('W')}, {how})"]
    back += [f"{at.g('b')} = {at.gy}.sum(axis=(0, 2, 3))"] if s.bias else []
    gx = f"{at.gx} = conv2d_grad_x({at.gy}, {at.p('W')}, {at.x}.shape, {how})"
    return [y], [*back, *([gx] if at.wants_gx else [])]


def _max_pool(s: Any, at: Place) -> Lines:
    how = f"kernel={s.kernel}, stride={s.stride}, padding={s.padding}"
    return (
        [at.filled("{y}, chosen{tag} = max_pool({x}, " + how + ")")],
        [at.filled("{gx} = max_pool_backward({gy}, chosen{tag}, {x}.shape, " + how + ")")],
    )


def _avg_pool(s: Any, at: Place) -> Lines:
    how = f"kernel={s.kernel}, stride={s.stride}, padding={s.padding}"
    return (
        [at.filled("{y} = avg_pool({x}, " + how + ")")],
        [at.filled("{gx} = avg_pool_backward({gy}, {x}.shape, " + how + ")")],
    )


def _global_avg_pool(_: Any, at: Place) -> Lines:
    pixels = prod(at.shape[1:])
    spread = f"{at.gx} = np.broadcast_to({at.gy}[:, :, None, None] / {pixels}, {at.x}.shape)"
    return [f"{at.y} = {at.x}.mean(axis=(2, 3))"], [spread]


def _batch_norm(s: Any, at: Place) -> Lines:
    own = f"normal{at.tag}, inverse{at.tag}"
    count = f"{at.x}.size // {at.shape[0]}"
    forward = [
        f"{at.y}, {own}, mean, var = batch_norm({at.x}, {at.p('gamma')}, {at.p('beta')}, eps={s.eps!r})",
        f"count = {count}",
        "if count > 1:",
    ]
    for role, now in (("running_mean", "mean"), ("running_var", "var * count / (count - 1)")):
        name = f'averages["{at.address}.{role}"]'
        forward.append(f"    {name} = running({name}, {now}, momentum={s.momentum!r})")
    given = f"{at.gx}, {at.g('gamma')}, {at.g('beta')}"
    return forward, [f"{given} = batch_norm_backward({at.gy}, {own}, {at.p('gamma')})"]


def _layer_norm(s: Any, at: Place) -> Lines:
    own = f"normal{at.tag}, inverse{at.tag}"
    given = f"{at.gx}, {at.g('gamma')}, {at.g('beta')}"
    return (
        [f"{at.y}, {own} = layer_norm({at.x}, {at.p('gamma')}, {at.p('beta')}, eps={s.eps!r})"],
        [f"{given} = layer_norm_backward({at.gy}, {own}, {at.p('gamma')})"],
    )


def _dropout(s: Any, at: Place) -> Lines:
    mask = f'mask{at.tag} = kept["{at.address}"][number, : len({at.x})] / {1 - s.rate!r}'
    return [mask, at.filled("{y} = {x} * mask{tag}")], [at.filled("{gx} = {gy} * mask{tag}")]


def _reshape(s: Any, at: Place) -> Lines:
    shape = ", ".join(map(str, s.shape))
    return [at.filled("{y} = {x}.reshape(len({x}), ") + f"{shape})"], [at.filled("{gx} = {gy}.reshape({x}.shape)")]


def _prelu(s: Any, at: Place) -> Lines:
    wide = len(at.shape) > 1 and s.per_feature
    beside = "".join("[" + ", ".join([":", *["None"] * (len(at.shape) - 1)]) + "]") if wide else ""
    axes = (0, *range(2, len(at.shape) + 1))
    total = f"sum(axis={axes})" if s.per_feature else "sum().reshape(1)"
    return (
        [
            at.filled("slope{tag} = ") + at.p("slope") + beside,
            at.filled("{y} = np.where({x} > 0, {x}, slope{tag} * {x})"),
        ],
        [
            at.g("slope") + at.filled(" = ({gy} * np.minimum({x}, 0)).") + total,
            at.filled("{gx} = np.where({x} > 0, {gy}, slope{tag} * {gy})"),
        ],
    )


def _each(forward: str, backward: str) -> Callable[[Any, Place], Lines]:
    """A layer of one line each; fields of its spec stand in it as {s.alpha!r}."""

    def write(s: Any, at: Place) -> Lines:
        names = {"x": at.x, "y": at.y, "gx": at.gx, "gy": at.gy, "tag": at.tag, "s": s}
        return [line.format(**names) for line in forward.split("\n")], [backward.format(**names)]

    return write


def _gelu(s: Any, at: Place) -> Lines:
    phi, slope = ("normal_cdf", "gelu_slope") if s.approximate == "none" else ("tanh_cdf", "tanh_gelu_slope")
    return [at.filled("{y} = {x} * ") + f"{phi}({at.x})"], [at.filled("{gx} = {gy} * ") + f"{slope}({at.x})"]


def _selu(_: Any, at: Place) -> Lines:
    scale, product = repr(SELU_SCALE), repr(SELU_SCALE * SELU_ALPHA)
    above, below = f"np.where({at.x} > 0, {scale} * ", f"{product} * "
    return (
        [f"{at.y} = {above}{at.x}, {below}np.expm1(np.minimum({at.x}, 0)))"],
        [f"{at.gx} = {above}{at.gy}, {at.gy} * {below}np.exp(np.minimum({at.x}, 0)))"],
    )


def _residual(s: Residual, at: Place) -> Lines:
    """The block inside, and what is added to it."""
    through, block = f"{at.gx}_block", []
    forward, backward = [], []
    named = s.named(at.shape)
    names = [name for name in named if name != SKIP]
    x, gx = at.x, through
    for name in names:
        spec, shape = named[name]
        address = f"{at.address}.{name}"
        y = f"y{address.replace('.', '_')}"
        block.append((spec, Place(address, x, y, gx, f"grad_{y}", shape, at.wants_gx or name != names[0])))
        x, gx = y, f"grad_{y}"
    for spec, place in block:
        forward += written(spec, place)[0]
    block[-1] = block[-1][0], replace(block[-1][1], gy=at.gy)
    for spec, place in reversed(block):
        backward += written(spec, place)[1]
    added, back = at.x, at.gy
    if SKIP in named:
        spec, shape = named[SKIP]
        added, back = f"skip{at.tag}", f"{at.gx}_skip"
        lines = written(spec, Place(f"{at.address}.{SKIP}", at.x, added, back, at.gy, shape, at.wants_gx))
        forward, backward = forward + lines[0], backward + lines[1]
    forward.append(f"{at.y} = {x} + {added}")
    return forward, [*backward, *([f"{at.gx} = {through} + {back}"] if at.wants_gx else [])]


LAYERS: dict[str, Callable[[Any, Place], Lines]] = {
    "dense": _dense,
    "conv2d": _conv2d,
    "max_pool2d": _max_pool,
    "avg_pool2d": _avg_pool,
    "global_avg_pool": _global_avg_pool,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "dropout": _dropout,
    "residual": _residual,
    "flatten": _each("{y} = {x}.reshape(len({x}), -1)", "{gx} = {gy}.reshape({x}.shape)"),
    "reshape": _reshape,
    "softmax": _each("{y} = softmax({x})", "{gx} = {y} * ({gy} - ({gy} * {y}).sum(axis=1, keepdims=True))"),
    "log_softmax": _each("{y} = log_softmax({x})", "{gx} = {gy} - np.exp({y}) * {gy}.sum(axis=1, keepdims=True)"),
    "relu": _each("{y} = np.maximum({x}, 0)", "{gx} = {gy} * ({x} > 0)"),
    "leaky_relu": _each(
        "{y} = np.where({x} > 0, {x}, {s.slope!r} * {x})", "{gx} = np.where({x} > 0, {gy}, {s.slope!r} * {gy})"
    ),
    "prelu": _prelu,
    "elu": _each(
        "{y} = np.where({x} > 0, {x}, {s.alpha!r} * np.expm1(np.minimum({x}, 0)))",
        "{gx} = np.where({x} > 0, {gy}, {gy} * {s.alpha!r} * np.exp(np.minimum({x}, 0)))",
    ),
    "selu": _selu,
    "gelu": _gelu,
    "silu": _each(
        "gate{tag} = sigmoid({x})\n{y} = {x} * gate{tag}", "{gx} = {gy} * (gate{tag} + {y} * (1 - gate{tag}))"
    ),
    "softplus": _each(
        "{y} = np.maximum({x}, 0) + np.log1p(np.exp(-{s.beta!r} * np.abs({x}))) / {s.beta!r}",
        "{gx} = {gy} * sigmoid({s.beta!r} * {x})",
    ),
    "tanh": _each("{y} = np.tanh({x})", "{gx} = {gy} * (1 - {y}**2)"),
    "sigmoid": _each("{y} = 0.5 + 0.5 * np.tanh(0.5 * {x})", "{gx} = {gy} * {y} * (1 - {y})"),
}


def written(spec: LayerSpec, at: Place) -> Lines:
    """The lines of a layer, under its name."""
    forward, backward = LAYERS[spec.kind()](spec, at)
    if not at.wants_gx and not spec.parameters(at.shape):
        backward = []
    name = f"# {at.address}: {spec.caption(at.shape)}"
    return [name, *forward], [name, *backward] if backward else []


def places(moment: Moment) -> Iterator[tuple[LayerSpec, Place]]:
    """Every layer of the network with the variables around it."""
    x, trained = "x", False
    for index, (spec, shape) in enumerate(zip(moment.recipe.layers, moment.shapes, strict=False)):
        y = f"y{index}"
        yield spec, Place(str(index), x, y, f"grad_{x}", f"grad_{y}", shape, trained)
        x, trained = y, trained or bool(spec.parameters(shape))


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
