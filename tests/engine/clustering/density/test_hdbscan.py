"""HDBSCAN on the graph beside the `hdbscan` package, the kept tree, unseen images, and bad input."""

import time

import hdbscan as reference
import numpy as np
import pytest
from sklearn.datasets import load_digits

from engine.clustering.density import spanning
from engine.clustering.density.hdbscan import HDBSCAN, HDBSCANSettings, cut_tree
from engine.clustering.density.linkage import LinkageTree, single_linkage
from engine.clustering.density.spanning import spanning_tree
from engine.core.errors import InputError, StorageError
from engine.core.vectors import unit
from engine.evaluation.agreement import ari
from engine.geometry.neighbors import build_graph


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.data.astype(np.float32)[:900], data.target[:900]


def raw(**values):
    return HDBSCANSettings.parse({"reduce": "none", **values})


def package(x, **options):
    return reference.HDBSCAN(core_dist_n_jobs=1, approx_min_span_tree=False, **options).fit(unit(x).astype(np.float64))


def groups(rng, sizes=(150, 120, 90, 200), d=32, spread=0.5):
    centers = unit(rng.standard_normal((len(sizes), d)))
    truth = np.repeat(np.arange(len(sizes)), sizes)
    return (centers[truth] + spread * rng.standard_normal((len(truth), d)) / np.sqrt(d)).astype(np.float32), truth


@pytest.mark.parametrize("method", ["eom", "leaf"])
@pytest.mark.parametrize("epsilon", [0.0, 0.4])
def test_the_cut_is_the_packages_own(digits, method, epsilon):
    x, _ = digits
    exact = HDBSCAN(
        raw(
            mode="exact",
            min_cluster_size=8,
            min_samples=3,
            cluster_selection_method=method,
            cluster_selection_epsilon=epsilon,
        )
    ).fit(x)
    theirs = package(
        x, min_cluster_size=8, min_samples=3, cluster_selection_method=method, cluster_selection_epsilon=epsilon
    )
    assert ari(theirs.labels_ + 1, exact.labels_) == 1.0
    assert np.array_equal(theirs.labels_ < 0, exact.labels_ < 0)
    assert len(exact.centers_) == theirs.labels_.max() + 1 > 3
    if epsilon == 0:
        np.testing.assert_allclose(exact.confidence_, theirs.probabilities_, atol=1e-5)


@pytest.mark.parametrize(("size", "samples"), [(8, 3), (15, 5), (30, 10)])
def test_on_the_graph_it_finds_the_packages_clusters(digits, size, samples):
    x, _ = digits
    ours = HDBSCAN(raw(min_cluster_size=size, min_samples=samples)).fit(x, neighbors=build_graph(x, k=64))
    theirs = package(x, min_cluster_size=size, min_samples=samples)
    assert ari(theirs.labels_ + 1, ours.labels_) > 0.97


def test_groups_larger_than_k_are_linked_at_their_true_distance(rng):
    x, truth = groups(rng)
    ours = HDBSCAN(raw(min_cluster_size=100, min_samples=5)).fit(x, neighbors=build_graph(x, k=20))
    theirs = package(x, min_cluster_size=100, min_samples=5)
    assert "fell into" in ours.notes_[0]
    assert ari(theirs.labels_ + 1, ours.labels_) > 0.97
    exact = HDBSCAN(raw(mode="exact", min_cluster_size=100, min_samples=5)).fit(x)
    np.testing.assert_allclose(ours.tree_.height[-3:], exact.tree_.height[-3:], rtol=0.01)


def test_a_complete_graph_gives_the_minimum_spanning_tree(rng):
    x = unit(rng.standard_normal((80, 5)))
    graph = build_graph(x, k=79)
    distances = np.sqrt(np.maximum(2 - 2 * graph.similarities, 0))
    core = distances[:, 4]
    first, second, weight, parts = spanning_tree(graph.indices, distances, core, x)
    full = np.full((80, 80), np.inf)
    np.put_along_axis(full, graph.indices.astype(np.int64), distances, 1)
    full = np.maximum(full, np.maximum(core[:, None], core[None]))
    inside, total = [0], 0.0
    while len(inside) < 80:
        outside = [i for i in range(80) if i not in inside]
        part = full[np.ix_(inside, outside)]
        total += part.min()
        inside.append(outside[int(part.min(axis=0).argmin())])
    assert parts == 1 and weight.sum() == pytest.approx(total, rel=1e-6)


def test_edges_joined_a_few_at_a_time_give_the_same_tree(digits, monkeypatch):
    x, _ = digits
    graph = build_graph(x)
    whole = HDBSCAN(raw()).fit(x, neighbors=graph)
    monkeypatch.setattr(spanning, "CHUNK", 1)
    few = HDBSCAN(raw()).fit(x, neighbors=graph)
    np.testing.assert_allclose(few.tree_.height, whole.tree_.height)
    assert ari(whole.labels_ + 1, few.labels_) > 0.99


def test_recutting_needs_only_the_kept_tree_and_equals_a_fresh_fit(digits, tmp_path):
    x, _ = digits
    graph = build_graph(x)
    model = HDBSCAN(raw(min_cluster_size=5)).fit(x, neighbors=graph, checkpoints=tmp_path)
    fresh = HDBSCAN(raw(min_cluster_size=25, cluster_selection_method="leaf")).fit(x, neighbors=graph)
    model.recut(min_cluster_size=25, cluster_selection_method="leaf")
    assert np.array_equal(model.labels_, fresh.labels_) and model.settings.min_cluster_size == 25
    kept = LinkageTree.load(tmp_path / "tree.npz")
    assert np.array_equal(cut_tree(kept, fresh.settings).labels, fresh.labels_)
    (tmp_path / "tree.npz").write_bytes(b"torn")
    with pytest.raises(StorageError, match="cannot be read"):
        LinkageTree.load(tmp_path / "tree.npz")
    np.savez(tmp_path / "tree.npz", left=[1])
    with pytest.raises(StorageError, match="not a kept tree"):
        LinkageTree.load(tmp_path / "tree.npz")


def test_a_cluster_of_most_images_gives_way_to_parts_that_are_nearly_as_stable(rng):
    centers = np.array([[0, 0], [2.25, 0], [1.125, 1.95], [22.5, 0]])
    truth = np.repeat([0, 1, 2, 3], [200, 200, 200, 300])
    x = (centers[truth] + 0.5 * rng.standard_normal((900, 2))).astype(np.float32)
    theirs = reference.HDBSCAN(min_cluster_size=30, min_samples=5).fit(x).labels_
    assert theirs.max() == 1 and np.mean(theirs == theirs[0]) > 0.5
    tree = kept_tree(x)
    assert ari(theirs + 1, tree.cut(30).labels) > 0.99
    assert ari(truth, tree.cut(30, largest=0.4).labels) > 0.8
    assert tree.cut(30, largest=0.7).labels.max() == 1


def test_a_cluster_of_most_images_without_such_parts_stays_whole(rng):
    x = np.concatenate([rng.standard_normal((600, 2)), [20, 0] + rng.standard_normal((200, 2))]).astype(np.float32)
    assert np.mean(kept_tree(x).cut(15, largest=0.4).labels == 0) > 0.7


def kept_tree(x):
    model = reference.HDBSCAN(min_cluster_size=30, min_samples=5, approx_min_span_tree=False).fit(x.astype(np.float64))
    merges = model.single_linkage_tree_.to_numpy()
    return LinkageTree(merges[:, 0].astype(np.int64), merges[:, 1].astype(np.int64), merges[:, 2])


def test_a_recut_is_quick_at_a_hundred_thousand(rng):
    n = 100_000
    tree = single_linkage(np.arange(n - 1), np.arange(1, n), rng.random(n - 1))
    began = time.perf_counter()
    cut = tree.cut(50)
    assert time.perf_counter() - began < 10
    assert cut.labels.max() > 10 and np.all(np.bincount(cut.labels[cut.labels >= 0]) >= 50)


def test_unseen_images_join_the_group_they_lie_in_or_none(rng):
    x, truth = groups(rng)
    model = HDBSCAN(raw(min_cluster_size=40)).fit(x[::2])
    assert ari(truth[::2], model.labels_) > 0.95
    seen = model.predict(x[1::2])
    joined = seen >= 0
    assert joined.mean() > 0.8 and ari(truth[1::2][joined], seen[joined]) > 0.98
    far = rng.standard_normal((50, 32)).astype(np.float32)
    assert np.all(model.predict(far) == -1)
    assert np.mean(model.predict(x[::2]) == model.labels_) > 0.97


def test_labels_come_in_falling_size_and_noise_has_no_confidence(digits):
    model = HDBSCAN(raw(min_cluster_size=8)).fit(digits[0])
    counts = np.bincount(model.labels_[model.labels_ >= 0])
    assert np.all(np.diff(counts) <= 0) and counts.min() >= 8
    assert np.all(model.confidence_[model.labels_ < 0] == 0) and np.all(model.confidence_[model.labels_ >= 0] > 0)


def test_duplicates_form_their_own_dense_groups(rng):
    x = np.repeat(rng.standard_normal((4, 6)).astype(np.float32), 100, axis=0)
    model = HDBSCAN(raw(min_cluster_size=10)).fit(x)
    assert ari(np.repeat(np.arange(4), 100), model.labels_) == 1.0


def test_structureless_or_few_images_are_all_noise_and_say_so(rng):
    model = HDBSCAN(raw(min_cluster_size=15)).fit(rng.standard_normal((9, 3)).astype(np.float32))
    assert np.all(model.labels_ == -1) and model.centers_.shape == (0, 3)
    assert "dense enough" in model.notes_[-1]
    assert np.all(model.predict(rng.standard_normal((3, 3)).astype(np.float32)) == -1)
    two = HDBSCAN(raw(min_cluster_size=2, min_samples=5)).fit(np.eye(2, dtype=np.float32))
    assert len(two.labels_) == 2 and "cut to 1" in two.notes_[0]


@pytest.mark.parametrize(
    ("x", "values", "sentence"),
    [
        (np.ones((30, 4), np.float32), {}, "identical"),
        (np.full((30, 4), np.inf, np.float32), {}, "infinity"),
        (np.ones((1, 4), np.float32), {}, "One image"),
        (np.zeros((5001, 2), np.float32), {"mode": "exact"}, "up to 5,000"),
    ],
)
def test_what_cannot_be_clustered_is_refused_in_a_sentence(x, values, sentence):
    with pytest.raises(InputError, match=sentence):
        HDBSCAN(raw(**values)).fit(x)
