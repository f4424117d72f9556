"""Whatever a person gives wrongly ends with status 2 and a sentence that says what and where, never a traceback."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from engine.jobs import job as jobs
from tests.engine.commands.conftest import blobs


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_no_command_and_an_unknown_one(refused):
    assert "command" in refused()
    assert "runn" in refused("runn")


def test_no_data_and_two_kinds_of_data(refused, vectors):
    assert "--dataset, --folder or --vectors" in refused("run")
    assert "--dataset, --folder or --vectors" in refused("run", "--dataset", "digits", "--vectors", vectors)


def test_an_unknown_method_encoder_flag_or_benchmark_set(refused, vectors, tmp_path):
    assert "kmeans" in refused("run", "--vectors", vectors, "--method", "kmean")
    assert "descriptor" in refused("run", "--folder", tmp_path, "--encoder", "clipp")
    assert "--colour" in refused("run", "--vectors", vectors, "--colour", "red")
    assert "--n-neighbors" in refused("run", "--vectors", vectors, "--method", "kmeans", "--n-neighbors", 5)
    sentence = refused("run", "--dataset", "digit")
    assert "digit" in sentence
    assert "digits" in sentence


def test_a_flag_without_its_value_and_an_empty_path(refused, tmp_path):
    assert "--method: expected one argument" in refused("run", "--dataset", "digits", "--method")
    assert "--resume-from: expected one argument" in refused("run", "--resume-from")
    for flag in ("--folder", "--vectors", "--workspace", "--results-dir"):
        assert f"{flag}: the path is empty" in refused("run", "--dataset", "digits", flag, "")
    assert "model" in refused("run", "--dataset", "digits", "--encoder", "clip", "--encoder-model", "")


def test_a_colour_that_is_none(refused, tmp_path):
    assert "six hex digits" in refused("embed", "--folder", tmp_path, "--preprocess-fill", "red")


def test_a_job_that_is_none_leaves_nothing_and_a_failed_one_says_why(refused, workspace, tmp_path):
    assert "config.json" in refused("job", tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    assert "Name" in refused("job")
    folder = jobs.create(workspace.jobs, "scan", "Reading", {"dataset": {"id": "gone"}})
    assert "There is no data set 'gone'" in refused("job", folder)


def test_a_flag_is_never_guessed_from_its_beginning(refused, vectors):
    assert "--num-cluster" in refused("run", "--vectors", vectors, "--num-cluster", 4)


@pytest.mark.parametrize(
    ("value", "words"),
    [("many", "many"), ("0", "n_clusters"), ("-3", "n_clusters"), ("2.5", "2.5"), ("nan", "nan")],
)
def test_a_number_that_is_none_or_out_of_bounds(refused, vectors, value, words):
    assert words in refused("run", "--vectors", vectors, "--num-clusters", value)


def test_more_clusters_than_images(refused, tmp_path):
    path = write(tmp_path / "few.npz", vectors=blobs(6)[0])
    sentence = refused("run", "--vectors", path, "--num-clusters", 7, "--results-dir", tmp_path / "out")
    assert "7 clusters" in sentence
    assert "6 images" in sentence
    assert list((tmp_path / "out").iterdir()) == []  # no run folder of a run that never was


def test_an_empty_a_missing_and_a_file_for_a_folder(refused, tmp_path, vectors):
    (tmp_path / "empty").mkdir()
    assert f"Give the folder as `--folder {tmp_path / 'empty'}`." in refused("run", tmp_path / "empty")
    assert "no" in refused("run", "--folder", tmp_path / "empty").lower()
    assert "nowhere" in refused("run", "--folder", tmp_path / "nowhere")
    assert vectors.name in refused("run", "--folder", vectors)


def test_a_folder_without_one_readable_image(refused, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("text")
    assert "readable" in refused("run", "--folder", tmp_path / "photos")


def test_a_folder_that_may_not_be_read(refused, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "a.png")

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path / "photos"))

    monkeypatch.setattr(os, "scandir", denied)
    assert "photos" in refused("run", "--folder", tmp_path / "photos")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_whose_permissions_forbid_it(refused, tmp_path):
    (tmp_path / "photos").mkdir(mode=0o000)
    assert "photos" in refused("run", "--folder", tmp_path / "photos")


def test_vectors_with_nan_name_the_row(refused, tmp_path):
    rows = blobs()[0]
    rows[17, 3] = np.nan
    sentence = refused("run", "--vectors", write(tmp_path / "bad.npz", vectors=rows))
    assert "NaN" in sentence
    assert "17" in sentence


def test_ids_that_do_not_match_the_vectors(refused, tmp_path):
    rows = blobs()[0]
    few = write(tmp_path / "few.npz", vectors=rows, ids=["a", "b"])
    twice = write(tmp_path / "twice.npz", vectors=rows, ids=["a"] * len(rows))
    assert "ids" in refused("run", "--vectors", few)
    assert "more than once" in refused("run", "--vectors", twice)


def test_vector_files_that_are_none(refused, tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "table.csv").write_text("1,2")
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    assert "text.npz" in refused("run", "--vectors", tmp_path / "text.npz")
    assert "table.csv" in refused("run", "--vectors", tmp_path / "table.csv")
    assert "objects.npy" in refused("run", "--vectors", tmp_path / "objects.npy")
    assert "missing.npz" in refused("run", "--vectors", tmp_path / "missing.npz")
    assert "vectors" in refused("run", "--vectors", write(tmp_path / "other.npz", rows=blobs()[0]))


def test_results_that_would_lie_in_a_file_are_refused_before_any_work(refused, vectors, tmp_path):
    (tmp_path / "taken").write_text("a file")
    assert "taken" in refused("run", "--vectors", vectors, "--results-dir", tmp_path / "taken")
    assert "taken" in refused("run", "--vectors", vectors, "--results-dir", tmp_path / "taken" / "below")
    assert (tmp_path / "taken").read_text() == "a file"


def test_a_workspace_that_is_a_file(refused, vectors, tmp_path):
    (tmp_path / "taken").write_text("a file")
    assert "taken" in refused("run", "--vectors", vectors, "--workspace", tmp_path / "taken")


def test_weights_that_are_not_here_are_told_with_file_and_place(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "a.png")
    sentence = refused("run", "--folder", tmp_path / "photos", "--encoder", "clip", "--method", "hdbscan")
    assert "ViT-B-32" in sentence or "open_clip" in sentence
    assert "/" in sentence  # a file and its place
    assert "descriptor" not in sentence.lower()  # never another encoder instead


def test_a_test_fraction_that_is_none(refused, vectors):
    assert "between 0 and 1" in refused("run", "--vectors", vectors, "--test-fraction", 1.5)
    assert "between 0 and 1" in refused("run", "--vectors", vectors, "--test-fraction", 0)


@pytest.mark.parametrize("command", ["analyze", "pseudo-label", "distil"])
def test_a_folder_that_is_no_run(refused, tmp_path, command):
    assert "config.json" in refused(command, tmp_path)
    assert "config.json" in refused(command, tmp_path / "nowhere")


def test_a_run_that_does_not_exist_cannot_be_resumed(refused, tmp_path):
    assert "config.json" in refused("run", "--resume-from", tmp_path / "nowhere")


def test_a_device_that_is_not_there(refused, vectors):
    assert "cuda" in refused("run", "--vectors", vectors, "--device", "cudda")


def test_a_full_disk_is_one_sentence(refused, vectors, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert "disk is full" in refused("run", "--vectors", vectors, "--results-dir", tmp_path / "out")


def test_the_real_process_prints_one_sentence_and_ends_with_2(workspace, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "engine", "run", "--folder", str(tmp_path / "nowhere")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere" in done.stderr
