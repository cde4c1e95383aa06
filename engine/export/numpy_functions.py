"""Functions that are copied into NumPy scripts, each where it is needed: so they use NumPy, math and each other only.

Shapes: x, y and their gradients (B, …), pictures (B, channels, rows, columns), targets t (B,) labels or (B, K) values.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# --- activations ----------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    """σ(x) = 1 / (1 + e^−x), with exponentials of numbers ≤ 0 only, which cannot overflow."""
    return np.asarray(np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))))


def normal_cdf(x: Array) -> Array:
    """Φ(x) = ½·erfc(−x/√2): the chance that a normal number is below x."""
    flat = [0.5 * math.erfc(-v * math.sqrt(0.5)) for v in x.ravel().tolist()]
    return np.array(flat, x.dtype).reshape(x.shape)


def gelu_slope(x: Array) -> Array:
    """d/dx x·Φ(x) = Φ(x) + x·e^(−x²/2)/√(2π)."""
    return normal_cdf(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def tanh_cdf(x: Array) -> Array:
    """Φ(x), nearly: ½·(1 + tanh(√(2/π)·(x + 0.044715·x³)))."""
    return 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def tanh_gelu_slope(x: Array) -> Array:
    """d/dx x·Φ(x) with Φ by the tanh."""
    phi = tanh_cdf(x)
    return np.asarray(phi + 2 * x * phi * (1 - phi) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x))


def softmax(x: Array) -> Array:
    """e^x / Σ e^x row by row, from x − max x, which cannot overflow."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def log_softmax(x: Array) -> Array:
    """x − log Σ e^x row by row, from x − max x, which cannot overflow."""
    shifted = x - x.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


# --- norms ----------------------------------------------------------------------------------------


def beside(statistic: Array, x: Array) -> Array:
    """One number a channel, (C,), so that it broadcasts against x (B, C) or (B, C, rows, columns)."""
    return statistic.reshape(1, -1, *[1] * (x.ndim - 2))


def batch_norm(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Array, Array, Array, Array]:
    """y = γ·x̂ + β with x̂ = (x − μ)/√(σ² + eps), μ and σ² over the mini-batch; y, x̂, 1/√(σ² + eps), μ, σ²."""
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axis=axes)
    var = np.square(x - beside(mean, x)).mean(axis=axes)
    inverse = 1 / np.sqrt(var + eps)
    normal = (x - beside(mean, x)) * beside(inverse, x)
    return beside(gamma, x) * normal + beside(beta, x), normal, inverse, mean, var


def batch_norm_backward(grad_y: Array, normal: Array, inverse: Array, gamma: Array) -> tuple[Array, Array, Array]:
    """grad_x = γ/√(σ² + eps)·(grad_y − grad_β/N − x̂·grad_γ/N), grad_γ = Σ grad_y ⊙ x̂, grad_β = Σ grad_y."""
    axes = (0, *range(2, normal.ndim))
    grad_gamma, grad_beta = (grad_y * normal).sum(axis=axes), grad_y.sum(axis=axes)
    count = normal.size // len(gamma)
    inner = grad_y - normal * beside(grad_gamma / count, normal) - beside(grad_beta / count, normal)
    return inner * beside(gamma * inverse, normal), grad_gamma, grad_beta


def running(before: Array, now: Array, momentum: float) -> Array:
    """What inference will use: (1 − momentum)·before + momentum·now."""
    return (1 - momentum) * before + momentum * now


def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Array, Array]:
    """y = γ·x̂ + β with x̂ = (x − μ)/√(σ² + eps), μ and σ² over each sample; y, x̂, 1/√(σ² + eps)."""
    axes = tuple(range(1, x.ndim))
    centred = x - x.mean(axis=axes, keepdims=True)
    inverse = 1 / np.sqrt(np.square(centred).mean(axis=axes, keepdims=True) + eps)
    normal = centred * inverse
    return gamma * normal + beta, normal, inverse


def layer_norm_backward(grad_y: Array, normal: Array, inverse: Array, gamma: Array) -> tuple[Array, Array, Array]:
    """grad_x = (g − mean(g) − x̂·mean(g ⊙ x̂))/√(σ² + eps), g = γ ⊙ grad_y; grad_γ and grad_β sum over the batch."""
    axes = tuple(range(1, normal.ndim))
    g = gamma * grad_y
    along = normal * (g * normal).mean(axis=axes, keepdims=True)
    grad_x = (g - g.mean(axis=axes, keepdims=True) - along) * inverse
    return grad_x, (grad_y * normal).sum(axis=0), grad_y.sum(axis=0)


# --- windows: convolution and pooling -------------------------------------------------------------


def padded(x: Array, padding: int, value: float = 0.0) -> Array:
    """Pictures with so many pixels more on every side."""
    sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return np.pad(x, sides, constant_values=value)


def windows(x: Array, kernel: int, stride: int, dilation: int = 1) -> Array:
    """Every window of every picture, (B, channels, rows′, columns′, kernel, kernel)."""
    reach = dilation * (kernel - 1) + 1
    found = np.lib.stride_tricks.sliding_window_view(x, (reach, reach), axis=(2, 3))
    return found[:, :, ::stride, ::stride, ::dilation, ::dilation]


def fold(parts: list[Array], shape: tuple[int, ...], kernel: int, stride: int, padding: int, dilation: int) -> Array:
    """grad_x of pictures of this shape, from what each of the kernel² entries of every window gets."""
    batch, channels, rows, columns = shape
    grad = np.zeros((batch, channels, rows + 2 * padding, columns + 2 * padding), parts[0].dtype)
    for k, part in enumerate(parts):
        i, j = dilation * (k // kernel), dilation * (k % kernel)
        down, across = stride * (part.shape[2] - 1) + 1, stride * (part.shape[3] - 1) + 1
        grad[:, :, i : i + down : stride, j : j + across : stride] += part
    return grad[:, :, padding : padding + rows, padding : padding + columns]


def conv2d(x: Array, W: Array, stride: int, padding: int, dilation: int) -> Array:
    """y[n,f,r,s] = Σ W[f,c,i,j]·(window (r, s) of x[n,c])[i,j]."""
    found = windows(padded(x, padding), W.shape[2], stride, dilation)
    return np.moveaxis(np.tensordot(found, W, axes=([1, 4, 5], [1, 2, 3])), -1, 1)


def conv2d_grad_W(grad_y: Array, x: Array, W: Array, stride: int, padding: int, dilation: int) -> Array:
    """grad_W[f,c,i,j] = Σ grad_y[n,f,r,s]·(window (r, s) of x[n,c])[i,j]."""
    found = windows(padded(x, padding), W.shape[2], stride, dilation)
    return np.tensordot(grad_y, found, axes=([0, 2, 3], [0, 2, 3]))


def conv2d_grad_x(grad_y: Array, W: Array, shape: tuple[int, ...], stride: int, padding: int, dilation: int) -> Array:
    """Every window gives W·grad_y back to the pixels it has seen."""
    kernel = W.shape[2]
    parts = [
        np.moveaxis(np.tensordot(grad_y, W[:, :, k // kernel, k % kernel], axes=(1, 0)), -1, 1)
        for k in range(kernel * kernel)
    ]
    return fold(parts, shape, kernel, stride, padding, dilation)


def max_pool(x: Array, kernel: int, stride: int, padding: int) -> tuple[Array, Array]:
    """The largest entry of every window, and which of its kernel² entries that is; the padding never wins."""
    found = windows(padded(x, padding, -math.inf), kernel, stride)
    flat = found.reshape(*found.shape[:4], kernel * kernel)
    chosen = flat.argmax(axis=-1)
    return np.take_along_axis(flat, chosen[..., None], axis=-1)[..., 0], chosen


def max_pool_backward(
    grad_y: Array, chosen: Array, shape: tuple[int, ...], kernel: int, stride: int, padding: int
) -> Array:
    """grad_y of a window goes to its largest entry, all others get nothing."""
    parts = [grad_y * (chosen == k) for k in range(kernel * kernel)]
    return fold(parts, shape, kernel, stride, padding, 1)


def avg_pool(x: Array, kernel: int, stride: int, padding: int) -> Array:
    """The mean of every window, the zeros of the padding counted in."""
    return np.asarray(windows(padded(x, padding), kernel, stride).mean(axis=(4, 5)))


def avg_pool_backward(grad_y: Array, shape: tuple[int, ...], kernel: int, stride: int, padding: int) -> Array:
    """Every entry of a window gets grad_y / kernel²."""
    return fold([grad_y / kernel**2] * kernel**2, shape, kernel, stride, padding, 1)


# --- losses: the number, and its gradient with respect to y ----------------------------------------


def softmax_cross_entropy(y: Array, t: Array, smoothing: float = 0.0) -> tuple[float, Array]:
    """L = −meanₙ Σₖ target·log softmax(y), target (1 − smoothing)·onehot + smoothing/K; grad_y = (p − target)/B."""
    rows, classes = y.shape
    target = np.full_like(y, smoothing / classes)
    target[np.arange(rows), t] += 1 - smoothing
    shifted = y - y.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    loss = float((np.log(total) - (target * shifted).sum(axis=1, keepdims=True)).sum()) / rows
    return loss, (e / total - target) / rows


def cross_entropy(p: Array, t: Array, least: float) -> tuple[float, Array]:
    """L = −meanₙ log max(p[label], least); grad_p = −1/(B·p) at the label where it is not clipped, else 0."""
    rows = np.arange(len(p))
    hit = p[rows, t]
    grad_p = np.zeros_like(p)
    grad_p[rows, t] = np.where(hit >= least, -1 / (len(p) * np.maximum(hit, least)), 0)
    return -float(np.log(np.maximum(hit, least)).sum()) / len(p), grad_p


def binary_cross_entropy(y: Array, t: Array) -> tuple[float, Array]:
    """L = mean (max(y, 0) − y·t + log(1 + e^−|y|)); grad_y = (σ(y) − t)/(B·K)."""
    small = np.exp(-np.abs(y))
    terms = np.log1p(small) + np.maximum(y, 0) - y * t
    return float(terms.sum()) / y.size, (np.exp(np.minimum(y, 0)) / (1 + small) - t) / y.size


def binary_cross_entropy_on_probabilities(p: Array, t: Array, least: float) -> tuple[float, Array]:
    """L = −mean (t·log p + (1 − t)·log(1 − p)), logarithms of `least` at the lowest; where clipped, no slope."""
    yes, no = np.maximum(p, least), np.maximum(1 - p, least)
    loss = -float((t * np.log(yes) + (1 - t) * np.log(no)).sum()) / p.size
    return loss, ((1 - t) / no * (1 - p >= least) - t / yes * (p >= least)) / p.size


def hinge(y: Array, t: Array, margin: float) -> tuple[float, Array]:
    """L = meanₙₖ max(0, margin − y[label] + y[k]), 0 at the label; grad_y = 1/(B·K) where that is positive."""
    rows = np.arange(len(y))
    short = y - y[rows, t][:, None] + margin
    short[rows, t] = 0
    grad_y = (short > 0).astype(y.dtype) / y.size
    grad_y[rows, t] = -grad_y.sum(axis=1)
    return float(np.maximum(short, 0).sum()) / y.size, grad_y


def squared_error(y: Array, t: Array, scale: float) -> tuple[float, Array]:
    """L = scale·Σ (y − t)²; grad_y = 2·scale·(y − t)."""
    d = y - t
    return float((d * d).sum()) * scale, 2 * scale * d


def absolute_error(y: Array, t: Array) -> tuple[float, Array]:
    """L = mean |y − t|; grad_y = sign(y − t)/(B·K)."""
    d = y - t
    return float(np.abs(d).sum()) / y.size, np.sign(d) / y.size


def huber(y: Array, t: Array, delta: float) -> tuple[float, Array]:
    """L = mean of ½d² where |d| ≤ delta, delta·(|d| − ½delta) beyond, d = y − t; grad_y = clip(d, ±delta)/(B·K)."""
    d = y - t
    inner = np.clip(d, -delta, delta)
    return float((inner * (d - 0.5 * inner)).sum()) / y.size, inner / y.size
