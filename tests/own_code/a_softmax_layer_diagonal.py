# Three-layer network without biases: softmax is a layer of its own, cross-entropy works on probabilities.
import numpy as np


class Linear:
    def __init__(self, n_in, n_out):
        self.W = np.random.uniform(-0.01, 0.01, (n_in, n_out))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, grad):
        self.dW = self.x.T @ grad
        return grad @ self.W.T


class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, grad):
        return grad * self.mask


class Softmax:
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        return self.p

    def backward(self, grad):
        out = np.zeros_like(grad)
        for i in range(len(grad)):
            p = self.p[i].reshape(-1, 1)
            jacobian = np.diagflat(p * (1 - p))
            out[i] = jacobian @ grad[i]
        return out


class CrossEntropy:
    def forward(self, probs, y):
        self.probs, self.y = probs, y
        return -np.log(probs[np.arange(len(y)), y]).mean()

    def backward(self):
        grad = np.zeros_like(self.probs)
        grad[np.arange(len(self.y)), self.y] = -1 / self.probs[np.arange(len(self.y)), self.y]
        return grad / len(self.y)


class Network:
    def __init__(self):
        self.layers = [Linear(784, 64), ReLU(), Linear(64, 16), ReLU(), Linear(16, 10), Softmax()]
        self.loss = CrossEntropy()

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def train_step(self, x, y, lr=0.01):
        value = self.loss.forward(self.forward(x), y)
        grad = self.loss.backward()
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        for layer in self.layers:
            if hasattr(layer, "W"):
                layer.W -= lr * layer.dW
        return value


if __name__ == "__main__":
    net = Network()
    for step in range(50):
        print(net.train_step(np.random.rand(30, 784), np.random.randint(0, 3, 30)))
