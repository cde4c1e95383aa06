# Layers that update themselves; the loss subtracts the maximum, and the training code stands unguarded.
import numpy as np


class Layer:
    def __init__(self):
        pass

    def forward(self, input):
        return input

    def backward(self, input, grad_output):
        return np.dot(grad_output, np.eye(input.shape[1]))


class ReLU(Layer):
    def forward(self, input):
        return np.maximum(0, input)

    def backward(self, input, grad_output):
        relu_grad = input > 0
        return grad_output * relu_grad


class Dense(Layer):
    def __init__(self, input_units, output_units, learning_rate=0.1):
        self.learning_rate = learning_rate
        self.weights = np.random.normal(0, 0.01, (input_units, output_units))
        self.biases = np.zeros(output_units)

    def forward(self, input):
        return np.dot(input, self.weights) + self.biases

    def backward(self, input, grad_output):
        grad_input = np.dot(grad_output, self.weights.T)
        grad_weights = np.dot(input.T, grad_output)
        grad_biases = grad_output.mean(axis=0)
        self.weights = self.weights - self.learning_rate * grad_weights
        self.biases = self.biases - self.learning_rate * grad_biases
        return grad_input


def softmax_crossentropy_with_logits(logits, reference_answers):
    logits = logits - logits.max(axis=-1, keepdims=True)
    logits_for_answers = logits[np.arange(len(logits)), reference_answers]
    return -logits_for_answers + np.log(np.sum(np.exp(logits), axis=-1))


def grad_softmax_crossentropy_with_logits(logits, reference_answers):
    logits = logits - logits.max(axis=-1, keepdims=True)
    ones_for_answers = np.zeros_like(logits)
    ones_for_answers[np.arange(len(logits)), reference_answers] = 1
    softmax = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return (-ones_for_answers + softmax) / logits.shape[0]


network = [Dense(784, 100), ReLU(), Dense(100, 200), ReLU(), Dense(200, 10)]


def train(network, X, y):
    activations, input = [], X
    for layer in network:
        input = layer.forward(input)
        activations.append(input)
    loss = softmax_crossentropy_with_logits(activations[-1], y)
    grad = grad_softmax_crossentropy_with_logits(activations[-1], y)
    for i in range(len(network))[::-1]:
        grad = network[i].backward(X if i == 0 else activations[i - 1], grad)
    return np.mean(loss)


history = []
for epoch in range(3):
    for batch in range(4):
        images = np.random.rand(32, 28, 28).reshape(32, -1)
        history.append(train(network, images, np.random.randint(0, 10, 32)))
    print("epoch", epoch, "loss", history[-1])
