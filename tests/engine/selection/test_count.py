"""The number of clusters: planted ones are found, noise has none, and every curve is what it says."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from engine.core.errors import InputError
from engine.core.settings import controls
from engine.selection.count.count import NO_CLEAR_K, ClusterCountSettings, cluster_count
from engine.selection.count.curves import Curves, KProgress, k_grid, standardised

FAST = ClusterCountSettings(smallest=5, largest=16, repeats=2, components=16)


def planted(rng, *, n=600, k=10, dimension=64, weights=None):
    """k Gaussian clusters, far enough apart to be seen and not so far that any method would do."""
    centers = rng.normal(size=(k, dimension))
    labels = rng.choice(k, n, p=weights)
    return (centers[labels] + 0.8 * rng.normal(size=(n, dimension))).astype(np.float32), labels


class Counting:
    """A listener that keeps what it hears."""

    def __init__(self):
        self.heard = []

    def update(self, done, total, *, phase="", unit="", **metrics):
        if phase == "number of clusters":
            self.heard.append((done, total))


@pytest.mark.parametrize("seed", [0, 1])
def test_ten_planted_clusters_are_found_within_one(seed):
    rng = np.random.default_rng(seed)
    found = cluster_count(planted(rng)[0], FAST)
    assert found.n_clusters is not None and abs(found.n_clusters - 10) <= 1
    assert NO_CLEAR_K not in found.verdict and str(found.n_clusters) in found.verdict


def test_uneven_planted_clusters_are_found_within_one(rng):
    weights = np.array([1, 1, 1, 1, 2, 2, 2, 3, 3, 4.0])
    found = cluster_count(planted(rng, n=900, weights=weights / weights.sum())[0], FAST)
    assert found.n_clusters is not None and abs(found.n_clusters - 10) <= 1


@pytest.mark.parametrize("decay", [1.0, 0.1])
def test_gaussian_noise_has_no_clear_k(rng, decay):
    noise = rng.normal(size=(500, 40)) * np.linspace(1.0, decay, 40)
    found = cluster_count(noise.astype(np.float32), ClusterCountSettings(largest=10, repeats=2))
    assert found.n_clusters is None and NO_CLEAR_K in found.verdict
    assert not any(item.clear for item in found.evidence)


def test_each_curve_has_a_value_and_a_reference_for_each_k(rng):
    found = cluster_count(planted(rng)[0], FAST)
    assert [item.kind for item in found.evidence] == ["coding length", "silhouette", "stability"]
    for item in found.evidence:
        assert item.ks.tolist() == list(range(5, 17))
        assert item.values.shape == item.reference.shape == item.spread.shape == item.ks.shape
        assert item.best in item.ks and item.sentence


def test_silhouette_curve_equals_scikit_learn(rng):
    points = standardised(planted(rng, n=200)[0], 8)
    curves = Curves.measure(points, np.array([3, 4]), 2, 0, KProgress(2, Counting()))
    for value, labels in zip(curves.silhouettes, curves.labels, strict=True):
        assert value == pytest.approx(silhouette_score(points, labels, metric="cosine"), abs=1e-6)


def test_a_split_shows_images_of_two_planted_clusters(rng):
    embeddings, truth = planted(rng, k=4, n=400)
    found = cluster_count(embeddings, ClusterCountSettings(smallest=3, largest=6, repeats=2))
    first = found.splits[0]
    assert (first.before, first.after) == (3, 4)
    assert len(set(truth[first.left])) == len(set(truth[first.right])) == 1
    assert set(truth[first.left]) != set(truth[first.right])


def test_a_sweep_and_a_cpp_curve_are_further_evidence(rng):
    ks = np.arange(5, 17)
    sweep = [{"n_clusters": k, "score": -abs(k - 10) / 10, "other": 1.0} for k in ks.tolist()]
    found = cluster_count(planted(rng)[0], FAST, cpp_curve=(ks, 100 + (ks - 10.0) ** 2), sweep=sweep)
    by_kind = {item.kind: item for item in found.evidence}
    assert by_kind["sweep"].best == 10 and by_kind["sweep"].clear
    assert by_kind["CPP coding length"].best == 10 and by_kind["CPP coding length"].clear
    flat = cluster_count(planted(rng)[0], FAST, cpp_curve=(ks, -np.arange(12.0)))
    assert not flat.evidence[-1].clear


def test_large_sets_are_subsampled_and_say_so(rng):
    embeddings = planted(rng, n=900)[0]
    found = cluster_count(embeddings, FAST.changed(sample=300))
    assert found.rows == 300 and "300 random images of 900" in found.notes[0]
    shown = np.concatenate([np.concatenate([split.left, split.right]) for split in found.splits])
    assert shown.max() >= 300


def test_same_seed_same_page(rng):
    embeddings = planted(rng, n=300)[0]
    first, second = (cluster_count(embeddings, FAST.changed(largest=8)) for _ in range(2))
    assert first.verdict == second.verdict
    for one, other in zip(first.evidence, second.evidence, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_progress_counts_every_k_of_both_runs(rng):
    listener = Counting()
    listener.say = listener.snapshot = lambda *_: None
    cluster_count(planted(rng, n=300)[0], FAST.changed(largest=8), progress=listener)
    assert listener.heard == [(i, 8) for i in range(1, 9)]


def test_the_grid_is_dense_where_it_matters():
    assert k_grid(2, 12, 1000).tolist() == list(range(2, 13))
    wide = k_grid(2, 200, 10_000)
    assert wide[:19].tolist() == list(range(2, 21)) and wide[-1] == 200 and len(wide) < 60


@pytest.mark.parametrize(
    ("embeddings", "options", "match"),
    [
        (np.ones((10, 4)), {}, "too few to ask"),
        (np.ones((100, 4)), {}, "same embedding"),
        (np.full((100, 4), np.nan), {}, "NaN or infinity"),
        (np.random.default_rng(0).normal(size=(100, 4)), {"smallest": 30, "largest": 40}, "no range of K"),
        (np.random.default_rng(0).normal(size=(100, 4)), {"sweep": [{"n_clusters": 3, "score": np.nan}]}, "finished"),
    ],
)
def test_what_cannot_be_counted_is_refused(embeddings, options, match):
    sweep = options.pop("sweep", None)
    settings = ClusterCountSettings(**({"largest": 6, "repeats": 2} | options))
    with pytest.raises(InputError, match=match):
        cluster_count(embeddings.astype(np.float32), settings, sweep=sweep)


def test_every_number_has_bounds_for_a_slider():
    for control in controls(ClusterCountSettings):
        assert control.minimum is not None and control.maximum is not None and control.help


def test_the_curve_of_a_cpp_that_was_started_from_a_number_is_shown_and_does_not_count(rng):
    ks = np.arange(5, 17)
    curve = (ks, np.abs(ks - 10.0))
    counted = cluster_count(planted(rng)[0], FAST, cpp_curve=curve).evidence[-1]
    assert counted.clear and counted.best == 10
    shown = cluster_count(planted(rng)[0], FAST, cpp_curve=curve, cpp_start=10).evidence[-1]
    assert not shown.clear and shown.best == 10 and "started from 10 clusters" in shown.sentence
