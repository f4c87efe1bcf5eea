"""Downloads that either complete or leave nothing behind, from a server of our own."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.data import http as fetching
from core.data import raw_files
from core.data.datasets import Cancelled, Unavailable
from tests.core.data.small_sets import MNIST, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, Listener, content, load, put

pytestmark = pytest.mark.usefixtures("small_sets")


@dataclass
class Server:
    """A server of the archives; `faults` maps a file to how its next request fails."""

    address: str
    archives: dict[str, bytes]
    requests: list[str] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    release: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.lstrip("/")
        self.requests.append(name)
        self.asked.set()
        fault = self.faults.pop(name, "")
        body = self.archives[name]
        if fault == "gone":
            return request.send_error(404)
        if fault == "silent":
            self.release.wait(20)
            return None
        if fault == "wrong":
            body = bytes(len(body))
        request.send_response(200)
        if fault != "no length":
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: len(body) // 2])
        if fault == "paused":
            request.wfile.flush()
            self.release.wait(20)
        if fault != "cut":
            request.wfile.write(body[len(body) // 2 :])
        return None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    from torchvision.datasets import MNIST as source

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # the client has left
                served.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    archives = {f"{file.name}.gz": gzip.compress(content(MNIST, file), 1) for file in MNIST.files}
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        served = Server(f"http://127.0.0.1:{http.server_port}/", archives)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(source, "mirrors", [served.address])
        sums = [(name, hashlib.md5(body).hexdigest()) for name, body in archives.items()]
        monkeypatch.setattr(source, "resources", sums)
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield served
        served.release.set()
        http.shutdown()


def assert_nothing_left(data_dir: Path) -> None:
    assert [path.name for path in data_dir.iterdir()] == [".download.lock"]


def test_download(server: Server, tmp_path: Path) -> None:
    data_dir = tmp_path / "new" / "data"
    listener = Listener()
    dataset = listener.load("auto", data_dir)
    assert dataset.name == "mnist"
    assert len(dataset.train_labels) == 100
    assert sorted(server.requests) == sorted(server.archives)
    assert [str(message) for message in listener.messages] == [f"downloading MNIST from {server.address[7:-1]}"]
    assert listener.fractions == sorted(listener.fractions)
    assert listener.fractions[-1] == 1.0
    assert raw_files.on_disk(data_dir) == ["mnist"]
    assert {path.name for path in data_dir.iterdir()} == {"MNIST", ".download.lock"}
    assert load("mnist", data_dir).digest == dataset.digest
    assert len(server.requests) == 4


def test_only_the_missing_file_is_fetched(server: Server, tmp_path: Path) -> None:
    data_dir = put(tmp_path)
    whole = load("mnist", data_dir).digest
    MNIST.path(data_dir, TEST_LABELS).unlink()
    assert load("mnist", data_dir).digest == whole
    assert server.requests == [f"{TEST_LABELS.name}.gz"]


def test_an_archive_that_another_program_left_unfinished_is_not_in_the_way(server: Server, tmp_path: Path) -> None:
    path = MNIST.path(put(tmp_path), TEST_LABELS)
    left = path.rename(path.with_name(f"{path.name}.gz"))
    left.write_bytes(server.archives[left.name][:-5])
    assert load("mnist", tmp_path).name == "mnist"
    assert server.requests == [left.name]


def test_archive_of_unknown_length(server: Server, tmp_path: Path) -> None:
    server.faults = dict.fromkeys(server.archives, "no length")
    listener = Listener()
    listener.load("mnist", tmp_path)
    assert listener.fractions[-1] == 1.0


@pytest.mark.parametrize(
    ("fault", "said"),
    [("cut", "cut after"), ("wrong", "wrong checksum"), ("gone", "HTTP 404"), ("silent", "nothing|timed")],
)
def test_broken_download_leaves_nothing_and_the_next_try_works(
    fault: str, said: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults[f"{TEST_IMAGES.name}.gz"] = fault
    with monkeypatch.context() as patch:
        patch.setattr(fetching, "_TIMEOUT_S", 0.3 if fault == "silent" else 10)
        with pytest.raises(Unavailable, match=said) as caught:
            load("mnist", tmp_path)
    assert server.address[7:-1] in str(caught.value)
    assert_nothing_left(tmp_path)
    assert load("mnist", tmp_path).name == "mnist"


def test_second_mirror_is_asked_and_the_first_left_alone(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import MNIST as source

    monkeypatch.setattr(source, "mirrors", ["http://127.0.0.1:9/", server.address])
    listener = Listener()
    assert listener.load("mnist", tmp_path).name == "mnist"
    hosts = [message.values["host"] for message in listener.messages]
    assert hosts == ["127.0.0.1:9", server.address[7:-1]]


@pytest.mark.usefixtures("no_network")
def test_auto_falls_back_to_the_sample_and_says_why(tmp_path: Path) -> None:
    listener = Listener()
    assert listener.load("auto", tmp_path).name == "sample"
    assert listener.heard("Temporary failure in name resolution): the embedded sample")
    assert_nothing_left(tmp_path)
    with pytest.raises(Unavailable, match="Temporary failure") as caught:
        load("fashion-mnist", tmp_path)
    assert "amazonaws.com" in str(caught.value)


def test_auto_does_not_pass_over_files_that_are_there(server: Server, tmp_path: Path) -> None:
    data_dir = put(tmp_path)
    MNIST.path(data_dir, TEST_LABELS).unlink()
    server.faults[f"{TEST_LABELS.name}.gz"] = "gone"
    with pytest.raises(Unavailable):
        load("auto", data_dir)


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to("nowhere/at/all")
    with pytest.raises(Unavailable, match=str(tmp_path / "data")):
        load("mnist", tmp_path / "data")
    listener = Listener()
    assert listener.load("auto", tmp_path / "data").name == "sample"
    assert listener.heard(str(tmp_path / "data"))


def test_full_disk_is_named(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left on device") as caught:
        load("mnist", tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert_nothing_left(tmp_path)


def test_leftovers_of_a_killed_download_are_removed(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".incoming-killed").mkdir()
    (tmp_path / ".incoming-killed" / "half").touch()
    load("mnist", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"MNIST", ".download.lock"}


@pytest.mark.parametrize("fault", ["paused", "silent"])
def test_cancel(fault: str, server: Server, tmp_path: Path) -> None:
    server.faults[f"{TRAIN_IMAGES.name}.gz"] = fault
    with pytest.raises(Cancelled):
        Listener(stop=server.asked.is_set).load("auto", tmp_path)
    assert_nothing_left(tmp_path)
    server.release.set()
    assert load("mnist", tmp_path).name == "mnist"


def test_second_process_waits_and_fetches_nothing(server: Server, tmp_path: Path) -> None:
    server.faults[f"{TRAIN_IMAGES.name}.gz"] = "paused"
    second = Listener()

    def hears_that_it_waits() -> bool:
        if second.heard("waiting for another download"):
            server.release.set()
        return False

    second.stop = hears_that_it_waits
    with ThreadPoolExecutor() as pool:
        first_set = pool.submit(load, "mnist", tmp_path)
        assert server.asked.wait(10)
        second_set = pool.submit(second.load, "mnist", tmp_path)
        assert first_set.result().digest == second_set.result().digest
    assert len(server.requests) == 4
    assert len(second.messages) == 1


def test_waiting_can_be_cancelled(server: Server, tmp_path: Path) -> None:
    server.faults[f"{TRAIN_IMAGES.name}.gz"] = "paused"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(load, "mnist", tmp_path)
        assert server.asked.wait(10)
        with pytest.raises(Cancelled):
            Listener(stop=lambda: True).load("mnist", tmp_path)
        server.release.set()
        assert first.result().name == "mnist"
