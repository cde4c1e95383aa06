"""What can be asked about a check after it was made: one entry's losses, the error against h, pairs of values."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from engine import gradcheck, protocol
from engine.bugs import Bug
from engine.checks import Checks, describe_bug
from engine.closeup import CloseUp
from engine.frames import reduce_extremes
from engine.network import Network
from engine.recipe import Recipe
from engine.shared import check_tensor, pairs
from engine.trainer import Trainer
from engine.verdicts import VERDICTS


def trainer(steps: int = 3, **changes: Any) -> Trainer:
    """A small network on the digits, trained a little."""
    layers = [{"kind": "dense", "units": 6}, {"kind": "relu"}, {"kind": "dense", "units": 10}]
    recipe = {"data": {"kind": "digits"}, "layers": layers, "seed": 3, **changes}
    made = Trainer(msgspec.convert(recipe, Recipe))
    for _ in range(steps):
        made.step()
    return made


def mean_loss(made: Trainer, address: str, index: tuple[int, ...], move: float) -> float:
    """The loss of the mini-batch shown with one parameter moved, by a plain forward in float64."""
    network = Network(made.recipe, made.network.shapes[0], "float64")
    network.parameters[...] = made.network.parameters
    network.views(network.parameters)[address][index] += move
    x, targets = made.minibatch()
    y = x.astype(np.float64)
    for layer in network.at(len(x)).layers:
        y = layer.forward(y)
    return float(network.at(len(x)).loss.per_sample(y, targets).mean())


def test_an_entry_comes_with_the_losses_that_a_plain_forward_gives() -> None:
    made = trainer()
    report = gradcheck.check(made).tensors["2.W"]
    entry = CloseUp(made).entry(report, (4, 7))
    assert entry.loss_up == pytest.approx(mean_loss(made, "2.W", (4, 7), entry.h), rel=1e-14)
    assert entry.loss_down == pytest.approx(mean_loss(made, "2.W", (4, 7), -entry.h), rel=1e-14)
    assert (entry.loss_up - entry.loss_down) / (2 * entry.h) == pytest.approx(entry.analytic, rel=1e-6)
    assert entry.value == float(made.parameters["2.W"][4, 7])
    assert entry.verdict == "pass"
    assert entry.numeric == float(report.numeric[4, 7])


def test_an_entry_is_of_the_point_that_was_checked_although_training_went_on() -> None:
    made = trainer()
    report, closeup, value = gradcheck.check(made).tensors["0.W"], CloseUp(made), float(made.parameters["0.W"][20, 1])
    for _ in range(5):
        made.step()
    assert closeup.entry(report, (20, 1)).value == value


def test_whether_a_mask_flips_is_told_where_masks_are() -> None:
    made = trainer(0)
    x, y = np.zeros((1, 64)), np.array([3])
    made.set_parameters({"0.b": np.zeros(6)})  # x is 0 too: every ReLU sits exactly on its kink
    for _ in made.phases((x, y)):
        if made.phase is not None and made.phase.kind == "loss":
            break
    report = gradcheck.check(made)
    closeup = CloseUp(made)
    assert closeup.entry(report.tensors["0.b"], (2,)).flips == 1
    assert closeup.entry(report.tensors["2.b"], (2,)).flips is None, "behind it nothing decides"
    assert CloseUp(trainer()).entry(gradcheck.check(trainer()).tensors["0.b"], (2,)).flips == 0


@pytest.mark.parametrize("index", [(), (1,), (64, 0), (0, 6), (-1, 0), (0, 0, 0)])
def test_an_entry_that_is_not_there_is_refused(index: tuple[int, ...]) -> None:
    made = trainer()
    with pytest.raises(IndexError, match=r"0\.W has no entry"):
        CloseUp(made).entry(gradcheck.check(made, mode="projected").tensors["0.W"], index)


def test_the_sweep_in_slices_is_the_sweep() -> None:
    made = trainer()
    *nothing, curve = CloseUp(made).sweep(gradcheck.check(made).tensors["0.W"])
    assert curve is not None
    assert nothing
    assert not any(nothing)
    np.testing.assert_array_equal(curve.error, gradcheck.h_sweep(made, "0.W").error)


# --- the engine process's side --------------------------------------------------------------------


def asked(made: Trainer, *questions: Any) -> list[protocol.Event]:
    """What is sent for a full check and some calls after it."""
    sent: list[protocol.Event] = []
    checks = Checks(sent.append)
    checks.start(made, protocol.Check())
    while checks.at_work:
        checks.work()
    for name, *arguments in questions:
        getattr(checks, name)(*arguments)
        while checks.at_work:
            checks.work()
    return sent


def test_questions_are_answered_in_small_pieces_and_wrong_ones_not_at_all() -> None:
    made = trainer()
    sent = asked(
        made,
        ("tell_entry", "2.W", (4, 7)),
        ("tell_entry", "2.W", (99, 7)),
        ("tell_entry", "9.W", (0, 0)),
        ("start_sweep", "0.b"),
        ("start_sweep", "9.b"),
    )
    told = [event for event in sent if isinstance(event, protocol.Entry | protocol.Sweep)]
    assert [type(event).__name__ for event in told] == ["Entry", "Sweep"]
    for event in sent:
        assert protocol.decode_event(protocol.encode(event)) is not None


def test_a_difference_that_the_network_does_not_allow_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[protocol.Event] = []
    checks = Checks(sent.append)

    def refuse(*_: Any) -> None:
        raise ValueError("difference: layer 1 does not take complex numbers; use central")

    monkeypatch.setattr(gradcheck, "steps", refuse)
    checks.start(trainer(), protocol.Check("full", "complex"))
    assert sent == [protocol.Failed("difference: layer 1 does not take complex numbers; use central")]
    assert not checks.at_work


def test_a_bug_is_told_in_texts() -> None:
    bug = Bug("sign-flipped", "2.W", "It climbs.", np.float64(0.9), {"worst_entry": (3, 1), "factor": -1.0}, "…")
    told = describe_bug(bug)
    assert told.title == "The sign is flipped"
    assert told.evidence == {"worst entry": "3, 1", "factor": "-1"}
    assert protocol.encode(protocol.Checked("full", 1, (), (), "", bugs=(told,)))


def test_pairs_are_all_entries_looked_at_or_the_worst_and_a_spread_of_them() -> None:
    report = gradcheck.check(trainer()).tensors["0.W"]
    every = pairs(report, 4096)
    assert every.shape == (64 * 6, 4)
    np.testing.assert_array_equal(every[:, 0], report.analytic.reshape(-1))
    assert set(every[:, 3].tolist()) <= set(range(len(VERDICTS)))
    some = pairs(report, 100)
    assert 50 <= len(some) <= 100
    worst = int(np.argmax(np.abs(report.analytic - report.numeric)))
    assert worst in some[:, 2]


def test_of_a_sample_only_what_was_looked_at_is_a_pair() -> None:
    report = gradcheck.check(trainer(), mode="sampled").tensors["0.W"]
    assert len(pairs(report, 4096)) == np.isfinite(report.numeric).sum() == gradcheck.SAMPLES
    assert not len(pairs(gradcheck.check(trainer(), mode="projected").tensors["0.W"], 4096))


def test_the_relative_error_is_unknown_where_nobody_looked() -> None:
    report = gradcheck.check(trainer(), mode="sampled").tensors["0.W"]
    error = check_tensor(report, "error", 96)
    assert error is not None
    assert not np.isfinite(error[np.isnan(report.numeric)]).any()


def test_reduced_pictures_of_a_sample_keep_what_was_looked_at() -> None:
    matrix = np.full((400, 400), np.nan)
    matrix[123, 321] = 5.0
    assert np.nanmax(reduce_extremes(matrix, 40, 40, holes=True)) == 5.0
    assert np.isnan(reduce_extremes(matrix, 40, 40)).all()
