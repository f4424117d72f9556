"""On the command line: a photo manager's edit, a moved folder, links, exclusions and an export of nothing."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.core.workspace import Workspace
from engine.labels.events import LabelHistory
from engine.runs.rows import align, rows_of_run
from engine.runs.run import open_run
from tests.engine.images.pictures import encoded, write
from tests.engine.images.test_identity import captioned, photograph


@pytest.fixture
def labelled(engine, tmp_path):
    """A run over 24 JPEGs in two folders, each image with its folder's name as label; returns folder and run."""
    root = tmp_path / "photos"
    for at in range(24):
        name = "cats" if at % 2 else "dogs"
        write(root / name / f"{at:02}.jpg", encoded(photograph(at, 64, 48), "JPEG", quality=90))
    words = ("--encoder", "descriptor", "--method", "kmeans", "--num-clusters", 2, "--results-dir", tmp_path / "runs")
    run = open_run(Path(engine("run", "--folder", root, *words).last))
    workspace = Workspace.open()
    rows = rows_of_run(workspace, run)
    history = LabelHistory(workspace, run.dataset)
    state = history.state(rows.contents, align(run, rows)[0], run=run.folder.name)
    history.label(state, np.arange(len(rows)), [path.split(b"/")[0].decode() for path in rows.paths])
    return root, run.folder


def labels_of(engine, run, tmp_path) -> dict[str, str]:
    target = tmp_path / "labels.csv"
    ended = engine("export", run, "--output", target)
    assert ended.status == 0, ended.err
    return {line["path"]: line["label"] for line in csv.DictReader(target.open(encoding="utf-8-sig"))}


def test_labels_stay_through_an_edit_and_a_move_and_tables_need_no_folder(engine, refused, labelled, tmp_path):
    root, run = labelled
    expected = {os.fspath(path.relative_to(root)): path.parent.name for path in root.rglob("*.jpg")}
    assert labels_of(engine, run, tmp_path) == expected
    for path in root.rglob("*.jpg"):
        path.write_bytes(captioned(path.read_bytes()))
    assert "24 images were changed by another program" in engine("scan", "--folder", root).err
    assert labels_of(engine, run, tmp_path) == expected
    moved = root.rename(tmp_path / "moved")
    assert labels_of(engine, run, tmp_path) == expected  # no image is needed
    assert "cannot be found" in refused("export", run, "--format", "folders", "--output-dir", tmp_path / "out")
    offer = engine("scan", "--folder", moved).err
    assert "known as 'photos' (24 images)" in offer
    assert f"python -m engine relocate {root} {moved}" in offer
    ended = engine("relocate", root, moved)
    assert ended.status == 0 and ended.last == open_run(run).dataset
    assert labels_of(engine, run, tmp_path) == expected
    ended = engine("export", run, "--format", "folders", "--output-dir", tmp_path / "out")
    assert "24 images written" in ended.err
    assert len(list((tmp_path / "out" / "cats").iterdir())) == 12
    shutil.rmtree(Workspace.open().cache / "embeddings")
    assert labels_of(engine, run, tmp_path) == expected  # a table needs no vectors either


def test_an_export_of_nothing_is_refused_with_its_reason(engine, refused, labelled, tmp_path):
    root, run = labelled
    for path in root.rglob("*.jpg"):
        Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).point(lambda value: value // 2).save(path)
    assert "24 images have changed in the pixels" in engine("scan", "--folder", root).err
    told = refused("export", run, "--output", tmp_path / "a.csv")
    assert told.startswith("There is nothing to export. 24 images have changed in the pixels since")
    assert "--keep-labels" in told
    assert "labels kept" in engine("scan", "--folder", root, "--keep-labels").err
    assert len(labels_of(engine, run, tmp_path)) == 24
    shutil.rmtree(root)
    write(root / "new.jpg", encoded(photograph(99), "JPEG"))
    engine("scan", "--folder", root)
    assert "24 of 24 images of this run are not in the data set any more" in refused("export", run, "--format", "csv")


def test_a_part_of_the_run_that_is_gone_is_said(engine, labelled, tmp_path):
    root, run = labelled
    (root / "cats" / "01.jpg").unlink()
    engine("scan", "--folder", root)
    ended = engine("export", run, "--output", tmp_path / "a.csv")
    assert ended.status == 0 and "1 of 24 images of this run is not in the data set any more." in ended.err


def test_what_is_read_is_a_flag_of_every_command_that_reads_a_folder(engine, tmp_path):
    root = tmp_path / "p"
    write(root / "a.jpg", encoded(photograph(1), "JPEG"))
    write(root / "thumbs" / "b.jpg", encoded(photograph(2), "JPEG"))
    write(tmp_path / "store" / "c", encoded(photograph(3), "JPEG"))
    (root / "c.jpg").symlink_to(tmp_path / "store" / "c")
    write(root / "film.mov", b"")
    ended = engine("scan", "--folder", root, "--exclude", "thumbs")
    assert "2 files, 1 readable" in ended.err and "1 file left out: 1 thumbs." in ended.err
    assert "1 other file left alone: 1 .mov." in ended.err
    assert "2 files, 2 readable" in engine("scan", "--folder", root, "--follow-links").err  # thumbs stays out
    assert "3 files, 3 readable" in engine("scan", "--folder", root, "--exclude", "").err
    for command in ("run", "embed", "sweep", "experiment"):
        with pytest.raises(SystemExit):
            engine(command, "--help")
