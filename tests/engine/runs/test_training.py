"""What a training did is measured against its start, and a start that is better is handed back."""

from __future__ import annotations

import numpy as np
import pytest

from engine.clustering.deep.temi.estimator import TEMI
from engine.runs.training import StartJudge, below_kmeans, training_figures, training_lines, training_table
from tests.engine.clustering.deep.common import groups

TABLE, TRUTH = groups(200, spread=0.3)
TRUTH = TRUTH.astype(np.int32)
SMALL = {"n_clusters": 3, "n_heads": 2, "hidden_dim": 16, "bottleneck_dim": 8, "n_neighbors": 8, "device": "cpu"}


def shuffled(share: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    labels = TRUTH.copy()
    rows = rng.choice(len(labels), round(share * len(labels)), replace=False)
    labels[rows] = rng.permutation(labels[rows])
    return labels


def test_worse_is_what_no_sampling_error_explains():
    judge = StartJudge(TABLE)
    assert judge(TRUTH, TRUTH) is None
    assert judge(shuffled(0.5), TRUTH) is None
    assert "made the clustering worse" in str(judge(TRUTH, shuffled(0.5)))


@pytest.mark.parametrize("worse", [True, False])
def test_a_start_that_is_better_is_handed_back_and_predicts(worse):
    model = TEMI(**SMALL, n_epochs=2, batch_size=50)
    model.judge = lambda start, end: "It got worse." if worse else None
    model.fit(TABLE)
    said = [note for note in model.notes_ if "handed back" in note]
    assert len(said) == int(worse)
    assert (model.predict(TABLE) == model.labels_).all()


def test_start_and_end_stand_beside_the_references():
    judge = StartJudge(TABLE)
    figures = training_figures(judge, shuffled(0.5), TRUTH, TRUTH, TRUTH)
    assert figures["end"]["ari"] == 1 > figures["start"]["ari"]
    assert figures["end"]["generalisation"] > figures["start"]["generalisation"]
    assert 0.2 < figures["changed"] < 0.5 and not figures["handed_back"]
    results = {"training": figures, "references": {"kmeans": {"ari": 0.9}}}
    assert [row["what"] for row in training_table(results)] == [
        "start of the training",
        "end of the training",
        "k-means",
    ]
    assert training_lines(results)[-1] == f"Training changed the cluster of {figures['changed']:.1%} of the images."
    assert training_table({}) == [] == training_lines({})


def test_a_cold_training_below_k_means_has_not_left_its_plateau():
    cold = {"start": None, "end": {"generalisation": 0.6}}
    assert "has not left its plateau" in str(
        below_kmeans({"training": cold, "references": {"kmeans": {"generalisation": 0.9}}})
    )
    assert below_kmeans({"training": cold, "references": {"kmeans": {"generalisation": 0.62}}}) is None
    warm = cold | {"start": {"generalisation": 0.9}}
    assert below_kmeans({"training": warm, "references": {"kmeans": {"generalisation": 0.9}}}) is None


def test_a_cold_training_has_an_end_alone():
    figures = training_figures(StartJudge(TABLE), None, TRUTH, TRUTH, None)
    assert figures["start"] is None and figures["changed"] is None and figures["end"]["generalisation"] > 0.9
