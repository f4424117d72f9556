import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from engine.core.errors import InputError, WeightsError
from engine.embeddings import embed as pipeline
from engine.embeddings import writing
from engine.embeddings.configurations import list_configurations
from engine.embeddings.embed import embed, load_set
from engine.embeddings.store import EmbeddingStore
from engine.images.datasets import add_folder
from engine.images.decode import PreprocessSettings, decode_square
from engine.images.scan import scan
from engine.images.sources import FolderSource
from engine.images.tables import load_images
from tests.engine.embeddings.conftest import TinySettings, png


def reference(folder, names, settings=None):
    """The vectors one by one, in float64."""
    rows = []
    for name in names:
        square = decode_square((folder / os.fsdecode(name)).read_bytes(), 8, settings or PreprocessSettings())
        rows.append(square.reshape(2, 4, 2, 4, 3).astype(np.float64).mean(axis=(1, 3)).ravel() / 255)
    return np.array(rows)


def test_vectors_are_those_of_the_images_in_table_order(workspace, tiny, added, pictures, recorder):
    dataset = added(11)
    found = embed(workspace, dataset.id, "tiny", TinySettings(), progress=recorder)
    table = load_images(workspace, dataset.id)
    assert np.array_equal(found.contents, table.contents) and found.rows.tolist() == list(range(11))
    assert found.vectors.dtype == np.float32 and len(found) == 11
    assert np.abs(found.vectors - reference(pictures(0), table.paths)).max() < 1e-3
    done, total, phase, unit, metrics = recorder.updates[-1]
    assert (done, total, phase, unit) == (11, 11, "embedding", "images")
    assert metrics["images_per_second"] > 0


def test_asking_twice_embeds_nothing_and_opens_no_image(workspace, tiny, added, monkeypatch):
    dataset = added(6)
    first = embed(workspace, dataset.id, "tiny", TinySettings())
    monkeypatch.setattr(FolderSource, "read", lambda *_: pytest.fail("an image was opened"))
    second = embed(workspace, dataset.id, "tiny", TinySettings())
    assert (tiny.built, tiny.seen) == (1, 6)
    assert second.key == first.key and np.array_equal(second.vectors, first.vectors)
    assert np.array_equal(load_set(workspace, dataset.id, first.config_key).vectors, first.vectors)


def test_one_new_file_embeds_one_file_and_renames_embed_none(workspace, tiny, added, pictures):
    dataset = added(6)
    first = embed(workspace, dataset.id, "tiny", TinySettings())
    folder = pictures(1, start=50)
    (folder / "0000.png").rename(folder / "renamed.png")
    scan(workspace, dataset.id)
    second = embed(workspace, dataset.id, "tiny", TinySettings())
    assert tiny.seen == 7 and len(second) == 7
    assert second.config_key == first.config_key and second.key != first.key


def test_duplicates_embed_once_and_serve_for_each_other(workspace, tiny, added, pictures, tmp_path):
    folder = pictures(3)
    shutil.copy(folder / "0001.png", folder / "copy.png")
    dataset = added(3)
    (folder / "0001.png").unlink()  # gone after the scan, but its copy is there
    found = embed(workspace, dataset.id, "tiny", TinySettings())
    assert tiny.seen == 3 and len(found) == 3
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    second = add_folder(workspace, other)
    scan(workspace, second.id)
    assert len(embed(workspace, second.id, "tiny", TinySettings())) == 3
    assert tiny.seen == 3, "contents known from another data set are not embedded again"


def test_what_changes_a_vector_changes_the_configuration(workspace, tiny, added):
    dataset = added(2)
    keys = {
        embed(workspace, dataset.id, "tiny", TinySettings()).config_key,
        embed(workspace, dataset.id, "tiny", TinySettings(factor=2)).config_key,
        embed(workspace, dataset.id, "tiny", preprocess=PreprocessSettings(mode="resize")).config_key,
        embed(workspace, dataset.id, "tiny", preprocess=PreprocessSettings(fill="#000000")).config_key,
    }
    tiny.version = "tiny-2"
    keys.add(embed(workspace, dataset.id, "tiny", TinySettings()).config_key)
    assert len(keys) == 5


def test_a_broken_image_is_told_skipped_and_not_tried_again(workspace, tiny, added, pictures, recorder, monkeypatch):
    dataset = added(5)
    table = load_images(workspace, dataset.id)
    real = pipeline.decode_square

    def decode(data, side, settings, **options):
        if data == (pictures(0) / "0002.png").read_bytes():
            raise pipeline.ImageError("The file is cut short.")
        return real(data, side, settings, **options)

    monkeypatch.setattr(pipeline, "decode_square", decode)
    found = embed(workspace, dataset.id, "tiny", TinySettings(), progress=recorder)
    assert found.rows.tolist() == [0, 1, 3, 4]
    assert recorder.said[0] == "0002.png is left out: The file is cut short."
    store = EmbeddingStore(workspace.embeddings(found.config_key))
    assert store.failures() == {bytes(table.contents[2].tobytes()): "The file is cut short."}
    embed(workspace, dataset.id, "tiny", TinySettings())
    assert tiny.built == 1
    (state,) = list_configurations(workspace, dataset.id)
    assert (state.state, state.have, state.want, state.failed) == ("complete", 4, 5, 1)


def test_files_gone_or_changed_after_the_scan_are_told_and_tried_again(workspace, tiny, added, pictures, recorder):
    dataset = added(4)
    folder = pictures(0)
    kept = (folder / "0001.png").read_bytes()
    (folder / "0001.png").unlink()
    (folder / "0003.png").write_bytes(png(np.zeros((3, 3, 3), np.uint8)))
    found = embed(workspace, dataset.id, "tiny", TinySettings(), progress=recorder)
    assert found.rows.tolist() == [0, 2]
    assert "2 of 4 images could not be embedded" in recorder.said[-1]
    (state,) = list_configurations(workspace, dataset.id)
    assert state.state == "partial" and "2 of 4 images are not embedded yet" in state.reason
    (folder / "0001.png").write_bytes(kept)
    assert embed(workspace, dataset.id, "tiny", TinySettings()).rows.tolist() == [0, 1, 2]


def test_vectors_that_are_not_finite_fail_their_image_only(workspace, tiny, added, monkeypatch):
    dataset = added(4)
    real = tiny.encode
    monkeypatch.setattr(
        tiny, "encode", lambda self, batch: np.where(np.arange(len(batch))[:, None] == 1, np.nan, real(self, batch))
    )
    found = embed(workspace, dataset.id, "tiny", TinySettings())
    assert found.rows.tolist() == [0, 2, 3]
    assert "NaN" in next(iter(EmbeddingStore(workspace.embeddings(found.config_key)).failures().values()))


def test_the_batch_is_halved_when_memory_runs_out(workspace, tiny, added, monkeypatch, recorder):
    dataset = added(9)
    real, sizes = tiny.encode, []

    def encode(self, batch):
        sizes.append(len(batch))
        if len(batch) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 3 GiB")
        return real(self, batch)

    monkeypatch.setattr(tiny, "encode", encode)
    assert len(embed(workspace, dataset.id, "tiny", TinySettings(), progress=recorder)) == 9
    assert sizes[:3] == [4, 2, 1] and max(sizes[3:]) == 1
    assert "going on with 2 images at a time" in recorder.said[0]


def test_other_errors_of_the_encoder_are_not_swallowed_and_keep_what_was_done(workspace, tiny, added, monkeypatch):
    dataset = added(9)
    real = tiny.encode

    def encode(self, batch):
        if tiny.seen >= 4:
            raise RuntimeError("shapes do not match")
        return real(self, batch)

    monkeypatch.setattr(tiny, "encode", encode)
    with pytest.raises(RuntimeError, match="shapes"):
        embed(workspace, dataset.id, "tiny", TinySettings())
    (state,) = list_configurations(workspace, dataset.id)
    assert state.have == 4


def test_a_sample_embeds_only_itself_and_a_bigger_one_reuses_it(workspace, tiny, added):
    dataset = added(8)
    contents = load_images(workspace, dataset.id).contents
    assert embed(workspace, dataset.id, "tiny", TinySettings(), only=contents[[1, 5]]).rows.tolist() == [1, 5]
    assert embed(workspace, dataset.id, "tiny", TinySettings(), only=contents[[1, 3, 5]]).rows.tolist() == [1, 3, 5]
    assert tiny.seen == 3
    embed(workspace, dataset.id, "tiny", TinySettings())
    assert tiny.seen == 8


def test_force_makes_everything_again_and_swaps_after_success(workspace, tiny, added, monkeypatch):
    dataset = added(6)
    first = embed(workspace, dataset.id, "tiny", TinySettings())
    real = tiny.encode

    def broken(self, batch):
        raise RuntimeError("the device vanished")

    monkeypatch.setattr(tiny, "encode", broken)
    with pytest.raises(RuntimeError, match="vanished"):
        embed(workspace, dataset.id, "tiny", TinySettings(), force=True)
    assert np.array_equal(load_set(workspace, dataset.id, first.config_key).vectors, first.vectors)
    monkeypatch.setattr(tiny, "encode", lambda self, batch: real(self, batch) + 1)
    second = embed(workspace, dataset.id, "tiny", TinySettings(), force=True)
    assert second.config_key == first.config_key
    assert np.allclose(second.vectors, first.vectors + 1, atol=2e-3)
    assert second.key != first.key  # graphs and maps of the old vectors are not taken for the new ones
    assert load_set(workspace, dataset.id, first.config_key).key == second.key
    assert embed(workspace, dataset.id, "tiny", TinySettings()).key == second.key


def test_stale_when_weights_changed_and_usable_when_they_are_gone(workspace, tiny, added, monkeypatch):
    dataset = added(3)
    first = embed(workspace, dataset.id, "tiny", TinySettings())
    tiny.version = "tiny-2"
    (state,) = list_configurations(workspace, dataset.id)
    assert state.state == "stale" and "weights have changed" in state.reason

    def gone(settings, **_):
        raise WeightsError("The weights are not here.")

    monkeypatch.setattr(tiny, "revision_of", staticmethod(gone))
    (state,) = list_configurations(workspace, dataset.id)
    assert state.state == "complete"
    assert embed(workspace, dataset.id, "tiny", TinySettings()).key == first.key
    with pytest.raises(WeightsError, match="not here"):
        embed(workspace, dataset.id, "tiny", TinySettings(factor=3))


def test_stale_when_the_decoder_or_the_settings_changed(workspace, tiny, added, monkeypatch):
    from engine.embeddings import configurations

    dataset = added(2)
    embed(workspace, dataset.id, "tiny", TinySettings())
    monkeypatch.setattr(configurations, "DECODER", "another")
    assert "decoded differently" in list_configurations(workspace, dataset.id)[0].reason
    monkeypatch.undo()
    monkeypatch.setenv("KINDRED_WORKSPACE", str(workspace.root))
    assert "not part of this Kindred" in list_configurations(workspace, dataset.id)[0].reason


def test_configurations_are_listed_newest_first_and_only_where_they_hold_something(workspace, tiny, added, tmp_path):
    dataset = added(3)
    embed(workspace, dataset.id, "tiny", TinySettings())
    time.sleep(0.01)
    embed(workspace, dataset.id, "tiny", TinySettings(factor=2))
    assert [item.settings["factor"] for item in list_configurations(workspace, dataset.id)] == [2.0, 1.0]
    assert {item.dimension for item in list_configurations(workspace, dataset.id)} == {12}
    (tmp_path / "empty").mkdir()
    assert list_configurations(workspace, add_folder(workspace, tmp_path / "empty").id) == []


def test_listing_again_opens_no_store_until_something_changes(workspace, tiny, added, pictures, monkeypatch):
    from engine.embeddings import configurations

    dataset = added(3)
    embed(workspace, dataset.id, "tiny", TinySettings())
    before = list_configurations(workspace, dataset.id)
    with monkeypatch.context() as patch:
        patch.setattr(configurations, "EmbeddingStore", lambda path: pytest.fail("a store was opened"))
        assert list_configurations(workspace, dataset.id) == before
    pictures(1, start=70)
    scan(workspace, dataset.id)
    assert list_configurations(workspace, dataset.id)[0].state == "partial"
    embed(workspace, dataset.id, "tiny", TinySettings())
    assert list_configurations(workspace, dataset.id)[0].have == 4


def test_a_configuration_whose_exchange_was_cut_short_is_still_listed(workspace, tiny, added):
    dataset = added(3)
    found = embed(workspace, dataset.id, "tiny", TinySettings())
    folder = workspace.embeddings(found.config_key)
    folder.rename(folder.with_name(f"{folder.name}.old"))
    assert [item.key for item in list_configurations(workspace, dataset.id)] == [found.config_key]
    (folder / "config.json").write_text("{}")
    assert list_configurations(workspace, dataset.id) == []


def test_a_damaged_shard_is_told_and_embedded_again(workspace, tiny, added, recorder):
    dataset = added(5)
    first = embed(workspace, dataset.id, "tiny", TinySettings())
    shard = workspace.embeddings(first.config_key) / "shard-000000.npy"
    shard.write_bytes(shard.read_bytes()[:100])
    second = embed(workspace, dataset.id, "tiny", TinySettings(), progress=recorder)
    assert "damaged" in recorder.said[0] and tiny.seen == 10
    assert np.array_equal(second.vectors, first.vectors)


def test_unknown_configuration_is_told(workspace, tiny, added):
    with pytest.raises(InputError, match="not in the cache"):
        load_set(workspace, added(1).id, "f" * 32)


def test_work_is_committed_as_seconds_pass(workspace, tiny, added, monkeypatch):
    monkeypatch.setattr(writing, "COMMIT_SECONDS", -1.0)
    monkeypatch.setattr(EmbeddingStore, "compact", lambda self: None)
    found = embed(workspace, added(12).id, "tiny", TinySettings())
    assert len(list(workspace.embeddings(found.config_key).glob("*.npy"))) == 3


KILLED = """
import sys, time
from pathlib import Path
from engine.embeddings.encoders import registry as encoders
from engine.embeddings import writing
from engine.embeddings.encoders.registry import EncoderEntry
from engine.embeddings.embed import embed
from engine.core.workspace import Workspace
from tests.engine.embeddings.conftest import Tiny, TinySettings
encoders.ENCODERS["tiny"] = EncoderEntry("tiny", "Tiny", "", "tests.engine.embeddings.conftest", "Tiny")
writing.COMMIT_SECONDS = -1.0
real = Tiny.encode
def slowly(self, batch):
    time.sleep(0.05)
    return real(self, batch)
Tiny.encode = slowly
embed(Workspace.open(sys.argv[1]), sys.argv[2], "tiny", TinySettings())
"""


def test_kill_9_loses_at_most_the_current_shard(workspace, tiny, added, pictures):
    dataset = added(60)
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(workspace.root), dataset.id])
    folder = workspace.cache / "embeddings"
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*/*.npy"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (path,) = [path for path in folder.iterdir() if path.is_dir()]
    kept = len(EmbeddingStore(path))
    assert 16 <= kept < 60 and kept % 4 == 0
    found = embed(workspace, dataset.id, "tiny", TinySettings())
    assert tiny.seen == 60 - kept, "only what was not committed is embedded again"
    assert np.abs(found.vectors - reference(pictures(0), load_images(workspace, dataset.id).paths)).max() < 1e-3


def test_a_file_that_changes_while_it_is_embedded_is_embedded_under_the_bytes_it_had(
    workspace, tiny, added, pictures, recorder, monkeypatch
):
    dataset = added(4)
    table, folder = load_images(workspace, dataset.id), pictures(0)
    expected = reference(folder, table.paths)
    other = png(np.full((16, 16, 3), 7, np.uint8))
    real = FolderSource.read

    def read(self, name):
        if name == table.paths[1]:
            (folder / os.fsdecode(name)).write_bytes(other)  # changed before it is read: not the image of the scan
        data = real(self, name)
        if name == table.paths[2]:
            (folder / os.fsdecode(name)).write_bytes(other)  # changed while the bytes of before are worked on
        return data

    monkeypatch.setattr(FolderSource, "read", read)
    found = embed(workspace, dataset.id, "tiny", TinySettings(), progress=recorder)
    assert found.rows.tolist() == [0, 2, 3]
    assert np.abs(found.vectors - expected[[0, 2, 3]]).max() < 1e-3
    assert any("has changed since the scan" in sentence for sentence in recorder.said)
