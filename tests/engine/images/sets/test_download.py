"""Downloads from a server on this machine: progress, resume, checksums, refusals, and archives that would escape."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from types import SimpleNamespace

import pytest

from engine.core.errors import InputError
from engine.images.datasets import add_benchmark
from engine.images.scan import scan
from engine.images.sets import cifar, fashion_mnist, imagenette, stl10
from engine.images.sets.download import Missing, fetch, unpack
from engine.images.sets.registry import open_benchmark
from tests.engine.images.pictures import write
from tests.engine.images.sets import files
from tests.engine.images.test_scan import Watcher


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the server's files, ranges included; may cut an answer short or refuse."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        data = self.server.files.get(self.path)
        if data is None or self.server.refuse:
            self.send_error(self.server.refuse or 404)
            return
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start >= len(data) and start:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        stop = self.server.cut.pop(self.path, None)
        self.wfile.write(data[start:stop])

    def log_message(self, *args): ...


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.files, found.asked, found.cut, found.refuse = {}, [], {}, 0
    found.url = f"http://127.0.0.1:{found.server_port}"
    threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
    open_benchmark.cache_clear()
    yield found
    found.shutdown()
    found.server_close()


DATA = os.urandom(3 << 20)


def digest(data: bytes, algorithm: str = "md5") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()}"


def test_a_file_arrives_with_progress_and_is_asked_for_once(server, tmp_path):
    server.files["/x.bin"] = DATA
    watcher = Watcher()
    for _ in range(2):
        fetch(f"{server.url}/x.bin", tmp_path / "a" / "x.bin", digest(DATA, "sha256"), title="X", progress=watcher)
    assert (tmp_path / "a" / "x.bin").read_bytes() == DATA
    assert len(server.asked) == 1
    steps = [heard[:2] for heard in watcher.heard if heard[2] == "Downloading X"]
    assert len(steps) >= 3
    assert steps[-1] == (len(DATA), len(DATA))


def test_an_interrupted_download_goes_on(server, tmp_path):
    server.files["/x.bin"], server.cut["/x.bin"] = DATA, 1_000_000
    with pytest.raises(Missing, match="no answer from the network"):
        fetch(f"{server.url}/x.bin", tmp_path / "x.bin", digest(DATA), title="X")
    assert not (tmp_path / "x.bin").exists()
    assert (tmp_path / "x.bin.part").stat().st_size == 1_000_000
    fetch(f"{server.url}/x.bin", tmp_path / "x.bin", digest(DATA), title="X")
    assert server.asked[-1] == ("/x.bin", "bytes=1000000-")
    assert (tmp_path / "x.bin").read_bytes() == DATA


def test_a_download_that_was_complete_but_not_renamed(server, tmp_path):
    server.files["/x.bin"] = DATA
    (tmp_path / "x.bin.part").write_bytes(DATA)
    fetch(f"{server.url}/x.bin", tmp_path / "x.bin", digest(DATA), title="X")
    assert (tmp_path / "x.bin").read_bytes() == DATA


def test_what_is_not_the_published_file_is_refused(server, tmp_path):
    server.files["/x.bin"] = DATA
    with pytest.raises(InputError, match="checksum differs"):
        fetch(f"{server.url}/x.bin", tmp_path / "x.bin", digest(b"other"), title="X")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x.bin").write_bytes(b"already here, and wrong")
    with pytest.raises(InputError, match="checksum differs"):
        fetch(f"{server.url}/x.bin", tmp_path / "x.bin", digest(DATA), title="X")
    assert (tmp_path / "x.bin").exists()


@pytest.mark.parametrize(("code", "word"), [(404, "answered 404"), (403, "accept its terms"), (500, "answered 500")])
def test_refusals_are_one_sentence(server, tmp_path, code, word):
    server.refuse = code
    with pytest.raises(Missing, match=word) as caught:
        fetch(f"{server.url}/x.bin", tmp_path / "x.bin", digest(DATA), title="The Set")
    assert caught.value.sentence.startswith("The Set is not on this machine")
    assert f"Put x.bin into {tmp_path}" in caught.value.hint


def test_no_network(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(Missing, match="no answer from the network"):
        fetch(f"{server.url}/x.bin", tmp_path / "x.bin", digest(DATA), title="X")


def test_unpacking_stays_inside_and_takes_plain_files_only(tmp_path):
    folder = tmp_path / "set"
    write(folder / "a" / "1.txt", b"one")
    write(folder / "big.bin", b"left out")
    (folder / "link").symlink_to("/etc")
    extra = {"set/../escaped.txt": b"!", "/absolute.txt": b"!", "other/2.txt": b"!", "set/a/../../escaped2.txt": b"!"}
    archive = files.archive(folder, tmp_path / "set.tar.gz", extra)
    target = tmp_path / "out" / "set"
    target.parent.mkdir()
    unpack(archive, "set", target, skip=("big.bin",))
    assert [path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()] == ["a/1.txt"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["set"]
    assert not (tmp_path / "escaped.txt").exists()


def test_a_damaged_archive_leaves_nothing(tmp_path):
    write(tmp_path / "set" / "1.bin", os.urandom(100_000))
    archive = files.archive(tmp_path / "set", tmp_path / "set.tar.gz")
    archive.write_bytes(archive.read_bytes()[:50_000])
    with pytest.raises(InputError, match="it is damaged"):
        unpack(archive, "set", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*partial"))


def serve_archive(server, monkeypatch, tmp_path, module, folder, name):
    data = files.archive(tmp_path / "made" / folder, tmp_path / "made.tar.gz").read_bytes()
    server.files[f"/{name}"] = data
    monkeypatch.setattr(module, "URL", f"{server.url}/")
    return digest(data)


def test_cifar_is_downloaded_checked_and_scanned(server, workspace, tmp_path, rng, monkeypatch):
    monkeypatch.setitem(cifar.CHECKSUMS, "cifar-10-batches-py", files.cifar10(tmp_path / "made", rng))
    sent = serve_archive(server, monkeypatch, tmp_path, cifar, "cifar-10-batches-py", "cifar-10-python.tar.gz")
    monkeypatch.setitem(cifar.ARCHIVES, "cifar-10-batches-py", ("cifar-10-python.tar.gz", sent))
    dataset = add_benchmark(workspace, "cifar10", data_root=tmp_path / "root")
    watcher = Watcher()
    found = scan(workspace, dataset.id, progress=watcher)
    assert (found.readable, found.splits) == (24, {"test": 4, "train": 20})
    assert {"Downloading CIFAR-10", "Reading images"} <= {heard[2] for heard in watcher.heard}
    open_benchmark.cache_clear()
    scan(workspace, dataset.id)
    assert len(server.asked) == 1


def test_an_archive_already_in_the_data_root_needs_no_network(workspace, tmp_path, rng, monkeypatch):
    monkeypatch.setitem(cifar.CHECKSUMS, "cifar-100-python", files.cifar100(tmp_path / "made", rng))
    archive = files.archive(tmp_path / "made" / "cifar-100-python", tmp_path / "cifar-100-python.tar.gz")
    monkeypatch.setitem(cifar.ARCHIVES, "cifar-100-python", (archive.name, digest(archive.read_bytes())))
    monkeypatch.setattr(cifar, "URL", "http://127.0.0.1:9/")
    assert scan(workspace, add_benchmark(workspace, "cifar100", data_root=tmp_path).id).readable == 12


def test_the_other_archives(server, tmp_path, rng, monkeypatch):
    files.stl10(tmp_path / "made", rng)
    sent = serve_archive(server, monkeypatch, tmp_path, stl10, "stl10_binary", "stl10_binary.tar.gz")
    monkeypatch.setattr(stl10, "CHECKSUM", sent)
    source = open_benchmark("stl10", str(tmp_path / "root"))
    source.prepare()
    assert len(list(source.entries())) == 10
    assert not (tmp_path / "root" / "stl10_binary" / "unlabeled_X.bin").exists()
    files.imagenette(tmp_path / "made")
    sent = serve_archive(server, monkeypatch, tmp_path, imagenette, "imagenette2-320", "imagenette2-320.tgz")
    monkeypatch.setattr(imagenette, "CHECKSUM", sent)
    source = open_benchmark("imagenette", str(tmp_path / "root"))
    source.prepare()
    assert len(list(source.entries())) == 3


def test_fashion_mnist_fetches_only_what_is_missing(server, tmp_path, rng, monkeypatch):
    files.fashion_mnist(tmp_path, rng)
    raw = tmp_path / "FashionMNIST" / "raw"
    data = (raw / "t10k-labels-idx1-ubyte.gz").read_bytes()
    (raw / "t10k-labels-idx1-ubyte.gz").unlink()
    server.files["/t10k-labels-idx1-ubyte.gz"] = data
    monkeypatch.setattr(fashion_mnist, "URL", f"{server.url}/")
    monkeypatch.setitem(fashion_mnist.FILES, "t10k-labels-idx1-ubyte", digest(data))
    source = open_benchmark("fashion-mnist", str(tmp_path))
    source.prepare()
    assert len(list(source.entries())) == 10
    assert [path for path, _ in server.asked] == ["/t10k-labels-idx1-ubyte.gz"]


@pytest.fixture
def hub(server, tmp_path, monkeypatch):
    """A hub on this machine that holds the shards of a small set."""
    import huggingface_hub
    from huggingface_hub import constants

    made = tmp_path / "made"
    files.hub_shards(made, ["a", "b"])
    siblings = [SimpleNamespace(rfilename="README.md", lfs=None)]
    for path in sorted(made.glob("*.parquet")):
        server.files[f"/data/{path.name}"] = path.read_bytes()
        lfs = SimpleNamespace(size=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        siblings.append(SimpleNamespace(rfilename=f"data/{path.name}", lfs=lfs))
    info = SimpleNamespace(siblings=siblings, sha="main")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda self, repository, files_metadata: info)
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_url", lambda repository, name, repo_type, revision: f"{server.url}/{name}"
    )
    return server


def test_hub_shards_are_downloaded_with_one_progress_over_all(hub, workspace, tmp_path):
    dataset = add_benchmark(workspace, "imagenet-1k", data_root=tmp_path / "root")
    watcher = Watcher()
    found = scan(workspace, dataset.id, progress=watcher)
    assert (found.readable, found.splits) == (13, {"test": 3, "train": 10})
    steps = [heard[:2] for heard in watcher.heard if heard[2].startswith("Downloading")]
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1][0] == steps[-1][1]
    assert not any("test-00000" in path for path, _ in hub.asked)


def test_a_shard_with_another_hash_is_refused(hub, tmp_path):
    hub.files["/data/train-00000-of-00002.parquet"] += b"!"
    with pytest.raises(InputError, match="checksum differs"):
        open_benchmark("imagenet-1k", str(tmp_path / "root")).prepare()


def test_offline_and_gated_hubs_say_what_to_do(hub, tmp_path, monkeypatch):
    import huggingface_hub
    from huggingface_hub import constants

    class GatedRepoError(Exception): ...

    def gated(self, repository, files_metadata):
        raise GatedRepoError

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", gated)
    with pytest.raises(Missing, match="accept its terms first at huggingface.co/datasets/benjamin-paine"):
        open_benchmark("imagenet-1k", str(tmp_path / "root")).prepare()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Missing, match="working offline"):
        open_benchmark("tiny-imagenet", str(tmp_path / "root")).prepare()
