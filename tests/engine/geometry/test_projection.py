"""Maps: PCA beside scikit-learn's, UMAP's graph by its own equation, groups that stay together, the cache."""

import sys
import types

import numpy as np
import pytest
import scipy.sparse
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from engine.core.errors import InputError
from engine.core.vectors import unit
from engine.geometry import projection
from engine.geometry.neighbors import build_graph
from engine.geometry.projection import (
    ProjectionSettings,
    cached_projection,
    fit_pca,
    fuzzy_graph,
    pca_map,
    project,
    umap_layout,
)


def groups(rng, n=200, spread=0.3):
    centers = unit(rng.standard_normal((4, 20)))
    truth = np.arange(n) % 4
    return (centers[truth] + spread * rng.standard_normal((n, 20)) / np.sqrt(20)).astype(np.float32), truth


def neighbours_agree(xy, truth):
    near = NearestNeighbors(n_neighbors=6).fit(xy).kneighbors(xy)[1][:, 1:]
    return float((truth[near] == truth[:, None]).mean())


def test_pca_is_scikit_learns_up_to_sign(rng):
    x = (rng.standard_normal((300, 12)) * np.arange(1, 13)).astype(np.float32)
    ours, theirs = fit_pca(x, 5), PCA(5).fit(x.astype(np.float64))
    np.testing.assert_allclose(np.abs(ours.axes @ theirs.components_.T), np.eye(5), atol=1e-3)
    np.testing.assert_allclose(ours.variance, theirs.explained_variance_ * 299 / 300, rtol=1e-4)
    np.testing.assert_allclose(np.abs(ours(x)), np.abs(theirs.transform(x)), atol=2e-2)


def test_pca_map_ignores_scale_and_has_two_columns_even_for_one(rng):
    x, _ = groups(rng)
    np.testing.assert_allclose(pca_map(x), pca_map(x * rng.uniform(0.5, 3, (200, 1))), atol=1e-4)
    assert pca_map(rng.random((9, 1)).astype(np.float32)).shape == (9, 2)


def test_the_fuzzy_graph_satisfies_umaps_equation(rng):
    x, _ = groups(rng)
    graph = build_graph(x, k=30)
    weights = fuzzy_graph(graph, 15).toarray()
    np.testing.assert_allclose(weights, weights.T, atol=1e-6)
    assert np.all(weights.diagonal() == 0) and 0 < weights[weights > 0].min() and weights.max() <= 1 + 1e-6
    distances = 1 - graph.similarities[:, :14].astype(np.float64)
    directed = np.zeros((200, 200))
    for i in range(200):
        beyond = distances[i] - distances[i].min()
        low, high = 1e-9, 1e3
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if np.exp(-beyond / middle).sum() < np.log2(15) else (low, middle)
        directed[i, graph.indices[i, :14]] = np.exp(-beyond / low)
    np.testing.assert_allclose(weights, directed + directed.T - directed * directed.T, atol=1e-3)


@pytest.mark.parametrize("kind", ["umap", "tsne"])
def test_groups_stay_together_and_seeds_repeat(rng, kind):
    x, truth = groups(rng)
    graph = build_graph(x)
    settings = ProjectionSettings(kind=kind)
    xy = project(x, graph, settings)
    assert xy.shape == (200, 2) and xy.dtype == np.float32 and np.isfinite(xy).all()
    assert neighbours_agree(xy, truth) > 0.98
    np.testing.assert_array_equal(xy, project(x, graph, settings))


def test_umap_may_have_more_dimensions_than_the_embeddings(rng):
    x = rng.random((40, 3)).astype(np.float32)
    assert umap_layout(x, build_graph(x), n_components=10, min_dist=0.0).shape == (40, 10)


@pytest.mark.parametrize("kind", ["umap", "tsne", "pca"])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_very_few_or_identical_images_still_get_a_map(rng, kind, n):
    few = rng.random((n, 6)).astype(np.float32)
    assert project(few, None, ProjectionSettings(kind=kind)).shape == (n, 2)
    same = project(np.ones((30, 6), np.float32), None, ProjectionSettings(kind=kind))
    assert same.shape == (30, 2) and np.isfinite(same).all()


def test_duplicates_are_laid_out(rng):
    x = np.repeat(rng.random((5, 6)).astype(np.float32), 20, axis=0)
    assert np.isfinite(project(x, None, ProjectionSettings())).all()


def test_nan_is_refused():
    with pytest.raises(InputError, match="NaN"):
        project(np.full((30, 4), np.nan, np.float32))


def test_the_cache_answers_the_second_time_and_mends_itself(workspace, rng, monkeypatch):
    x, _ = groups(rng)
    settings = ProjectionSettings(kind="pca")
    first = np.array(cached_projection(workspace, "m", x, None, settings))
    with monkeypatch.context() as patch:
        patch.setattr(projection, "project", lambda *a: pytest.fail("made again"))
        np.testing.assert_array_equal(cached_projection(workspace, "m", x, None, settings), first)
    (workspace.projection("m") / "xy.npy").write_bytes(b"torn")
    np.testing.assert_array_equal(cached_projection(workspace, "m", x, None, settings), first)


@pytest.fixture
def cuml(monkeypatch):
    """A stand-in of cuML's interface: its arguments by name, an array that lies on the GPU as the answer."""
    seen = {}

    class OnGpu:
        def __init__(self, array):
            self.array = array

        def get(self):
            return self.array

    def simplicial_set_embedding(
        data,
        graph,
        n_components=2,
        initial_alpha=1.0,
        a=None,
        b=None,
        gamma=1.0,
        negative_sample_rate=5,
        n_epochs=None,
        init="spectral",
        random_state=None,
    ):
        seen.update(graph=graph, components=n_components, a=a, b=b, init=init, seed=random_state)
        return OnGpu(np.asarray(init, dtype=np.float64) + 1)

    module = types.SimpleNamespace(simplicial_set_embedding=simplicial_set_embedding)
    monkeypatch.setitem(sys.modules, "cuml", types.ModuleType("cuml"))
    monkeypatch.setitem(sys.modules, "cuml.manifold", types.ModuleType("cuml.manifold"))
    monkeypatch.setitem(sys.modules, "cuml.manifold.umap", module)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("KINDRED_CUML", "1")
    return seen


def test_cuml_lays_out_the_same_graph_where_it_is_switched_on(rng, cuml, monkeypatch):
    x, _ = groups(rng)
    graph = build_graph(x, k=15)
    layout = umap_layout(x, graph, n_components=3)
    assert layout.dtype == np.float32 and layout.shape == (200, 3)
    np.testing.assert_allclose(layout, cuml["init"] + 1)
    assert scipy.sparse.isspmatrix_coo(cuml["graph"]) and cuml["components"] == 3
    np.testing.assert_allclose(cuml["graph"].toarray(), fuzzy_graph(graph).toarray())
    assert cuml["a"] == pytest.approx(1.577, abs=0.01) and isinstance(cuml["seed"], int)
    first = cuml["seed"]
    umap_layout(x, graph, n_components=3)
    assert cuml["seed"] == first
    cuml.clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # --no-gpu hides them from a sweep's workers
    umap_layout(x, graph)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.delenv("KINDRED_CUML")
    umap_layout(x, graph)
    assert not cuml


def test_cuml_that_is_asked_for_and_not_installed_is_said(rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "cuml", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("KINDRED_CUML", "1")
    x, _ = groups(rng)
    with pytest.raises(InputError, match="cuML is not installed"):
        umap_layout(x, build_graph(x, k=15))
