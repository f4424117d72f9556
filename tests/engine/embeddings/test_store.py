import errno
import json
import os
import threading
import time

import numpy as np
import pytest

from engine.core.errors import InputError, StorageError
from engine.core.ids import pack
from engine.core.progress import Silent
from engine.embeddings import store as store_module
from engine.embeddings.exchange import DONE, beside
from engine.embeddings.generations import next_generation, swap
from engine.embeddings.store import EmbeddingStore, MissingError

CONFIG = {"encoder": "test", "dtype": "float16"}


@pytest.fixture
def make(tmp_path, rng):
    def build(*sizes, dimension=6):
        store = EmbeddingStore(tmp_path / "abc", CONFIG)
        keys, vectors = pack(rng.bytes(16 * sum(sizes))), rng.normal(size=(sum(sizes), dimension)).astype(np.float32)
        begin = 0
        for size in sizes:
            store.append(keys[begin : begin + size], vectors[begin : begin + size])
            begin += size
        return store, keys, vectors

    return build


def reopened(store):
    return EmbeddingStore(store.folder)


def test_round_trip_in_any_order_across_shards(make, rng, monkeypatch):
    monkeypatch.setattr(store_module, "SHARD_ROWS", 16)
    store, keys, vectors = make(40, 7)
    assert sorted(path.name for path in store.folder.glob("*.npy")) == [f"shard-00000{n}.npy" for n in range(4)]
    again = reopened(store)
    asked = rng.permutation(47)[:30]
    loaded = again.load(keys[asked])
    assert loaded.dtype == np.float32
    assert np.array_equal(loaded, vectors.astype(np.float16).astype(np.float32)[asked])
    assert np.array_equal(again.load(keys), vectors.astype(np.float16).astype(np.float32))
    assert np.array_equal(again.keys(), keys)
    assert again.settings == CONFIG


def test_one_id_may_be_asked_for_twice(make):
    store, keys, vectors = make(3)
    assert np.allclose(store.load(keys[[1, 1, 0]]), vectors[[1, 1, 0]], atol=2e-3)


def test_files_are_as_the_architecture_says(make):
    store, keys, _ = make(5)
    assert (store.folder / "shard-000000.keys").read_bytes() == keys.tobytes()
    array = np.load(store.folder / "shard-000000.npy", allow_pickle=False)
    assert array.dtype == np.float16 and array.shape == (5, 6)


def test_missing_ids_are_counted(make, rng):
    store, keys, _ = make(4)
    with pytest.raises(MissingError) as caught:
        store.load(np.concatenate([keys, pack(rng.bytes(32))]))
    assert caught.value.missing == 2
    assert "2 of 6 images" in caught.value.sentence


def test_duplicates_are_ignored_within_and_between_shards(make):
    store, keys, vectors = make(4)
    assert store.append(keys, vectors + 1) == 0
    fresh = pack(b"x" * 16 + b"y" * 16 + b"x" * 16)
    assert store.append(fresh, np.stack([np.full(6, 1.0), np.full(6, 2.0), np.full(6, 3.0)])) == 2
    assert len(reopened(store)) == 6
    assert reopened(store).load(fresh[:1])[0, 0] == 1.0
    assert np.allclose(reopened(store).load(keys), vectors, atol=2e-3)


def test_keys_without_their_array_count_for_nothing_and_are_replaced(make, rng):
    store, keys, vectors = make(4, 3)
    (store.folder / "shard-000001.npy").unlink()  # killed after the keys, before the commit
    again = reopened(store)
    assert len(again) == 4 and not again.damaged
    again.append(keys[4:], vectors[4:])
    assert np.allclose(reopened(store).load(keys), vectors, atol=2e-3)


def test_crash_before_the_rename_leaves_the_old_state(make, monkeypatch):
    store, keys, vectors = make(4)
    real = os.replace

    def refuse(source, target):
        if str(target).endswith(".npy"):
            raise OSError(errno.EIO, "pulled out")
        real(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="pulled out"):
        store.append(pack(b"z" * 16), vectors[:1])
    monkeypatch.undo()
    assert np.array_equal(reopened(store).keys(), keys)
    assert reopened(store).append(pack(b"z" * 16), vectors[:1]) == 1
    assert len(reopened(store)) == 5


def test_temporary_files_of_a_killed_writer_are_cleared(make):
    store, _, _ = make(2)
    left = store.folder / ".shard-000001.npy.999.tmp"
    left.write_bytes(b"half")
    with store.writing():
        assert not left.exists()
    assert len(reopened(store)) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "other count", "no keys", "other dtype"])
def test_a_damaged_shard_is_told_and_can_be_filled_again(make, damage):
    store, keys, vectors = make(4, 3)
    shard = store.folder / "shard-000001.npy"
    if damage == "cut":
        shard.write_bytes(shard.read_bytes()[:-5])
    elif damage == "empty":
        shard.write_bytes(b"")
    elif damage == "other count":
        (store.folder / "shard-000001.keys").write_bytes(keys[:2].tobytes())
    elif damage == "no keys":
        (store.folder / "shard-000001.keys").unlink()
    else:
        np.save(shard, vectors[4:].astype(np.float64))
    again = reopened(store)
    assert len(again.damaged) == 1 and "shard-000001" in again.damaged[0]
    assert again.holds(keys).tolist() == [True] * 4 + [False] * 3
    again.append(keys[4:], vectors[4:])
    healed = reopened(store)
    assert not healed.damaged
    assert np.allclose(healed.load(keys), vectors, atol=2e-3)


def test_vectors_that_cannot_be_stored_are_refused_with_their_row(make):
    store, _, vectors = make(2)
    bad = vectors.copy()
    bad[1, 3] = 1e6
    with pytest.raises(InputError, match="row 1"):
        store.append(pack(b"p" * 32), bad)
    with pytest.raises(InputError, match="do not fit"):
        store.append(pack(b"p" * 16), np.zeros((1, 7)))
    with pytest.raises(InputError, match="do not fit"):
        store.append(pack(b"p" * 16), vectors)
    assert len(reopened(store)) == 2


def test_single_precision_where_the_configuration_says_so(tmp_path):
    store = EmbeddingStore(tmp_path / "wide", {"dtype": "float32"})
    store.append(pack(b"p" * 16), np.array([[1e30, 1e-30]]))
    assert np.array_equal(reopened(store).load(pack(b"p" * 16)), np.array([[1e30, 1e-30]], dtype=np.float32))


def test_full_disk_is_told_and_nothing_is_lost(make, monkeypatch):
    store, keys, vectors = make(3)

    def full(*_):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="full"):
        store.append(pack(b"z" * 16), vectors[:1])
    monkeypatch.undo()
    assert np.array_equal(reopened(store).keys(), keys)


def test_many_small_shards_are_merged_without_losing_a_row(make):
    store, keys, vectors = make(*[3] * 9)
    store.compact()
    assert len(list(store.folder.glob("*.npy"))) == 1
    assert len(list(store.folder.glob("*.keys"))) == 1
    assert np.allclose(reopened(store).load(keys), vectors, atol=2e-3)


def test_a_kill_while_merging_leaves_only_duplicates(make, monkeypatch):
    store, keys, vectors = make(*[3] * 9)
    removed = []

    def killed(folder, number):
        if removed:
            raise KeyboardInterrupt
        removed.append(number)
        for suffix in ("npy", "keys"):
            (folder / f"shard-{number:06d}.{suffix}").unlink()

    monkeypatch.setattr(store_module, "_remove", killed)
    with pytest.raises(KeyboardInterrupt):
        store.compact()
    monkeypatch.undo()
    again = reopened(store)
    assert len(again) == 27
    assert np.allclose(again.load(keys), vectors, atol=2e-3)


def test_failures_survive_and_a_torn_line_is_forgotten(make):
    store, keys, _ = make(1)
    store.record_failures([(b"a" * 16, "cut short"), (b"b" * 16, "gone")])
    store.record_failures([(b"b" * 16, "gone again")], again=True)
    path = store.folder / "failed.jsonl"
    path.write_bytes(path.read_bytes() + b'{"content": "63')
    assert reopened(store).failures() == {b"a" * 16: "cut short", b"b" * 16: "gone again"}
    assert reopened(store).failures(final=True) == {b"a" * 16: "cut short"}
    store.record_failures([(b"d" * 16, "late")])
    assert reopened(store).failures()[b"d" * 16] == "late"
    assert all(json.loads(line) for line in path.read_text().splitlines() if line.endswith("}"))


def test_only_one_writer_at_a_time(make):
    store, _, _ = make(1)
    with store.writing(), pytest.raises(StorageError, match="another job"), reopened(store).writing():
        raise AssertionError("two writers")
    with reopened(store).writing():
        pass


def test_who_wants_to_wait_waits_for_the_other_writer_and_says_so(make):
    store, _, _ = make(1)
    told, order = [], []

    class Told(Silent):
        def say(self, sentence):
            told.append(sentence)

        def update(self, done, total, *, phase="", unit="", **metrics):
            told.append(phase)

    def second():
        with reopened(store).writing(Told()):
            order.append("second")

    thread = threading.Thread(target=second)
    with store.writing():
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert told == ["Waits for another job that embeds with the same encoder.", "waiting"]


def regenerate(store, keys, vectors):
    fresh = next_generation(store)
    fresh.append(keys, vectors)
    return fresh


def test_a_new_generation_replaces_the_old_one_and_keeps_other_rows(make):
    store, keys, vectors = make(6)
    fresh = regenerate(store, keys[:4], vectors[:4] + 1)
    assert np.allclose(reopened(store).load(keys), vectors, atol=2e-3), "the old one serves until the new is complete"
    swap(store, fresh)
    expected = np.concatenate([vectors[:4] + 1, vectors[4:]])
    for seen in (store, reopened(store)):
        assert np.allclose(seen.load(keys), expected, atol=4e-3)
    assert not beside(store.folder, "next").exists() and not beside(store.folder, "old").exists()
    assert not (store.folder / DONE).exists()


@pytest.mark.parametrize("step", ["complete", "old moved away", "new in place"])
def test_a_crash_inside_the_exchange_is_finished_at_the_next_opening(make, step):
    store, keys, vectors = make(4)
    fresh = regenerate(store, keys, vectors + 1)
    (fresh.folder / DONE).write_text("{}")
    if step != "complete":
        store.folder.rename(beside(store.folder, "old"))
    if step == "new in place":
        fresh.folder.rename(store.folder)
    assert np.allclose(reopened(store).load(keys), vectors + 1, atol=4e-3)
    assert not beside(store.folder, "old").exists()


def test_an_unfinished_generation_is_never_swapped_in_and_goes_on(make):
    store, keys, vectors = make(4)
    regenerate(store, keys[:2], vectors[:2] + 1)
    assert np.allclose(reopened(store).load(keys), vectors, atol=2e-3)
    assert next_generation(reopened(store)).holds(keys).tolist() == [True, True, False, False]
