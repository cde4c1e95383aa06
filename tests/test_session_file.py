"""A session file opens as the very run that was saved; it is a plain zip; what is no session file is refused."""

import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from test_timeline import EVERYTHING_WITH_A_MEMORY, TINY, recipe, stepped

from engine import Position, Recipe, RecipeError, Run
from engine.conditions import AtPhase, LossRise
from engine.files import hold, remove_parts
from engine.keyframes import DEFAULT_BUDGET, Keyframes
from engine.opened_run import notice, restore
from engine.saved_run import snapshot
from engine.session_archive import Archive
from engine.session_file import SessionFileError, View, write

from replays import first_pass, prints, random_positions, unequal, with_rate

SHIPPED = Path(__file__).parents[1] / "resources" / "recipes"


def save(run: Run, path: Path, view: View | None = None, **how: Any) -> Path:
    """The run in a file."""
    shot = snapshot(run, view or View(), **how)
    write(path, shot.recipe, shot.manifest, shot.members, lambda: False)
    return path


def opened(path: Path) -> Run:
    """The run of a file, its gradients going back to the data as in the window."""
    with Archive(path) as archive:
        run = restore(archive, DEFAULT_BUDGET)
    run.trainer.needs_input_gradient = True
    return run


def begun(base: dict[str, Any] = EVERYTHING_WITH_A_MEMORY, steps: int = 0, budget: int = DEFAULT_BUDGET) -> Run:
    """A run as the window makes it, after so many steps."""
    run = Run(recipe(base), health=True, budget=budget)
    run.trainer.needs_input_gradient = True
    return stepped(run, steps)


def go_on_alike(run: Run, again: Run, steps: int = 100) -> bool:
    """Whether two runs are at the same place now, and at the same bits after so many steps more."""
    alike = run.recorder.here == again.recorder.here and prints(run) == prints(again)
    stepped(run, steps)
    stepped(again, steps)
    rows = [r.history.rows().tobytes() for r in (run, again)]
    return alike and prints(run) == prints(again) and rows[0] == rows[1] and not again.trouble


def rewritten(path: Path, name: str, change: Any) -> Path:
    """The file with one member changed, all checksums right."""
    with zipfile.ZipFile(path) as old:
        members = {info.filename: old.read(info) for info in old.infolist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w") as new:
        for member, data in members.items():
            if data is not None:
                new.writestr(member, data)
    return path


@pytest.mark.parametrize("parts", [0, 1, 5, 11])
def test_the_next_hundred_steps_are_those_that_would_have_come(parts: int, tmp_path: Path) -> None:
    run = begun(steps=25)
    for _ in range(parts):
        run.step_part()
    assert go_on_alike(run, opened(save(run, tmp_path / "a.nabla")))


def test_every_shipped_recipe_opens_as_it_was_saved(tmp_path: Path) -> None:
    wrong = []
    for file in sorted(SHIPPED.glob("*.json")):
        try:
            run = Run(Recipe.from_file(file), health=True)
        except RecipeError:
            continue  # its data must be fetched
        run.trainer.needs_input_gradient = True
        for _ in range(3):
            run.step()
        run.step_part()
        if not go_on_alike(run, opened(save(run, tmp_path / "a.nabla")), steps=3):
            wrong.append(file.stem)
    assert wrong == []


def test_weights_that_came_out_of_a_file_come_back_at_their_place_in_time(tmp_path: Path) -> None:
    run = begun(steps=20)
    network = run.trainer.network
    values = {slot.address: slot.view(network.parameters) * 0.5 for slot in network.slots[:3]}
    values |= {slot.address: slot.view(network.buffers) + 0.25 for slot in network.buffer_slots}
    run.load(values, "weights.npz")
    stepped(run, 10)
    again = opened(save(run, tmp_path / "loaded.nabla"))
    for each in (run, again):
        each.seek(19)
        each.seek(24)
    assert go_on_alike(run, again, 20)


def test_a_run_that_began_with_weights_of_another_network_does_so_again(tmp_path: Path) -> None:
    before = begun(steps=12)
    wider = msgspec.structs.replace(before.trainer.recipe, batch_size=9)
    run = Run(wider, health=True, budget=DEFAULT_BUDGET, after=before)
    run.trainer.needs_input_gradient = True
    stepped(run, 15)
    again = opened(save(run, tmp_path / "kept.nabla"))
    assert again.kept == run.kept is not None
    for each in (run, again):
        each.restart()
    assert go_on_alike(run, again, 10)


def test_the_past_forks_changes_and_breakpoints_come_back(tmp_path: Path) -> None:
    run = begun()
    changes = {
        Position(7, 3): lambda r: r.adopt(with_rate(r.trainer.recipe, 0.05)),
        Position(9, 9): lambda r: r.edit("0.W", (1, 2), float("nan")),
        Position(11, 0): lambda r: r.edit("data.labels", 1, 2),
        Position(12, 2): lambda r: r.edit("data.x", (2, 1), -4.0),
    }
    seen = first_pass(run, 30, random_positions(run, 30, 30), changes)
    run.seek(20)
    run.edit("0.b", 1, 0.25)
    stepped(run, 15)
    run.breakpoints.add(AtPhase(kind="update")).hits = 7
    run.breakpoints.add(LossRise(by=0.5)).enabled = False
    run.seek(28, 4)
    again = opened(save(run, tmp_path / "a.nabla"))
    assert again.recorder.here == Position(28, 4)
    for fork, same in zip(run.forks.values(), again.forks.values(), strict=True):
        assert (fork.name, fork.start, fork.tip) == (same.name, same.start, same.tip)
        assert repr(fork.changes) == repr(same.changes), "NaN is not equal to itself"
    kept = [(b.condition, b.enabled, b.hits) for b in again.breakpoints]
    assert kept == [(AtPhase(kind="update"), True, 7), (LossRise(by=0.5), False, 0)]
    for found in list(again.breakpoints):
        again.breakpoints.remove(found)
    again.switch("main")
    assert unequal(again, seen) == []
    assert again.trouble == ""


def test_a_label_changed_before_the_only_keyframe_that_is_near_is_changed_where_it_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(steps=10)
    monkeypatch.setattr(Keyframes, "due", lambda self: len(run.history) == 15)
    run.step_part()
    run.edit("data.labels", 1, (run.trainer.batch_labels[1] + 1) % 3)  # type: ignore[index]
    stepped(run, 8)
    again = opened(save(run, tmp_path / "label.nabla"))
    assert again.trouble == ""
    assert go_on_alike(run, again, 30)


def test_where_a_mini_batch_was_changed_in_its_middle_it_opens_there(tmp_path: Path) -> None:
    run = begun(steps=12)
    for _ in range(4):
        run.step_part()
    run.edit("0.W", (0, 0), 2.0)
    run.step_part()
    assert go_on_alike(run, opened(save(run, tmp_path / "a.nabla", room=0)))


@pytest.mark.parametrize("far", [False, True])
def test_after_an_edit_at_the_end_of_a_step_it_opens_edited_and_its_past_is_as_it_was(
    far: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(steps=40)
    monkeypatch.setattr("engine.keyframes.Keyframes.due", lambda _: False)
    run.edit("0.W", (0, 0), 2.0)
    if far:
        monkeypatch.setattr("engine.opened_run.MOST_STEPS", -1)
    again = opened(save(run, tmp_path / "a.nabla", room=0))
    again.step()
    run.step()
    assert prints(run) == prints(again)
    again.seek(38)
    again.seek(41)
    alike = go_on_alike(run, again, steps=9)
    assert alike or (far and prints(run) == prints(again)), "far away, the first health figures are unknown"
    assert not again.trouble


def test_before_the_first_step_and_with_few_keyframes_it_opens_too(tmp_path: Path) -> None:
    run = begun(TINY)
    assert go_on_alike(run, opened(save(run, tmp_path / "a.nabla", room=0)), steps=70)
    whole, few = (save(run, tmp_path / f"{room}.nabla", room=room) for room in (10**9, 0))
    assert few.stat().st_size < whole.stat().st_size
    again = opened(few)
    run.seek(35)
    again.seek(35)
    assert prints(run) == prints(again)


def test_a_file_is_a_zip_that_numpy_alone_reads(tmp_path: Path) -> None:
    run = begun(TINY, 9)
    path = save(run, tmp_path / "a.nabla", View(recipes=(run.trainer.recipe,), layout="here"))
    with np.load(path, allow_pickle=False) as file:
        text = json.loads(file["session.json"])
        scalars, here = file["scalars/0"], file["here"]
        assert Recipe.from_json(file["recipe.json"]) == run.trainer.recipe
    assert text["position"][0] == 9
    assert text["view"]["layout"] == "here"
    np.testing.assert_array_equal(scalars[:, text["columns"].index("loss")], run.history["loss"])
    np.testing.assert_array_equal(here[0, : run.trainer.network.parameters.size], run.trainer.network.parameters)


def manifest_with(**fields: Any) -> Any:
    """What changes session.json in some fields."""
    return lambda text: json.dumps({**json.loads(text), **fields}).encode()


DAMAGE: dict[str, tuple[str, Any, str]] = {
    "a newer format": ("session.json", manifest_with(format=2), "newer Nablascope"),
    "a huge shape": ("first.npy", lambda b: b.replace(b"(1, ", b"(1000000000, ")[: len(b)], "damaged"),
    "a pickled array": ("first.npy", lambda b: b.replace(b"'<f4'", b"'|O' "), "damaged"),
    "an array cut off": ("first.npy", lambda b: b[:-8], "cut off"),
    "no recipe": ("recipe.json", lambda _: None, "recipe.json is missing"),
    "another recipe": ("recipe.json", lambda b: b.replace(b'"units": 5', b'"units": 50000'), "not of one session"),
    "a text that is none": ("session.json", lambda _: b"\xff{", "damaged"),
    "a path that is not there": ("session.json", manifest_with(path=5), "damaged"),
    "a place outside the run": ("session.json", manifest_with(position=[10**9, 2]), "damaged"),
    "a wrong type": ("session.json", manifest_with(columns=3), "session.json is wrong at"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_refused_with_a_sentence(kind: str, tmp_path: Path) -> None:
    name, change, said = DAMAGE[kind]
    path = rewritten(save(begun(TINY, 9), tmp_path / "a.nabla"), name, change)
    with pytest.raises(SessionFileError, match=said) as caught:
        opened(path)
    assert str(caught.value).startswith("a.nabla")
    assert "\n" not in str(caught.value)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = save(begun(TINY, 9), tmp_path / "a.nabla")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.npy", bytes(10_000_000))
    with pytest.raises(SessionFileError, match="damaged"):
        Archive(path)


@pytest.mark.parametrize("text", [b"", b"PK", b"x" * 1000])
def test_what_is_no_session_file_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.nabla").write_bytes(text)
    for path, said in ((tmp_path / "a.nabla", "no session file"), (tmp_path / "b.nabla", "does not exist")):
        with pytest.raises(SessionFileError, match=said):
            Archive(path)


def test_a_file_that_lacks_what_was_added_later_opens(tmp_path: Path) -> None:
    path = save(begun(TINY, 9), tmp_path / "a.nabla")
    later = ("here", "data", "own_code", "breakpoints", "view", "recipes")

    def older(text: bytes) -> bytes:
        return json.dumps({k: v for k, v in json.loads(text).items() if k not in later}).encode()

    assert opened(rewritten(path, "session.json", older)).position.step == 9


def test_data_that_have_changed_are_told_of(tmp_path: Path) -> None:
    path = save(begun(TINY, 9), tmp_path / "a.nabla")
    rewritten(path, "session.json", manifest_with(data="0" * 64))
    with Archive(path) as archive:
        assert "data have changed" in notice(archive, restore(archive, DEFAULT_BUDGET))


@pytest.mark.parametrize("where", ["no folder/a.nabla", "folder", "x" * 300 + ".nabla", "full"])
def test_what_cannot_be_written_is_told_and_nothing_is_lost(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(TINY)
    old = save(run, tmp_path / "full").read_bytes()
    (tmp_path / "folder").mkdir()
    if where == "full":
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(SessionFileError, match="cannot save") as told:
        save(run, tmp_path / where)
    assert len(str(told.value)) < 200
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "full"]
    assert (tmp_path / "full").read_bytes() == old


def test_names_may_hold_spaces_and_any_letters_and_be_long(tmp_path: Path) -> None:
    for name in ("ein Lauf ∇ 走.nabla", "y" * 240 + ".nabla"):
        run = begun(TINY, 2)
        assert opened(save(run, tmp_path / name)).position.step == 2


@pytest.mark.skipif(sys.platform == "win32", reason="an open file protects itself there")
def test_half_a_file_that_a_killed_process_left_is_removed_by_the_next_save(tmp_path: Path) -> None:
    dead, mine = tmp_path / ".a.nabla.part-1", tmp_path / ".a.nabla.part-2"
    for part in (dead, mine):
        part.write_bytes(b"half")
    with mine.open("ab") as file:
        assert hold(file)
        remove_parts(tmp_path)
    assert (dead.exists(), mine.exists()) == (False, True)


def test_keyframes_that_are_being_written_are_not_written_over(tmp_path: Path) -> None:
    run = begun(TINY, 300, budget=60_000)
    run.recorder.keyframes.lent = 1
    shot = snapshot(run, View())
    kept = prints(run)
    stepped(run, 400)
    write(tmp_path / "a.nabla", shot.recipe, shot.manifest, shot.members, lambda: False)
    again = opened(tmp_path / "a.nabla")
    assert prints(again) == kept
    seen = {Position(step, 2) for step in range(1, 300, 29)}
    for position in seen:
        run.seek(*position)
        again.seek(*position)
        assert prints(run) == prints(again)
    assert again.trouble == ""


def test_a_recipe_of_another_network_among_those_of_a_run_is_refused(tmp_path: Path) -> None:
    run = begun(TINY, 3)
    other = msgspec.to_builtins(msgspec.structs.replace(run.trainer.recipe, batch_size=9))
    path = rewritten(save(run, tmp_path / "a.nabla"), "session.json", manifest_with(recipes=[other]))
    with pytest.raises(SessionFileError, match="another network"):
        opened(path)
