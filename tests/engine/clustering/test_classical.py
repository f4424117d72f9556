"""What every classical method promises: labels, confidence, centres, unseen images, and refusals in a sentence."""

import numpy as np
import pytest

from engine.clustering.registry import find_method
from engine.core.errors import InputError
from engine.core.vectors import unit
from engine.evaluation.agreement import ari
from engine.geometry.neighbors import build_graph

NAMED = {
    "kmeans": {"n_clusters": 4},
    "hdbscan": {"reduce": "none", "min_cluster_size": 20},
    "dbscan": {"reduce": "none", "eps_quantile": 0.8},
    "gaussian_mixture": {"n_clusters": 4},
    "spectral": {"n_clusters": 4},
    "agglomerative": {"n_clusters": 4},
}
COUNTED = [name for name in NAMED if "n_clusters" in NAMED[name]]


def make(name, **changes):
    method = find_method(name)
    return method.build(method.settings_class.parse({**NAMED[name], **changes}))


def groups(rng, sizes=(80, 60, 50, 40), d=24, spread=0.4):
    centers = unit(rng.standard_normal((len(sizes), d)))
    truth = np.repeat(np.arange(len(sizes)), sizes)
    return (centers[truth] + spread * rng.standard_normal((len(truth), d)) / np.sqrt(d)).astype(np.float32), truth


@pytest.mark.parametrize("name", NAMED)
def test_planted_groups_are_found_whatever_the_method(name, rng):
    x, truth = groups(rng)
    order = rng.permutation(len(x))
    model = make(name).fit(x[order], neighbors=build_graph(x[order]))
    kept = model.labels_ >= 0
    assert kept.mean() > 0.7 and ari(truth[order][kept], model.labels_[kept]) > 0.97
    assert model.labels_.dtype == np.int32 and model.confidence_.dtype == np.float32
    assert model.confidence_.min() >= 0 and model.confidence_.max() <= 1 and np.all(model.confidence_[~kept] == 0)
    assert np.all(np.diff(np.bincount(model.labels_[kept])) <= 0)
    np.testing.assert_allclose(np.linalg.norm(model.centers_, axis=1), 1, atol=1e-5)
    assert model.centers_.shape == (4, 24)


@pytest.mark.parametrize("name", NAMED)
def test_without_a_graph_the_result_is_the_same_and_seeds_repeat(name, rng):
    x, _ = groups(rng)
    assert np.array_equal(make(name).fit(x, neighbors=build_graph(x)).labels_, make(name).fit(x).labels_)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("reduce", ["none", "pca-8"])
def test_unseen_images_go_to_their_group(name, reduce, rng):
    x, truth = groups(rng)
    model = make(name, reduce=reduce).fit(x[::2])
    seen = model.predict(x[1::2])
    assert seen.dtype == np.int32
    kept = seen >= 0
    assert kept.mean() > 0.6 and ari(truth[1::2][kept], seen[kept]) > 0.95
    with pytest.raises(InputError, match="columns"):
        model.predict(x[:, :5])


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.ones((30, 4), np.float32), "identical"),
        (np.where(np.arange(120).reshape(30, 4) == 50, np.nan, 1).astype(np.float32), "the first is row 12"),
        (np.ones(9, np.float32), "table of n rows"),
    ],
)
def test_what_cannot_be_clustered_is_refused(name, x, sentence):
    with pytest.raises(InputError, match=sentence):
        make(name).fit(x)


@pytest.mark.parametrize("name", COUNTED)
def test_more_clusters_than_images_is_refused(name, rng):
    with pytest.raises(InputError, match="Cannot make 40 clusters from 12 images"):
        make(name, n_clusters=40).fit(rng.standard_normal((12, 4)).astype(np.float32))


@pytest.mark.parametrize("name", NAMED)
def test_few_images_and_duplicates_are_clustered(name, rng):
    few = make(name, n_clusters=3) if name in COUNTED else make(name)
    assert len(few.fit(rng.standard_normal((7, 5)).astype(np.float32)).labels_) == 7
    x = np.repeat(rng.standard_normal((3, 5)).astype(np.float32), 30, axis=0)
    model = (make(name, n_clusters=3) if name in COUNTED else make(name)).fit(x)
    groups_of = [set(model.labels_[i : i + 30].tolist()) for i in (0, 30, 60)]
    assert all(len(group) == 1 for group in groups_of)


@pytest.mark.parametrize("name", NAMED)
def test_a_graph_of_other_images_is_refused(name, rng):
    x, _ = groups(rng)
    with pytest.raises(InputError, match="graph is of 100 images"):
        make(name).fit(x, neighbors=build_graph(x[:100]))


@pytest.mark.parametrize("name", ["hdbscan", "dbscan"])
def test_density_methods_work_in_umap_by_default(name):
    assert find_method(name).settings_class().reduce == "umap-10"
    assert all(find_method(other).settings_class().reduce == "none" for other in COUNTED)
