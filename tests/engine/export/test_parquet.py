"""Parquet: what is written comes back, with vectors and without."""

from __future__ import annotations

import numpy as np
import pytest

import engine.export.parquet as parquet
from engine.core.errors import InputError, StorageError
from engine.export.parquet import read_parquet, write_parquet
from engine.images.vectors import read_vectors


def same(found, table):
    assert found.paths == table.paths
    assert found.label == table.label
    assert found.status == table.status
    np.testing.assert_array_equal(found.contents, table.contents)
    np.testing.assert_array_equal(found.cluster, table.cluster)
    np.testing.assert_array_equal(found.confidence, table.confidence)
    np.testing.assert_array_equal(np.isnan(found.audit_bound), np.isnan(table.audit_bound))


def test_labels_round_trip(scene, tmp_path):
    table = scene.table()
    write_parquet(tmp_path / "labels.parquet", table)
    found, vectors = read_parquet(tmp_path / "labels.parquet")
    assert vectors is None
    same(found, table)


def test_vectors_go_with_their_images_in_pieces(scene, tmp_path, rng, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS", 3)
    table = scene.table()
    vectors = rng.normal(size=(8, 5)).astype(np.float32)
    write_parquet(tmp_path / "labels.parquet", table, vectors=vectors.astype(np.float64))
    found, back = read_parquet(tmp_path / "labels.parquet")
    assert len(found) == 8, "one line per distinct image"
    for line in range(8):
        row = np.flatnonzero(scene.images.contents == found.contents[line])[0]
        np.testing.assert_array_equal(back[line], vectors[row])
    again = read_vectors(tmp_path / "labels.parquet")
    np.testing.assert_array_equal(again.vectors, back)
    assert again.labels == found.label


def test_an_empty_table(scene, tmp_path):
    write_parquet(tmp_path / "labels.parquet", scene.table().take(np.zeros(9, bool)))
    found, _ = read_parquet(tmp_path / "labels.parquet")
    assert len(found) == 0


def test_what_does_not_fit_or_is_no_parquet_is_told(scene, tmp_path):
    with pytest.raises(InputError, match="do not belong"):
        write_parquet(tmp_path / "labels.parquet", scene.table(), vectors=np.ones((2, 3)))
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(StorageError):
        read_parquet(tmp_path / "x.parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="lacks the column"):
        read_parquet(tmp_path / "other.parquet")
