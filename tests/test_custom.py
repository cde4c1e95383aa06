"""A layer of one's own: it trains, is stepped, checked and reloaded, and whatever it does the window lives on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QSettings
from pytestqt.qtbot import QtBot

import engine
from app.consent import Consent
from app.link import EngineLink
from app.own_code import OwnCodeWatcher, offered
from app.session import Session
from engine.layers.custom import Custom
from engine.owncode import trust
from engine.recipe import Recipe
from engine.run import Run

from waiting import wait_for_step

DENSE = """import numpy as np

class MyDense:
    def __init__(self, units_in, units_out):
        self.W = np.random.randn(units_in, units_out) * 0.1
        self.b = np.zeros(units_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad):
        self.dW = self.x.T @ grad
        self.db = grad.sum(axis=0)
        return grad @ self.W.T
"""
COLUMNS = """import numpy as np

class Column:
    def __init__(self, n_in, n_out):
        self.weights = np.random.randn(n_out, n_in) * 0.1
        self.bias = np.zeros((n_out, 1))

    def forward(self, input):
        self.input = input
        return self.weights @ input + self.bias

    def backward(self, output_gradient, learning_rate):
        input_gradient = self.weights.T @ output_gradient
        self.weights -= learning_rate * output_gradient @ self.input.T
        self.bias -= learning_rate * output_gradient.sum(axis=1, keepdims=True)
        return input_gradient
"""
DROPOUT = """import numpy as np

class Drop:
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        self.mask = (np.random.rand(*x.shape) > 0.5) * (self.rng.random(x.shape) > 0.1)
        return x * self.mask

    def backward(self, grad):
        return grad * self.mask
"""


def written(folder: Path, code: str) -> Path:
    """A file of own code."""
    file = folder / "homework.py"
    file.write_text(code)
    return file


def own(file: Path, name: str, args: str = "") -> dict[str, str]:
    """An own layer as it stands in a recipe."""
    return {"kind": "custom", "file": str(file), "class": name, "args": args}


def network(*layers: dict[str, object], **changes: object) -> Recipe:
    """A recipe on the digits with these layers."""
    text = {"data": {"kind": "digits"}, "dtype": "float64", "layers": layers, "seed": 5, **changes}
    return Recipe.from_json(json.dumps(text))


# --- the layer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "name", "args"), [(DENSE, "MyDense", "units_out=10"), (COLUMNS, "Column", "n_out=10")]
)
def test_an_own_layer_trains_to_the_very_numbers_of_the_engines_dense(
    tmp_path: Path, code: str, name: str, args: str
) -> None:
    file = written(tmp_path, code)
    trust.allow(file)
    mine = engine.Trainer(network(own(file, name, args)))
    theirs = engine.Trainer(network({"kind": "dense", "units": 10}))
    w, b = mine.parameters.values()
    theirs.set_parameters({"0.W": w.T if name == "Column" else w, "0.b": b.reshape(-1)})
    for _ in range(30):
        mine.step()
        theirs.step()
    assert mine.loss == pytest.approx(theirs.loss, rel=1e-12)
    assert mine.evaluate()[1] == theirs.evaluate()[1] > 0.5
    report = engine.check(mine, mode="sampled")
    assert {tensor.verdict for tensor in report.tensors.values()} == {"pass"}
    assert report.contracts == ()


def test_phases_come_part_by_part_and_the_same_recipe_gives_the_same_bits(tmp_path: Path) -> None:
    file = written(tmp_path, DENSE + DROPOUT)
    trust.allow(file)
    recipe = network(own(file, "MyDense", "units_out=12"), own(file, "Drop"), {"kind": "dense", "units": 10})
    whole, phases = Run(recipe), Run(recipe)
    for _ in range(3):
        whole.step()
    while phases.trainer.step_count < 3 or phases.step_part().phase != engine.Phase("update"):
        phases.step_part()
    assert [str(p) for p in whole.trainer.all_phases][-5:] == [
        *("backward 1 grad_x", "backward 0 grad_W", "backward 0 grad_b", "backward 0 grad_x", "update"),
    ]
    np.testing.assert_array_equal(whole.trainer.network.parameters, phases.trainer.network.parameters)


def test_random_numbers_of_own_code_change_from_step_to_step_and_come_again_in_a_replay(tmp_path: Path) -> None:
    file = written(tmp_path, DROPOUT)
    trust.allow(file)
    trainer = engine.Trainer(network(own(file, "Drop"), {"kind": "dense", "units": 10}))
    masks = []
    for _ in range(2):
        trainer.step()
        masks.append(trainer.tensor("0.y") != 0)  # type: ignore[operator]
    assert (masks[0] != masks[1]).any()
    state = trainer.state()
    trainer.step()
    after = trainer.network.parameters.copy()
    trainer.restore(state)
    trainer.step()
    np.testing.assert_array_equal(trainer.network.parameters, after)


def test_another_draw_of_weights_draws_those_of_an_own_layer_too(tmp_path: Path) -> None:
    file = written(tmp_path, DENSE)
    trust.allow(file)
    first, again, other = (
        engine.Trainer(network(own(file, "MyDense", "units_out=10"), weights_draw=draw)).parameters["0.W"]
        for draw in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_a_bug_in_an_own_layer_fails_the_check(tmp_path: Path) -> None:
    file = written(tmp_path, DENSE.replace("self.x.T @ grad", "self.x.T @ grad / len(grad)"))
    trust.allow(file)
    report = engine.check(engine.Trainer(network(own(file, "MyDense", "units_out=10"))), mode="sampled")
    assert report.tensors["0.W"].verdict == "fail"
    assert report.tensors["0.b"].verdict == "pass"


def test_a_recipes_own_files_are_looked_for_beside_it(tmp_path: Path) -> None:
    written(tmp_path, DENSE)
    recipe = tmp_path / "recipe.json"
    recipe.write_text(network(own(Path("homework.py"), "MyDense", "units_out=10")).to_json())
    (layer,) = Recipe.from_file(recipe).layers
    assert isinstance(layer, Custom)
    assert Path(layer.file) == tmp_path.resolve() / "homework.py"


@pytest.mark.parametrize(
    ("code", "name", "args", "words"),
    [
        ("class MyDense:\n    def forward(self, x):\n  return x", "MyDense", "", "homework.py, line 3: does not parse"),
        ("import no_such_module_here\n", "MyDense", "", "imports no_such_module_here, which is not installed"),
        (DENSE, "YourDense", "", "no class 'YourDense'"),
        (DENSE, "MyDense", "", "needs units_out; write units_out=… into its arguments"),
        (DENSE, "MyDense", "units_out=3, colour=1", "takes no argument 'colour'; it takes units_in, units_out"),
        (DENSE, "MyDense", "units_out", "'units_out' is not NAME=VALUE"),
        (DENSE.replace("return x @", "return 1 / 0 + x @"), "MyDense", "units_out=3", "line 10: MyDense.forward: Zero"),
        (DENSE.replace("return x @ self.W + self.b", "return 3.5"), "MyDense", "units_out=3", "single number"),
        (DENSE.replace("return grad @ self.W.T", "pass"), "MyDense", "units_out=3", "MyDense.backward returns None"),
        (DENSE.replace("self.x = x", "import sys; sys.exit(3)"), "MyDense", "units_out=3", "calls sys.exit"),
        (DENSE.replace("self.x = x", "input('?')"), "MyDense", "units_out=3", "line 9: MyDense.forward: asks for inp"),
        ("class MyDense:\n    pass\n", "MyDense", "", "is not a layer: it needs forward(x) and backward(grad_y)"),
    ],
)
def test_own_code_that_cannot_be_a_layer_is_refused_with_file_and_line(
    tmp_path: Path, code: str, name: str, args: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", _no_input)
    file = written(tmp_path, code)
    trust.allow(file)
    with pytest.raises(engine.RecipeError) as refused:
        engine.Trainer(network(own(file, name, args)))
    sentence = str(refused.value)
    assert words in sentence
    assert "\n" not in sentence


def _no_input(_: str = "") -> str:
    raise EOFError


# --- consent --------------------------------------------------------------------------------------


def test_nothing_of_a_file_runs_before_the_user_says_yes_and_again_when_it_changed(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    file = written(tmp_path, f"open({str(marker)!r}, 'w').close()\n{DENSE}")
    recipe = network(own(file, "MyDense", "units_out=10"))
    with pytest.raises(engine.RecipeError, match="nobody has said yes"):
        engine.Trainer(recipe)
    assert not marker.exists()
    trust.allow(file)
    engine.Trainer(recipe)
    assert marker.exists()
    file.write_text(file.read_text() + "\n# changed\n")
    with pytest.raises(engine.RecipeError, match="nobody has said yes"):
        engine.Trainer(recipe)


def test_a_yes_is_remembered_for_that_file_in_that_state_only(tmp_path: Path) -> None:
    settings = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    file = written(tmp_path, DENSE)
    asked: list[tuple[Path, bool]] = []

    def yes(path: Path, changed: bool) -> bool:
        asked.append((path, changed))
        return True

    assert Consent(settings).grant([file]) is None, "without a question there is no yes"
    assert Consent(settings, yes).grant([file]) == {str(file): trust.fingerprint(file)}
    assert Consent(settings).grant([file]) is not None
    file.write_text(DENSE + "\n")
    assert Consent(settings, lambda *_: False).grant([file]) is None
    assert Consent(settings, yes).grant([file]) is not None
    assert asked == [(file, False), (file, True)]


def test_the_classes_of_a_file_are_told_without_running_it(tmp_path: Path) -> None:
    file = written(tmp_path, "raise SystemExit\n" + DENSE + DROPOUT + "class Not:\n    pass\n")
    assert [(one.name, one.wanted) for one in offered(file)] == [("MyDense", ("units_out",)), ("Drop", ())]


def test_training_from_the_command_line_wants_the_file_named(tmp_path: Path) -> None:
    file = written(tmp_path, DENSE)
    recipe = tmp_path / "recipe.json"
    recipe.write_text(network(own(file, "MyDense", "units_out=10")).to_json())
    command = [sys.executable, "-m", "app", "train", str(recipe), "--steps", "3", "--json"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--trust" in refused.stderr
    done = subprocess.run([*command, "--trust", str(file)], capture_output=True, text=True)
    assert done.returncode == 0
    assert json.loads(done.stdout)["step"] == 3


# --- in the window's engine -----------------------------------------------------------------------


@pytest.fixture
def trusting(session: Session) -> Session:
    """A session whose user says yes to everything."""
    session.consent.ask = lambda *_: True
    return session


def with_own(session: Session, file: Path) -> Recipe:
    """The session's recipe with an own layer for its last."""
    layers = (*session.recipe.layers[:-1], Custom(file=str(file), class_name="MyDense", args="units_out=10"))
    return msgspec.structs.replace(session.recipe, layers=layers)


def heard(session: Session) -> list[str]:
    """What is said from now on."""
    said: list[str] = []
    session.said.connect(lambda sentence, _: said.append(sentence))
    return said


def test_a_no_leaves_the_run_before_intact(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    session.train(4)
    wait_for_step(qtbot, session, 4)
    before, said = session.recipe, heard(session)
    session.use(with_own(session, written(tmp_path, DENSE)))
    assert said == ["homework.py was not allowed to run; the run before goes on"]
    assert session.recipe == before
    session.step("batch")
    wait_for_step(qtbot, session, 5)


def test_a_saved_file_is_reloaded_where_the_run_stands(trusting: Session, qtbot: QtBot, tmp_path: Path) -> None:
    file = written(tmp_path, DENSE)
    watcher = OwnCodeWatcher(trusting, trusting)
    with qtbot.waitSignal(trusting.shown, timeout=10_000):
        trusting.use(with_own(trusting, file))
    trusting.train(6)
    wait_for_step(qtbot, trusting, 6)
    with qtbot.waitSignal(trusting.built, timeout=10_000) as built:
        file.write_text(DENSE.replace("+ self.b", "+ self.b + 100 * 0"))
    assert built.args[0].step == 6
    said = heard(trusting)
    qtbot.wait(50)
    file.write_text(DENSE.replace("def forward", "def forwards("))
    qtbot.waitUntil(lambda: bool(said), timeout=5000)
    assert "homework.py, line 8: does not parse" in said[0]
    trusting.step("batch")
    wait_for_step(qtbot, trusting, 7)
    watcher.deleteLater()


LOOP = "while True: pass"
CRASH = "import ctypes; ctypes.string_at(0)"
HUGE = "np.ones((10, 2**30))"
NOISE = "print('x' * 10_000_000)"
FAILS = "raise ValueError('not today')"


def misbehaving(deed: str) -> str:
    """A layer that behaves for 40 backwards and then does the deed, in line 17."""
    return DENSE.replace("self.b = np.zeros(units_out)", "self.b = np.zeros(units_out); self.count = 0").replace(
        "        return grad @ self.W.T",
        f"        MyDense.n = getattr(MyDense, 'n', 0) + 1\n        if MyDense.n > 40:\n            {deed}\n"
        "        return grad @ self.W.T",
    )


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        (LOOP, "homework.py, line 17 does not come to an end: the engine was stopped"),
        (HUGE, "homework.py, line 17: MyDense.backward: asks for more memory than"),
        (FAILS, "homework.py, line 17: MyDense.backward: ValueError: not today"),
        ("import sys; sys.exit()", "homework.py, line 17: MyDense.backward: calls sys.exit"),
        (CRASH, "the engine crashed in homework.py, line 17"),
    ],
    ids=["loop", "huge", "fails", "exit", "crash"],
)
def test_whatever_own_code_does_the_window_says_what_and_where_and_goes_on(
    deed: str, words: str, qapp: object, digits: Recipe, qtbot: QtBot, tmp_path: Path
) -> None:
    link = EngineLink(log_file=str(tmp_path / "engine.log"))
    try:
        session = Session(link, digits, Consent(None, lambda *_: True))
        with qtbot.waitSignal(session.shown, timeout=10_000):
            pass
        with qtbot.waitSignal(session.shown, timeout=10_000):
            session.use(with_own(session, written(tmp_path, misbehaving(deed))))
        said = heard(session)
        done = _stepped_until(session, qtbot, lambda: bool(said))
        assert words in said[0]
        assert done >= 1, "it had trained before"
        qtbot.waitUntil(lambda: session.frame is not None and session.network is not None, timeout=10_000)
        with qtbot.waitSignal(session.shown, timeout=10_000):
            session.use(digits)
        session.step("batch")
        wait_for_step(qtbot, session, 1)
    finally:
        link.close()


def _stepped_until(session: Session, qtbot: QtBot, end: Callable[[], bool]) -> int:
    """Step until something is said; how many steps were completed."""
    while not end():
        before = len(session.history)
        session.step("batch")
        qtbot.waitUntil(lambda n=before: len(session.history) > n or end(), timeout=10_000)
    return len(session.history)


def test_output_in_megabytes_does_no_harm(trusting: Session, qtbot: QtBot, tmp_path: Path) -> None:
    with qtbot.waitSignal(trusting.shown, timeout=10_000):
        trusting.use(with_own(trusting, written(tmp_path, misbehaving(NOISE))))
    trusting.train(20)
    wait_for_step(qtbot, trusting, 20)


def test_a_question_is_put_once_though_the_engine_starts_meanwhile(
    qapp: object, digits: Recipe, qtbot: QtBot, tmp_path: Path
) -> None:
    link = EngineLink()
    try:
        asked: list[Path] = []

        def slow_yes(path: Path, _: bool) -> bool:
            asked.append(path)
            qtbot.waitSignal(link.received, timeout=10_000).wait()  # as the question's own loop does
            qtbot.wait(200)
            return True

        session = Session(link, digits, Consent(None, slow_yes))
        with qtbot.waitSignal(session.built, timeout=10_000, check_params_cb=lambda b: b.layers[-1].kind == "custom"):
            session.use(with_own(session, written(tmp_path, DENSE)))
        assert len(asked) == 1
    finally:
        link.close()
