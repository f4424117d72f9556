"""Maps of an embedding set: PCA (shown at once), UMAP (from the shared graph) and t-SNE.

Flows in: embeddings and their neighbour graph. Flows out: (n, 2) coordinates, kept on disk by key.
The same UMAP, with more dimensions and no minimal distance, is the reduction that density methods work in.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.core.device import threads
from engine.core.errors import InputError, StorageError
from engine.core.files import load_array, save_array
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.core.vectors import Vectors, blocks, check_embeddings, unit
from engine.geometry.islands import draw_together
from engine.geometry.neighbors import NeighborGraph, build_graph

if TYPE_CHECKING:
    from engine.core.workspace import Workspace


class ProjectionSettings(Settings):
    """How images are laid out on the map."""

    kind: Literal["umap", "tsne", "pca"] = setting(
        "umap", "UMAP keeps groups and their surroundings, t-SNE keeps the closest images, PCA is instant and linear."
    )
    n_neighbors: int = setting(15, "UMAP: how many neighbours hold an image in place.", ge=2, le=64)
    min_dist: float = setting(0.1, "UMAP: how closely images may be packed.", ge=0.0, le=0.99, step=0.01)
    perplexity: float = setting(30.0, "t-SNE: about how many neighbours count.", ge=2, le=100)
    random_state: int = setting(0, "Seed; the same seed gives the same map.", ge=0, le=2**31 - 1, advanced=True)


@dataclass(frozen=True)
class Pca:
    """Principal axes of a set of vectors.

    Attributes
    ----------
    mean : (d,) float32
    axes : (c, d) float32
        Orthonormal, in falling variance, each signed so that its largest entry is positive.
    variance : (c,) float64
        Along each axis.
    """

    mean: Vectors
    axes: Vectors
    variance: NDArray[np.float64]

    def __call__(self, vectors: NDArray[Any]) -> Vectors:
        """Return (n, c) coordinates."""
        parts = [
            (np.asarray(vectors[rows], dtype=np.float32) - self.mean) @ self.axes.T for rows in blocks(len(vectors))
        ]
        return np.concatenate(parts)


def fit_pca(vectors: NDArray[Any], n_components: int, *, normalise: bool = False) -> Pca:
    """Return the leading principal axes, from the covariance matrix gathered in one pass.

    Parameters
    ----------
    vectors : (n, d)
        An array or a memory map.
    n_components : int
        At most min(n, d) are returned.
    normalise : bool
        Scale each row to length one first.
    """
    from scipy.linalg import eigh

    count, dimension = vectors.shape
    mean, scatter = np.zeros(dimension), np.zeros((dimension, dimension))
    for rows in blocks(count):
        part = unit(vectors[rows]) if normalise else np.asarray(vectors[rows], dtype=np.float32)
        mean += part.sum(axis=0, dtype=np.float64)
        scatter += part.T @ part
    mean /= count
    covariance = scatter / count - np.outer(mean, mean)
    c = min(n_components, count, dimension)
    values, columns = eigh(covariance, subset_by_index=(dimension - c, dimension - 1))
    axes = columns.T[::-1]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    axes = axes * np.where(largest < 0, -1, 1)
    return Pca(mean.astype(np.float32), np.ascontiguousarray(axes, dtype=np.float32), np.maximum(values[::-1], 0))


def pca_map(embeddings: NDArray[Any]) -> Vectors:
    """Return the (n, 2) map on the first two principal axes of the unit rows; instant."""
    pca = fit_pca(embeddings, 2, normalise=True)
    parts = [pca(unit(embeddings[rows])) for rows in blocks(len(embeddings))]
    return _two_columns(np.concatenate(parts))


def _two_columns(xy: Vectors) -> Vectors:
    return xy if xy.shape[1] == 2 else np.hstack([xy, np.zeros((len(xy), 2 - xy.shape[1]), dtype=np.float32)])


def fuzzy_graph(graph: NeighborGraph, n_neighbors: int = 15) -> Any:  # noqa: ANN401 - SciPy has no types
    """Return UMAP's fuzzy graph as an (n, n) sparse array, the same as umap-learn's `fuzzy_simplicial_set`.

    Each row's distances to its neighbours are scaled so that the weights add up to log2(`n_neighbors`); the
    two directions a, b of an edge join to a + b - ab. Done here in NumPy because umap-learn compiles its own
    version anew in every process, which takes longer than the whole of a small map.

    Parameters
    ----------
    n_neighbors : int
        The row itself included, as UMAP counts.
    """
    from scipy.sparse import csr_array

    count, k = len(graph), min(n_neighbors - 1, graph.k)
    distances = np.maximum(1 - np.asarray(graph.similarities[:, :k], dtype=np.float64), 0)
    distances[distances < 1e-6] = 0
    nearest = np.where(distances > 0, distances, np.inf).min(axis=1)
    nearest[~np.isfinite(nearest)] = 0
    beyond = np.maximum(distances - nearest[:, None], 0)
    target = np.log2(k + 1)
    low, high, scale = np.zeros(count), np.full(count, np.inf), np.ones(count)
    for _ in range(64):
        total = np.exp(-beyond / scale[:, None]).sum(axis=1)
        above = total > target
        high, low = np.where(above, scale, high), np.where(above, low, scale)
        scale = np.where(np.isfinite(high), (low + high) / 2, scale * 2)
        scale = np.clip(scale, 1e-12, 1e12)
    least = np.where(nearest > 0, distances.sum(axis=1) / (k + 1), distances.sum() / (count * (k + 1)))
    scale = np.maximum(scale, 1e-3 * least)
    weights = np.exp(-beyond / np.maximum(scale, 1e-12)[:, None]).astype(np.float32)
    rows = np.repeat(np.arange(count, dtype=np.int32), k)
    directed = csr_array((weights.ravel(), (rows, np.asarray(graph.indices[:, :k]).ravel())), shape=(count, count))
    other = directed.T.tocsr()
    return (directed + other - directed.multiply(other)).tocoo()


def umap_layout(
    embeddings: NDArray[Any],
    graph: NeighborGraph,
    *,
    n_components: int = 2,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    random_state: int = 0,
    progress: Progress = SILENT,
) -> Vectors:
    """Return UMAP coordinates computed from the shared graph (cosine), started from PCA.

    The graph leaves each row out; UMAP wants it first, so the self column is added here. With fewer rows
    than UMAP can lay out (under `n_components` + 3) the PCA coordinates are returned instead.

    References
    ----------
    McInnes, Healy and Melville, UMAP: Uniform Manifold Approximation and Projection, 2018.
    """
    count = len(embeddings)
    pca = fit_pca(embeddings, n_components, normalise=True)
    start = np.concatenate([pca(unit(embeddings[rows])) for rows in blocks(count)])
    if start.shape[1] < n_components:
        start = np.hstack([start, np.zeros((count, n_components - start.shape[1]), dtype=np.float32)])
    if count < n_components + 3 or graph.k < 1:
        progress.say("Too few images for UMAP; this is PCA.")
        return start
    weights = fuzzy_graph(graph, n_neighbors)
    rng = np.random.RandomState(random_state)  # noqa: NPY002 - the generator umap-learn wants
    scale = 10 / max(float(np.abs(start).max()), 1e-12)
    start = (start * scale + rng.normal(scale=1e-4, size=start.shape)).astype(np.float32)
    progress.update(0, 1, phase="umap")
    layout = (_cuml_layout if uses_cuml() else _umap_learn_layout)(start, weights, min_dist, rng)
    progress.update(1, 1, phase="umap")
    if not np.isfinite(layout).all():
        lost = ~np.isfinite(layout).all(axis=1)
        layout[lost] = np.nanmean(np.where(np.isfinite(layout), layout, np.nan), axis=0)
    return layout


def uses_cuml() -> bool:
    """Return whether UMAP is laid out by cuML: KINDRED_CUML=1 asks for it, unless the GPUs are hidden."""
    return os.environ.get("KINDRED_CUML") == "1" and os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1")


def _umap_learn_layout(start: Vectors, weights: Any, min_dist: float, rng: np.random.RandomState) -> Vectors:  # noqa: ANN401
    """Return the (n, c) layout of the fuzzy graph by umap-learn, on the CPU."""
    from umap.umap_ import find_ab_params, simplicial_set_embedding

    a, b = find_ab_params(1.0, min_dist)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layout, _ = simplicial_set_embedding(
            start,
            weights,
            start.shape[1],
            1.0,
            a,
            b,
            1.0,
            5,
            None,
            start,
            rng,
            "euclidean",
            {},
            False,
            {},
            False,
        )
    return np.asarray(layout, dtype=np.float32)


def _cuml_layout(start: Vectors, weights: Any, min_dist: float, rng: np.random.RandomState) -> Vectors:  # noqa: ANN401
    """Return the (n, c) layout of the same fuzzy graph by cuML, on the GPU; other numbers than umap-learn's.

    Raises
    ------
    InputError
        cuML is not installed.
    """
    from scipy.sparse import coo_matrix
    from umap.umap_ import find_ab_params

    try:
        from cuml.manifold.umap import simplicial_set_embedding  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise InputError("KINDRED_CUML is set, but cuML is not installed.", "Install cuml, or unset it.") from error
    a, b = find_ab_params(1.0, min_dist)
    layout = simplicial_set_embedding(
        start,
        coo_matrix(weights),
        n_components=start.shape[1],
        a=float(a),
        b=float(b),
        init=start,
        random_state=int(rng.randint(2**31 - 1)),
    )
    return np.asarray(layout.get() if hasattr(layout, "get") else layout, dtype=np.float32)


def _tsne(embeddings: NDArray[Any], settings: ProjectionSettings, progress: Progress) -> Vectors:
    """Return scikit-learn's t-SNE of the leading 50 principal axes, cosine through unit rows."""
    from sklearn.manifold import TSNE

    count = len(embeddings)
    if count < 5:
        progress.say("Too few images for t-SNE; this is PCA.")
        return pca_map(embeddings)
    pca = fit_pca(embeddings, 50, normalise=True)
    reduced = np.concatenate([pca(unit(embeddings[rows])) for rows in blocks(count)])
    progress.update(0, 1, phase="t-sne")
    model = TSNE(
        n_components=2,
        perplexity=min(settings.perplexity, (count - 1) / 3),
        random_state=settings.random_state,
        init="pca",
        n_jobs=threads(),
    )
    layout: Vectors = model.fit_transform(reduced).astype(np.float32)
    progress.update(1, 1, phase="t-sne")
    return layout


def project(
    embeddings: NDArray[Any],
    graph: NeighborGraph | None = None,
    settings: ProjectionSettings | None = None,
    progress: Progress = SILENT,
) -> Vectors:
    """Return the (n, 2) float32 map of `embeddings`; islands of UMAP and t-SNE are drawn together.

    Parameters
    ----------
    embeddings : (n, d) float32
        Need not be unit length.
    graph : NeighborGraph, optional
        The shared graph; UMAP builds one when it is absent.

    Raises
    ------
    InputError
        Wrong shape, NaN.
    """
    settings = settings or ProjectionSettings()
    array = check_embeddings(embeddings)
    if settings.kind == "pca" or np.all(array == array[0]):
        return pca_map(array)
    if settings.kind == "tsne":
        return draw_together(_tsne(array, settings, progress))
    graph = graph or build_graph(array, k=max(settings.n_neighbors, 15), progress=progress)
    layout = umap_layout(
        array,
        graph,
        n_neighbors=settings.n_neighbors,
        min_dist=settings.min_dist,
        random_state=settings.random_state,
        progress=progress,
    )
    return draw_together(layout)


def cached_projection(
    workspace: Workspace,
    key: str,
    embeddings: NDArray[Any],
    graph: NeighborGraph | None = None,
    settings: ProjectionSettings | None = None,
    progress: Progress = SILENT,
) -> Vectors:
    """Return the map kept under `key` (which names embeddings and settings), made and kept when absent or damaged."""
    path = workspace.projection(key) / "xy.npy"
    try:
        kept: Vectors = load_array(path)
        if kept.shape == (len(embeddings), 2):
            return kept
    except StorageError:
        progress.update(0, 1, phase="map")
    layout = project(embeddings, graph, settings, progress)
    save_array(path, layout)
    return layout
