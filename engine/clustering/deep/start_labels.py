"""A first clustering for a deep method to start from: k-means, or k-means on neighbour-averaged embeddings.

Averaging each image with its neighbours a few times (a short diffusion on the shared graph) keeps what
distinguishes groups and wipes out what distinguishes images; k-means on the result is a far better start
than k-means on the embeddings, at the price of a few sparse products. No torch here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clustering.deep.presets import SMOOTH_NEIGHBORS, WarmStart
from engine.clustering.kmeans import assign, train_kmeans
from engine.core.errors import InputError
from engine.core.labels import Labels
from engine.core.vectors import Vectors, blocks, unit
from engine.geometry.neighbors import NeighborGraph
from engine.geometry.projection import fit_pca

SMOOTH_STEPS = 20
SMOOTH_DIMENSIONS = 128


def shared_neighbors(indices: NDArray[Any]) -> Any:  # noqa: ANN401 - a scipy sparse array
    """Return the symmetric (n, n) float32 weights of a k-nearest-neighbour graph, a sparse array.

    Rows that are the same, or one of which names the other, weigh the square of how many neighbours they share
    (each counts as its own neighbour): edges within a group weigh more than those that lead astray.

    References
    ----------
    Jarvis, Patrick, "Clustering using a similarity measure based on shared near neighbors", IEEE Transactions on
    Computers C-22, 1973.
    """
    from scipy.sparse import csr_array, eye_array, vstack

    count, k = indices.shape
    rows = np.repeat(np.arange(count, dtype=np.int32), k)
    ones = np.ones(count * k, dtype=np.float32)
    edges = csr_array((ones, (rows, np.asarray(indices).ravel())), shape=(count, count))
    near = (edges + eye_array(count, dtype=np.float32, format="csr")).tocsr()
    columns = near.T.tocsr()
    either = near.maximum(columns).tocsr()
    shared = vstack([(near[part] @ columns).multiply(either[part]) for part in blocks(count)], format="csr")
    return shared.power(2)


def smoothed(
    embeddings: NDArray[Any],
    graph: NeighborGraph,
    *,
    n_neighbors: int = SMOOTH_NEIGHBORS,
    n_steps: int = SMOOTH_STEPS,
) -> Vectors:
    """Return unit (n, c) embeddings after `n_steps` rounds of averaging with the neighbours.

    x <- P x with P the row-normalised `shared_neighbors` weights of the `n_neighbors`-nearest-neighbour graph, on
    the centred unit embeddings (their leading `SMOOTH_DIMENSIONS` principal axes where they have more).
    """
    count = len(graph)
    x: Any
    if embeddings.shape[1] > SMOOTH_DIMENSIONS:
        x = fit_pca(embeddings, SMOOTH_DIMENSIONS, normalise=True)
        x = np.concatenate([x(unit(embeddings[rows])) for rows in blocks(count)])
    else:
        x = unit(embeddings)
        x = x - x.mean(axis=0)
    return unit(neighbor_averages(x, graph, n_neighbors=n_neighbors, n_steps=n_steps))


def neighbor_averages(
    rows: NDArray[Any], graph: NeighborGraph, *, n_neighbors: int = SMOOTH_NEIGHBORS, n_steps: int = SMOOTH_STEPS
) -> NDArray[Any]:
    """Return the (n, c) rows after `n_steps` rounds of averaging with the neighbours; see `smoothed`."""
    weights = shared_neighbors(graph.indices[:, : min(n_neighbors, graph.k)])
    total = weights.sum(axis=1)[:, None]
    for _ in range(n_steps):
        rows = (weights @ rows) / total
    return rows


def starting_labels(
    kind: WarmStart,
    embeddings: NDArray[Any],
    graph: NeighborGraph | None,
    *,
    n_clusters: int,
    random_state: int,
    given: Labels | None = None,
) -> Labels | None:
    """Return the (n,) labels of a warm start; None for "none".

    Parameters
    ----------
    kind : str
        "kmeans": spherical k-means; "graph": k-means on `smoothed` embeddings; "run": `given`.
    given : (n,) int32, optional
        A chosen run's labels of the same images; -1 rows are not fitted to.

    Raises
    ------
    InputError
        "run" without labels, with labels of another length, or with more clusters than `n_clusters`.
    """
    if kind == "none":
        return None
    if kind == "run":
        return _checked(given, len(embeddings), n_clusters)
    if kind == "graph":
        if graph is None:
            raise ValueError('the start "graph" needs the neighbour graph')
        space = smoothed(embeddings, graph)
    else:
        space = unit(embeddings)
    centers = train_kmeans(
        space, n_clusters, spherical=True, n_init=10 if len(space) <= 20_000 else 2, random_state=random_state
    )
    return assign(space, centers)[0]


def _checked(given: Labels | None, n: int, n_clusters: int) -> Labels:
    if given is None:
        raise InputError(
            'The warm start "run" needs the labels of a run.', "Choose a run (--start-run), or another warm start."
        )
    if len(given) != n:
        raise InputError(
            f"The chosen run labels {len(given):,} images, these are {n:,}.",
            "Choose a run of the same images.",
        )
    kept = given[given >= 0]
    if len(kept) == 0:
        raise InputError("The chosen run labels no image.", "Choose another run.")
    names, codes = np.unique(kept, return_inverse=True)
    if len(names) > n_clusters:
        raise InputError(
            f"The chosen run has {len(names):,} clusters, more than the {n_clusters:,} asked for.",
            f"Set n_clusters to {len(names)}, or choose another run.",
        )
    labels = np.full(n, -1, dtype=np.int32)
    labels[given >= 0] = codes
    return labels
