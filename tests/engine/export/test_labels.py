"""The label table: one line per file, and its files read back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.core.csv import read_csv
from engine.core.errors import InputError
from engine.export.labels import label_table, read_labels, write_labels_csv, write_labels_json

from .conftest import NAMES


def test_every_readable_file_has_a_line_and_duplicates_share_a_row(scene):
    table = scene.table()
    assert table.paths == sorted(NAMES)
    assert len(table) == 9
    twins = [table.paths.index(name) for name in (b"a/one.png", b"copy of one.png")]
    assert table.rows[twins[0]] == table.rows[twins[1]]
    assert table.label[twins[0]] == table.label[twins[1]]
    for at, row in enumerate(table.rows.tolist()):
        assert table.cluster[at] == scene.clusters[row]
        assert table.label[at] == ("cat" if scene.clusters[row] == 0 else None)
        assert table.contents[at] == scene.images.contents[row]


def test_the_state_gives_the_clusters_and_without_it_the_run_does(scene):
    scene.history.reject(scene.state(), np.array([0]))
    scene.history.audit(scene.state(), 0, checked=3, wrong=0)
    table = scene.table()
    assert table.cluster[table.rows == 0].tolist() == [-1] * int((table.rows == 0).sum())
    assert table.status[table.rows.tolist().index(0)] == "rejected"
    assert (table.audit_bound[table.cluster == 0] == 1).all()
    plain = label_table(scene.workspace, scene.dataset, scene.images.contents, scene.clusters)
    np.testing.assert_array_equal(plain.cluster, scene.clusters[plain.rows])
    assert [label for label, row in zip(plain.label, plain.rows, strict=True) if row in (1, 2, 3)].count("cat") >= 3


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_written_labels_are_read_back(scene, tmp_path, kind):
    scene.history.rename(scene.state(), 1, '=a,"b"/\u0642\u0637')
    table = scene.table()
    path = tmp_path / f"labels.{kind}"
    {"csv": write_labels_csv, "json": write_labels_json}[kind](path, table)
    found = read_labels(path)
    assert found.paths == table.paths
    np.testing.assert_array_equal(found.contents, table.contents)
    np.testing.assert_array_equal(found.cluster, table.cluster)
    assert found.label == table.label
    assert found.status == table.status
    np.testing.assert_allclose(found.confidence, table.confidence, atol=1e-6)
    np.testing.assert_array_equal(np.isnan(found.audit_bound), np.isnan(table.audit_bound))


def test_the_columns_of_the_csv(scene, tmp_path):
    write_labels_csv(tmp_path / "labels.csv", scene.table())
    columns = read_csv(tmp_path / "labels.csv")
    assert list(columns) == ["path", "content_id", "cluster", "label", "confidence", "status", "audit_bound"]
    assert b"=cmd.png" not in [line.split(b",")[0] for line in (tmp_path / "labels.csv").read_bytes().split(b"\r\n")]


def test_missing_values_are_null_in_json(scene, tmp_path):
    write_labels_json(tmp_path / "labels.json", scene.table())
    found = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    assert found["format"] == 1
    assert {image["label"] for image in found["images"]} == {"cat", None}
    assert {image["audit_bound"] for image in found["images"]} == {None}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "path,content_id,cluster,label\r\na,zz,0,cat\r\n"),
        ("x.csv", "path,content_id,cluster,label\r\na,,one,cat\r\n"),
        ("x.csv", "path,label\r\na,cat\r\n"),
        ("x.json", "[]"),
        ("x.json", '{"images": [{"path": "a"}]}'),
    ],
)
def test_hand_edited_files_are_refused_with_a_sentence(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError):
        read_labels(tmp_path / name)


def test_arrays_of_different_lengths_are_refused(scene):
    with pytest.raises(InputError, match="differ in number"):
        label_table(scene.workspace, scene.dataset, scene.images.contents, scene.clusters[:3])
