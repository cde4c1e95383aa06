# Softmax classifier: samples in columns, the bias is the last column of the weights.
import numpy as np


class Affine:
    def __init__(self, n_features, n_classes):
        self.W = np.random.randn(n_classes, n_features + 1) * 0.01

    def forward(self, X):
        self.X = np.vstack([X, np.ones((1, X.shape[1]))])
        return self.W @ self.X

    def backward(self, output_gradient, learning_rate):
        grad_X = self.W[:, :-1].T @ output_gradient
        self.W -= learning_rate * (output_gradient @ self.X.T)
        return grad_X


class Softmax:
    def forward(self, Z):
        E = np.exp(Z - Z.max(axis=0))
        self.Y_hat = E / E.sum(axis=0)
        return self.Y_hat

    def backward(self, output_gradient, learning_rate):
        dot = (output_gradient * self.Y_hat).sum(axis=0)
        return self.Y_hat * (output_gradient - dot)


def cross_entropy(Y_hat, Y):
    return -np.sum(Y * np.log(Y_hat)) / Y.shape[1]


def grad_cross_entropy(Y_hat, Y):
    return -Y / Y_hat / Y.shape[1]


X = np.random.randint(3, 10, (5, 64)).astype(float)
Y = np.eye(3)[np.random.randint(0, 3, 64)].T
affine, softmax = Affine(5, 3), Softmax()
losses = []
for epoch in range(100):
    for start in range(0, 64, 16):
        x, y = X[:, start : start + 16], Y[:, start : start + 16]
        p = softmax.forward(affine.forward(x))
        losses.append(cross_entropy(p, y))
        affine.backward(softmax.backward(grad_cross_entropy(p, y), 1e-2), 1e-2)
print(losses[0], losses[-1])
