# A network of one class: no biases, a loss, and a backward that returns the gradients of the weights in a list.
import numpy as np


class NeuralNetwork:
    def __init__(self, n_in=12, n_hidden=6, n_out=4):
        self.W1 = np.random.uniform(-0.5, 0.5, (n_in, n_hidden))
        self.W2 = np.random.uniform(-0.5, 0.5, (n_hidden, n_out))

    def softmax(self, z):
        e = np.exp(z - np.max(z, axis=1, keepdims=True))
        return e / np.sum(e, axis=1, keepdims=True)

    def forward(self, x):
        self.x = x
        self.z1 = x @ self.W1
        self.a1 = np.maximum(0, self.z1)
        self.y_hat = self.softmax(self.a1 @ self.W2)
        return self.y_hat

    def loss(self, y_hat, y):
        return -np.mean(np.log(y_hat[np.arange(len(y)), y]))

    def backward(self, y):
        delta = self.y_hat.copy()
        delta[np.arange(len(y)), y] -= 1
        delta /= len(y)
        dW2 = self.a1.T @ delta
        dW1 = self.x.T @ ((delta @ self.W2.T) * (self.z1 > 0))
        return [dW1, dW2]
