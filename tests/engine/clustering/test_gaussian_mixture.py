"""The mixture beside scikit-learn's likelihood, its stability in small dimensions, and its probabilities."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Reference

from engine.clustering.gaussian_mixture import GaussianMixture, GaussianMixtureSettings
from engine.clustering.kmeans import KMeans, KMeansSettings
from engine.evaluation.agreement import ari
from engine.geometry.reduce import reduce_embeddings


def stretched(rng, n=900):
    """Three long thin clouds on the plane, far from the origin so that unit rows keep their shape."""
    truth = np.repeat(np.arange(3), n // 3)
    centers = np.array([[0, 0, 10], [2.0, 0, 10], [0, 2.5, 10]])
    widths = np.array([[0.8, 0.05, 0.01], [0.05, 0.9, 0.01], [0.2, 0.2, 0.01]])
    return (centers[truth] + widths[truth] * rng.standard_normal((n, 3))).astype(np.float32), truth


@pytest.mark.parametrize("kind", ["diag", "tied", "spherical", "full"])
def test_the_likelihood_reaches_scikit_learns(kind, rng):
    x, _ = stretched(rng)
    settings = GaussianMixtureSettings(
        n_clusters=3, covariance_type=kind, reduce="pca-2", max_iter=300, tol=1e-9, regularisation=1e-6
    )
    ours = GaussianMixture(settings).fit(x)
    space = reduce_embeddings(x, "pca-2").vectors.astype(np.float64)
    theirs = Reference(3, covariance_type=kind, n_init=5, max_iter=500, tol=1e-9, random_state=0, reg_covar=1e-12).fit(
        space
    )
    assert ours.log_likelihood_ >= theirs.score(space) - 0.02


def test_a_narrow_cloud_inside_a_wide_one_is_found_where_k_means_cannot(rng):
    truth = np.repeat([0, 1], 500)
    width = np.where(truth == 0, 0.05, 0.8)[:, None] * np.array([1, 1, 0.01])
    x = (np.array([0, 0, 10.0]) + width * rng.standard_normal((1000, 3))).astype(np.float32)
    model = GaussianMixture(GaussianMixtureSettings(n_clusters=2, reduce="pca-2", max_iter=300, tol=1e-8)).fit(x)
    assert ari(truth, model.labels_) > 0.9
    assert ari(truth, KMeans(KMeansSettings(n_clusters=2, reduce="pca-2")).fit(x).labels_) < 0.5


def test_confidence_is_the_posterior_and_predict_agrees(rng):
    x, _ = stretched(rng)
    model = GaussianMixture(GaussianMixtureSettings(n_clusters=3, reduce="pca-2")).fit(x)
    assert np.array_equal(model.predict(x), model.labels_)
    assert model.confidence_.min() > 1 / 3 - 1e-6 and model.confidence_.max() > 0.99


def test_full_covariances_go_to_principal_axes_and_say_so(rng):
    x = rng.standard_normal((300, 90)).astype(np.float32)
    model = GaussianMixture(GaussianMixtureSettings(n_clusters=3, covariance_type="full", max_iter=5)).fit(x)
    assert "64 principal axes" in model.notes_[0] and model.resolved_.reduce == "pca-64"


def test_nothing_collapses_on_few_duplicated_images(rng):
    x = np.repeat(rng.standard_normal((4, 40)).astype(np.float32), 3, axis=0)
    for kind in ("diag", "full", "tied"):
        model = GaussianMixture(GaussianMixtureSettings(n_clusters=8, covariance_type=kind)).fit(x)
        assert np.isfinite(model.confidence_).all() and len(set(model.labels_.tolist())) <= 4
        assert "fill only" in model.notes_[-1]


@pytest.mark.parametrize("free", [2**40, 0])
def test_rows_are_centred_once_where_memory_holds_them_and_the_result_is_the_same(free, rng, monkeypatch):
    from engine.clustering import gaussian_mixture

    x, _ = stretched(rng)
    settings = GaussianMixtureSettings(n_clusters=3, reduce="pca-2", max_iter=6, tol=1e-9)
    expected = GaussianMixture(settings).fit(x)
    passes = []
    original = gaussian_mixture.Mixture._blocks
    monkeypatch.setattr(gaussian_mixture, "free_memory", lambda device: free)
    monkeypatch.setattr(
        gaussian_mixture.Mixture, "_blocks", lambda self, rows: passes.append(1) or original(self, rows)
    )
    found = GaussianMixture(settings).fit(x)
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    np.testing.assert_array_equal(found.confidence_, expected.confidence_)
    assert found.log_likelihood_ == expected.log_likelihood_
    assert len(passes) == (2 if free else 8), "once for the fit and once for the labels; else a start and six rounds"
    assert found._model._kept is None
