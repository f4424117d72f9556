"""What every export format of the registry promises; a new one is tested by its entry alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.core.csv import path_bytes, read_csv
from engine.core.errors import InputError
from engine.core.files import content_id
from engine.core.ids import to_bytes
from engine.core.settings import controls
from engine.export.export import export, prepare
from engine.export.folders import MANIFEST, read_manifest, undo_export
from engine.export.formats import FORMATS, find_format
from engine.export.settings import OPTIONS, ExportSettings
from engine.images.datasets import find_dataset
from engine.labels.proposals import Proposals

from .conftest import NAMES

ALL = pytest.mark.parametrize("entry", list(FORMATS.values()), ids=list(FORMATS))
TABLES = [pytest.param(entry, id=name) for name, entry in FORMATS.items() if entry.is_table]
FOLDERS = [pytest.param(entry, id=name) for name, entry in FORMATS.items() if not entry.is_table]
HOSTILE = '../=cmd|"<b>\u202e\n\u0642\u0637'


def parquet_columns(path):
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pydict()


def json_columns(path):
    images = json.loads(path.read_text(encoding="utf-8"))["images"]
    return {name: [image[name] for image in images] for name in images[0]}


READERS = {".csv": read_csv, ".json": json_columns, ".parquet": parquet_columns}


@pytest.fixture
def table(scene):
    scene.history.rename(scene.state(), 1, HOSTILE)
    scene.history.confirm(scene.state(), np.array([0]))
    state, chance = scene.state(), np.array([0.75], np.float32)
    guess = Proposals(np.array([7]), ["cat"], chance, chance, "propagation", state.version, state.version)
    scene.history.label(state, np.array([6]), None)
    scene.history.reject(scene.state(), np.array([6]))
    scene.history.accept(scene.state(), replace(guess, seen=scene.state().version))
    return scene.table()


def settings(entry, **values):
    split = {"split": True, "train": 0.5, "val": 0.5, "test": 0.0}
    return ExportSettings(format=entry.name, **(split if entry.needs_split else {}), **values)


def source(scene):
    return find_dataset(scene.workspace, scene.dataset).source()


def listing(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@ALL
def test_an_entry_says_what_it_writes(entry):
    assert find_format(entry.name) is entry
    assert entry.title and entry.sentence.endswith(".") and entry.files
    assert entry.is_table == entry.files.startswith(".")
    assert set(entry.options) <= set(OPTIONS) <= set(ExportSettings.model_fields)
    offered = next(control for control in controls(ExportSettings) if control.name == "format")
    assert offered.kind == "choice" and entry.name in offered.choices


@pytest.mark.parametrize("entry", TABLES)
def test_a_table_is_written_whole_and_read_back(scene, table, entry, tmp_path):
    path = tmp_path / f"labels{entry.files}"
    path.write_bytes(b"an older export")
    prepared = prepare(table, settings(entry))
    report = export(prepared, path)
    assert report.written == len(table) and not report.failed
    assert report.by_source == {source: table.source.count(source) for source in report.by_source}
    assert prepared.tree()[0].startswith(f"{len(table)} images: ")
    columns = READERS[entry.files](path)
    assert list(columns) == list(table.columns())
    assert [path_bytes(text) for text in columns["path"]] == table.paths == sorted(NAMES)
    assert columns["content_id"] == table.columns()["content_id"]
    assert [text or None for text in columns["label"]] == table.label
    assert [int(cluster) for cluster in columns["cluster"]] == table.cluster.tolist()
    assert [text or "" for text in columns["status"]] == table.status
    np.testing.assert_allclose(
        [float(number) for number in columns["cluster_confidence"]], table.cluster_confidence, atol=1e-6
    )
    assert columns["label_source"] == table.source
    assert {"by you", "cluster name", "accepted guess", "none"} == set(table.source)
    guessed = [number for number in columns["label_probability"] if number not in (None, "")]
    assert [float(number) for number in guessed] == [0.75]
    assert {number or None for number in columns["audit_bound"]} == {None}
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == [path.name]


@pytest.mark.parametrize("entry", TABLES)
def test_a_table_never_takes_the_place_of_a_folder(table, entry, tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        export(prepare(table, settings(entry)), tmp_path)


@pytest.mark.parametrize("entry", FOLDERS)
def test_images_are_written_once_each_inside_the_target(scene, table, entry, tmp_path):
    before = listing(scene.folder)
    target = tmp_path / "out"
    report = export(prepare(table, settings(entry)), target, source=source(scene))
    labelled = [line for line, label in enumerate(table.label) if label is not None]
    assert report.written == len(labelled) and not report.failed
    written = {str(path).replace("\\", "/"): data for path, data in listing(target).items()}
    entries = read_manifest(target)
    assert {one["place"] for one in entries} | {MANIFEST} == set(written)
    images = [content_id(written[one["place"]]) for one in entries if one["path"] is not None]
    assert sorted(images) == sorted(table.contents[line : line + 1].tobytes() for line in labelled)
    assert len({place.casefold() for place in written}) == len(written)
    assert sum(report.by_source.values()) == len(labelled)
    told = read_csv(target / "labels.csv")
    at = {path: line for line, path in enumerate(table.paths)}
    for file, path, said_by in zip(told["file"], told["path"], told["label_source"], strict=True):
        assert content_id(written[file]).ljust(16, b"\0") == to_bytes(table.contents)[at[path_bytes(path)]]
        assert said_by == table.source[at[path_bytes(path)]]
    assert listing(scene.folder) == before
    assert all(Path(place).parts and ".." not in Path(place).parts for place in written)


@pytest.mark.parametrize("entry", FOLDERS)
def test_nothing_is_overwritten_and_all_can_be_undone(scene, table, entry, tmp_path):
    target = tmp_path / "out"
    prepared = prepare(table, settings(entry))
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        export(prepared, target, source=source(scene))
    assert [path.name for path in target.iterdir()] == ["mine.txt"]
    (target / "mine.txt").unlink()
    export(prepared, target, source=source(scene))
    assert undo_export(target).kept == []
    assert not target.exists()


@pytest.mark.parametrize("entry", FOLDERS)
def test_a_format_that_needs_a_split_says_so_and_the_others_do_without(table, entry):
    if not entry.needs_split:
        assert prepare(table, ExportSettings(format=entry.name)).plan.places
        return
    with pytest.raises(InputError, match="needs a train and a val part"):
        prepare(table, ExportSettings(format=entry.name))
