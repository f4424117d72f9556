"""k-means: quality beside scikit-learn's, its promises about labels, and input that cannot be clustered."""

import numpy as np
import pytest
from sklearn.cluster import KMeans as Reference
from sklearn.datasets import load_digits

from engine.clustering.kmeans import SEED_DIMENSIONS, KMeans, KMeansSettings, assign, seed_space, seeds
from engine.core.errors import InputError
from engine.core.vectors import unit
from engine.evaluation.agreement import ari, nmi


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.data.astype(np.float32), data.target


def blobs(rng, n=600, k=6, d=16, spread=0.15):
    centers = unit(rng.standard_normal((k, d)))
    truth = rng.integers(k, size=n)
    return (centers[truth] + spread * rng.standard_normal((n, d)) / np.sqrt(d)).astype(np.float32), truth


def test_planted_groups_are_found_and_numbered_by_size(rng):
    x, truth = blobs(rng)
    model = KMeans(KMeansSettings(n_clusters=6)).fit(x)
    assert ari(truth, model.labels_) == 1.0
    counts = np.bincount(model.labels_)
    assert np.all(np.diff(counts) <= 0) and model.labels_.dtype == np.int32
    assert model.confidence_.min() >= 0 and model.confidence_.max() <= 1
    np.testing.assert_allclose(np.linalg.norm(model.centers_, axis=1), 1, atol=1e-5)


def test_the_objective_is_as_low_as_scikit_learns_on_the_same_unit_rows(digits):
    x = unit(digits[0])
    model = KMeans(KMeansSettings(n_clusters=20, n_init=4)).fit(x)
    reference = Reference(20, n_init=4, random_state=0).fit(x)
    ours = sum(((x[model.labels_ == k] - x[model.labels_ == k].mean(axis=0)) ** 2).sum() for k in range(20))
    assert ours <= reference.inertia_ * 1.01


def test_scale_and_order_of_rows_do_not_matter_on_the_sphere(rng):
    x, _ = blobs(rng)
    model = KMeans(KMeansSettings(n_clusters=6)).fit(x)
    scaled = KMeans(KMeansSettings(n_clusters=6)).fit(x * rng.uniform(0.2, 5, (len(x), 1)).astype(np.float32))
    order = rng.permutation(len(x))
    shuffled = KMeans(KMeansSettings(n_clusters=6)).fit(x[order])
    assert ari(model.labels_, scaled.labels_) == 1.0
    assert ari(model.labels_[order], shuffled.labels_) == 1.0


def test_the_same_seed_gives_the_same_labels_and_predict_agrees(digits):
    x, _ = digits
    first = KMeans(KMeansSettings(n_clusters=15, random_state=3)).fit(x)
    second = KMeans(KMeansSettings(n_clusters=15, random_state=3)).fit(x)
    assert np.array_equal(first.labels_, second.labels_)
    assert np.array_equal(first.predict(x), first.labels_)
    with pytest.raises(InputError, match="columns"):
        first.predict(x[:, :7])


@pytest.mark.parametrize("reduce", ["pca-16", "umap-10"])
def test_a_reduction_predicts_unseen_images_and_is_kept(digits, tmp_path, reduce):
    x, truth = digits[0][:500], digits[1][:500]
    model = KMeans(KMeansSettings(n_clusters=10, reduce=reduce))
    model.cache = tmp_path
    model.fit(x[:400])
    assert nmi(truth[:400], model.labels_) > 0.6
    assert nmi(truth[400:], model.predict(x[400:])) > 0.6
    assert model.centers_.shape == (10, 64)
    assert bool(list(tmp_path.glob("*.npy"))) == (reduce == "umap-10")


def test_duplicates_leave_fewer_clusters_and_say_so(rng):
    x = np.repeat(rng.standard_normal((3, 5)).astype(np.float32), 10, axis=0)
    model = KMeans(KMeansSettings(n_clusters=8)).fit(x)
    assert sorted(set(model.labels_.tolist())) == [0, 1, 2]
    assert "fill only 3" in model.notes_[0]


def test_few_images_and_one_cluster_work(rng):
    x = rng.standard_normal((4, 3)).astype(np.float32)
    assert sorted(KMeans(KMeansSettings(n_clusters=4)).fit(x).labels_.tolist()) == [0, 1, 2, 3]
    assert KMeans(KMeansSettings(n_clusters=1)).fit(x).labels_.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.ones((20, 4), np.float32), "identical"),
        (np.full((20, 4), np.nan, np.float32), "NaN"),
        (np.eye(5, dtype=np.float32), "Cannot make 10 clusters from 5 images"),
        (np.ones(9, np.float32), "table of n rows"),
    ],
)
def test_what_cannot_be_clustered_is_refused_in_a_sentence(x, sentence):
    with pytest.raises(InputError, match=sentence):
        KMeans(KMeansSettings(n_clusters=10)).fit(x)


@pytest.mark.parametrize("how", ["umap", "pca-0", "umap-900", "svd-3"])
def test_an_unknown_reduction_is_refused(how):
    with pytest.raises(InputError, match="none, pca-N or umap-N"):
        KMeansSettings.parse({"reduce": how})


def test_seeds_are_spread_over_planted_groups(rng):
    x, truth = blobs(rng, spread=0.05)
    picked = unit(x)[seeds(unit(x), 6, np.random.default_rng(1))]
    nearest, confidence = assign(picked, unit(np.stack([x[truth == k].mean(axis=0) for k in range(6)])))
    assert sorted(nearest.tolist()) == list(range(6)) and confidence.min() > 0.5


def test_seeds_are_measured_on_principal_axes_only_where_finding_those_is_cheaper(rng):
    wide = unit(rng.standard_normal((300, 700)))
    assert seed_space(wide, 10) is wide
    assert seed_space(wide, 250).shape == (300, SEED_DIMENSIONS)
    narrow = unit(rng.standard_normal((300, 40)))
    assert seed_space(narrow, 250) is narrow


def test_five_starts_end_near_the_best_of_thirty_plain_ones(digits):
    x = unit(digits[0])
    reference = Reference(10, n_init=30, random_state=0).fit(x).inertia_
    worst = 0.0
    for seed in range(3):
        labels = KMeans(KMeansSettings(n_clusters=10, random_state=seed)).fit(x).labels_
        ours = sum(((x[labels == k] - x[labels == k].mean(axis=0)) ** 2).sum() for k in range(10))
        worst = max(worst, float(ours) / reference)
    assert worst <= 1.006


def test_more_than_two_thousand_clusters_are_made_and_seeds_differ():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(9_000, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    model = KMeans(n_clusters=2_500, n_init=1, max_iter=2).fit(rows)
    assert len(np.unique(model.labels_)) > 2_400
    assert len(set(seeds(rows, 2_500, rng).tolist())) == 2_500
