"""DBSCAN beside scikit-learn's: cores exact, the two modes alike, eps by quantile."""

import numpy as np
import pytest
from sklearn.cluster import DBSCAN as Reference
from sklearn.datasets import load_digits

from engine.clustering.dbscan import DBSCAN, DBSCANSettings
from engine.evaluation.agreement import ari
from engine.geometry.neighbors import build_graph


@pytest.fixture(scope="module")
def digits():
    return load_digits().data.astype(np.float32)[:1000]


def raw(**values):
    return DBSCANSettings.parse({"reduce": "none", **values})


@pytest.mark.parametrize("mode", ["graph", "exact"])
@pytest.mark.parametrize(("eps", "samples"), [(0.04, 5), (0.06, 8)])
def test_it_is_scikit_learns_clustering(digits, mode, eps, samples):
    ours = DBSCAN(raw(mode=mode, eps=eps, min_samples=samples)).fit(digits, neighbors=build_graph(digits))
    theirs = Reference(eps=eps, min_samples=samples, metric="cosine").fit(digits.astype(np.float64))
    core = np.zeros(len(digits), bool)
    core[theirs.core_sample_indices_] = True
    assert np.mean((ours.confidence_ == 1) == core) > 0.998
    assert ari(theirs.labels_[core], ours.labels_[core]) > 0.995
    assert np.mean((ours.labels_ < 0) == (theirs.labels_ < 0)) > 0.998
    assert len(ours.centers_) == theirs.labels_.max() + 1


def test_exact_mode_needs_no_graph_and_small_blocks_change_nothing(digits, monkeypatch):
    from engine.clustering import dbscan

    whole = DBSCAN(raw(mode="exact", eps=0.05)).fit(digits)
    assert not whole.wants_graph
    monkeypatch.setattr(
        dbscan, "blocks", lambda count, size=64: [slice(i, min(i + 64, count)) for i in range(0, count, 64)]
    )
    assert np.array_equal(DBSCAN(raw(mode="exact", eps=0.05)).fit(digits).labels_, whole.labels_)


def test_eps_is_the_quantile_of_the_tenth_neighbour(digits):
    model = DBSCAN(raw(eps_quantile=0.2)).fit(digits)
    unit = digits.astype(np.float64) / np.linalg.norm(digits, axis=1, keepdims=True)
    tenth = np.sort(1 - unit @ unit.T, axis=1)[:, 10]
    assert model.eps_ == pytest.approx(np.quantile(tenth, 0.2), rel=0.01)
    assert model.resolved_.eps == pytest.approx(model.eps_)


def test_the_default_distance_finds_planted_groups_of_different_density(rng):
    centers = rng.standard_normal((8, 24))
    truth = np.repeat(np.arange(8), 60)
    width = np.linspace(0.25, 0.4, 8)[truth][:, None]
    x = (centers[truth] + width * rng.standard_normal((480, 24))).astype(np.float32)
    model = DBSCAN(raw()).fit(x)
    assert model.labels_.max() == 7 and np.mean(model.labels_ < 0) < 0.15
    assert ari(truth, model.labels_) > 0.85


def test_limited_edges_are_named(digits):
    model = DBSCAN(raw(eps=0.5)).fit(digits)
    assert any("64 nearest" in note for note in model.notes_)


def test_no_dense_place_is_all_noise(rng):
    model = DBSCAN(raw(eps=1e-4)).fit(rng.standard_normal((50, 6)).astype(np.float32))
    assert np.all(model.labels_ == -1) and "raise eps" in model.notes_[-1]
    assert np.all(model.predict(rng.standard_normal((3, 6)).astype(np.float32)) == -1)
