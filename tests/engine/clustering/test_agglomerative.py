"""The tree beside SciPy's and scikit-learn's, weights of micro-clusters, and cutting again."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage as scipy_linkage
from sklearn.cluster import AgglomerativeClustering as Reference
from sklearn.datasets import load_digits

from engine.clustering.agglomerative import Agglomerative, AgglomerativeSettings, cut_into, merge_all
from engine.clustering.density.linkage import single_linkage
from engine.core.vectors import unit
from engine.evaluation.agreement import ari, nmi


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.data.astype(np.float32)[:600], data.target[:600]


@pytest.mark.parametrize("linkage", ["ward", "average"])
def test_one_image_per_micro_cluster_is_scipys_tree(linkage, rng):
    x = rng.standard_normal((120, 6)).astype(np.float32)
    _, _, height = merge_all(x, np.ones(120, int), linkage)
    np.testing.assert_allclose(np.sort(height), scipy_linkage(x.astype(np.float64), linkage)[:, 2], rtol=1e-4)


def test_weights_stand_for_duplicates(rng):
    x = rng.standard_normal((20, 4)).astype(np.float32)
    sizes = rng.integers(1, 6, size=20)
    repeated = np.repeat(np.arange(20), sizes)
    _, _, height = merge_all(x, sizes, "ward")
    whole = scipy_linkage(x[repeated].astype(np.float64), "ward")[:, 2]
    np.testing.assert_allclose(np.sort(height), whole[-19:], rtol=1e-3)


@pytest.mark.parametrize("linkage", ["ward", "average"])
def test_it_is_scikit_learns_clustering(digits, linkage):
    x, _ = digits
    ours = Agglomerative(AgglomerativeSettings(n_clusters=10, linkage=linkage)).fit(x)
    theirs = Reference(10, linkage=linkage).fit_predict(unit(x))
    assert ari(theirs, ours.labels_) > 0.97


def test_up_to_three_times_as_many_images_are_merged_themselves(rng):
    x = rng.standard_normal((301, 6)).astype(np.float32)
    few = AgglomerativeSettings(n_clusters=5, n_micro=100)
    assert len(Agglomerative(few).fit(x[:300]).hierarchy_) == 300
    assert len(Agglomerative(few).fit(x).hierarchy_) <= 100
    theirs = Reference(5).fit_predict(unit(x[:300]))
    assert ari(theirs, Agglomerative(few).fit(x[:300]).labels_) > 0.97


def test_micro_clusters_keep_the_quality_and_the_tree_is_cut_again(digits):
    x, truth = digits
    model = Agglomerative(AgglomerativeSettings(n_clusters=10, n_micro=120)).fit(x)
    assert nmi(truth, model.labels_) > 0.7
    assert len(model.hierarchy_) == model.micro_labels_.max() + 1 <= 120
    ten = model.labels_.copy()
    model.recut(n_clusters=25)
    assert model.labels_.max() == 24 and model.settings.n_clusters == 25
    assert all(len(set(ten[model.labels_ == k].tolist())) == 1 for k in range(25))
    assert np.array_equal(model.extra_["micro_cluster"], model.micro_labels_)


def test_a_cut_counts_the_clusters_asked_for():
    tree = single_linkage(np.array([0, 2, 1]), np.array([1, 3, 2]), np.array([1.0, 2.0, 9.0]))
    assert cut_into(tree, 1).tolist() == [0, 0, 0, 0]
    assert cut_into(tree, 2).tolist() == [0, 0, 1, 1]
    assert len(set(cut_into(tree, 9).tolist())) == 4


def test_identical_images_are_never_parted(rng):
    x = np.repeat(rng.standard_normal((3, 5)).astype(np.float32), 30, axis=0)
    model = Agglomerative(AgglomerativeSettings(n_clusters=8)).fit(x)
    assert len(set(model.labels_.tolist())) == 3 and "fill only 3" in model.notes_[0]
