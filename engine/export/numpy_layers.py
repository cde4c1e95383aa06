"""How every kind of layer is written with NumPy alone: the lines of its forward and of its backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from engine.export.moment import Moment
from engine.layers import LayerSpec
from engine.layers.base import Shape
from engine.layers.residual import SKIP, Residual
from engine.layers.smooth import SELU_ALPHA, SELU_SCALE


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


Lines = tuple[list[str], list[str]]  # of forward, and of backward


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
    "off": _each("{y} = {x}", "{gx} = {gy}"),
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
