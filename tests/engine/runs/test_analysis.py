"""An analysis is recomputed from the folder alone, says what it cannot know, and is kept while the run stands."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from engine.clustering.registry import find_method
from engine.core.errors import StorageError
from engine.evaluation.scores import silhouette
from engine.runs.analysis import analyze, distribution, kept_analysis, read_analysis
from engine.runs.fit import cluster
from engine.runs.rows import with_test_fraction
from engine.runs.run import open_run, update_config
from tests.engine.planted import rows_in


@pytest.fixture
def rows(workspace, tmp_path):
    return with_test_fraction(rows_in(workspace, tmp_path, noise=1.0), 0.3)


@pytest.fixture
def run(rows, workspace, tmp_path):
    (tmp_path / "run").mkdir()
    settings = find_method("kmeans").settings_class(n_clusters=3)
    return cluster(workspace, rows, "kmeans", settings, tmp_path / "run")


def test_how_images_spread_over_clusters():
    labels = np.array([0, 0, 0, 2, -1, -1], np.int32)
    found = distribution(labels, 4)
    sizes = np.array([3, 1])
    assert found == {
        "active": 2,
        "empty": 2,
        "mean": 2.0,
        "std": pytest.approx(sizes.std()),
        "min": 1,
        "max": 3,
        "cv": pytest.approx(sizes.std() / 2),
        "noise_share": pytest.approx(2 / 6),
    }


@pytest.mark.parametrize("labels", [np.full(3, -1, np.int32), np.empty(0, np.int32)])
def test_without_any_cluster_every_figure_is_empty_not_zero(labels):
    found = distribution(labels, 2)
    assert (found["active"], found["empty"]) == (0, 2)
    assert found["mean"] is found["min"] is found["cv"] is None
    assert set(found) == set(distribution(np.zeros(2, np.int32), 1))


def test_the_analysis_equals_the_results_of_the_run(run, rows):
    found = analyze(open_run(run.folder), rows)
    for part in ("train", "test"):
        for name in ("accuracy", "nmi", "ari", "random_accuracy", "silhouette", "balance", "composite"):
            assert found[part][name] == pytest.approx(run.results[part][name]), (part, name)
    assert (found["images"], found["classes"], found["method"]) == (90, ["c0", "c1", "c2"], "kmeans")
    json.dumps(found["notes"])


def test_the_scores_are_those_of_the_runs_own_split_and_images(run, rows):
    found = analyze(open_run(run.folder), replace(rows, split=[""] * len(rows)))
    for part in ("train", "test"):
        assert found[part]["silhouette"] == pytest.approx(run.results[part]["silhouette"])
    arrays = {name: values[:60] for name, values in run.predictions.items()}
    np.savez(run.folder / "predictions.npz", **arrays)
    cut = open_run(run.folder)
    train = cut.predictions["split"] != "test"
    expected = silhouette(rows.vectors[:60][train], cut.assignments[train])
    assert analyze(cut, rows)["train"]["silhouette"] == pytest.approx(expected)


def test_without_embeddings_there_is_no_silhouette_and_a_note_says_so(run):
    found = analyze(open_run(run.folder))
    assert "silhouette" not in found["train"]
    assert any("silhouette" in note for note in found["notes"])
    assert found["train"]["accuracy"] == pytest.approx(run.results["train"]["accuracy"])


def test_details_count_every_class_and_cluster(run, rows):
    found = analyze(open_run(run.folder), rows, detailed=True)
    train = run.predictions["split"] != "test"
    labels, truth = run.assignments[train], run.predictions["labels"][train]
    table = np.asarray(found["contingency"])
    assert table.sum() == train.sum() == 63
    assert [row["class"] for row in found["per_class"]] == ["c0", "c1", "c2"]
    for row in found["per_cluster"]:
        own = truth[labels == row["cluster"]]
        assert row["size"] == len(own)
        assert row["purity"] == pytest.approx(max(np.unique(own, return_counts=True)[1]) / len(own))


def test_the_details_of_the_test_part_are_those_of_its_images(run, rows):
    found = analyze(run, rows, detailed=True)
    tested = found["test_details"]
    assert sum(row["size"] for row in tested["per_class"]) == len(rows.test)
    assert np.sum(tested["contingency"]) + np.sum(found["contingency"]) == len(rows)


def test_a_folder_that_may_not_be_written_is_analysed_all_the_same(run, rows, monkeypatch):
    def refuse(path, value):
        raise StorageError(f"No permission to write {path}.")

    monkeypatch.setattr("engine.runs.analysis.write_json", refuse)
    assert kept_analysis(run, rows)["images"] == 90
    assert not (run.folder / "analysis.json").exists()
    assert read_analysis(run) is None


def test_an_analysis_without_the_silhouette_is_made_again_once_there_are_embeddings(run, rows):
    kept_analysis(run)
    assert read_analysis(run) is None
    assert read_analysis(run, silhouette=False)["images"] == 90
    kept_analysis(run, rows)
    assert "silhouette" in read_analysis(run)["train"]


def test_without_truth_there_is_no_agreement(workspace, tmp_path):
    rows = rows_in(workspace, tmp_path, truth=False)
    (tmp_path / "run").mkdir()
    run = cluster(workspace, rows, "kmeans", find_method("kmeans").settings_class(n_clusters=3), tmp_path / "run")
    found = analyze(run, rows, detailed=True)
    assert found["classes"] == []
    assert "accuracy" not in found["train"]
    assert "per_class" not in found
    assert found["test"] is None


def test_the_kept_analysis_is_read_again_until_the_predictions_change(run, rows):
    first = kept_analysis(run, rows)
    path = run.folder / "analysis.json"
    edited = json.loads(path.read_text()) | {"seen": True}
    path.write_text(json.dumps(edited))
    assert kept_analysis(open_run(run.folder), rows)["seen"]
    made = run.folder / "predictions.npz"
    os.utime(made, (path.stat().st_mtime + 5, path.stat().st_mtime + 5))
    again = kept_analysis(open_run(run.folder), rows)
    assert "seen" not in again
    assert again["train"]["accuracy"] == first["train"]["accuracy"]


def test_a_damaged_kept_analysis_is_made_again(run, rows):
    first = kept_analysis(run, rows)
    (run.folder / "analysis.json").write_text('{"torn')
    os.utime(run.folder / "analysis.json")
    assert kept_analysis(run, rows)["train"] == first["train"]
    (run.folder / "analysis.json").write_text("[1]")
    assert kept_analysis(run, rows)["train"] == first["train"]


def test_a_kept_analysis_without_details_is_made_again(run, rows):
    (run.folder / "analysis.json").write_text(json.dumps(analyze(run, rows), default=float))
    assert "per_class" in kept_analysis(run, rows)


def test_an_analysis_made_without_embeddings_is_made_again_when_they_are_there(run, rows):
    kept_analysis(run)
    assert "silhouette" in kept_analysis(run, rows)["train"]
    assert "silhouette" in kept_analysis(run)["train"]


def test_a_run_without_predictions_is_told(run, rows):
    (run.folder / "predictions.npz").unlink()
    with pytest.raises(StorageError, match=r"predictions\.npz"):
        analyze(open_run(run.folder), rows)
    with pytest.raises(StorageError, match=r"predictions\.npz"):
        kept_analysis(open_run(run.folder), rows)


@pytest.mark.parametrize("asked", ["many", None, -3, 2.5, [4]])
def test_an_edited_number_of_clusters_is_read_off_the_labels(run, rows, asked):
    before = analyze(run, rows)["train"]["distribution"]
    update_config(run, resolved={"n_clusters": asked})
    assert analyze(open_run(run.folder), rows)["train"]["distribution"] == before
