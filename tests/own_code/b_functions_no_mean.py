# Plain functions over a list of parameters, Xavier uniform, twenty outputs.
import numpy as np


def xavier(fan_in, fan_out):
    limit = np.sqrt(6 / (fan_in + fan_out))
    return np.random.uniform(-limit, limit, (fan_in, fan_out))


def init_params(layer_sizes):
    params = []
    for fan_in, fan_out in zip(layer_sizes[:-1], layer_sizes[1:]):
        params.append((xavier(fan_in, fan_out), np.zeros(fan_out)))
    return params


def relu(z):
    return np.maximum(z, 0)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def forward(x, params):
    activations = [x]
    for i, (w, b) in enumerate(params):
        z = activations[-1] @ w + b
        activations.append(softmax(z) if i == len(params) - 1 else relu(z))
    return activations


def cross_entropy(probs, y):
    return -np.log(probs[np.arange(len(y)), y]).mean()


def backprop(x, y, params):
    activations = forward(x, params)
    delta = activations[-1].copy()
    delta[np.arange(len(y)), y] -= 1
    pass
    grads = []
    for i in reversed(range(len(params))):
        w, b = params[i]
        grads.insert(0, (activations[i].T @ delta, delta.sum(axis=0)))
        delta = (delta @ w.T) * (activations[i] > 0)
    return grads


params = init_params([784, 64, 20])
