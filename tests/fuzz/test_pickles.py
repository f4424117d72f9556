"""A pickle that would write a file lies in every place where a pickle could lie: nothing ever runs it."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.clustering.deep.checkpoints import load_newest, load_tensors
from engine.core.errors import KindredError
from engine.core.files import load_array
from engine.core.ids import pack
from engine.embeddings.store import EmbeddingStore
from engine.geometry.neighbors import kept_graph
from engine.images.vectors import read_features, read_vectors
from engine.jobs.tasks.upkeep import DoctorRequest, check_workspace
from engine.runs.run import open_run
from tests.seed import clustered_pictures, coloured_pictures


class Evil:
    """What runs when it is unpickled: it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "it ran"


@pytest.fixture
def planted(tmp_path, mark):
    """Files that hold the pickle, by name."""
    folder = tmp_path / "planted"
    folder.mkdir()
    evil = np.array([Evil(mark)], dtype=object)
    np.savez(folder / "vectors.npz", vectors=evil)
    np.savez(folder / "ids.npz", vectors=np.ones((1, 2)), ids=evil, labels=evil)
    np.save(folder / "array.npy", evil, allow_pickle=True)
    (folder / "bare.npy").write_bytes(pickle.dumps(Evil(mark)))
    (folder / "bare.npz").write_bytes(pickle.dumps(Evil(mark)))
    torch.save({"format": 1, "features": Evil(mark)}, folder / "zip.pt")
    torch.save({"format": 1, "features": Evil(mark)}, folder / "old.pt", _use_new_zipfile_serialization=False)
    (folder / "bare.pt").write_bytes(pickle.dumps({"format": 1, "features": Evil(mark)}))
    with zipfile.ZipFile(folder / "hand.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil(mark)))
        archive.writestr("archive/version", "3")
    return folder


def test_the_pickle_does_run_where_it_is_unpickled(planted, mark):
    """The trap works: otherwise the others would show nothing."""
    pickle.loads((planted / "bare.pt").read_bytes())
    assert mark.exists()


NAMES = ["vectors.npz", "ids.npz", "array.npy", "bare.npy", "bare.npz", "zip.pt", "old.pt", "bare.pt", "hand.pt"]


@pytest.mark.parametrize("name", NAMES)
def test_vector_files(planted, mark, name):
    for read in (read_vectors, read_features):
        with pytest.raises(KindredError):
            read(planted / name)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["zip.pt", "old.pt", "bare.pt", "hand.pt"])
def test_checkpoints(planted, mark, tmp_path, name):
    with pytest.raises(KindredError):
        load_tensors(planted / name)
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(planted / name, tmp_path / "checkpoints" / "checkpoint_epoch3.pt")
    with pytest.raises(KindredError):
        load_newest(tmp_path / "checkpoints", method="toy", settings={}, data="", defaults={})
    assert not mark.exists()


@pytest.mark.parametrize("name", ["array.npy", "bare.npy"])
def test_arrays_shards_and_graphs(planted, mark, workspace, name):
    with pytest.raises(KindredError):
        load_array(planted / name)
    with pytest.raises(KindredError):
        load_array(planted / name, mapped=False)
    store = EmbeddingStore(workspace.embeddings("a" * 32), {"dtype": "float16"})
    store.append(pack(bytes(range(16))), np.ones((1, 3)))
    shutil.copy(planted / name, store.folder / "shard-000000.npy")
    assert EmbeddingStore(store.folder).damaged
    graph = workspace.neighbors("b" * 32)
    graph.mkdir(parents=True)
    (graph / "meta.json").write_text('{"layout": 1, "n": 1, "k": 1, "recall": 1}')
    for part in ("indices.npy", "similarities.npy"):
        shutil.copy(planted / name, graph / part)
    assert kept_graph(workspace, "b" * 32, 1) is None
    check_workspace(workspace, DoctorRequest(mend=True))
    assert not mark.exists()


@pytest.mark.parametrize("name", ["vectors.npz", "bare.npz"])
def test_runs(planted, mark, workspace, tmp_path, name):
    _, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "photos", 12))
    evil = np.array([Evil(mark)] * 12, dtype=object)
    if name == "vectors.npz":
        arrays = dict(np.load(run.folder / "predictions.npz"))
        np.savez(run.folder / "predictions.npz", **arrays | {"paths": evil})
    else:
        shutil.copy(planted / name, run.folder / "predictions.npz")
    with pytest.raises(KindredError):
        open_run(run.folder).contents  # noqa: B018
    check_workspace(workspace, DoctorRequest(mend=True))
    assert not mark.exists()
