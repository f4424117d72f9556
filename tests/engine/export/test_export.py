"""One export by its settings."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.core.settings import controls
from engine.export.export import ExportSettings, export, prepare
from engine.export.formats import FORMATS
from engine.export.labels import read_labels
from engine.export.parquet import read_parquet
from engine.images.datasets import find_dataset


def source(scene):
    return find_dataset(scene.workspace, scene.dataset).source()


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_table_is_written_and_read_back(scene, tmp_path, kind):
    prepared = prepare(scene.table(), ExportSettings(format=kind, labelled_only=True))
    assert prepared.tree() == ["5 lines, 5 with a label"]
    report = export(prepared, tmp_path / f"x.{kind}")
    assert report.written == 5
    assert set(read_labels(tmp_path / f"x.{kind}").label) == {"cat"}


def test_parquet_with_vectors_that_are_loaded_when_needed(scene, tmp_path):
    prepared = prepare(scene.table(), ExportSettings(format="parquet", vectors=True))
    with pytest.raises(InputError, match="embeddings are not here"):
        export(prepared, tmp_path / "x.parquet")
    export(prepared, tmp_path / "x.parquet", vectors=lambda: np.ones((8, 3), np.float32))
    assert read_parquet(tmp_path / "x.parquet")[1].shape == (8, 3)


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


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_folders_by_every_format(scene, tmp_path, kind):
    prepared = prepare(scene.table(), ExportSettings(format=kind, split=True, train=0.5, val=0.5, test=0.0))
    report = export(prepared, tmp_path / "out", source=source(scene))
    assert report.written == len(prepared.plan.places) == 5
    with pytest.raises(InputError, match="no images to write"):
        export(prepared, tmp_path / "other")


def test_every_format_is_offered_and_bad_settings_are_told(scene, tmp_path):
    offered = next(control for control in controls(ExportSettings) if control.name == "format")
    assert set(offered.choices) == {"csv", "json", "parquet", *FORMATS}
    with pytest.raises(InputError, match="add up to 1"):
        ExportSettings.parse({"split": True, "train": 0.9})
    with pytest.raises(InputError, match="is a folder"):
        export(prepare(scene.table(), ExportSettings()), tmp_path)


def test_settings_need_no_heavy_library():
    code = "import sys, engine.export.export, engine.labels.events, engine.labels.propagation, engine.labels.audit;"
    heavy = "{'torch', 'pandas', 'pyarrow', 'sklearn', 'scipy', 'faiss', 'streamlit'}"
    subprocess.run([sys.executable, "-c", code + f"assert not {heavy} & set(sys.modules), sys.modules"], check=True)
