"""Parquet: typed columns with nulls, with vectors and without."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.core.errors import InputError
from engine.core.ids import from_hex
from engine.export.settings import ExportSettings
from engine.export.tables import parquet
from engine.images.vectors import read_vectors

WITH = ExportSettings(format="parquet", vectors=True)


def test_vectors_go_with_their_images_in_pieces(scene, tmp_path, rng, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS", 3)
    vectors = rng.normal(size=(8, 5)).astype(np.float32)
    parquet.write(tmp_path / "labels.parquet", scene.table(), WITH, vectors.astype(np.float64))
    found = pq.read_table(tmp_path / "labels.parquet")
    assert found.num_rows == 8, "one line per distinct image"
    contents = from_hex(found.column("ids").to_pylist())
    again = read_vectors(tmp_path / "labels.parquet")
    for line in range(8):
        row = np.flatnonzero(scene.images.contents == contents[line])[0]
        np.testing.assert_array_equal(again.vectors[line], vectors[row])
    assert again.labels == found.column("labels").to_pylist()


def test_an_empty_table_keeps_its_columns(scene, tmp_path):
    empty = scene.table().take(np.zeros(9, bool))
    parquet.write(tmp_path / "labels.parquet", empty, ExportSettings(format="parquet"))
    found = pq.read_table(tmp_path / "labels.parquet")
    assert found.num_rows == 0 and found.column_names == list(empty.columns())


def test_missing_vectors_and_those_of_another_run_are_told(scene, tmp_path):
    with pytest.raises(InputError, match="do not belong"):
        parquet.write(tmp_path / "labels.parquet", scene.table(), WITH, np.ones((2, 3)))
    with pytest.raises(InputError, match="not here"):
        parquet.write(tmp_path / "labels.parquet", scene.table(), WITH)
