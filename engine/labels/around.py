"""What lies around a cluster: its twin, the images that could join it, and the parts that it falls into.

The Label page offers these and the simulated annotator takes them, so both ask here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.core.vectors import Vectors
from engine.geometry.neighbors import search
from engine.geometry.prototypes import Prototypes
from engine.labels.state import BY_YOU, LOCKED, Cluster, LabelState

GROW = 60  # images that are offered to a cluster at most
Rows = NDArray[np.int64]


def twin_of(state: LabelState, found: Prototypes, cluster: Cluster) -> tuple[int, float] | None:
    """Return the nearest cluster that is not called different or otherwise, and the cosine between the centres.

    Parameters
    ----------
    state : LabelState
    found : Prototypes
        Of the clusters of this state.
    cluster : Cluster

    Returns
    -------
    (int, float) or None
        None where no other cluster could be the same thing.
    """
    at = int(np.searchsorted(found.clusters, cluster.id))
    if len(found.clusters) < 2 or at >= len(found.clusters):
        return None
    near = found.centers @ found.centers[at]
    near[at] = -np.inf
    for other in np.argsort(-near)[:-1]:
        twin = int(found.clusters[other])
        told_apart = (min(twin, cluster.id), max(twin, cluster.id)) in state.apart
        known = state.find(twin)
        named_otherwise = cluster.name and known and known.name and known.name != cluster.name
        if not told_apart and not named_otherwise:
            return twin, float(near[other])
    return None


def nearest_outside(vectors: Vectors, found: Prototypes, state: LabelState, cluster: int) -> Rows:
    """Return the images outside a cluster that are nearest to its centre, nearest first.

    A label or a new name changes nothing of it, only who is in which cluster does.
    """
    at = int(np.searchsorted(found.clusters, cluster))
    size = len(state.rows(cluster))
    near, _ = search(vectors, found.centers[at : at + 1], min(len(vectors), size + 4 * GROW))
    outside: Rows = near[0][state.cluster[near[0]] != cluster].astype(np.int64)
    return outside


def could_join(state: LabelState, cluster: Cluster, outside: Rows) -> Rows:
    """Return those of the nearest images outside that are not locked and that nobody called otherwise.

    Parameters
    ----------
    state : LabelState
    cluster : Cluster
    outside : (m,) int64
        From `nearest_outside`.
    """
    outside = outside[state.status[outside] != LOCKED]
    code = state.label_names.index(cluster.name) if cluster.name is not None else -1
    otherwise = (state.source[outside] == BY_YOU) & (state.given[outside] != code)
    return outside[~otherwise][:GROW]


def parts_of(vectors: Vectors, rows: Rows, parts: int) -> Rows:
    """Return the part, 0 to `parts` - 1, of each of (m,) rows: k-means on these images only."""
    from engine.clustering.kmeans import KMeans, KMeansSettings

    return KMeans(KMeansSettings(n_clusters=parts)).fit(vectors[rows]).labels_.astype(np.int64)
