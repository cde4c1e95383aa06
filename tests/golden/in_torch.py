"""What stands in a recipe, as PyTorch has it: layers, loss, optimizer, schedule, clipping. Knows nothing of the engine.

Each function takes a part of a recipe as plain dicts and writes out the defaults for itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from math import exp
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import Optimizer

Array = np.ndarray[Any, Any]
Spec = dict[str, Any]
torch.set_num_threads(1)  # on networks as small as these, threads only wait for each other

# --- layers ---------------------------------------------------------------------------------------


class Dropout(nn.Module):
    """y = x ⊙ mask; the mask hangs on a seed, the place in the network and the step, by numpy's Philox."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.seed, self.place, self.step = 0, (0,), 1

    def forward(self, x: Tensor) -> Tensor:
        """y = x ⊙ mask while training, else x. Key: seed and place, a byte an index; highest counter word: the step."""
        if not self.training:
            return x
        word = int.from_bytes(bytes(index + 1 for index in self.place), "big")
        bits = np.random.Philox(
            key=np.array([self.seed, word], np.uint64), counter=np.array([0, 0, 0, self.step], np.uint64)
        )
        kept = np.random.Generator(bits).random(x.shape, np.float32) >= self.rate
        return x * torch.from_numpy(kept / (1 - self.rate))


class Residual(nn.Module):
    """y = block(x) + skip(x)."""

    def __init__(self, block: nn.Sequential, skip: nn.Module) -> None:
        super().__init__()
        self.block, self.skip = block, skip

    def forward(self, x: Tensor) -> Tensor:
        """y = block(x) + skip(x)."""
        y: Tensor = self.block(x) + self.skip(x)
        return y


def residual(spec: Spec, shape: tuple[int, ...]) -> Residual:
    """The block; where shapes differ, a matrix or a 1×1 convolution on the skip."""
    block = network(spec["layers"], shape)
    out = output_shape(block, shape)
    if out == shape:
        return Residual(block, nn.Identity())
    assert spec["projection"]
    if len(shape) == 1:
        return Residual(block, nn.Linear(shape[0], out[0], bias=False))
    stride = -(-shape[1] // out[1])
    return Residual(block, nn.Conv2d(shape[0], out[0], 1, stride, bias=False))


def convolution(spec: Spec, shape: tuple[int, ...]) -> nn.Module:
    """As it stands in a recipe."""
    kernel, stride, padding, dilation = (
        spec.get(name, other) for name, other in (("kernel", 3), ("stride", 1), ("padding", 0), ("dilation", 1))
    )
    return nn.Conv2d(shape[0], spec["filters"], kernel, stride, padding, dilation, bias=spec.get("bias", True))


def window(spec: Spec) -> tuple[int, int, int]:
    """Kernel, stride and padding of a pooling."""
    return spec.get("kernel", 2), spec.get("stride", 2), spec.get("padding", 0)


def batch_norm(spec: Spec, shape: tuple[int, ...]) -> nn.Module:
    """For vectors or for images."""
    kind = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
    return kind(shape[0], spec.get("eps", 1e-5), spec.get("momentum", 0.1))


LAYERS: dict[str, Callable[[Spec, tuple[int, ...]], nn.Module]] = {
    "dense": lambda s, shape: nn.Linear(shape[0], s["units"], bias=s.get("bias", True)),
    "conv2d": convolution,
    "max_pool2d": lambda s, _: nn.MaxPool2d(*window(s)),
    "avg_pool2d": lambda s, _: nn.AvgPool2d(*window(s)),
    "global_avg_pool": lambda s, _: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "batch_norm": batch_norm,
    "layer_norm": lambda s, shape: nn.LayerNorm(shape, s.get("eps", 1e-5)),
    "dropout": lambda s, _: Dropout(s.get("rate", 0.5)),
    "residual": residual,
    "flatten": lambda s, _: nn.Flatten(),
    "reshape": lambda s, _: nn.Sequential(nn.Flatten(), nn.Unflatten(1, s["shape"])),
    "softmax": lambda s, _: nn.Softmax(1),
    "log_softmax": lambda s, _: nn.LogSoftmax(1),
    "relu": lambda s, _: nn.ReLU(),
    "leaky_relu": lambda s, _: nn.LeakyReLU(s.get("slope", 0.01)),
    "prelu": lambda s, shape: nn.PReLU(shape[0] if s.get("per_feature") else 1),
    "elu": lambda s, _: nn.ELU(s.get("alpha", 1.0)),
    "selu": lambda s, _: nn.SELU(),
    "gelu": lambda s, _: nn.GELU(s.get("approximate", "none")),
    "silu": lambda s, _: nn.SiLU(),
    "softplus": lambda s, _: nn.Softplus(s.get("beta", 1.0), threshold=1e3),
    "tanh": lambda s, _: nn.Tanh(),
    "sigmoid": lambda s, _: nn.Sigmoid(),
}


def output_shape(module: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a sample that goes in as `shape`."""
    with torch.no_grad():
        y = module.eval()(torch.zeros(1, *shape, dtype=torch.float64))
    module.train()
    return tuple(y.shape[1:])


FROZEN = {"nothing": (), "weights": ("weight",), "biases": ("bias",), "all": ("weight", "bias")}


def network(layers: Iterable[Spec], shape: tuple[int, ...]) -> nn.Sequential:
    """The layers one after the other, in float64."""
    modules = []
    for spec in layers:
        module = LAYERS[spec["kind"]](spec, shape).double()
        frozen = FROZEN[spec.get("frozen", "nothing")]
        for name, parameter in module.named_parameters(recurse=False):
            parameter.requires_grad = name not in frozen
        modules.append(module)
        shape = output_shape(module, shape)
    return nn.Sequential(*modules)


ROLES = {"weight": "W", "bias": "b", "running_mean": "running_mean", "running_var": "running_var"}
ROLES_ELSEWHERE = {
    nn.BatchNorm1d: {"weight": "gamma", "bias": "beta"},
    nn.BatchNorm2d: {"weight": "gamma", "bias": "beta"},
    nn.LayerNorm: {"weight": "gamma", "bias": "beta"},
    nn.PReLU: {"weight": "slope"},
}


def by_address(model: nn.Module, buffers: bool = False) -> dict[str, Tensor]:
    """Parameters, or buffers, by our addresses: "1.block.0.weight" is "1.0.W"; those of one layer by their roles."""
    found: dict[str, Tensor] = {}
    for path, module in model.named_modules():
        roles = ROLES | ROLES_ELSEWHERE.get(type(module), {})
        for name, tensor in (module.named_buffers if buffers else module.named_parameters)(recurse=False):
            if tensor.ndim:  # PyTorch's count of mini-batches is none of ours
                found[".".join(part for part in (*path.split("."), roles[name]) if part not in ("", "block"))] = tensor
    return found


def laid_out(address: str, tensor: Tensor) -> Array:
    """A copy as we lay it out: a dense layer's matrix is transposed."""
    matrix = address.rpartition(".")[2] == "W" and tensor.ndim == 2
    return np.array((tensor.T if matrix else tensor).detach().numpy(), order="C")


def begin(model: nn.Module, seed: int, step: int) -> None:
    """Make ready for mini-batch `step`, from 1: tell every dropout."""
    for path, module in model.named_modules():
        if isinstance(module, Dropout):
            module.seed, module.step = seed, step
            module.place = tuple(int(part) for part in path.split(".") if part != "block")


# --- what is trained for, and how -----------------------------------------------------------------


def squared_error(spec: Spec, y: Tensor, t: Tensor) -> Tensor:
    """In its three conventions."""
    convention = spec.get("convention", "mean")
    if convention == "mean":
        return functional.mse_loss(y, t)
    total = functional.mse_loss(y, t, reduction="sum")
    return total if convention == "sum" else total / (2 * len(y))


LOSSES: dict[str, Callable[[Spec, Tensor, Tensor], Tensor]] = {
    "softmax_cross_entropy": lambda s, y, t: functional.cross_entropy(
        y, t, label_smoothing=s.get("label_smoothing", 0.0)
    ),
    "cross_entropy": lambda _, y, t: functional.nll_loss(torch.log(torch.clamp(y, min=exp(-100.0))), t),
    "hinge": lambda s, y, t: functional.multi_margin_loss(y, t, margin=s.get("margin", 1.0)),
    "binary_cross_entropy": lambda _, y, t: functional.binary_cross_entropy_with_logits(y, t),
    "binary_cross_entropy_on_probabilities": lambda _, y, t: functional.binary_cross_entropy(y, t),
    "mean_squared_error": squared_error,
    "absolute_error": lambda _, y, t: functional.l1_loss(y, t),
    "huber": lambda s, y, t: functional.huber_loss(y, t, delta=s.get("delta", 1.0)),
}
OVER_LABELS = ("softmax_cross_entropy", "cross_entropy", "hinge")


def loss(spec: Spec, y: Tensor, t: Tensor) -> Tensor:
    """The loss of y (B, K) against labels (B,) or values (B, K); labels become one-hot, or 0 and 1, where it wants."""
    if t.ndim == 1 and spec["kind"] not in OVER_LABELS:
        t = (functional.one_hot(t, y.shape[1]) if y.shape[1] > 1 else t[:, None]).double()
    return LOSSES[spec["kind"]](spec, y, t)


def penalty(layers: Iterable[Spec], parameters: dict[str, Tensor], prefix: str = "") -> Tensor:
    """Σ l1·Σ|W| + l2/2·ΣW² over all layers, those in blocks too."""
    total = torch.zeros((), dtype=torch.float64)
    for index, spec in enumerate(layers):
        if spec.get("l1", 0.0) or spec.get("l2", 0.0):
            W = parameters[f"{prefix}{index}.W"]
            total = total + spec.get("l1", 0.0) * W.abs().sum() + spec.get("l2", 0.0) / 2 * (W * W).sum()
        total = total + penalty(spec.get("layers", ()), parameters, f"{prefix}{index}.")
    return total


OPTIMIZERS: dict[str, Any] = {
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def optimizer(spec: Spec, parameters: Iterable[Tensor]) -> Optimizer:
    """The optimizer; its fields are PyTorch's but for the betas."""
    fields = {name: value for name, value in spec.items() if name not in ("kind", "beta1", "beta2")}
    if "beta1" in spec:
        fields["betas"] = spec["beta1"], spec["beta2"]
    made: Optimizer = OPTIMIZERS[spec["kind"]](list(parameters), **fields)
    return made


def one_cycle(spec: Spec, of: Optimizer) -> LRScheduler:
    """Its peak is the optimizer's rate."""
    return lr_scheduler.OneCycleLR(
        of,
        of.param_groups[0]["lr"],
        spec["steps"],
        pct_start=spec.get("rising", 0.3),
        anneal_strategy={"cosine": "cos", "linear": "linear"}[spec.get("shape", "cosine")],
        cycle_momentum=False,
        div_factor=spec.get("divide_first", 25.0),
        final_div_factor=spec.get("divide_last", 1e4),
    )


SCHEDULES: dict[str, Callable[[Spec, Optimizer], LRScheduler]] = {
    "constant": lambda _, o: lr_scheduler.ConstantLR(o, 1.0),
    "step_decay": lambda s, o: lr_scheduler.StepLR(o, s["every"], s["gamma"]),
    "exponential_decay": lambda s, o: lr_scheduler.ExponentialLR(o, s["gamma"]),
    "cosine": lambda s, o: lr_scheduler.CosineAnnealingLR(o, s["steps"], s.get("least", 0.0)),
    "warm_up": lambda s, o: lr_scheduler.LinearLR(o, s.get("start", 1 / 3), total_iters=s["steps"]),
    "one_cycle": one_cycle,
}


def rates(spec: Spec, of: Optimizer, steps: int) -> Iterator[float]:
    """The rate of each mini-batch, set in the optimizer before it is yielded."""
    scheduler = SCHEDULES[spec["kind"]](spec, of)
    for done in range(steps):
        if done:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # some call what others do deprecated
                scheduler.step()
        yield of.param_groups[0]["lr"]


def clip(spec: Spec, parameters: Iterable[Tensor]) -> None:
    """Clip their gradients together, in place."""
    if spec["kind"] == "clip_by_norm":
        clip_grad_norm_(parameters, spec.get("max_norm", 1.0))
    elif spec["kind"] == "clip_by_value":
        clip_grad_value_(parameters, spec.get("limit", 1.0))
