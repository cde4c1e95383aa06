"""Own code under the check: what people write is found, right code is never accused, and bugs get their names."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from engine.filecheck.check import CheckAnswer, FileAnswer, Request, check_source

OWN_CODE = Path(__file__).parent / "own_code"


def checked(file: Path, only: str = "", **arguments: object) -> FileAnswer:
    """All that is said of a file, its code run in this process."""
    answers: list[FileAnswer] = []
    check_source(Request(str(file), only, dict(arguments)), answers.append)
    return answers[-1]


def written(folder: Path, code: str) -> Path:
    """A student's file."""
    file = folder / "homework.py"
    file.write_text("import numpy as np\n" + textwrap.dedent(code))
    return file


def verdicts(answer: FileAnswer) -> dict[str, str]:
    """The verdict on each thing, by its name."""
    return {check.name: check.verdict for check in answer.checks}


def named(answer: FileAnswer) -> set[tuple[str, str]]:
    """Name and slug of each bug."""
    return {(check.name, bug.slug) for check in answer.checks for bug in check.bugs}


# --- the idioms of five notebooks, right and with a planted bug ------------------------------------

RIGHT = {
    "a_model": {"NeuralNetwork": 4},
    "a_softmax_layer": {"Linear": 1, "ReLU": 1, "Softmax": 1, "CrossEntropy": 6},
    "b_functions": {"forward": 5},
    "c_columns": {"Affine": 3, "Softmax": 3, "cross_entropy": 6},
    "c_model": {"SoftmaxClassifier": 4},
    "d_dense": {"Layer": 2, "ReLU": 2, "Dense": 2, "softmax_crossentropy_with_logits": 6},
    "e_flattened": {"Layer": 2, "ReLU": 2, "Dense": 2, "softmax_crossentropy_with_logits": 6},
}
WRONG = {
    "a_model_relu_mask_missing": ("NeuralNetwork", "relu-mask-missing"),
    "a_softmax_layer_diagonal": ("Softmax", "softmax-diagonal-only"),
    "b_functions_no_mean": ("forward", "missing-batch-mean"),
    "c_columns_no_dot": ("Softmax", "softmax-diagonal-only"),
    "c_model_no_mean": ("SoftmaxClassifier", "missing-batch-mean"),
    "d_dense_grad_not_divided": ("softmax_crossentropy_with_logits", "missing-batch-mean"),
    "d_loss_overflows": ("softmax_crossentropy_with_logits", "overflow"),
    "e_flattened_bias_mean": ("Dense", "extra-batch-mean"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_notebooks_own_code_is_found_by_its_form_and_passes(name: str) -> None:
    answer = checked(OWN_CODE / f"{name}.py")
    assert {check.name: check.form for check in answer.checks} == RIGHT[name]
    assert set(verdicts(answer).values()) == {"pass"}
    assert answer.problems == ()


@pytest.mark.parametrize("name", WRONG)
def test_a_planted_bug_is_named_and_nothing_else_is_accused(name: str) -> None:
    where, slug = WRONG[name]
    answer = checked(OWN_CODE / f"{name}.py")
    assert named(answer) == {(where, slug)}
    assert {check.name for check in answer.checks if check.verdict == "fail"} == {where}
    bug = next(bug for check in answer.checks for bug in check.bugs)
    assert bug.sentence.endswith(".")
    assert bug.formula
    assert bug.evidence
    assert bug.confidence > 0.5


# --- variants that people write -------------------------------------------------------------------

DENSE = """
class Dense:
    def __init__(self, n_in, n_out):
        self.params = {"W": np.random.randn(n_in, n_out), "b": np.zeros((1, n_out))}
        self.grads = {}

    def __call__(self, X):
        self.X = X
        return X @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads["W"] = self.X.T @ dout
        self.grads["b"] = dout.sum(axis=0, keepdims=True)
        return dout @ self.params["W"].T
"""
RETURNED = """
class Affine:
    def __init__(self, input_size, output_size):
        self.w = np.random.randn(input_size, output_size)
        self.b = np.random.randn(output_size)

    def forward(self, x):
        self.cache = x
        return np.dot(x, self.w) + self.b

    def backward(self, dout):
        x = self.cache
        return np.dot(dout, self.w.T), np.dot(x.T, dout), np.sum(dout, axis=0)
"""
BASE = """
class Module:
    def forward(self, x):
        raise NotImplementedError

    def backward(self, grad_output):
        raise NotImplementedError

class Sigmoid(Module):
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, grad_output):
        return grad_output * self.out * (1 - self.out)
"""
PAIR = """
def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))
"""
UNGUARDED = (
    DENSE
    + """
layer = Dense(4, 2)
for epoch in range(3):
    print("epoch", epoch, layer(np.ones((5, 4))).sum())
plot_all_my_results(layer)
"""
)
BATCHNORM = """
class BatchNorm:
    def __init__(self, dim, eps=1e-5):
        self.gamma = np.random.rand(dim) + 0.5
        self.beta = np.random.randn(dim)
        self.eps = eps

    def forward(self, x):
        mu, var = x.mean(axis=0), x.var(axis=0)
        self.std = np.sqrt(var + self.eps)
        self.xhat = (x - mu) / self.std
        return self.gamma * self.xhat + self.beta

    def backward(self, dy):
        N = len(dy)
        self.dgamma = (dy * self.xhat).sum(axis=0)
        self.dbeta = dy.sum(axis=0)
        dxhat = dy * self.gamma
        return (N * dxhat - dxhat.sum(axis=0) - self.xhat * (dxhat * self.xhat).sum(axis=0)) / (N * self.std)
"""
DROPOUT = """
class Dropout:
    def __init__(self, p=0.4):
        self.p = p

    def forward(self, x):
        self.mask = (np.random.rand(*x.shape) > self.p) / (1 - self.p)
        return x * self.mask

    def backward(self, grad):
        return grad * self.mask
"""
MSE = """
def mse_loss(y_pred, y_true):
    return np.mean((y_pred - y_true) ** 2)

def mse_loss_grad(y_pred, y_true):
    return 2 * (y_pred - y_true) / y_true.size
"""
RESIDUAL = """
class Residual:
    def __init__(self, units_in):
        self.W = np.random.randn(units_in, units_in) * 0.5

    def forward(self, x):
        self.x = x
        self.h = np.tanh(x @ self.W)
        return x + self.h

    def backward(self, grad_y):
        dz = grad_y * (1 - self.h ** 2)
        self.dW = self.x.T @ dz
        return grad_y + dz @ self.W.T
"""
VARIANTS = {
    "a dict of parameters and of gradients, called": (DENSE, {"Dense"}),
    "gradients returned in a tuple": (RETURNED, {"Affine"}),
    "an abstract base": (BASE, {"Sigmoid"}),
    "a function and its derivative": (PAIR, {"sigmoid"}),
    "training code at the top that fails": (UNGUARDED, {"Dense"}),
    "batch norm": (BATCHNORM, {"BatchNorm"}),
    "dropout from the global generator": (DROPOUT, {"Dropout"}),
    "a squared error and its gradient": (MSE, {"mse_loss"}),
    "a residual layer": (RESIDUAL, {"Residual"}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_right_code_is_found_however_it_is_written_and_passes(variant: str, tmp_path: Path) -> None:
    code, names = VARIANTS[variant]
    answer = checked(written(tmp_path, code))
    assert verdicts(answer) == dict.fromkeys(names, "pass")
    assert named(answer) == set()


# --- conventions of a whole file -------------------------------------------------------------------

ONE_AT_A_TIME = """
class Dense:
    def __init__(self, input_size, output_size):
        self.weights = np.random.randn(output_size, input_size)
        self.bias = np.random.randn(output_size, 1)

    def forward(self, input):
        self.input = input
        return np.dot(self.weights, input) + self.bias

    def backward(self, output_gradient, learning_rate):
        input_gradient = np.dot(self.weights.T, output_gradient)
        self.weights -= learning_rate * np.dot(output_gradient, self.input.T)
        self.bias -= learning_rate * output_gradient
        return input_gradient

class Softmax:
    def forward(self, input):
        e = np.exp(input - np.max(input))
        self.output = e / np.sum(e)
        return self.output

    def backward(self, output_gradient, learning_rate):
        n = np.size(self.output)
        return np.dot((np.identity(n) - self.output.T) * self.output, output_gradient)
"""
LAYERS_AVERAGE = """
def linear_forward(A, W, b):
    return np.dot(W, A) + b, (A, W, b)

def linear_backward(dZ, cache):
    A_prev, W, b = cache
    m = A_prev.shape[1]
    dW = np.dot(dZ, A_prev.T) / m
    db = np.sum(dZ, axis=1, keepdims=True) / m
    return np.dot(W.T, dZ), dW, db

def cross_entropy(A, Y):
    return -np.sum(Y * np.log(A)) / Y.shape[1]

def cross_entropy_grad(A, Y):
    return -Y / A
"""
BOTH_KINDS = """
def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t, self.y = t, softmax(x)
        labels = t.argmax(axis=1) if t.ndim == 2 else t
        return -np.log(self.y[np.arange(len(labels)), labels] + 1e-12).mean()

    def backward(self, dout=1):
        if self.t.ndim == 2:
            return (self.y - self.t) / len(self.t)
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dx / len(self.t)
"""


def test_layers_for_one_sample_at_a_time_are_checked_so_and_the_answer_says_why(tmp_path: Path) -> None:
    answer = checked(written(tmp_path, ONE_AT_A_TIME))
    assert verdicts(answer) == {"Dense": "pass", "Softmax": "pass"}
    assert answer.problems == ()
    assert "one sample at a time" in answer.checks[0].note
    assert "homework.py, line 15: Dense.backward: ValueError" in answer.checks[0].note


def test_among_layers_for_mini_batches_one_that_stops_on_a_mini_batch_is_not_right(tmp_path: Path) -> None:
    stops = BATCHNORM.replace("(dxhat * self.xhat).sum(axis=0)", "(dxhat * self.xhat).sum(axis=1)")
    for code in (DENSE + RETURNED + stops, stops):
        answer = checked(written(tmp_path, code))
        assert "BatchNorm" not in verdicts(answer)
        assert any("BatchNorm.backward: ValueError" in problem for problem in answer.problems)


def test_a_mean_that_the_layers_take_in_place_of_the_loss_is_right(tmp_path: Path) -> None:
    answer = checked(written(tmp_path, LAYERS_AVERAGE))
    assert verdicts(answer) == {"linear_forward": "pass", "cross_entropy": "pass"}
    assert answer.problems == ()


def test_a_mean_that_both_layers_and_loss_take_is_one_too_many(tmp_path: Path) -> None:
    answer = checked(written(tmp_path, LAYERS_AVERAGE.replace("return -Y / A", "return -Y / A / Y.shape[1]")))
    assert ("linear_forward", "extra-batch-mean") in named(answer)
    assert verdicts(answer)["cross_entropy"] == "pass"


def test_a_loss_that_takes_labels_and_one_hot_rows_is_checked_with_both(tmp_path: Path) -> None:
    assert verdicts(checked(written(tmp_path, BOTH_KINDS))) == {"SoftmaxWithLoss": "pass"}
    for right in ("return (self.y - self.t) / len(self.t)", "return dx / len(self.t)"):
        answer = checked(written(tmp_path, BOTH_KINDS.replace(right, right.partition(" / ")[0])))
        assert named(answer) == {("SoftmaxWithLoss", "missing-batch-mean")}


def test_a_small_constant_inside_a_logarithm_is_no_bug(tmp_path: Path) -> None:
    answer = checked(written(tmp_path, BOTH_KINDS.replace("1e-12", "1e-7")))
    assert verdicts(answer) == {"SoftmaxWithLoss": "pass"}
    assert "constant 1e-07" in answer.checks[0].note


# --- bugs ------------------------------------------------------------------------------------------

BUGS = {
    "sign": (DENSE.replace("self.X.T @ dout", "-(self.X.T @ dout)"), "sign-flipped"),
    "upstream": (RETURNED.replace("np.dot(x.T, dout)", "np.dot(x.T, np.ones_like(dout))"), "upstream-ignored"),
    "transposed": (RETURNED.replace("np.dot(x.T, dout)", "np.dot(dout.T, x)"), "transposed"),
    "bias not summed": (DENSE.replace("dout.sum(axis=0, keepdims=True)", "dout"), "bias-not-summed"),
    "bias over all": (
        RETURNED.replace("np.sum(dout, axis=0)", "np.full(self.b.shape, np.sum(dout))"),
        "bias-summed-over-all",
    ),
    "accumulates": (
        RESIDUAL.replace("self.dW = self.x", "self.dW += self.x").replace(
            "* 0.5\n", "* 0.5\n        self.dW = np.zeros((units_in, units_in))\n"
        ),
        "accumulates-across-calls",
    ),
    "mutates": (DENSE.replace("self.X = X", "X -= X.mean()\n        self.X = X"), "mutates-input"),
    "skip": (RESIDUAL.replace("return grad_y + dz", "return dz"), "skip-dropped"),
    "mean path": (BATCHNORM.replace("N * dxhat - dxhat.sum(axis=0) -", "N * dxhat -"), "batchnorm-mean-path"),
    "variance path": (
        BATCHNORM.replace(" - self.xhat * (dxhat * self.xhat).sum(axis=0)", ""),
        "batchnorm-variance-path",
    ),
    "dropout scale": (
        DROPOUT.replace("return grad * self.mask", "return grad * (self.mask > 0)"),
        "dropout-scale",
    ),
    "mask redrawn": (
        DROPOUT.replace(
            "return grad * self.mask", "return grad * (np.random.rand(*grad.shape) > self.p) / (1 - self.p)"
        ),
        "dropout-mask-redrawn",
    ),
    "local derivative": (BASE.replace("grad_output * self.out * (1 - self.out)", "grad_output"), None),
    "no division": (MSE.replace(" / y_true.size", " / 1"), None),
    "derivative": (
        PAIR.replace("return sigmoid(z) * (1 - sigmoid(z))", "return sigmoid(z) * sigmoid(z)"),
        None,
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_in_own_code_is_found_and_where_it_has_a_mark_of_its_own_named(bug: str, tmp_path: Path) -> None:
    code, slug = BUGS[bug]
    answer = checked(written(tmp_path, code))
    assert "fail" in verdicts(answer).values()
    if slug is not None:
        assert slug in {slug for _, slug in named(answer)}


# --- arguments, and what cannot be checked --------------------------------------------------------


def test_arguments_and_the_class_to_check_can_be_named(tmp_path: Path) -> None:
    file = written(tmp_path, DENSE + RETURNED)
    answer = checked(file, "Affine", input_size=4, output_size=6)
    assert list(verdicts(answer)) == ["Affine"]
    assert "no constructor here takes colour" in " ".join(checked(file, "Affine", colour=3).problems)


LAYER = """
class Layer:
    def forward(self, x):
        self.x = x
        return {y}

    def backward(self, grad):
        {back}
"""


SECRET = "class Layer:\n    def __init__(self, secret):\n        1 / 0\n"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def broken(:\n    pass\n", "homework.py, line 2: does not parse"),
        ("import there_is_no_such_module\n", "imports there_is_no_such_module, which is not installed"),
        ("answer = 42\n", "has nothing to check: neither a class with forward(x) and backward(grad_y)"),
        (LAYER.format(y="x.tolist()", back="return grad"), "returns a list; return its output as a NumPy array"),
        (LAYER.format(y="3.5", back="return grad"), "returns the single number 3.5"),
        (LAYER.format(y="x.astype(int)", back="return grad"), "returns integers"),
        (LAYER.format(y="x * np.nan", back="return grad"), "returns NaN or infinity"),
        (DENSE.replace("return X @", "return X[1:] @"), "return as many rows as there are samples"),
        (LAYER.format(y="x * 2", back="pass"), "backward returns None"),
        (LAYER.format(y="x * 2", back="raise KeyError('oops')"), "homework.py, line 9: Layer.backward: KeyError"),
        (LAYER.format(y="x @ np.ones((99, 2))", back="return grad"), "homework.py, line 6: Layer.forward: ValueError"),
        (SECRET + LAYER[14:].format(y="x", back="return grad"), "give its arguments with --args secret=…"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_gets_one_sentence_with_file_and_line(code: str, words: str, tmp_path: Path) -> None:
    answer = checked(written(tmp_path, code))
    assert answer.checks == ()
    assert any(words in problem for problem in answer.problems), answer.problems
    assert all("\n" not in problem and problem.startswith("homework.py") for problem in answer.problems)


def test_one_thing_that_cannot_be_checked_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    answer = checked(written(tmp_path, DENSE + LAYER.format(y="x", back="pass")))
    assert verdicts(answer) == {"Dense": "pass"}
    assert len(answer.problems) == 1


def test_an_answer_tells_the_error_and_the_evidence_in_plain_numbers(tmp_path: Path) -> None:
    answer = checked(written(tmp_path, BUGS["sign"][0]))
    (check,) = answer.checks
    assert isinstance(check, CheckAnswer)
    assert check.tensors["x"].verdict == "pass"
    assert check.tensors["x"].error is not None
    assert check.tensors["x"].error < 1e-7
    assert all(isinstance(value, int | float | str | list) for bug in check.bugs for value in bug.evidence.values())
