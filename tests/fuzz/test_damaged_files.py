"""Damaged files of every kind that Kindred reads: 300 images, 100 or more of each other kind, always the same ones.

KINDRED_FUZZ=10 tries ten times as many, drawn anew each time.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.clustering.deep.checkpoints import list_checkpoints, load_newest, load_tensors, save_checkpoint
from engine.core.catalog import open_catalog
from engine.core.csv import read_csv
from engine.core.ids import pack
from engine.core.workspace import Workspace
from engine.embeddings.store import EmbeddingStore
from engine.images.datasets import list_datasets
from engine.images.decode import decode
from engine.images.tables import files_of, load_images
from engine.images.vectors import read_vectors
from engine.jobs.tasks.upkeep import (
    BackupRequest,
    DoctorRequest,
    RestoreRequest,
    back_up,
    check_workspace,
    restore_library,
)
from engine.labels.events import LabelHistory
from engine.labels.importing.read import read_labels
from engine.labels.importing.settings import ImportSettings
from engine.runs.run import open_run, runs_in
from tests.conftest import SHARED_DATA
from tests.fuzz.mutations import damaged, edits, read_or_refused
from tests.seed import clustered_pictures, coloured_pictures

PLAIN = ImportSettings()
same_folder = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
TIMES = int(os.environ.get("KINDRED_FUZZ", "1"))


def tries(count):
    return settings(
        max_examples=count * TIMES, deadline=None, suppress_health_check=same_folder, derandomize=TIMES == 1
    )


hundred = tries(100)


@cache
def images() -> dict[str, bytes]:
    """Return whole pictures: real photographs where they are, and one of each format."""
    found = {}
    for path in sorted((SHARED_DATA / "clothing_341").glob("*/*.jpg"))[:40:10]:
        found[path.name] = path.read_bytes()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA", "ICO", "QOI", "PCX"):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format)
        found[format] = buffer.getvalue()
    deep, exif = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 250).save(deep, "PNG")
    about = Image.Exif()
    about[0x0112], about[0x0110] = 6, "camera"
    Image.fromarray(pixels).save(exif, "JPEG", exif=about)
    return found | {"deep.png": deep.getvalue(), "exif.jpg": exif.getvalue()}


@tries(300)
@given(which=st.integers(0, 10**6), changes=edits)
def test_images(which, changes):
    name = sorted(images())[which % len(images())]
    data = damaged(images()[name], changes)
    read_or_refused(lambda: decode(data, 256, hashed=8))


CSV = b"file,content_id,label,label_source,confidence\r\n" + b"".join(
    b'"photos/%03d.jpg",%032x,"kind, %d",by you,0.%d\r\n' % (at, at, at % 4, at % 9) for at in range(12)
)


@hundred
@given(
    changes=edits, encoding=st.sampled_from(["utf-8", "utf-16", "cp1252"]), delimiter=st.sampled_from([",", ";", "\t"])
)
def test_csv(tmp_path, changes, encoding, delimiter):
    path = tmp_path / "labels.csv"
    path.write_bytes(damaged(CSV.decode().replace(",", delimiter).encode(encoding), changes))
    read_or_refused(lambda: read_labels(path, PLAIN))
    read_or_refused(lambda: read_csv(path, required=("file",)))


JSON = {
    "coco.json": {
        "images": [{"id": at, "file_name": f"{at}.jpg"} for at in range(4)],
        "annotations": [{"id": at, "image_id": at, "category_id": at % 2} for at in range(4)],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    },
    "studio.json": [
        {
            "data": {"image": f"/data/upload/1/{at}.jpg"},
            "annotations": [{"result": [{"type": "choices", "value": {"choices": ["cat"]}}], "completed_by": 1}],
            "predictions": [{"result": [{"type": "choices", "value": {"choices": ["dog"]}}], "score": 0.5}],
        }
        for at in range(4)
    ],
    "plain.json": {f"{at}.jpg": "cat" for at in range(6)},
    "rows.json": [{"file": f"{at}.jpg", "label": "cat", "confidence": 0.5} for at in range(6)],
    "fiftyone.json": {"classes": ["cat", "dog"], "labels": {f"{at}": at % 2 for at in range(6)}},
}


@tries(200)
@given(which=st.sampled_from(sorted(JSON)), lines=st.booleans(), changes=edits)
def test_json(tmp_path, which, lines, changes):
    document = JSON[which]
    text = "\n".join(map(json.dumps, document)) if lines and isinstance(document, list) else json.dumps(document)
    path = tmp_path / ("labels.jsonl" if lines else "labels.json")
    path.write_bytes(damaged(text.encode(), changes))
    read_or_refused(lambda: read_labels(path, PLAIN))


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.sampled_from(
                    ["file", "label", "images", "annotations", "categories", "data", "result", "value", "choices", "id"]
                    + [
                        "file_name",
                        "image_id",
                        "category_id",
                        "labels",
                        "classes",
                        "predictions",
                        "image",
                        "content_id",
                    ]
                ),
                st.text(max_size=4),
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)


@tries(300)
@given(value=json_values)
def test_json_of_any_shape(tmp_path, value):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(value))
    read_or_refused(lambda: read_labels(path, PLAIN))


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


VECTORS = {
    "vectors": np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32),
    "ids": np.array([f"item {at}" for at in range(8)]),
    "labels": np.array(["a", "b"] * 4),
}


@hundred
@given(changes=edits)
def test_npz(tmp_path, changes):
    path = tmp_path / "vectors.npz"
    path.write_bytes(damaged(npz(**VECTORS), changes))
    read_or_refused(lambda: read_vectors(path))


@hundred
@given(changes=edits)
def test_npy_and_pt(tmp_path, changes):
    buffer, tensors = io.BytesIO(), io.BytesIO()
    np.save(buffer, VECTORS["vectors"])
    torch.save({"features": torch.from_numpy(VECTORS["vectors"])}, tensors)
    for name, data in (("vectors.npy", buffer.getvalue()), ("vectors.pt", tensors.getvalue())):
        (tmp_path / name).write_bytes(damaged(data, changes))
        read_or_refused(lambda name=name: read_vectors(tmp_path / name))


@cache
def parquet(*names: str) -> bytes:
    buffer = io.BytesIO()
    columns = {"vectors": VECTORS["vectors"].tolist(), "ids": VECTORS["ids"].tolist(), "labels": list("abababab")}
    columns |= {"file": [f"{at}.jpg" for at in range(8)], "label": list("abababab")}
    pq.write_table(pa.table({name: columns[name] for name in names}), buffer)
    return buffer.getvalue()


@hundred
@given(changes=edits)
def test_parquet(tmp_path, changes):
    path = tmp_path / "table.parquet"
    path.write_bytes(damaged(parquet("vectors", "ids", "labels"), changes))
    read_or_refused(lambda: read_vectors(path))
    path.write_bytes(damaged(parquet("file", "label"), changes))
    read_or_refused(lambda: read_labels(path, PLAIN))


@hundred
@given(changes=edits, which=st.booleans())
def test_checkpoints(tmp_path, changes, which):
    folder = tmp_path / "checkpoints"
    shutil.rmtree(folder, ignore_errors=True)
    payload = {"method": "toy", "settings": "{}", "data": "x", "step": 3, "model": {"w": torch.arange(6.0)}}
    for epoch in (1, 2):
        save_checkpoint(folder, epoch, payload, optimiser={"state": torch.ones(3)})
    newest = list_checkpoints(folder)[0][1]
    hit = newest if which else newest.with_name(newest.name.replace("checkpoint_", "optimiser_", 1))
    hit.write_bytes(damaged(hit.read_bytes(), changes))
    read_or_refused(lambda: load_tensors(hit))
    read_or_refused(lambda: load_newest(folder, method="toy", settings={}, data="x", defaults={}))


@hundred
@given(changes=edits, which=st.sampled_from(["shard-000001.npy", "shard-000001.keys", "config.json"]))
def test_shards(tmp_path, changes, which):
    folder = tmp_path / "store"
    shutil.rmtree(folder, ignore_errors=True)
    store = EmbeddingStore(folder, {"dtype": "float16"})
    keys = pack(np.random.default_rng(0).bytes(16 * 12))
    store.append(keys[:6], np.ones((6, 4)))
    store.append(keys[6:], np.ones((6, 4)))
    (folder / which).write_bytes(damaged((folder / which).read_bytes(), changes))

    def use():
        found = EmbeddingStore(folder)
        found.append(keys, np.ones((12, 4)))
        again = EmbeddingStore(folder)
        again.load(again.keys())

    read_or_refused(use)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """A workspace with pictures, a run and labels, its catalog in one file."""
    place = tmp_path_factory.mktemp("seeded")
    workspace = Workspace.open(place / "workspace")
    rows, run = clustered_pictures(workspace, coloured_pictures(place / "photos", 12))
    history = LabelHistory(workspace, rows.dataset.id)
    history.rename(history.state(rows.contents, run.assignments, run=run.folder.name), 0, "first")
    db = sqlite3.connect(workspace.catalog)
    db.execute(f"VACUUM INTO '{place / 'catalog.sqlite'}'")
    db.close()
    return place, run.folder


@hundred
@given(changes=edits)
def test_catalogs(tmp_path, seeded, changes):
    place, _ = seeded
    shutil.rmtree(tmp_path / "w", ignore_errors=True)
    workspace = Workspace.open(tmp_path / "w")
    workspace.catalog.write_bytes(damaged((place / "catalog.sqlite").read_bytes(), changes))

    def look():
        for dataset in list_datasets(workspace):
            load_images(workspace, dataset.id)
            files_of(workspace, dataset.id)
            LabelHistory(workspace, dataset.id).events()

    read_or_refused(look)
    check_workspace(workspace, DoctorRequest(mend=True))

    def write():
        with open_catalog(workspace.catalog, write=True) as db:
            db.execute("UPDATE dataset SET name = 'x'")

    read_or_refused(write)


@hundred
@given(changes=edits, which=st.sampled_from(["config.json", "results.json", "predictions.npz"]))
def test_runs(tmp_path, seeded, changes, which):
    _, source = seeded
    folder = tmp_path / "runs" / "one"
    shutil.rmtree(folder.parent, ignore_errors=True)
    shutil.copytree(source, folder)
    (folder / which).write_bytes(damaged((folder / which).read_bytes(), changes))

    def look():
        run = open_run(folder)
        for what in ("results", "contents", "assignments", "name", "method", "dataset", "tags", "created"):
            getattr(run, what)

    read_or_refused(look)
    runs_in(folder.parent)


@hundred
@given(changes=edits)
def test_backups(tmp_path, seeded, changes):
    place, _ = seeded
    whole = place / "backup.zip"
    if not whole.exists():
        back_up(Workspace(place / "workspace"), BackupRequest(file=str(whole)))
    (tmp_path / "b.zip").write_bytes(damaged(whole.read_bytes(), changes))
    shutil.rmtree(tmp_path / "w", ignore_errors=True)
    workspace = Workspace.open(tmp_path / "w")
    sentence = read_or_refused(lambda: restore_library(workspace, RestoreRequest(file=str(tmp_path / "b.zip"))))
    if sentence:
        assert [path for path in workspace.root.rglob("*") if path.is_file()] == []
    else:
        assert check_workspace(workspace, DoctorRequest()).library.findings == []


def test_columns_of_any_length_are_told_in_one_short_sentence(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(",".join(f"{at}{'x' * 500}" for at in range(40)) + "\na.jpg" + ",1" * 39 + "\n")
    sentence = read_or_refused(lambda: read_labels(path, PLAIN))
    assert "and 28 more" in sentence
