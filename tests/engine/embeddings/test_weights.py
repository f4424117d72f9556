"""Weights are fetched from a hub that runs in the test, with the real client."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.core.errors import StorageError, WeightsError
from engine.embeddings.encoders.weights import (
    AbsentWeightsError,
    NotOnHubError,
    Wanted,
    find_weights,
    put_by_hand,
    why_unreachable,
)
from tests.engine.embeddings.hub_server import COMMIT, serve

MODEL = "someone/small-model"
PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def hub(monkeypatch, tmp_path):
    from huggingface_hub import constants

    with serve({"config.json": b"{}", "model.safetensors": b"w" * 300_000}) as served:
        for name, value in {
            "ENDPOINT": served.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": served.address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_OFFLINE": False,
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_HUB_DISABLE_XET": True,
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("KINDRED_WEIGHTS", str(tmp_path / "by-hand"))
        yield served


@pytest.fixture
def impatient(monkeypatch):
    """The client gives up at the first broken line, as it does after several."""
    import huggingface_hub.file_download as client

    def once(*given, **options):
        return http_get(*given, **(options | {"_nb_retries": 0}))

    http_get = client.http_get
    monkeypatch.setattr(client, "http_get", once)


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


def test_what_arrived_before_the_line_broke_is_not_fetched_twice(hub, recorder, tmp_path, monkeypatch):
    import huggingface_hub.file_download as client

    monkeypatch.setattr(client.time, "sleep", lambda _: None)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 65_536)
    body = bytes(range(256)) * 20_000
    hub.files["model.safetensors"] = body
    hub.cuts = [2_000_000, *[0] * 6]  # the client itself tries five times more
    with pytest.raises(WeightsError, match="broke off"):
        find_weights(wanted())
    (part,) = (tmp_path / "hub").rglob("*.part")
    have = part.stat().st_size
    assert 0 < have <= 2_000_000
    found = find_weights(wanted(), progress=recorder)
    assert hub.ranges() == ["", *[f"bytes={have}-"] * 7]
    assert found.files[1].read_bytes() == body
    assert not list((tmp_path / "hub").rglob("*.part"))
    first = next(done for done, _, phase, _, _ in recorder.updates if phase == "downloading model.safetensors")
    assert first >= have


def test_a_part_that_is_longer_than_the_file_is_begun_anew(hub, impatient, tmp_path):
    hub.cuts = [100_000]
    with pytest.raises(WeightsError, match="broke off"):
        find_weights(wanted())
    (part,) = (tmp_path / "hub").rglob("*.part")
    part.write_bytes(b"x" * 400_000)
    assert find_weights(wanted()).files[1].read_bytes() == b"w" * 300_000


def test_a_file_of_another_hash_is_refused_and_fetched_anew(hub, tmp_path):
    hub.damaged = True
    with pytest.raises(WeightsError, match="arrived damaged: its SHA-256") as caught:
        find_weights(wanted())
    assert caught.value.hint == "Try again; the file is fetched anew."
    assert not list((tmp_path / "hub").rglob("*.part"))
    hub.damaged = False
    assert find_weights(wanted()).files[1].read_bytes() == b"w" * 300_000


def test_a_file_that_the_disk_cannot_hold_is_refused_before_it_is_fetched(hub, monkeypatch):
    import shutil

    usage = type("Usage", (), {"free": 200_000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StorageError, match=r"model\.safetensors of someone/small-model needs 0 MB more") as caught:
        find_weights(wanted())
    assert "HF_HOME" in caught.value.hint
    assert hub.ranges() == []


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
        assert isinstance(caught.value, AbsentWeightsError) and caught.value.wanted.model == MODEL
        sentence = caught.value.sentence
        assert "put config.json and model.safetensors (88 MB) into" in sentence
        assert str(tmp_path / "by-hand" / "someone--small-model") in sentence
        assert sentence.count(". ") == 0


def test_whether_the_hub_answers_is_asked_of_the_proxy_where_there_is_one(hub, monkeypatch):
    from huggingface_hub import constants

    assert why_unreachable() == ""
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.invalid")
    assert why_unreachable() == "the hub cannot be reached"
    monkeypatch.setenv("http_proxy", hub.address)
    assert why_unreachable() == ""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert why_unreachable() == "the proxy 127.0.0.1 cannot be reached"
    monkeypatch.setenv("no_proxy", "hub.invalid")
    assert why_unreachable() == "the hub cannot be reached"


SCRIPT = f"""
from engine.core.errors import KindredError
from engine.embeddings.encoders.weights import Wanted, find_weights
try:
    print(find_weights(Wanted({MODEL!r}, [["config.json"], ["model.safetensors"]])).folder)
except KindredError as error:
    print(error.sentence)
"""


def in_new_process(tmp_path, **environment):
    """Return what a process with these variables prints when it looks for the weights."""
    names = {name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("HF_")}
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    values = {"KINDRED_WEIGHTS": str(tmp_path / "by-hand"), "HF_HOME": str(tmp_path / "home")} | environment
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=inherited | values,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip()


def test_the_variables_of_the_hub_are_respected(hub, tmp_path):
    place = str(tmp_path / "home" / "hub" / "models--someone--small-model" / "snapshots" / COMMIT)
    sentence = in_new_process(tmp_path, HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="1")
    assert "not on this machine and HF_HUB_OFFLINE forbids to ask the hub: put config.json" in sentence
    assert hub.asked == []
    assert in_new_process(tmp_path, HF_ENDPOINT=hub.address) == place
    assert in_new_process(tmp_path, HF_HUB_OFFLINE="1") == place


def test_a_proxy_is_used(hub, tmp_path):
    place = in_new_process(tmp_path, HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=hub.address)
    assert place.endswith(COMMIT)
    assert {"/".join(path.split("/")[:3]) for _, path, _ in hub.asked} == {"http://hub.invalid", "http://cdn.invalid"}


def test_a_gated_model_is_fetched_with_the_token_of_the_environment(hub, tmp_path):
    hub.token = "hf_secret"
    assert "is gated: its terms must be accepted" in in_new_process(tmp_path, HF_ENDPOINT=hub.address)
    assert in_new_process(tmp_path, HF_ENDPOINT=hub.address, HF_TOKEN="hf_secret").endswith(COMMIT)


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
