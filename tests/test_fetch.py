"""Fetching published data from a server on this computer: whole, broken off, wrong, slow, stopped, and not there."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.datasets import FashionMnist, Mnist, fetch
from engine.datasets.background import BackgroundFetch
from engine.datasets.fetch import TEST_IMAGES, TEST_LABELS, CancelledError, Source
from engine.spec import RecipeError

from file_server import FILES, LABELS, PICTURES, FileServer, serving

SIZE = len(FILES[TEST_IMAGES])


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A server on this computer."""
    with serving() as server:
        yield server


def refusal(source: Source, folder: Path) -> str:
    """Why the files cannot be fetched: one sentence with a cure."""
    with pytest.raises(RecipeError) as refused:
        fetch.fetch(source, "test", folder)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert "; go online and try again, or put the file into" in sentence
    return sentence


def test_files_are_fetched_once_and_then_kept(server: FileServer, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    images, labels = fetch.fetch(server.source, "test", folder)
    assert (images.read_bytes(), labels.read_bytes()) == (FILES[TEST_IMAGES], FILES[TEST_LABELS])
    assert sorted(path.name for path in folder.iterdir()) == [TEST_IMAGES, TEST_LABELS]
    assert len(server.asked) == 2
    fetch.fetch(server.source, "test", folder)
    assert len(server.asked) == 2


def test_progress_is_told_up_to_the_last_byte(server: FileServer, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    fetch.fetch(server.source, "test", tmp_path, progress=lambda *numbers: told.append(numbers))
    of_images = [(done, total) for name, done, total in told if name == TEST_IMAGES]
    size = len(FILES[TEST_IMAGES])
    assert len(of_images) > 1
    assert of_images == sorted(of_images)
    assert of_images[-1] == (size, size)
    assert told[-1] == (TEST_LABELS, len(FILES[TEST_LABELS]), len(FILES[TEST_LABELS]))


def test_a_download_that_broke_off_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    server.break_after = 1000
    size = len(FILES[TEST_IMAGES])
    assert f"the connection broke after 1,000 of {size:,} bytes" in refusal(server.source, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{TEST_IMAGES}.part"]
    server.break_after = None
    told: list[int] = []
    images, _ = fetch.fetch(server.source, "test", tmp_path, progress=lambda _, done, __: told.append(done))
    assert server.asked[1] == (f"/{TEST_IMAGES}", "bytes=1000-")
    assert told[0] > 1000
    assert images.read_bytes() == FILES[TEST_IMAGES]


def test_a_server_that_cannot_begin_in_the_middle_sends_all_of_it_again(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / f"{TEST_IMAGES}.part").write_bytes(FILES[TEST_IMAGES][:1000])
    server.ranges = False
    images, _ = fetch.fetch(server.source, "test", tmp_path)
    assert images.read_bytes() == FILES[TEST_IMAGES]


def test_a_leftover_that_is_too_long_is_thrown_away(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / f"{TEST_IMAGES}.part").write_bytes(bytes(len(FILES[TEST_IMAGES]) + 5))
    images, _ = fetch.fetch(server.source, "test", tmp_path)
    assert images.read_bytes() == FILES[TEST_IMAGES]


def test_a_leftover_of_another_file_is_noticed_and_the_next_attempt_is_clean(
    server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / f"{TEST_IMAGES}.part").write_bytes(bytes(1000))
    assert "what it sent is not the known file" in refusal(server.source, tmp_path)
    assert list(tmp_path.iterdir()) == []
    images, _ = fetch.fetch(server.source, "test", tmp_path)
    assert images.read_bytes() == FILES[TEST_IMAGES]


def test_a_download_stops_when_asked_and_keeps_what_it_has(server: FileServer, tmp_path: Path) -> None:
    told: list[int] = []
    with pytest.raises(CancelledError):
        fetch.fetch(server.source, "test", tmp_path, lambda _, done, __: told.append(done), lambda: bool(told))
    assert len(told) == 1
    assert (tmp_path / f"{TEST_IMAGES}.part").stat().st_size == told[0] < len(FILES[TEST_IMAGES])
    images, _ = fetch.fetch(server.source, "test", tmp_path)
    assert server.asked[1][1] == f"bytes={told[0]}-"
    assert images.read_bytes() == FILES[TEST_IMAGES]


def test_a_file_with_another_hash_is_refused_and_not_kept(server: FileServer, tmp_path: Path) -> None:
    server.content[TEST_IMAGES] = FILES[TEST_LABELS]
    assert "127.0.0.1: what it sent is not the known file" in refusal(server.source, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / TEST_IMAGES).write_bytes(FILES[TEST_IMAGES][:-3])
    images, _ = fetch.fetch(server.source, "test", tmp_path)
    assert images.read_bytes() == FILES[TEST_IMAGES]


def test_the_next_mirror_is_asked_where_one_fails(server: FileServer, tmp_path: Path) -> None:
    (good,) = server.source.mirrors
    images, _ = fetch.fetch(replace(server.source, mirrors=("http://127.0.0.1:9/", good)), "test", tmp_path)
    assert images.read_bytes() == FILES[TEST_IMAGES]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_server_that_refuses_is_named_with_its_answer(server: FileServer, tmp_path: Path, status: int) -> None:
    server.status = status
    assert f"cannot fetch {TEST_IMAGES} of MNIST (127.0.0.1: the server answers {status})" in refusal(
        server.source, tmp_path
    )


def test_without_a_connection_a_sentence_says_so(server: FileServer, tmp_path: Path) -> None:
    offline = replace(server.source, mirrors=("http://127.0.0.1:9/", "http://localhost:9/"))
    sentence = refusal(offline, tmp_path)
    assert "(127.0.0.1: no connection; localhost: no connection)" in sentence
    assert str(tmp_path) in sentence


def test_a_server_that_says_nothing_is_given_up(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr(fetch, "PATIENCE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        assert "127.0.0.1: no answer in time" in refusal(replace(server.source, mirrors=(address,)), tmp_path)


def test_a_folder_that_cannot_be_written_to_is_named(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match=r"cannot write to .*file/inside \(Not a directory\); see to that"):
        fetch.fetch(server.source, "test", tmp_path / "file" / "inside")


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "No space left on device"), (errno.EACCES, "denied")])
def test_a_disk_that_takes_no_more_is_not_blamed_on_the_connection(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", no_room)  # what has come is put into its place
    with pytest.raises(RecipeError, match=rf"cannot write to .* \(.*{words}\); see to that, or name a folder"):
        fetch.fetch(server.source, "test", tmp_path)


# --- in the background ----------------------------------------------------------------------------------


@pytest.fixture
def cache(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a server in place of the internet."""
    monkeypatch.setattr(fetch, "cache_folder", lambda source: tmp_path / source.name)
    monkeypatch.setattr(Mnist, "source", server.source)
    return tmp_path / "mnist"


WANTED = Mnist(part="test", download=True)


def bytes_there(fetching: BackgroundFetch, least: int) -> int:
    """Wait until so many bytes have come; how many they are."""
    deadline = time.monotonic() + 10
    done = 0
    while done < least and time.monotonic() < deadline:
        done = (fetching.news() or ("", done, 0))[1]
        time.sleep(0.01)
    return done


def test_a_slow_servers_bytes_are_told_of_and_kept_as_they_come(server: FileServer, cache: Path) -> None:
    server.hold_after = 1000
    fetching = BackgroundFetch(WANTED)
    assert bytes_there(fetching, 1000) == 1000
    assert fetching.running
    assert fetching.news() is None, "old news"
    server.go_on.set()
    fetching.finish()
    assert not WANTED.must_fetch()
    assert (cache / TEST_IMAGES).read_bytes() == FILES[TEST_IMAGES]


def test_a_fetch_is_given_up_at_once_even_where_the_server_says_nothing(server: FileServer, cache: Path) -> None:
    server.hold_after = 1000
    hanging = BackgroundFetch(WANTED)
    bytes_there(hanging, 1000)
    start = time.monotonic()
    hanging.cancel()
    assert time.monotonic() - start < 1.0
    assert hanging.running, "it hangs no more, so this test proves nothing"
    server.go_on.set()
    with pytest.raises(CancelledError):
        hanging.finish()


def test_a_fetch_given_up_does_not_disturb_the_next_one(server: FileServer, cache: Path) -> None:
    server.hold_after = 1000
    hanging = BackgroundFetch(WANTED)
    bytes_there(hanging, 1000)
    hanging.cancel()
    server.hold_after = None
    BackgroundFetch(WANTED).finish()
    server.go_on.set()
    with pytest.raises(CancelledError):
        hanging.finish()
    assert server.asked[1][1] == "bytes=1000-"
    assert sorted(path.name for path in cache.iterdir()) == [TEST_IMAGES, TEST_LABELS]
    assert (cache / TEST_IMAGES).read_bytes() == FILES[TEST_IMAGES]


def test_what_goes_wrong_in_the_background_is_raised_at_its_end(server: FileServer, cache: Path) -> None:
    server.content[TEST_LABELS] = FILES[TEST_IMAGES]
    with pytest.raises(RecipeError, match="what it sent is not the known file"):
        BackgroundFetch(WANTED).finish()
    assert WANTED.must_fetch()
    assert (cache / TEST_IMAGES).is_file(), "the file that was right is kept"


# --- the dataset ----------------------------------------------------------------------------------------


def test_nothing_is_fetched_unless_it_is_asked_for(server: FileServer, cache: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        Mnist(part="test").load(np.random.default_rng(0))
    assert str(refused.value) == (
        f"data.folder: {TEST_IMAGES} and {TEST_LABELS} of MNIST are not in {cache}; "
        "name the folder that holds them, or turn on download"
    )
    with pytest.raises(RecipeError, match="are not in elsewhere or "):
        Mnist(part="train", folder="elsewhere").load(np.random.default_rng(0))
    assert server.asked == []


def test_mnist_is_fetched_when_asked_for_and_found_in_the_cache_from_then_on(server: FileServer, cache: Path) -> None:
    data = Mnist(part="test", download=True).load(np.random.default_rng(0))
    np.testing.assert_array_equal(np.rint(data.x * 255), PICTURES.reshape(300, -1))
    assert data.labels is not None
    np.testing.assert_array_equal(data.labels, LABELS)
    assert len(server.asked) == 2
    Mnist(part="test", folder="elsewhere").load(np.random.default_rng(0))
    assert len(server.asked) == 2


@pytest.mark.parametrize("name", ["t10k-{}", "t10k-{}.gz", "t10k.{}"])
def test_files_are_found_plain_and_gzipped_and_with_the_dot_of_some_unpackers(tmp_path: Path, name: str) -> None:
    for kind, file in (("images-idx3-ubyte", TEST_IMAGES), ("labels-idx1-ubyte", TEST_LABELS)):
        if name == "t10k.{}":
            (tmp_path / f"t10k-{kind.replace('-idx', '.idx')}").write_bytes(FILES[file])
        else:
            (tmp_path / name.format(kind)).write_bytes(FILES[file])
    assert Mnist(folder=str(tmp_path), part="test", first=20).load(np.random.default_rng(0)).x.shape == (20, 784)


def test_the_published_sets_are_known_by_four_hashes_each_and_asked_for_safely() -> None:
    for kind in (Mnist, FashionMnist):
        assert len(kind.source.sha256) == 4
        assert all(len(bytes.fromhex(hash_)) == 32 for hash_ in kind.source.sha256.values())
        assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in kind.source.mirrors)
        assert len(kind.names) == 10
    assert not set(Mnist.source.sha256.values()) & set(FashionMnist.source.sha256.values())
