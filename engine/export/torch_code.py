"""How every kind of layer, loss, optimizer and clipping is written in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from engine.export.moment import Moment
from engine.export.numpy_code import LEAST, penalties
from engine.export.writing import Section, comparing, looping, names_of, rate_function, reading
from engine.layers import LayerSpec
from engine.layers.base import Shape
from engine.layers.residual import SKIP, Residual
from engine.recipe import Recipe
from engine.spec import KindSpec

TOLERANCE = 1e-6

# --- layers: an expression each -------------------------------------------------------------------


def _call(name: str, *given: object, **named: object) -> str:
    """A call with its arguments as Python writes them."""
    return f"{name}({', '.join([*map(repr, given), *(f'{key}={value!r}' for key, value in named.items())])})"


def _no_bias(spec: Any) -> dict[str, object]:
    return {} if spec.bias else {"bias": False}


def _conv2d(s: Any, shape: Shape) -> str:
    how = {"stride": s.stride, "padding": s.padding, "dilation": s.dilation}
    usual = {"stride": 1, "padding": 0, "dilation": 1}
    other = {name: value for name, value in how.items() if value != usual[name]}
    return _call("nn.Conv2d", shape[0], s.filters, s.kernel, **other, **_no_bias(s))


def _pool(name: str) -> Callable[[Any, Shape], str]:
    def write(s: Any, _: Shape) -> str:
        return _call(name, s.kernel, s.stride, **({"padding": s.padding} if s.padding else {}))

    return write


LAYERS: dict[str, Callable[[Any, Shape], str]] = {
    "dense": lambda s, shape: _call("nn.Linear", shape[0], s.units, **_no_bias(s)),
    "conv2d": _conv2d,
    "max_pool2d": _pool("nn.MaxPool2d"),
    "avg_pool2d": _pool("nn.AvgPool2d"),
    "global_avg_pool": lambda _, __: "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())",
    "batch_norm": lambda s, shape: _call(
        f"nn.BatchNorm{1 if len(shape) == 1 else 2}d", shape[0], eps=s.eps, momentum=s.momentum
    ),
    "layer_norm": lambda s, shape: _call("nn.LayerNorm", shape, eps=s.eps),
    "off": lambda _, __: "nn.Identity()",
    "flatten": lambda _, __: "nn.Flatten()",
    "reshape": lambda s, shape: (
        f"nn.Unflatten(1, {s.shape!r})"
        if len(shape) == 1
        else f"nn.Sequential(nn.Flatten(), nn.Unflatten(1, {s.shape!r}))"
    ),
    "softmax": lambda _, __: "nn.Softmax(dim=1)",
    "log_softmax": lambda _, __: "nn.LogSoftmax(dim=1)",
    "relu": lambda _, __: "nn.ReLU()",
    "leaky_relu": lambda s, _: _call("nn.LeakyReLU", s.slope),
    "prelu": lambda s, shape: _call("nn.PReLU", shape[0] if s.per_feature else 1),
    "elu": lambda s, _: _call("nn.ELU", s.alpha),
    "selu": lambda _, __: "nn.SELU()",
    "gelu": lambda s, _: _call("nn.GELU", **({} if s.approximate == "none" else {"approximate": s.approximate})),
    "silu": lambda _, __: "nn.SiLU()",
    "softplus": lambda s, _: _call("nn.Softplus", beta=s.beta, threshold=1000.0),
    "tanh": lambda _, __: "nn.Tanh()",
    "sigmoid": lambda _, __: "nn.Sigmoid()",
}
NAMES = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias", "slope": "weight"}  # buffers keep theirs

CLASSES = {
    "dropout": '''class Dropout(nn.Module):
    """Drops what Nablascope dropped: nn.Dropout would draw other masks, and so give other losses."""

    def __init__(self, name, rate):
        super().__init__()
        self.kept, self.rate, self.number = torch.from_numpy(saved[f"kept.{name}"]), rate, 0

    def forward(self, x):
        if not self.training:
            return x
        kept = self.kept[self.number, : len(x)]
        self.number += 1
        return x * kept / (1 - self.rate)''',
    "residual": '''class Residual(nn.Module):
    """y = block(x) + skip(x)."""

    def __init__(self, block, skip=None):
        super().__init__()
        self.block, self.skip = block, skip

    def forward(self, x):
        return self.block(x) + (x if self.skip is None else self.skip(x))''',
}


def module(spec: LayerSpec, shape: Shape, address: str = "") -> str:
    """The expression that makes a layer; of a block over several lines."""
    if spec.kind() == "dropout":
        return f'Dropout("{address}", {spec.rate!r})'  # type: ignore[attr-defined]
    if isinstance(spec, Residual):
        return _block(spec, shape, address)
    return LAYERS[spec.kind()](spec, shape)


def _block(spec: Residual, shape: Shape, address: str) -> str:
    named = spec.named(shape)
    inside = [(f"{address}.{name}", *pair) for name, pair in named.items() if name != SKIP]
    lines = ["Residual(", *(f"    {line}" for line in (sequential(inside) + ",").splitlines())]
    if SKIP in named:
        lines.append(f"    skip={module(*named[SKIP])},")
    return "\n".join([*lines, ")"])


def sequential(layers: list[tuple[str, LayerSpec, Shape]]) -> str:
    """nn.Sequential of layers, one a line."""
    lines = ["nn.Sequential("]
    for address, spec, shape in layers:
        *first, last = module(spec, shape, address).splitlines()
        comment = "" if first or spec.caption(shape) == spec.title() else f"  # {spec.caption(shape)}"
        lines += [f"    {line}" for line in (*first, f"{last},{comment}")]
    return "\n".join([*lines, ")"])


def torch_names(spec: LayerSpec, shape: Shape, address: str, path: str) -> Iterator[tuple[str, str]]:
    """PyTorch's name and ours of every parameter and buffer of a layer, those in blocks too."""
    if isinstance(spec, Residual):
        for name, (inner, at) in spec.named(shape).items():
            below = f"{path}.skip" if name == SKIP else f"{path}.block.{name}"
            yield from torch_names(inner, at, f"{address}.{name}", below)
        return
    for role in spec.parameters(shape):
        yield f"{path}.{NAMES[role]}", f"{address}.{role}"
    for role in spec.buffers(shape):
        yield f"{path}.{role}", f"{address}.{role}"


# --- loss, optimizer, clipping --------------------------------------------------------------------


def _squared_error(recipe: Any) -> str:
    mean, total = "functional.mse_loss(y, t)", 'functional.mse_loss(y, t, reduction="sum")'
    return {"mean": mean, "sum": total, "half": f"{total} / (2 * len(y))"}[recipe.loss.convention]


LOSSES: dict[str, Callable[[Any], str]] = {
    "softmax_cross_entropy": lambda r: (
        f"functional.cross_entropy(y, t, label_smoothing={r.loss.label_smoothing!r})"
        if r.loss.label_smoothing
        else "functional.cross_entropy(y, t)"
    ),
    "cross_entropy": lambda _: f"functional.nll_loss(torch.log(y.clamp(min={LEAST})), t)",
    "hinge": lambda r: f"functional.multi_margin_loss(y, t, margin={r.loss.margin!r})",
    "binary_cross_entropy": lambda _: "functional.binary_cross_entropy_with_logits(y, t)",
    "binary_cross_entropy_on_probabilities": lambda _: "functional.binary_cross_entropy(y, t)",
    "mean_squared_error": _squared_error,
    "absolute_error": lambda _: "functional.l1_loss(y, t)",
    "huber": lambda r: f"functional.huber_loss(y, t, delta={r.loss.delta!r})",
}
OPTIMIZERS = {"sgd": "SGD", "adagrad": "Adagrad", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
# What PyTorch calls the arrays of state that we keep, by optimizer.
SLOTS: dict[str, dict[str, str]] = {
    "sgd": {"momentum_buffer": "velocity"},
    "adagrad": {"sum": "squares"},
    "rmsprop": {"square_avg": "squares", "momentum_buffer": "velocity"},
    "adam": {"exp_avg": "first", "exp_avg_sq": "second"},
    "adamw": {"exp_avg": "first", "exp_avg_sq": "second"},
}
CLIPS: dict[str, Callable[[Any], str]] = {
    "clip_by_norm": lambda c: f"nn.utils.clip_grad_norm_(model.parameters(), {c.max_norm!r})",
    "clip_by_value": lambda c: f"nn.utils.clip_grad_value_(model.parameters(), {c.limit!r})",
}


def optimizer_call(spec: KindSpec) -> str:
    """The optimizer, made; fields that say nothing are left out."""
    fields = names_of(spec)
    if "beta1" in fields:
        fields["betas"] = fields.pop("beta1"), fields.pop("beta2")
    momentum = fields.get("momentum", 1.0)
    if not momentum or (fields.get("nesterov") and momentum <= 1e-12):
        fields.pop("nesterov", None)
    said = {k: v for k, v in fields.items() if k != "nesterov" or v}
    said = {k: v for k, v in said.items() if k not in ("momentum", "weight_decay") or v or spec.kind() == "adamw"}
    given = ", ".join(f"{name}={value!r}" for name, value in said.items())
    return f"torch.optim.{OPTIMIZERS[spec.kind()]}(trained.values(), {given})"


def _state_lines(moment: Moment) -> list[str]:
    """The lines that give the optimizer the state it had; none at the very start."""
    spec = moment.recipe.optimizer
    slots = dict(SLOTS[spec.kind()])
    if not getattr(spec, "momentum", 1.0):
        slots.pop("momentum_buffer", None)
    if not moment.done or not slots:
        return []
    entries = [] if spec.kind() == "sgd" else ['"step": torch.tensor(float(done))']
    entries += [f'"{theirs}": tensor(f"{ours}.{{names[name]}}")' for theirs, ours in slots.items()]
    return [
        "for name, parameter in trained.items():",
        "    optimizer.state[parameter] = {",
        *(f"        {entry}," for entry in entries),
        "    }",
    ]


# --- the script -----------------------------------------------------------------------------------


def _layers(moment: Moment) -> list[tuple[str, LayerSpec, Shape]]:
    pairs = zip(moment.recipe.layers, moment.shapes, strict=False)
    return [(str(index), spec, shape) for index, (spec, shape) in enumerate(pairs)]


def _all_kinds(recipe: Recipe) -> set[str]:
    return {held.kind() for spec in recipe.layers for _, held in spec.inside()}


def _load_lines(moment: Moment) -> list[str]:
    """The weights into the model, and what of them is not trained."""
    named = [pair for address, spec, at in _layers(moment) for pair in torch_names(spec, at, address, address)]
    norms = sorted({theirs.removesuffix(".running_mean") for theirs, _ in named if theirs.endswith(".running_mean")})
    lines = ["names = {  # PyTorch's name: Nablascope's", *(f'    "{a}": "{b}",' for a, b in named), "}"]
    lines.append("weights = {name: tensor(ours) for name, ours in names.items()}")
    lines += [f'weights["{path}.num_batches_tracked"] = torch.tensor(done)' for path in norms]
    lines.append("model.load_state_dict(weights)")
    by_ours = {ours: theirs for theirs, ours in named}
    for address in moment.parameters:
        if address not in moment.trained:
            lines.append(f'model.get_parameter("{by_ours[address]}").requires_grad_(False)  # frozen')
    lines.append("trained = {name: p for name, p in model.named_parameters() if p.requires_grad}")
    return lines


def _penalty_lines(moment: Moment) -> list[str]:
    found = list(penalties(moment.recipe))
    if not found:
        return []
    named = {o: t for a, spec, at in _layers(moment) for t, o in torch_names(spec, at, a, a)}
    terms = []
    for address, l1, l2 in found:
        W = f'model.get_parameter("{named[address]}")'
        terms += [f"{l1!r} * {W}.abs().sum()"] if l1 else []
        terms += [f"{l2!r} / 2 * {W}.square().sum()"] if l2 else []
    lines = ["    total = 0.0", *(f"    total = total + {term}" for term in terms), "    return total"]
    return ["def penalty():", '    """What large weights cost, beside the loss."""', *lines]


def _loop(moment: Moment) -> list[str]:
    recipe = moment.recipe
    clip = CLIPS.get(recipe.clip.kind())
    whole = "(loss + penalty())" if list(penalties(recipe)) else "loss"
    rate = recipe.schedule.kind() != "constant"
    return [
        "model.train()",
        *looping(moment),
        '    x, t = torch.from_numpy(saved["x"][chosen]), torch.from_numpy(saved["t"][chosen])',
        *(['    optimizer.param_groups[0]["lr"] = rate(done + number)'] if rate else []),
        "    optimizer.zero_grad()",
        "    y = model(x)",
        f"    loss = {LOSSES[recipe.loss.kind()](recipe)}",
        f"    {whole}.backward()",
        *([f"    {clip(recipe.clip)}"] if clip is not None else []),
        "    optimizer.step()",
        "    loss = loss.item()",
        *comparing(moment, TOLERANCE),
    ]


def sections(moment: Moment) -> list[Section]:
    """The script in pieces."""
    recipe = moment.recipe
    rate = rate_function(moment)
    head = [
        *(["import math"] if "math." in rate else []),
        "from pathlib import Path",
        "",
        "import numpy as np",
        "import torch",
        "from torch import nn",
        "from torch.nn import functional",
        "",
        "torch.set_default_dtype(torch.float64)",
        *reading(moment),
        "",
        "",
        "def tensor(name):",
        '    """A saved array; the matrix W of a dense layer is (in, out) in Nablascope, (out, in) in PyTorch."""',
        "    array = saved[name]",
        '    return torch.from_numpy((array.T if name.endswith("W") and array.ndim == 2 else array).copy())',
    ]
    classes = [source for kind, source in CLASSES.items() if kind in _all_kinds(recipe)]
    model = f"model = {sequential(_layers(moment))}\n\n" + "\n".join(_load_lines(moment))
    lr = [f"lr = {recipe.optimizer.lr!r}"] if rate else []
    training = ["\n".join([f"optimizer = {optimizer_call(recipe.optimizer)}", *_state_lines(moment)])]
    training += ["\n".join([*lr, "", "", rate])] if rate else []
    penalty = _penalty_lines(moment)
    training += ["\n".join(penalty)] if penalty else []
    return [
        Section("what was saved", "\n".join(head)),
        Section("the network", "\n\n\n".join([*classes, model])),
        Section(f"the optimizer: {recipe.optimizer.title()}", "\n\n\n".join(training)),
        Section("the next mini-batches", "\n".join(_loop(moment))),
    ]
