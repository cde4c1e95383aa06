"""What the names that people give to methods, arguments and arrays mean."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

Meaning = Literal["x", "grad", "rate", "target", "prediction", "params", "cache", "flag", "size", ""]

FORWARD = (
    "forward", "forward_propagation", "forward_pass", "forward_prop", "forwardprop", "fprop", "feedforward",
    "feed_forward", "propagate", "predict", "__call__", "call", "activate", "activation",
)  # fmt: skip
BACKWARD = (
    "backward", "backward_propagation", "backward_pass", "backward_prop", "back_propagation", "backpropagation",
    "backpropagate", "back_propagate", "backprop", "bprop", "back_prop", "back", "gradient", "gradients", "grad",
    "derivative", "prime", "compute_gradients", "compute_gradient",
)  # fmt: skip
LOSS = (
    "loss", "compute_loss", "calc_loss", "calculate_loss", "get_loss", "loss_fn", "loss_function", "cost",
    "compute_cost", "cost_function", "criterion", "cross_entropy", "calculate", "error", "objective", "forward",
    "__call__",
)  # fmt: skip
LOSSLIKE = re.compile(
    r"loss|cost|entropy|xent|(^|_)(mse|mae|sse|rmse|bce|nll|ce|error|err)(_|$)|hinge|likelihood", re.I
)

RATES = {"lr", "learning_rate", "learningrate", "learn_rate", "eta", "step_size", "stepsize", "rate", "alpha", "l_rate"}
GRADS = {
    "dout", "dy", "dz", "da", "dl", "dx", "dvalues", "delta", "deltas", "error", "err", "upstream", "g", "gy", "gout",
    "dnext", "dloss", "top_diff", "diff", "dh", "do", "dprev", "d",
}  # fmt: skip
TARGETS = {"y", "t", "ys", "yb", "gt", "label", "labels", "true", "truth", "answers", "expected", "desired", "actual"}
TARGET_WORDS = {"true", "target", "targets", "label", "labels", "answer", "answers", "truth", "expected", "desired",
                "onehot", "hot", "actual", "correct"}  # fmt: skip
PREDICTIONS = {"logits", "pred", "preds", "prediction", "predictions", "predicted", "output", "outputs", "yhat", "out",
               "scores", "probs", "prob", "probabilities", "p", "a", "al", "z", "x", "logit", "activations", "hat",
               "yp", "ypred", "o", "inputs", "input"}  # fmt: skip
PARAMS = {"params", "parameters", "weights", "theta", "w", "network", "net", "model", "layers", "thetas", "param"}
CACHES = {"cache", "caches", "memory", "acts", "zs", "intermediate", "intermediates", "tape", "ctx", "context", "state"}
FLAGS = {"training", "train", "is_training", "train_flg", "mode", "train_flag", "is_train"}
DERIVATIVE_FLAGS = {"derivative", "deriv", "derive", "prime", "grad", "gradient", "d"}


def words(name: str) -> list[str]:
    """The words of a name in lower case: "dL_dOut" → d, l, d, out."""
    return re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())


def meaning(name: str) -> Meaning:
    """What an argument of a forward, backward or loss is, by its name; "" where the name does not tell."""
    low, parts = name.lower().strip("_"), words(name)
    if low in RATES:
        return "rate"
    if low in FLAGS:
        return "flag"
    if is_gradient(name):
        return "grad"
    if low in TARGETS or TARGET_WORDS & set(parts) or (parts[:1] == ["y"] and not PREDICTIONS & set(parts[1:])):
        return "target"
    if low in CACHES:
        return "cache"
    if low in PARAMS:
        return "params"
    if low in {"x", "inp", "in", "inputs", "input", "data", "features", "input_data", "xb"} or parts[:1] == ["x"]:
        return "x"
    return "prediction" if PREDICTIONS & set(parts) else ""


def is_gradient(name: str) -> bool:
    """Whether a name is that of a gradient that flows backward: grad_output, dout, dA, output_error, delta."""
    low, parts = name.lower().strip("_"), words(name)
    if low in GRADS or "grad" in low or "upstream" in low or (parts[:1] == ["d"] and len(parts) > 1):
        return True
    return bool(re.match(r"d[A-Z]", name)) or {"error", "delta", "dout", "derivative"} & set(parts) != set()


# --- arrays: whose gradient is this? ---------------------------------------------------------------

_SAME = {"weights": "w", "weight": "w", "kernel": "w", "kernels": "w", "biases": "b", "bias": "b", "filters": "filter"}
_OF = (
    r"d(?:l|j|e|c|loss|cost)_?d_?(.+)", r"(?:gradients?|grads?|nabla|delta|del)_?(?:of_)?(.+)", r"(?:g|d)_?(.+)",
    r"(.+?)_?(?:gradients?|grads?|deltas?|derivatives?|errors?)", r"(.+?)_(?:g|d)",
)  # fmt: skip
INPUTS = {"x", "input", "inputs", "in", "aprev", "prev", "a0", "data"}
BUFFERS = re.compile(
    r"running|moving|(^|_)(mask|cache|momentum|velocity|v|m|x|input|inputs|output|out|y|z|a)($|_)", re.I
)


def plain(name: str) -> str:
    """A parameter's name without case, underscores and spelling: _Dense__weights1 and W1 → w1."""
    low = re.sub(r"^_[A-Za-z0-9]+__", "", name).lower().replace("_", "")
    stem, digits = re.fullmatch(r"(.*?)(\d*)", low).groups()  # type: ignore[union-attr]
    return _SAME.get(stem, stem) + digits


def of_gradient(name: str) -> set[str]:
    """What an array may be the gradient of: "dW1" → w1; empty where it is not named like a gradient."""
    low = re.sub(r"^_[A-Za-z0-9]+__", "", name).strip("_").lower()
    found = (re.fullmatch(pattern, low) for pattern in _OF)
    return {plain(match.group(1)) for match in found if match}


def is_gradient_of(name: str, parameter: str) -> bool:
    """Whether an array called `name` is the gradient of the parameter of that name."""
    return plain(parameter) in of_gradient(name)


def is_input_gradient(name: str) -> bool:
    """Whether an array called `name` is the gradient with respect to a layer's input."""
    return bool(of_gradient(name) & INPUTS) or name in {"dinputs", "dx", "dX"}


# --- signatures -----------------------------------------------------------------------------------


def arguments(function: Callable[..., Any], *, all_of_them: bool = False) -> list[inspect.Parameter]:
    """The arguments that must be given to a function (bound: without self); with `all_of_them` the optional too."""
    if not isinstance(function, types.FunctionType | types.MethodType | type):
        function = type(function).__call__.__get__(
            function
        )  # an object that can be called, perhaps one that cannot be hashed
    bound = isinstance(function, types.MethodType)
    found = list(_signature(getattr(function, "__func__", function)))[1 if bound else 0 :]
    if all_of_them:
        return found
    return [p for p in found if p.default is p.empty and p.kind is not p.KEYWORD_ONLY]


@lru_cache(maxsize=1024)
def _signature(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    """All arguments but *args and **kwargs; kept, since a check calls the same few functions thousands of times."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))


def flags(function: Callable[..., Any]) -> dict[str, Any]:
    """Optional arguments that say "this is training", switched on."""
    found = arguments(function, all_of_them=True)
    return {
        p.name: True
        for p in found
        if p.default is not p.empty and p.name.lower() in FLAGS and isinstance(p.default, bool)
    }


def meanings(function: Callable[..., Any]) -> list[Meaning]:
    """What the arguments that must be given are, by name."""
    return [meaning(p.name) for p in arguments(function)]
