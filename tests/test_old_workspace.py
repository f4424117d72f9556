"""A workspace that an earlier Kindred wrote (November 2026, before the rooms) opens whole: nothing in it is lost.

tests/data/workspace-2026-11.zip holds two data sets (48 pictures in four colours, 150 vectors), a k-means run with
labels, an HDBSCAN run, a sweep, a count, and a TEMI run that was killed after epoch 65 with its checkpoint. Beside it
lie the arrays that the code of that day read from it or made by resuming it.
"""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from engine.core.ids import positions
from engine.core.workspace import Workspace
from engine.images.datasets import list_datasets
from engine.images.tables import load_images
from engine.images.thumbnails import thumbnail
from engine.jobs.job import list_jobs, start, status
from engine.labels.events import LabelHistory
from engine.runs.rows import align, load_rows, rows_of_run
from engine.runs.run import list_runs, open_run
from engine.selection.sweep.report import load_sweep

ARCHIVE = Path(__file__).parent / "data" / "workspace-2026-11.zip"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path)
    return tmp_path


@pytest.fixture
def workspace(old: Path) -> Workspace:
    return Workspace.open(old / "workspace")


def test_data_sets_images_and_thumbnails_are_there(workspace):
    datasets = {dataset.name: dataset for dataset in list_datasets(workspace)}
    assert {name: dataset.kind for name, dataset in datasets.items()} == {"pictures": "folder", "vectors": "vectors"}
    table = load_images(workspace, datasets["pictures"].id)
    assert len(table.contents) == 48
    assert sorted({path.split(b"/")[0] for path in table.paths}) == [f"colour {c}".encode() for c in range(4)]
    assert thumbnail(workspace, int(table.ids[0])) is not None


def test_labels_replay_as_they_were(old, workspace):
    run = next(run for run in list_runs(workspace) if run.config["method"] == "kmeans")
    rows = rows_of_run(workspace, run)
    labels, _ = align(run, rows)
    state = LabelHistory(workspace, rows.dataset.id).state(rows.contents, labels, run=run.folder.name)
    expected = np.load(old / "expected_labels.npz")
    at = positions(rows.contents, expected["contents"])
    assert (at >= 0).all()
    np.testing.assert_array_equal(state.cluster[at], expected["cluster"])
    np.testing.assert_array_equal(state.status[at], expected["status"])
    assert state.source_counts == {"by you": 4, "cluster name": 18, "accepted guess": 0, "none": 26}
    red = np.array([label == "red ones" for label in state.labels])
    np.testing.assert_allclose(state.bound[red], 1 - 3 / 8)  # 11 were audited, at most 3 wrong; 3 were labelled by hand
    assert np.isnan(state.bound[~red]).all()
    names = [*state.label_names, None]
    before = [*expected["names"].tolist(), None]
    assert [names[code] for code in state.codes[at]] == [before[code] for code in expected["codes"]]


def test_runs_and_jobs_are_listed(workspace):
    assert {run.config["method"] for run in list_runs(workspace)} == {"kmeans", "hdbscan"}
    states = {job.task: job.state for job in list_jobs(workspace)}
    assert states["sweep"] == states["count"] == states["scan"] == states["embed"] == "done"


def test_the_sweep_board_opens(workspace):
    job = next(job for job in list_jobs(workspace) if job.task == "sweep")
    board = load_sweep(job.folder)
    assert len(board.ranked) == 9
    assert board.ranked[0].title.startswith("dbscan")


def test_a_killed_training_resumes_to_the_same_labels(old, workspace):
    folder = next(workspace.runs.glob("temi_*"))
    assert status(folder).state == "interrupted"
    start(workspace, folder)
    for _ in range(1200):
        if (job := status(folder)).state in ("done", "failed"):
            break
        time.sleep(0.1)
    assert job.state == "done", job.sentence
    run, expected = open_run(folder), np.load(old / "expected_temi.npz")
    assert run.predictions["ids"].tolist() == expected["ids"].tolist()
    np.testing.assert_array_equal(run.assignments, expected["assignments"])
    assert len(load_rows(workspace, run.dataset, run.config["config_key"])) == 150
