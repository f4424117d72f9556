"""Every score against scikit-learn or a slow reference, and the gate against structureless labels."""

import time

import numpy as np
import pytest
from sklearn import metrics
from sklearn.cluster import KMeans as Reference
from sklearn.datasets import load_digits

from engine.core import labels as columns
from engine.core.errors import InputError
from engine.evaluation import agreement
from engine.evaluation import scores as ev


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.data.astype(np.float32), data.target


def slow_accuracy(truth, labels):
    """Try every one-to-one assignment."""
    from itertools import permutations

    classes, clusters = np.unique(truth), [c for c in np.unique(labels) if c >= 0]
    best = 0
    padded = list(clusters) + [None] * len(classes)
    for choice in set(permutations(padded, len(classes))):
        hits = sum(
            int(((truth == t) & (labels == c)).sum()) for t, c in zip(classes, choice, strict=True) if c is not None
        )
        best = max(best, hits)
    return best / len(truth)


def test_silhouette_equals_scikit_learns_to_seven_digits(digits):
    x, _ = digits
    labels = Reference(17, n_init=1, random_state=0).fit_predict(x)
    ours = ev.silhouette(x, labels)
    theirs = metrics.silhouette_score(x, labels, metric="cosine")
    assert abs(ours - theirs) < 1e-7
    samples = metrics.silhouette_samples(x.astype(np.float64), labels, metric="cosine")
    np.testing.assert_allclose(ev.silhouette_samples(x, labels), samples, atol=1e-6)


def test_silhouette_leaves_noise_out_and_gives_singletons_zero(digits, rng):
    x, truth = digits
    labels = truth.copy()
    labels[rng.choice(len(x), 300, replace=False)] = -1
    labels[5] = 40
    kept = labels >= 0
    theirs = metrics.silhouette_score(x[kept], labels[kept], metric="cosine")
    assert abs(ev.silhouette(x, labels) - theirs) < 1e-7
    samples = ev.silhouette_samples(x, labels)
    assert samples[5] == 0 and np.isnan(samples[labels < 0]).all()


def test_silhouette_in_single_precision_agrees(digits, monkeypatch):
    x, truth = digits
    exact = ev.silhouette(x, truth)
    monkeypatch.setattr(ev, "_DOUBLE_PRECISION_WORK", 0)
    assert abs(ev.silhouette(x, truth) - exact) < 1e-6


def test_a_sampled_silhouette_is_close_and_fewer_than_two_clusters_give_minus_one(digits):
    x, truth = digits
    assert abs(ev.silhouette(x, truth, sample=600) - ev.silhouette(x, truth)) < 0.02
    assert ev.silhouette(x, np.zeros(len(x), int)) == -1
    assert ev.silhouette(x, np.full(len(x), -1)) == -1


def test_silhouette_of_identical_images_is_zero():
    assert ev.silhouette(np.ones((10, 3), np.float32), np.arange(10) % 2) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("clusters", [2, 3, 5])
def test_accuracy_is_the_best_assignment_even_when_rectangular(rng, clusters):
    truth = rng.integers(3, size=60)
    labels = (truth + (rng.random(60) < 0.4) * rng.integers(5, size=60)) % clusters
    labels[:6] = -1
    assert agreement.accuracy(truth, labels) == pytest.approx(slow_accuracy(truth, labels))


def test_noise_is_never_right_and_unknown_truth_is_left_out():
    truth = np.array([0, 0, 1, 1, -1])
    assert agreement.accuracy(truth, np.array([5, 5, -1, -1, 3])) == 0.5
    assert agreement.accuracy(truth, np.full(5, -1)) == 0
    assert np.isnan(agreement.accuracy(np.full(5, -1), truth))


def test_nmi_and_ari_equal_scikit_learns_with_noise_as_a_cluster(rng):
    for _ in range(5):
        truth, labels = rng.integers(7, size=500), rng.integers(-1, 11, size=500)
        labels = np.where(rng.random(500) < 0.5, truth, labels)
        assert agreement.nmi(truth, labels) == pytest.approx(
            metrics.normalized_mutual_info_score(truth, labels), abs=1e-12
        )
        assert agreement.ari(truth, labels) == pytest.approx(metrics.adjusted_rand_score(truth, labels), abs=1e-12)
        renamed = rng.permutation(50)[labels + 1]
        assert agreement.ari(truth, renamed) == pytest.approx(agreement.ari(truth, labels))
    one = np.zeros(9, int)
    assert agreement.nmi(one, one) == 1 and agreement.ari(one, one) == 1
    assert agreement.nmi(one, np.arange(9)) == pytest.approx(0)


def test_random_accuracy_is_what_random_labels_reach(rng):
    truth = rng.integers(10, size=200)
    floor = agreement.random_accuracy(truth, 10)
    drawn = np.mean([agreement.accuracy(truth, rng.integers(10, size=200)) for _ in range(50)])
    assert abs(floor - drawn) < 0.03 and floor > 0.1


def test_per_class_and_per_cluster_tables():
    truth = np.array([0, 0, 0, 1, 1, 2])
    labels = np.array([1, 1, 0, 0, 0, -1])
    assert agreement.contingency(truth, labels).tolist() == [[1, 2], [2, 0]]
    classes = agreement.per_class(truth, labels)
    assert [row["accuracy"] for row in classes] == [pytest.approx(2 / 3), 1.0, 0.0]
    assert [row["cluster"] for row in classes] == [1, 0, -1]
    clusters = agreement.per_cluster(truth, labels)
    assert [(row["size"], row["class"]) for row in clusters] == [(3, 1), (2, 0)]
    assert clusters[1]["purity"] == 1.0
    assert agreement.per_cluster(np.array([-1, 0]), np.array([0, 1]))[0] == {
        "cluster": 0,
        "size": 1,
        "class": -1,
        "purity": 0.0,
    }


def test_truth_may_be_text_partial_or_numbers():
    codes, names = columns.encode(["b", None, "a", "", "b"])
    assert codes.tolist() == [1, -1, 0, -1, 1] and names == ["a", "b"]
    codes, names = columns.encode(np.array([7, -1, 9, 7]))
    assert codes.tolist() == [0, -1, 1, 0] and names == ["7", "9"]


def test_balance_noise_and_shares():
    labels = np.array([0] * 8 + [1] * 2 + [-1] * 10)
    assert ev.balance(labels) == pytest.approx(1 - (3 / 5) / 2)
    assert ev.balance(np.array([0] * 5)) == 0 and ev.balance(np.arange(10) % 5) == 1
    assert ev.noise_share(labels) == 0.5 and ev.largest_share(labels) == 0.4


def test_composite_follows_the_formula_with_and_without_pairs():
    assert ev.composite(0.2, 0.5, 0.1) == pytest.approx(0.3 * 0.6 + 0.4 * 0.5 + 0.3 * 0.9)
    assert ev.composite(0.2, 0.5, 0.1, pairs_together=0.5) == pytest.approx(0.7 / 3 * (0.6 + 0.5 + 0.9) + 0.3 * 0.5)
    only = ev.CompositeSettings(silhouette_weight=1, balance_weight=0, noise_weight=0)
    assert ev.composite(0.2, 0.5, 0.1, settings=only) == pytest.approx(0.6)
    with pytest.raises(InputError, match="at least one"):
        ev.CompositeSettings.parse({"silhouette_weight": 0, "balance_weight": 0, "noise_weight": 0})
    labels = np.array([0, 0, 1, -1, -1])
    assert ev.pair_share(labels, np.array([[0, 1], [1, 2], [3, 4], [0, 0]])) == 0.5


def test_random_balanced_labels_score_high_but_never_stand_above_their_floor(digits, rng):
    x, truth = digits
    labels = Reference(10, n_init=3, random_state=0).fit_predict(x)
    floor = ev.shuffled_floor(x, labels)
    assert floor.silhouette > floor.level
    for seed in range(40):
        planted = rng.permutation(np.arange(len(x)) % 10)
        floor = ev.shuffled_floor(x, planted, random_state=seed)
        assert floor.silhouette <= floor.level
    result = ev.scores(x, planted)
    assert result["composite"] > 0.8


def test_scores_holds_the_contracts_names(digits):
    x, truth = digits
    known = [str(value) if value else None for value in truth]
    result = ev.scores(x, np.where(truth == 3, -1, truth), known)
    assert set(result) == {
        "accuracy",
        "nmi",
        "ari",
        "random_accuracy",
        "silhouette",
        "balance",
        "composite",
        "n_clusters",
        "largest_share",
        "noise_share",
    }
    assert result["n_clusters"] == 9
    assert result["accuracy"] == pytest.approx(1 - (truth == 3).sum() / (truth > 0).sum())
    without = ev.scores(None, truth)
    assert without["accuracy"] is None and without["silhouette"] is None and without["balance"] > 0.9
    with pytest.raises(InputError, match="true labels"):
        ev.scores(x, truth, truth[:5])


def test_a_million_labels_of_a_thousand_clusters_are_evaluated_in_seconds(rng):
    truth = rng.integers(1000, size=1_280_000)
    labels = np.where(rng.random(len(truth)) < 0.6, truth, rng.integers(1000, size=len(truth)))
    began = time.perf_counter()
    result = ev.scores(None, labels, truth)
    agreement.per_class(truth, labels), agreement.per_cluster(truth, labels)
    assert 0.55 < result["accuracy"] < 0.65 and result["random_accuracy"] < 0.01
    assert time.perf_counter() - began < 60
