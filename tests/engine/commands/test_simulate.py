"""`simulate`: curves and figures of runs whose truth is known; the labels of the workspace stay as they are."""

import csv
import json
from pathlib import Path

import numpy as np

from engine.core.workspace import Workspace
from engine.labels.log import EventLog


def test_simulate_prints_figures_and_writes_every_point(engine, workspace, vectors, tmp_path):
    ran = engine(
        "run", "--vectors", vectors, "--method", "kmeans", "--num-clusters", 4, "--results-dir", tmp_path / "r"
    )
    run = Path(ran.last)
    ended = engine("simulate", run, "--error-rate", 0, 0.05, "--seeds", 2, "--csv", tmp_path / "out" / "curve.csv")
    assert ended.status == 0, ended.err
    assert ended.last == str(tmp_path / "out" / "curve.csv")
    assert "guided: 13.33 right labels per click at 95% precision" in ended.err  # 120 images for 1 + 4 * 2 clicks
    with (tmp_path / "out" / "curve.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["way"] for line in lines} == {"guided", "one by one", "k-means, one name a cluster"}
    assert {(line["error_rate"], line["seed"]) for line in lines} == {
        ("0.0", "0"),
        ("0.0", "1"),
        ("0.05", "0"),
        ("0.05", "1"),
    }
    kept = json.loads((run / "simulation.json").read_text())
    assert kept["settings"]["error_rate"] == 0.05
    config = json.loads((run / "config.json").read_text())
    assert EventLog(Workspace.open(workspace.root), config["dataset"]["id"]).events() == []


def test_a_run_without_truth_is_refused_in_one_sentence(refused, engine, tmp_path):

    np.savez(tmp_path / "bare.npz", vectors=np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32))
    ran = engine("run", "--vectors", tmp_path / "bare.npz", "--num-clusters", 3, "--results-dir", tmp_path / "r")
    assert "No image has a class that is known" in refused("simulate", ran.last)
