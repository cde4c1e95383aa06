"""Weights to files and back, curves and tensors as tables: every bit, one sentence for what does not fit."""

import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app import exporting
from app.session import Session
from engine import Position, Recipe, Run, protocol, tables, weights
from engine.files import FileError
from engine.network import Network

from replays import prints, random_positions, unequal
from waiting import wait_for_step

NORMED = Recipe.from_builtins(
    {
        "data": {"kind": "xor"},
        "layers": [{"kind": "dense", "units": 3}, {"kind": "batch_norm"}, {"kind": "dense", "units": 2}],
        "optimizer": {"kind": "adam"},
        "batch_size": 4,
    }
)


def normed(steps: int) -> Run:
    """A run of a network with running statistics, after some steps."""
    run = Run(NORMED)
    run.trainer.needs_input_gradient = True
    for _ in range(steps):
        run.step()
    return run


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_weights_come_back_to_the_bit_and_training_goes_on_with_them(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"∇ weights of 5{ending}"
    one, other = normed(5), normed(2)
    weights.save(path, weights.of_network(one.trainer.network))
    loaded, problems = weights.fitting(other.trainer.network, weights.load(path))
    assert not problems
    assert set(loaded) == {"0.W", "0.b", "1.gamma", "1.beta", "1.running_mean", "1.running_var", "2.W", "2.b"}
    slots = other.trainer.network.optimizer_slots.copy()
    other.load(loaded, path.name)
    np.testing.assert_array_equal(other.trainer.network.parameters, one.trainer.network.parameters)
    np.testing.assert_array_equal(other.trainer.network.buffers, one.trainer.network.buffers)
    np.testing.assert_array_equal(other.trainer.network.optimizer_slots, slots)
    other.step()
    assert other.trainer.chosen.tolist() == normed(3).trainer.chosen.tolist()  # generators go on as they were


def test_every_position_before_and_after_weights_were_loaded_is_found_again_to_the_bit() -> None:
    run, given = normed(6), weights.of_network(normed(30).trainer.network)
    given = {address: array.copy() for address, array in given.items()}
    for _ in range(5):
        run.step_part()
    run.load(given, "given.npz")  # in the middle of a mini-batch
    seen = {run.position: prints(run)}
    while len(run.history) < 12:
        run.step()
        seen[run.position] = prints(run)
    wanted = {position for position in random_positions(run, 12, 20) if position.step != 7}
    for position in sorted(wanted):
        run.seek(*position)
        seen[position] = prints(run)
    run.load({"0.W": given["0.W"] * 2}, "half.npz")  # in the past: a fork
    assert run.path.name == "fork 1"
    run.step()
    run.switch("main")
    assert unequal(run, seen) == []
    assert run.trouble == ""


MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "shape": ({"2.W": np.ones((3, 4))}, "2.W is 3×4 there but 3×2 here"),
    "missing": ({"2.W": None, "2.b": None, "1.gamma": None, "1.beta": None}, "1.gamma is missing, 1.beta is missing, "
                "2.W is missing and 1 more"),
    "text": ({"0.b": np.array(["a", "b", "c"])}, "0.b holds no real numbers"),
    "complex": ({"0.b": np.ones(3, complex)}, "0.b holds no real numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISFITS)
def test_what_does_not_fit_is_named_and_the_rest_is_there(case: str) -> None:
    network: Network = normed(0).trainer.network
    changed, sentence = MISFITS[case]
    given = {name: array for name, array in (weights.of_network(network) | changed).items() if array is not None}
    fits, problems = weights.fitting(network, given)
    assert weights.misfit(Path("a.npz"), problems) == f"a.npz does not fit this network: {sentence}"
    assert set(fits) == set(weights.of_network(network)) - set(changed)


def spoiled(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that hold no weights, and what is said of each."""
    np.save(folder / "objects.npy", np.array([{}], object))
    with zipfile.ZipFile(folder / "pickled.npz", "w") as file:
        file.write(folder / "objects.npy", "0.W.npy")
    (folder / "cut.npz").write_bytes(b"PK\x03\x04 cut off")
    (folder / "cut.safetensors").write_bytes(b"\xff" * 40)
    with (folder / "single.npz").open("wb") as plain:
        np.save(plain, np.ones(3))
    return {
        "pickled": (folder / "pickled.npz", "is no whole .npz file of numbers"),
        "cut": (folder / "cut.npz", "is no whole .npz file of numbers"),
        "cut safetensors": (folder / "cut.safetensors", "is no whole .safetensors file of numbers"),
        "single": (folder / "single.npz", "holds one array without a name"),
        "absent": (folder / "absent.npz", "does not exist"),
        "absent safetensors": (folder / "absent.safetensors", "does not exist"),
        "folder": (folder, "is a folder"),
    }


def test_a_file_that_holds_no_weights_is_one_sentence(tmp_path: Path) -> None:
    for path, sentence in spoiled(tmp_path).values():
        with pytest.raises(FileError) as refused:
            weights.load(path)
        assert sentence in str(refused.value)
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)
    with pytest.raises(FileError, match=r"must end in \.npz or \.safetensors"):
        weights.save(tmp_path / "weights.txt", {})


def test_curves_hold_every_number_of_every_step(tmp_path: Path) -> None:
    run = normed(40)
    tables.save_curves(tmp_path / "c.csv", run.history, 0)
    tables.save_curves(tmp_path / "c.npz", run.history, 0)
    head, *lines = (tmp_path / "c.csv").read_text().splitlines()
    assert head.split(",")[:3] == ["step", "loss", "penalty"]
    table = np.array([line.split(",") for line in lines], float)
    np.testing.assert_array_equal(table[:, 0], np.arange(1, 41))
    np.testing.assert_array_equal(table[:, 1:], run.history.rows())
    with np.load(tmp_path / "c.npz") as columns:
        np.testing.assert_array_equal(columns["update.2.W"], run.history["update.2.W"])
        np.testing.assert_array_equal(columns["step"], table[:, 0])
    with pytest.raises(FileError, match=r"must end in \.csv or \.npz"):
        tables.save_curves(tmp_path / "c.txt", run.history, 0)


def test_a_tensor_of_any_shape_comes_back_from_its_file(tmp_path: Path) -> None:
    for array in (np.array([0.1, np.nan, -np.inf], np.float32), np.arange(24.0).reshape(2, 3, 4) / 7):
        tables.save_tensor(tmp_path / "t.csv", "0.W", array)
        lines = (tmp_path / "t.csv").read_text().splitlines()
        found = np.array([line.split(",") for line in lines], array.dtype)
        np.testing.assert_array_equal(found.reshape(array.shape), array)
        tables.save_tensor(tmp_path / "t.npz", "0.W", array)
        with np.load(tmp_path / "t.npz") as file:
            np.testing.assert_array_equal(file["0.W"], array)


def test_the_app_writes_and_reads_files_by_the_engine_and_tells_of_each(
    session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    said: list[tuple[str, bool]] = []
    session.said.connect(lambda sentence, wrong: said.append((sentence, wrong)))

    def ask(command: protocol.Exported) -> tuple[str, bool]:
        said.clear()
        session.exchange(command)
        qtbot.waitUntil(lambda: bool(said), timeout=20_000)
        return said[-1]

    def at(name: str) -> str:
        return str(tmp_path / name)

    session.train(3)
    wait_for_step(qtbot, session, 3)
    assert ask(protocol.SaveWeights(at("w.safetensors"))) == ("saved 6 tensors of step 3 as w.safetensors", False)
    assert ask(protocol.SaveCurves(at("c.csv"))) == ("saved 3 steps as c.csv", False)
    assert ask(protocol.SaveTensor("0.W", at("t.npz"))) == ("saved 0.W as t.npz", False)
    written = ask(protocol.ExportScript(at("net.py"), "numpy"))
    assert written == ("exported net.py, with its data in net.npz beside it", False)
    sentence, wrong = ask(protocol.SaveCurves(at("nowhere/c.csv")))
    assert wrong
    assert "No such file or directory" in sentence
    sentence, wrong = ask(protocol.SaveTensor("5.nothing", at("t.csv")))
    assert (sentence.startswith("5.nothing is not computed yet"), wrong) == (True, True)
    session.seek(1)
    qtbot.waitUntil(lambda: session.frame is not None and session.frame.step == 1)
    assert ask(protocol.LoadWeights(at("w.safetensors"))) == ("loaded 6 of the 6 tensors in w.safetensors", False)
    qtbot.waitUntil(lambda: session.paths is not None and len(session.paths.forks) == 2)
    assert session.paths is not None
    assert session.paths.forks[-1].changes[-1].text == "weights from w.safetensors"
    assert session.tip == Position(1, len(session.network.phases) - 1)  # type: ignore[union-attr]
    with np.load(at("t.npz")) as file:
        weights.save(Path(at("part.npz")), {"0.W": file["0.W"] * 2})
    with qtbot.waitSignal(session.fits_partly) as waiting:
        session.exchange(protocol.LoadWeights(at("part.npz")))
    asked = waiting.args[0]
    assert (asked.fitting, "0.b is missing" in asked.sentence) == (1, True)
    assert ask(protocol.LoadWeights(asked.path, partly=True)) == ("loaded 1 of the 1 tensors in part.npz", False)


def test_what_the_menus_ask_for_goes_to_the_engine_and_what_fits_partly_is_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Any] = []
    said: list[str] = []
    names: list[str] = []
    selection = SimpleNamespace(address="0.W")
    recipe = Recipe.from_builtins({"layers": [{"kind": "relu"}], "name": "a/b: c?"})
    heard = SimpleNamespace(emit=lambda sentence, wrong: said.append(sentence))
    draft, network = SimpleNamespace(name="a draft"), SimpleNamespace(recipe=recipe)
    session: Any = SimpleNamespace(exchange=sent.append, selection=selection, recipe=draft, network=network, said=heard)
    parent: Any = None

    def where(parent: Any, title: str, name: str, kinds: tuple[str, ...]) -> str:
        names.append(name)
        return "chosen.npz"

    monkeypatch.setattr(exporting, "ask_where", where)
    monkeypatch.setattr(exporting.QFileDialog, "getOpenFileName", lambda *_: ("w.npz", ""))
    exporting.export_script(session, parent, "torch")
    exporting.save_weights(session, parent)
    exporting.save_curves(session, parent)
    exporting.save_tensor(session, parent)
    exporting.load_weights(session, parent)
    assert names == ["a/b: c?", "a/b: c? weights", "a/b: c? curves", "a/b: c? 0.W"]
    assert sent == [
        protocol.ExportScript("chosen.npz", "torch"),
        protocol.SaveWeights("chosen.npz"),
        protocol.SaveCurves("chosen.npz"),
        protocol.SaveTensor("0.W", "chosen.npz"),
        protocol.LoadWeights("w.npz"),
    ]
    event = protocol.FitsPartly("w.npz", "w.npz does not fit this network: 2.b is missing", 5)
    for answer, after in ((False, 5), (True, 6)):
        monkeypatch.setattr(exporting, "ask_for_the_rest", lambda *_, answer=answer: answer)
        exporting.load_what_fits(session, parent, event)
        assert len(sent) == after
    assert sent[-1] == protocol.LoadWeights("w.npz", partly=True)
    assert said == ["w.npz does not fit this network: 2.b is missing; nothing was loaded"]
