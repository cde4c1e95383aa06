"""A recipe: read, written, and refused in one sentence that names the field, the fault and the cure."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Recipe, RecipeError, Trainer
from engine.datasets import Digits, Samples
from engine.recipe import only_live_fields_differ, validated

EXAMPLE = (
    '{"format":1,"name":"…","seed":7,"dtype":"float32","data":{"kind":"digits"},"layers":[{"kind":"dense","units":32},'
    '{"kind":"relu"},{"kind":"dense","units":10}],"loss":{"kind":"softmax_cross_entropy"},'
    '"optimizer":{"kind":"sgd","lr":0.1},"batch_size":32}'
)


def changed(**fields: object) -> str:
    """The example with some of its fields replaced."""
    return json.dumps({**json.loads(EXAMPLE), **fields})


def with_layers(*layers: dict[str, object]) -> str:
    """The example with other layers."""
    return changed(layers=list(layers))


def test_a_recipe_written_and_read_again_is_the_same() -> None:
    recipe = Recipe.from_json(EXAMPLE)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert validated(recipe) == recipe


def test_what_has_a_sensible_default_may_be_left_out() -> None:
    recipe = Recipe.from_json('{"layers":[{"kind":"dense","units":10}]}')
    assert (recipe.data.kind(), recipe.loss.kind(), recipe.optimizer.kind()) == (
        "digits",
        "softmax_cross_entropy",
        "sgd",
    )


REFUSED_AS_WRITTEN = {
    "cut off": (EXAMPLE[:40], "cut off"),
    "empty": ("", "cut off or empty"),
    "no JSON": ("layers: dense", "not valid JSON"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\xff", "not valid JSON"),
    "a list": ("[1, 2]", "must be object"),
    "nested without end": ("[" * 100_000, "nested"),
    "newer format": (changed(format=2), "newer Nablascope"),
    "unknown layer kind": (with_layers({"kind": "dnse", "units": 3}), "did you mean 'dense'?"),
    "unknown kind in a block": (
        with_layers({"kind": "residual", "layers": [{"kind": "rely"}]}),
        "layers[0].layers[0].kind: 'rely' is not a known kind; did you mean 'relu'?",
    ),
    "unknown data kind": (changed(data={"kind": "imagenet"}), "use one of digits"),
    "unknown loss": (changed(loss={"kind": "squared"}), "loss.kind"),
    "no kind": (with_layers({"units": 3}), "layers[0]"),
    "units 0": (with_layers({"kind": "dense", "units": 0}), "layers[0].units must be int >= 1, not 0"),
    "units 10⁹": (with_layers({"kind": "dense", "units": 10**9}), "layers[0].units must be int <= 65536"),
    "units as text": (with_layers({"kind": "dense", "units": "ten"}), "layers[0].units must be int, not 'ten'"),
    "no units": (with_layers({"kind": "dense"}), "'units' is missing"),
    "unknown field": (with_layers({"kind": "relu", "slop": 1}), "'slop' is not known"),
    "no layers": (with_layers(), "layers"),
    "batch size 0": (changed(batch_size=0), "batch_size must be int >= 1, not 0"),
    "negative rate": (changed(optimizer={"kind": "sgd", "lr": -0.1}), "optimizer.lr"),
    "infinite rate": (EXAMPLE.replace("0.1", "1e999"), "optimizer.lr|not valid JSON"),
    "NaN": (EXAMPLE.replace("0.1", "NaN"), "not valid JSON"),
    "dtype": (changed(dtype="float16"), "dtype"),
    "seed": (changed(seed=-1), "seed must be int >= 0"),
}


@pytest.mark.parametrize("name", REFUSED_AS_WRITTEN)
def test_a_malformed_recipe_is_refused_in_one_sentence_with_the_path(name: str) -> None:
    text, words = REFUSED_AS_WRITTEN[name]
    with pytest.raises(RecipeError) as refusal:
        Recipe.from_json(text)
    sentence = str(refusal.value)
    assert any(word in sentence for word in words.split("|")), sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence


REFUSED_AT_BUILD = {
    "pictures into Dense": (
        changed(data={"kind": "digits", "flatten": False}),
        ["layers[0] (dense)", "(in,) → (32,)", "8×8", "insert a Flatten"],
    ),
    "too few outputs": (with_layers({"kind": "dense", "units": 5}), ["layers[0] (dense)", "5", "10 classes", "to 10"]),
    "no flat output": (
        changed(data={"kind": "digits", "flatten": False}, layers=[{"kind": "relu"}]),
        ["layers[0] (relu)", "8×8", "flatten"],
    ),
    "batch larger than the data": (changed(batch_size=2000), ["batch_size", "2000", "1438"]),
    "too many parameters": (
        with_layers(*[{"kind": "dense", "units": 65536}] * 3, {"kind": "dense", "units": 10}),
        ["parameters", "smaller"],
    ),
}


@pytest.mark.parametrize("name", REFUSED_AT_BUILD)
def test_what_cannot_be_built_is_refused_with_layer_shapes_and_cure(name: str) -> None:
    text, words = REFUSED_AT_BUILD[name]
    with pytest.raises(RecipeError) as refusal:
        Trainer(Recipe.from_json(text))
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_not_a_number_in_the_data_is_refused(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    load = Digits.load

    def damaged(self: Digits, rng: np.random.Generator) -> Samples:
        samples = load(self, rng)
        samples.x[3, 4] = bad
        return samples

    monkeypatch.setattr(Digits, "load", damaged)
    with pytest.raises(RecipeError, match="data: the samples hold NaN or infinity"):
        Trainer(Recipe.from_json(EXAMPLE))


def test_not_a_number_in_a_setting_is_refused_even_when_made_in_code() -> None:
    recipe = Recipe.from_json(EXAMPLE)
    with pytest.raises(ValueError, match="lr must be a finite number"):
        msgspec.structs.replace(recipe.optimizer, lr=float("nan"))


def test_files_that_are_no_recipe_get_a_sentence_with_their_name(tmp_path: Path) -> None:
    missing, folder = tmp_path / "gone.json", tmp_path
    with pytest.raises(RecipeError, match=r"gone\.json does not exist"):
        Recipe.from_file(missing)
    with pytest.raises(RecipeError, match="is a folder"):
        Recipe.from_file(folder)
    binary = tmp_path / "picture.json"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(RecipeError, match=r"picture\.json: .*not valid JSON"):
        Recipe.from_file(binary)
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.from_file("with\0nul")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read every file")
def test_an_unreadable_file_gets_a_sentence(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(EXAMPLE)
    secret.chmod(0)
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.from_file(secret)


def taken_or_refused(read: Callable[[], Recipe]) -> Recipe | str:
    """The recipe, or the sentence that refuses it; any other exception goes through."""
    try:
        return read()
    except RecipeError as error:
        return str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["seed", "dtype", "data", "layers", "loss", "optimizer", "batch_size", "x"]), json_values)
def test_anything_at_all_in_a_field_is_taken_or_refused_but_never_breaks(field: str, value: object) -> None:
    raw = {**json.loads(EXAMPLE), field: value}
    outcome = taken_or_refused(lambda: Recipe.from_builtins(raw))
    if isinstance(outcome, Recipe):
        assert validated(outcome) == outcome
    else:
        assert "\n" not in outcome.replace(repr(value), "")


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200) | st.integers(0, len(EXAMPLE)).map(lambda n: EXAMPLE[:n].encode()))
def test_any_bytes_are_a_recipe_or_a_sentence(data: bytes) -> None:
    outcome = taken_or_refused(lambda: Recipe.from_json(data))
    assert isinstance(outcome, Recipe) or 0 < len(outcome) < 400


def test_live_fields_are_told_from_those_that_need_a_restart() -> None:
    recipe = Recipe.from_json(EXAMPLE)
    faster = msgspec.structs.replace(recipe, optimizer=msgspec.structs.replace(recipe.optimizer, lr=0.5, momentum=0.9))
    assert only_live_fields_differ(recipe, faster)
    assert not only_live_fields_differ(recipe, msgspec.structs.replace(recipe, seed=8))
    assert not only_live_fields_differ(recipe, msgspec.structs.replace(faster, batch_size=16))


def test_blocks_nested_without_end_are_refused_in_a_sentence() -> None:
    block: dict[str, object] = {"kind": "relu"}
    for _ in range(400):
        block = {"kind": "residual", "layers": [block]}
    with pytest.raises(RecipeError) as refusal:
        Trainer(Recipe.from_builtins({"layers": [block]}))
    assert "\n" not in str(refusal.value)
