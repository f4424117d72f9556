"""Experiments: what is measured across spaces, the order, failures as rows, and the files."""

import csv

import numpy as np
import pytest

from engine.core.errors import InputError, WeightsError
from engine.core.files import read_json
from engine.core.vectors import unit
from engine.geometry.neighbors import build_graph
from engine.selection.experiments import (
    EmbeddingCandidate,
    ExperimentRow,
    in_order,
    label_agreement,
    pair_recall,
    run_experiments,
)
from engine.selection.sweep import runner
from engine.selection.sweep.settings import SweepSettings


@pytest.fixture
def no_umap(monkeypatch):
    original = runner.candidates
    monkeypatch.setattr(runner, "candidates", lambda *a, **o: [c for c in original(*a, **o) if c.reduce == "none"])


def groups(rng, spread, n=120):
    centers = unit(rng.standard_normal((6, 24)))
    truth = np.arange(n) % 6
    return (centers[truth] + spread * rng.standard_normal((n, 24)) / np.sqrt(24)).astype(np.float32), truth


def test_a_better_space_comes_first_and_a_failure_is_a_row(rng, tmp_path, no_umap):
    good, truth = groups(rng, 0.4)
    poor, _ = groups(rng, 4.0)

    def gated():
        raise WeightsError("The weights are gated.", "Accept the terms.")

    sets = [
        EmbeddingCandidate("poor", 224, lambda: poor),
        EmbeddingCandidate("good/model", 224, lambda: good),
        EmbeddingCandidate("gated", 336, gated),
    ]
    pairs = np.array([(i, i + 6) for i in range(0, 60)])
    settings = SweepSettings.parse({"algorithms": ("kmeans",), "min_clusters": 6, "max_clusters": 6, "n_jobs": 1})
    result = run_experiments(
        sets, output_dir=tmp_path, settings=settings, truth=[str(t) for t in truth], validation_pairs=pairs
    )
    assert [row.model for row in result.rows] == ["good/model", "poor", "gated"]
    best, second, failed = result.rows
    assert best.ari == 1.0 and best.pairs_together == 1.0 and best.order == 1 and best.stability == 1.0
    assert best.pair_recall > second.pair_recall and failed.order == 0 and "gated" in failed.reason
    assert result.agreement.shape == (2, 2) and result.agreement[0, 0] == 1.0
    summary = read_json(tmp_path / "experiment_summary.json")
    assert "silhouette" not in summary["ranked_on"] and summary["configurations"][0]["silhouette"] > 0.3
    with (tmp_path / "experiment_table.csv").open(newline="", encoding="utf-8") as file:
        assert [row["model"] for row in csv.DictReader(file)] == ["good/model", "poor", "gated"]
    assert "<html" in (tmp_path / "experiment_plot.html").read_text(encoding="utf-8")
    assert (tmp_path / "good_model_224" / "clustering_summary.json").exists()


def test_pair_recall_and_label_agreement_count_neighbours(rng):
    x, truth = groups(rng, 0.3)
    graph = build_graph(x, k=20)
    assert label_agreement(graph, truth, 10) == 1.0
    assert label_agreement(graph, np.full(120, -1), 10) == 0.0
    near = int(graph.indices[0, 0])
    far = int(np.flatnonzero(truth != truth[0])[0])
    assert pair_recall(graph, np.array([[0, near], [0, far]]), 10) == 0.5
    assert pair_recall(graph, np.zeros((0, 2), int), 10) is None


def test_the_order_is_by_mean_place_over_known_criteria_only():
    rows = [
        ExperimentRow("a", 1, "a", stability=0.9, balance=0.5, silhouette=0.9),
        ExperimentRow("b", 1, "b", stability=0.95, balance=0.6, silhouette=0.1),
        ExperimentRow("c", 1, "c", stability=0.1, balance=0.55),
    ]
    ordered = in_order(rows)
    assert [row.name for row in ordered] == ["b", "a", "c"] and ordered[0].mean_place == 1.0


def test_no_configuration_and_two_of_one_name_are_refused(tmp_path):
    twice = [EmbeddingCandidate("a", 1, lambda: np.eye(20)), EmbeddingCandidate("a", 1, lambda: np.eye(20))]
    for sets in ([], twice):
        with pytest.raises(InputError, match="different names"):
            run_experiments(sets, output_dir=tmp_path)
