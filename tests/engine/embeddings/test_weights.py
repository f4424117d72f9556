"""Weights are fetched from a hub that runs in the test, with the real client."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engine.core.errors import StorageError, WeightsError
from engine.embeddings.encoders.weights import NotOnHubError, Wanted, find_weights, put_by_hand

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = "someone/small-model"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as one download needs."""

    files: dict = {}
    refusal: tuple | None = None
    asked: list = []

    def do_HEAD(self):
        self._answer(False)

    def do_GET(self):
        self._answer(True)

    def _answer(self, with_body):
        Hub.asked.append((self.command, self.path))
        name = self.path.rsplit("/", 1)[-1]
        status, code, body = 200, "", Hub.files.get(name, b"")
        if Hub.refusal:
            status, code = Hub.refusal
            body = b""
        elif name not in Hub.files:
            status, code = 404, "EntryNotFound"
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", '"' + hashlib.sha1(body).hexdigest() + '"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    from huggingface_hub import constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name, value in {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_OFFLINE": False,
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_XET": True,
    }.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setenv("KINDRED_WEIGHTS", str(tmp_path / "by-hand"))
    Hub.files = {"config.json": b"{}", "model.safetensors": b"w" * 300_000}
    Hub.refusal, Hub.asked = None, []
    yield Hub
    server.shutdown()
    server.server_close()
    thread.join()


def wanted(model=MODEL, **changes):
    return Wanted(model, [["config.json"], ["model.safetensors", "model.safetensors.index.json"]], **changes)


def test_download_with_size_and_progress_then_the_cache_without_the_network(hub, recorder):
    found = find_weights(wanted(optional=["tokenizer.json"]), progress=recorder)
    assert [path.name for path in found.files] == ["config.json", "model.safetensors"]
    assert found.files[1].read_bytes() == b"w" * 300_000
    assert found.revision == COMMIT
    told = [update for update in recorder.updates if update[2] == "downloading model.safetensors"]
    assert told[-1][:2] == (300_000.0, 300_000.0) and told[-1][3] == "bytes"
    hub.asked.clear()
    again = find_weights(wanted(), download=False)
    assert again == find_weights(wanted()) and again.revision == COMMIT
    assert hub.asked == []


def test_divided_weights_bring_every_part(hub):
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    del hub.files["model.safetensors"]
    hub.files["model.safetensors.index.json"] = json.dumps({"weight_map": parts}).encode()
    hub.files |= {name: name.encode() for name in parts.values()}
    names = [path.name for path in find_weights(wanted()).files]
    assert names == ["config.json", "model.safetensors.index.json", *parts.values()]
    assert [path.name for path in find_weights(wanted(), download=False).files] == names


def test_a_gated_model_says_where_to_accept_its_terms(hub):
    hub.refusal = (403, "GatedRepo")
    with pytest.raises(WeightsError, match="terms must be accepted at https://huggingface.co/someone/small-model"):
        find_weights(wanted())


def test_a_connection_that_breaks_off_is_told_and_the_next_try_succeeds(hub, monkeypatch):
    import huggingface_hub.file_download as client

    def broken(*_, **__):
        raise RuntimeError("CAS service error: connection reset\nCaused by: ...")

    with monkeypatch.context() as patched, pytest.raises(WeightsError, match="broke off: CAS service error"):
        patched.setattr(client, "http_get", broken)
        find_weights(wanted())
    assert find_weights(wanted()).revision == COMMIT


def test_a_full_disk_is_told(hub, monkeypatch):
    import huggingface_hub.file_download as client

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(client, "http_get", full)
    with pytest.raises(StorageError, match="disk is full"):
        find_weights(wanted())


def test_an_unknown_model_is_told(hub):
    hub.refusal = (404, "RepoNotFound")
    with pytest.raises(WeightsError, match="no model 'someone/small-model'"):
        find_weights(wanted())


def test_a_repository_of_another_kind_is_told(hub):
    del hub.files["model.safetensors"]
    with pytest.raises(NotOnHubError, match="has no model.safetensors"):
        find_weights(wanted())


def test_offline_and_absent_is_one_sentence_with_file_and_place(hub, monkeypatch, tmp_path):
    from huggingface_hub import constants

    for setting, value in (("ENDPOINT", "http://127.0.0.1:9"), ("HF_HUB_OFFLINE", True)):
        monkeypatch.setattr(constants, setting, value)
        with pytest.raises(WeightsError) as caught:
            find_weights(wanted(megabytes=88))
        sentence = caught.value.sentence
        assert "put config.json and model.safetensors (88 MB) into" in sentence
        assert str(tmp_path / "by-hand" / "someone--small-model") in sentence
        assert sentence.count(". ") == 0


def test_files_put_by_hand_are_found_where_the_sentence_said(hub):
    place = put_by_hand(MODEL)
    place.mkdir(parents=True)
    (place / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match="holds no model.safetensors"):
        find_weights(wanted())
    (place / "model.safetensors").write_bytes(b"1")
    first = find_weights(wanted()).revision
    (place / "model.safetensors").write_bytes(b"22")
    assert find_weights(wanted()).revision != first
    assert hub.asked == []


def test_a_folder_that_lacks_a_part_of_divided_weights_is_told(hub, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}')
    with pytest.raises(WeightsError, match=r"lacks model-1\.safetensors"):
        find_weights(wanted(str(tmp_path)))


def test_a_folder_is_taken_as_it_is_and_its_revision_is_its_content(hub, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(b"same")
    revisions = {find_weights(wanted(str(tmp_path / name))).revision for name in ("one", "two")}
    assert len(revisions) == 1


@pytest.mark.parametrize("name", ["no-such-thing", "/nowhere/at/all", "./here", "a/b/c"])
def test_neither_folder_nor_id(hub, name):
    with pytest.raises(WeightsError, match="neither a folder"):
        find_weights(wanted(name))
    assert hub.asked == []


def test_an_id_of_forbidden_letters_is_told(hub):
    with pytest.raises(WeightsError, match="'a b/c' is not the id of a model"):
        find_weights(wanted("a b/c"))
