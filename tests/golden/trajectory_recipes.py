"""The ten recipes of make_trajectories. Together they hold every kind of layer, loss, optimizer, schedule and clipping.

None is chaotic, or trainings that differ by a rounding would part: before a batch_norm stands no bias, whose gradient
would be nothing but rounding, and noise, smoothing or dropout keeps gradients from dying.
"""

from __future__ import annotations

from typing import Any

# name: what is learnt (see `tasks`), and the recipe without its data
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": (
        "spirals",
        {
            "layers": [
                {"kind": "dense", "units": 12, "l2": 0.01},
                {"kind": "tanh"},
                {"kind": "dense", "units": 8},
                {"kind": "sigmoid"},
                {"kind": "dense", "units": 3},
                {"kind": "log_softmax"},
            ],
            "loss": {"kind": "softmax_cross_entropy"},
            "optimizer": {"kind": "sgd", "lr": 0.3},
            "schedule": {"kind": "constant"},
            "clip": {"kind": "none"},
        },
    ),
    "convolution": (
        "digits",
        {
            "layers": [
                {"kind": "reshape", "shape": [1, 8, 8]},
                {"kind": "conv2d", "filters": 3, "padding": 1},
                {"kind": "relu"},
                {"kind": "max_pool2d"},
                {"kind": "conv2d", "filters": 4, "kernel": 2, "dilation": 2},
                {"kind": "leaky_relu", "slope": 0.1},
                {"kind": "flatten"},
                {"kind": "dense", "units": 4},
            ],
            "loss": {"kind": "softmax_cross_entropy", "label_smoothing": 0.1},
            "optimizer": {"kind": "sgd", "lr": 0.02, "momentum": 0.9},
            "schedule": {"kind": "step_decay", "every": 300, "gamma": 0.5},
        },
    ),
    "batch_norm": (
        "digits",
        {
            "layers": [
                {"kind": "reshape", "shape": [1, 8, 8]},
                {"kind": "conv2d", "filters": 4, "bias": False},
                {"kind": "batch_norm"},
                {"kind": "silu"},
                {"kind": "avg_pool2d", "kernel": 3, "stride": 1, "padding": 1},
                {"kind": "conv2d", "filters": 6, "stride": 2, "padding": 1, "bias": False},
                {"kind": "batch_norm", "momentum": 0.3, "eps": 0.001},
                {"kind": "elu", "alpha": 0.7},
                {"kind": "global_avg_pool"},
                {"kind": "dense", "units": 4},
            ],
            "loss": {"kind": "softmax_cross_entropy"},
            "optimizer": {"kind": "sgd", "lr": 0.03, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
            "schedule": {"kind": "cosine", "steps": 1000, "least": 0.001},
        },
    ),
    "residual": (
        "digits",
        {
            "layers": [
                {"kind": "reshape", "shape": [1, 8, 8]},
                {
                    "kind": "residual",
                    "projection": True,
                    "layers": [
                        {"kind": "conv2d", "filters": 4, "stride": 2, "padding": 1, "bias": False},
                        {"kind": "batch_norm"},
                        {"kind": "relu"},
                        {"kind": "conv2d", "filters": 4, "padding": 1, "l2": 0.001},
                    ],
                },
                {"kind": "relu"},
                {"kind": "global_avg_pool"},
                {"kind": "dropout", "rate": 0.25},
                {
                    "kind": "residual",
                    "layers": [
                        {"kind": "dense", "units": 8, "l2": 0.01},
                        {"kind": "residual", "layers": [{"kind": "gelu"}, {"kind": "dropout", "rate": 0.2}]},
                        {"kind": "dense", "units": 4},
                    ],
                },
                {
                    "kind": "residual",
                    "projection": True,
                    "layers": [{"kind": "dense", "units": 6}, {"kind": "tanh"}],
                },
                {"kind": "dense", "units": 4, "l2": 0.01},
            ],
            "loss": {"kind": "hinge", "margin": 2.0},
            "optimizer": {"kind": "adam", "lr": 0.001},
            "schedule": {"kind": "warm_up", "steps": 100, "start": 0.1},
            "clip": {"kind": "clip_by_norm", "max_norm": 0.5},
        },
    ),
    "dropout": (
        "spirals",
        {
            "layers": [
                {"kind": "dense", "units": 16},
                {"kind": "gelu"},
                {"kind": "dropout", "rate": 0.1},
                {"kind": "dense", "units": 12},
                {"kind": "gelu", "approximate": "tanh"},
                {"kind": "dropout", "rate": 0.25},
                {"kind": "dense", "units": 3},
                {"kind": "softmax"},
            ],
            "loss": {"kind": "cross_entropy"},
            "optimizer": {"kind": "adam", "lr": 0.01, "beta1": 0.8, "beta2": 0.99, "eps": 1e-4, "weight_decay": 0.002},
            "schedule": {"kind": "one_cycle", "steps": 1000},
        },
    ),
    "layer_norm": (
        "curves",
        {
            "layers": [
                {"kind": "dense", "units": 8},
                {"kind": "layer_norm"},
                {"kind": "selu"},
                {"kind": "dense", "units": 6},
                {"kind": "prelu", "per_feature": True},
                {"kind": "dense", "units": 2, "bias": False},
            ],
            "loss": {"kind": "mean_squared_error", "convention": "half"},
            "optimizer": {"kind": "adamw", "lr": 0.01, "weight_decay": 0.05},
            "schedule": {"kind": "cosine", "steps": 400},
            "clip": {"kind": "clip_by_value", "limit": 0.1},
        },
    ),
    "huber": (
        "curves",
        {
            "layers": [
                {"kind": "dense", "units": 10},
                {"kind": "softplus", "beta": 2.0},
                {"kind": "dense", "units": 6},
                {"kind": "sigmoid"},
                {"kind": "dense", "units": 2},
            ],
            "loss": {"kind": "huber", "delta": 0.5},
            "optimizer": {"kind": "rmsprop", "lr": 0.004, "alpha": 0.95, "eps": 1e-4, "momentum": 0.5},
            "schedule": {"kind": "exponential_decay", "gamma": 0.999},
        },
    ),
    "absolute": (
        "curves",
        {
            "layers": [
                {"kind": "dense", "units": 10, "l1": 0.0002},
                {"kind": "prelu", "start": 0.1},
                {"kind": "dense", "units": 6, "l1": 0.0002, "l2": 0.001},
                {"kind": "tanh"},
                {"kind": "dense", "units": 2},
            ],
            "loss": {"kind": "absolute_error"},
            "optimizer": {"kind": "adagrad", "lr": 0.1, "weight_decay": 0.0005},
            "schedule": {"kind": "step_decay", "every": 250, "gamma": 0.5},
        },
    ),
    "yes_or_no": (
        "questions.first",
        {
            "layers": [
                {"kind": "dense", "units": 8, "frozen": "weights"},
                {"kind": "elu"},
                {"kind": "dense", "units": 5},
                {"kind": "silu"},
                {"kind": "dense", "units": 1},
            ],
            "loss": {"kind": "binary_cross_entropy"},
            "optimizer": {"kind": "sgd", "lr": 0.2, "momentum": 0.5, "weight_decay": 0.002},
            "schedule": {"kind": "one_cycle", "steps": 1000, "rising": 0.2, "shape": "linear", "divide_last": 100.0},
            "clip": {"kind": "clip_by_norm", "max_norm": 0.2},
        },
    ),
    "probabilities": (
        "questions",
        {
            "layers": [
                {"kind": "dense", "units": 8, "l2": 0.002},
                {"kind": "selu"},
                {"kind": "dense", "units": 6},
                {"kind": "softplus"},
                {"kind": "dense", "units": 3},
                {"kind": "sigmoid"},
            ],
            "loss": {"kind": "binary_cross_entropy_on_probabilities"},
            "optimizer": {"kind": "rmsprop", "lr": 0.003, "weight_decay": 0.001},
            "schedule": {"kind": "warm_up", "steps": 50},
        },
    ),
}
