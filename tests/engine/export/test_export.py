"""One export by its settings."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from engine.core.csv import read_csv
from engine.core.errors import InputError
from engine.core.settings import controls
from engine.export.export import export, prepare
from engine.export.formats import FORMATS
from engine.export.settings import ExportSettings
from engine.images.vectors import read_vectors


def test_a_table_of_the_labelled_files_alone(scene, tmp_path):
    prepared = prepare(scene.table(), ExportSettings(format="csv", labelled_only=True))
    assert prepared.tree() == [
        "5 images: 5 by the name of their cluster, not looked at one by one.",
        "No audit covers any of these labels.",
        "5 lines, 5 with a label",
    ]
    assert export(prepared, tmp_path / "x.csv").written == 5
    assert set(read_csv(tmp_path / "x.csv")["label"]) == {"cat"}


def test_parquet_with_vectors_that_are_loaded_when_needed(scene, tmp_path):
    prepared = prepare(scene.table(), ExportSettings(format="parquet", vectors=True))
    with pytest.raises(InputError, match="embeddings are not here"):
        export(prepared, tmp_path / "x.parquet")
    export(prepared, tmp_path / "x.parquet", vectors=lambda: np.ones((8, 3), np.float32))
    assert read_vectors(tmp_path / "x.parquet").vectors.shape == (8, 3)


def test_a_split_keeps_groups_and_duplicates_together(scene, tmp_path):
    settings = ExportSettings(format="csv", split=True, train=0.5, val=0.25, test=0.25)
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    table = prepare(scene.table(), settings, groups=groups).table
    for group in range(4):
        assert len({part for part, row in zip(table.split, table.rows, strict=True) if groups[row] == group}) == 1
    alone = prepare(scene.table(), settings).table
    twins = np.flatnonzero(alone.rows == np.bincount(alone.rows).argmax())
    assert len({alone.split[line] for line in twins}) == 1


def test_one_huge_group_is_worth_a_warning(scene):
    table = scene.table().take(np.tile(np.arange(9), 3))
    settings = ExportSettings(split=True)
    (note,) = prepare(table, settings, groups=np.zeros(8, int)).notes
    assert note.startswith("The largest group of near-duplicates holds 27 of 27 files")
    assert prepare(table, settings).notes == ()


def test_files_without_a_label_are_counted_before_they_are_left_out(scene):
    (note,) = prepare(scene.table(), ExportSettings(format="folders")).notes
    assert note == "4 of 9 files have no label and are left out."
    assert prepare(scene.table(), ExportSettings(format="folders", include_unlabelled=True)).notes == ()


def test_folders_need_images(scene, tmp_path):
    settings = ExportSettings(format="yolo", split=True, train=0.5, val=0.5, test=0.0)
    with pytest.raises(InputError, match="no images to write"):
        export(prepare(scene.table(), settings), tmp_path / "other")
    with pytest.raises(InputError, match="train and a val"):
        prepare(scene.table(), ExportSettings(format="yolo"))


def test_every_format_is_offered_and_bad_settings_are_told(scene, tmp_path):
    offered = next(control for control in controls(ExportSettings) if control.name == "format")
    assert set(offered.choices) == set(FORMATS)
    with pytest.raises(InputError, match="format is one of csv, "):
        ExportSettings.parse({"format": "cvs"})
    with pytest.raises(InputError, match="add up to 1"):
        ExportSettings.parse({"split": True, "train": 0.9})
    with pytest.raises(InputError, match="is a folder"):
        export(prepare(scene.table(), ExportSettings()), tmp_path)


def test_settings_need_no_heavy_library():
    code = "import sys, engine.export.export, engine.labels.events, engine.labels.propagation, engine.labels.audit;"
    heavy = "{'torch', 'pandas', 'pyarrow', 'sklearn', 'scipy', 'faiss', 'streamlit'}"
    subprocess.run([sys.executable, "-c", code + f"assert not {heavy} & set(sys.modules), sys.modules"], check=True)
