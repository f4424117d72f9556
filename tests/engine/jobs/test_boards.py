"""Keeping a rank of a board: the labels and scores that were shown, whatever the method would do a second time."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from engine.clustering.gaussian_mixture import GaussianMixture
from engine.core.errors import InputError
from engine.core.files import read_json, write_json
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import find_encoder
from engine.images.datasets import add_folder
from engine.images.scan import scan
from engine.jobs.tasks.boards import KeepRankRequest, keep_rank
from engine.jobs.tasks.selection import SweepRequest, sweep
from engine.runs.rows import embed_dataset
from engine.selection.sweep.report import load_sweep

SETTINGS = {"algorithms": ["gaussian_mixture"], "max_combinations": 3, "stability": False, "n_jobs": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return (workspace, board folder, rows): 40 pictures for training and 12 for the test, in two colours."""
    place = tmp_path_factory.mktemp("boards")
    workspace = Workspace.open(place / "workspace")
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 12)):
        for number in range(count):
            pixels = rng.integers(0, 60, (24, 24, 3), dtype=np.uint8)
            pixels[..., number % 2] += 150
            folder = place / "photos" / part / ("red", "green")[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    dataset = add_folder(workspace, place / "photos", truth_from_folders=True)
    scan(workspace, dataset.id)
    rows = embed_dataset(workspace, dataset.id, "descriptor", find_encoder("descriptor").settings_class())
    request = {"dataset": dataset.id, "config_key": rows.embedding.config_key, "settings": SETTINGS}
    sweep(workspace, SweepRequest.parse(request | {"folder": str(place / "board")}))
    return workspace, place / "board", rows


@pytest.fixture
def swept(made, tmp_path):
    """Return (workspace, board folder, result, rows), the board a copy of its own."""
    workspace, board, rows = made
    shutil.copytree(board, tmp_path / "board")
    return workspace, tmp_path / "board", load_sweep(tmp_path / "board"), rows


def test_the_run_has_the_labels_and_scores_that_were_shown_and_nothing_is_fitted(swept, monkeypatch):
    workspace, board, result, rows = swept
    row = result.ranked[-1]
    shown = np.random.default_rng(3).integers(3, size=40).astype(np.int32)  # what no method would find again
    np.save(board / row.folder / "cluster_labels.npy", shown)
    monkeypatch.setattr(GaussianMixture, "fit", lambda *_, **__: pytest.fail("it was clustered again"))
    run = keep_rank(workspace, KeepRankRequest(board=str(board), rank=row.rank))
    assert np.array_equal(run.assignments[rows.train], shown)
    assert np.array_equal(run.contents, rows.contents)
    train = run.results["train"]
    assert (train["silhouette"], train["composite"]) == (row.silhouette, row.composite)
    assert run.config["labels_from"] == {"kind": "sweep", "board": str(board), "rank": row.rank, "candidate": row.title}
    assert run.config["method"] == "gaussian_mixture"
    assert run.config["settings"]["n_clusters"] == row.parameters["n_clusters"]
    assert (run.folder / "labels.csv").exists() and run.finished


def test_a_test_part_takes_the_vote_of_its_nearest_images(swept):
    workspace, board, result, rows = swept
    run = keep_rank(workspace, KeepRankRequest(board=str(board)))
    assert "12 images were not on the board" in " ".join(run.results["notes"])
    assert (run.assignments[rows.test] >= 0).all()
    colours = np.array(rows.truth)
    for cluster in np.unique(run.assignments):
        inside = run.assignments == cluster
        first = colours[rows.train][inside[rows.train]]
        if len(set(first)) == 1:
            assert set(colours[inside]) == set(first)
    assert run.results["test"]["accuracy"] is not None


def test_the_confidence_is_the_methods_own(swept):
    workspace, board, result, rows = swept
    run = keep_rank(workspace, KeepRankRequest(board=str(board)))
    sure = np.load(board / result.best.folder / "confidence.npy")
    assert np.array_equal(run.predictions["confidence"][rows.train], sure) and sure.max() > 0


def test_a_board_of_an_older_version_is_kept_too(swept):
    workspace, board, result, rows = swept
    summary = read_json(board / "clustering_summary.json")
    write_json(board / "clustering_summary.json", {name: summary[name] for name in summary if name != "source"})
    (board / "contents.npy").unlink()
    for path in board.glob("rank_*/confidence.npy"):
        path.unlink()
    write_json(board / "config.json", {"dataset": {"id": rows.dataset.id}, "config_key": rows.embedding.config_key})
    run = keep_rank(workspace, KeepRankRequest(board=str(board)))
    assert np.array_equal(run.assignments[rows.train], result.labels(result.best))
    assert np.isnan(run.predictions["confidence"][rows.train]).all()


def test_what_cannot_be_kept_says_why(swept):
    workspace, board, result, _ = swept
    with pytest.raises(InputError, match="no rank 99"):
        keep_rank(workspace, KeepRankRequest(board=str(board), rank=99))
    summary = read_json(board / "clustering_summary.json")
    write_json(board / "clustering_summary.json", summary | {"source": {}})
    with pytest.raises(InputError, match="from a file of vectors"):
        keep_rank(workspace, KeepRankRequest(board=str(board)))
    write_json(board / "clustering_summary.json", summary)
    shutil.rmtree(board / result.best.folder)
    with pytest.raises(InputError, match="were not kept"):
        keep_rank(workspace, KeepRankRequest(board=str(board)))
