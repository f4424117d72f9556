"""Spectral clustering where k-means must fail, beside scikit-learn's, and its sparse solver."""

import numpy as np
from sklearn.cluster import SpectralClustering as Reference
from sklearn.datasets import load_digits

from engine.clustering import spectral
from engine.clustering.kmeans import KMeans, KMeansSettings
from engine.clustering.spectral import Spectral, SpectralSettings
from engine.evaluation.agreement import ari, nmi
from engine.geometry.neighbors import build_graph


def rings(rng, n=400):
    """Two circles around one axis on the sphere: no flat cut separates them."""
    truth = np.arange(n) % 2
    angle = rng.uniform(0, 2 * np.pi, n)
    tilt = np.where(truth == 0, 0.3, 1.0) + 0.02 * rng.standard_normal(n)
    x = np.stack([np.sin(tilt) * np.cos(angle), np.sin(tilt) * np.sin(angle), np.cos(tilt)], axis=1)
    return x.astype(np.float32), truth


def test_rings_are_told_apart_where_k_means_cannot(rng):
    x, truth = rings(rng)
    assert ari(truth, Spectral(SpectralSettings(n_clusters=2)).fit(x).labels_) > 0.95
    assert ari(truth, KMeans(KMeansSettings(n_clusters=2)).fit(x).labels_) < 0.3


def test_digits_are_grouped_as_well_as_by_scikit_learn(monkeypatch):
    data = load_digits()
    x, truth = data.data.astype(np.float32)[:700], data.target[:700]
    graph = build_graph(x)
    dense = Spectral(SpectralSettings(n_clusters=10)).fit(x, neighbors=graph)
    theirs = Reference(10, affinity="nearest_neighbors", n_neighbors=15, random_state=0).fit_predict(x)
    assert nmi(truth, dense.labels_) > nmi(truth, theirs) - 0.02
    monkeypatch.setattr(spectral, "DENSE", 10)
    assert ari(dense.labels_, Spectral(SpectralSettings(n_clusters=10)).fit(x, neighbors=graph).labels_) > 0.9


def test_many_groups_that_hardly_touch_are_all_found(rng):
    truth = np.arange(1500) % 25
    x = (rng.standard_normal((25, 24))[truth] + 0.3 * rng.standard_normal((1500, 24))).astype(np.float32)
    assert ari(truth, Spectral(SpectralSettings(n_clusters=25)).fit(x).labels_) > 0.99


def test_confidence_is_high_inside_and_low_between(rng):
    x, _ = rings(rng)
    model = Spectral(SpectralSettings(n_clusters=2)).fit(x)
    assert model.confidence_.mean() > 0.95
    assert np.mean(model.predict(x) == model.labels_) > 0.99
