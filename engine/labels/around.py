"""What lies around a cluster: its twin, the images that could join it, and the parts that it falls into.

The Label page offers these and the simulated annotator takes them, so both ask here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.core.vectors import Vectors
from engine.geometry.neighbors import search
from engine.geometry.prototypes import Prototypes
from engine.labels.state import BY_YOU, LOCKED, Cluster, LabelState

GROW = 60  # images that are offered to a cluster at most
Rows = NDArray[np.int64]


def twin_of(state: LabelState, found: Prototypes, cluster: Cluster) -> tuple[int, float] | None:
    """Return the cluster that could be the same thing, and the cosine between the centres; see `twins_of`."""
    return twins_of(state, found, [cluster]).get(cluster.id)


def twins_of(state: LabelState, found: Prototypes, clusters: Sequence[Cluster]) -> dict[int, tuple[int, float]]:
    """Return, for the clusters that have one, the cluster that could be the same thing.

    That is the nearest one that is not called different or otherwise, where the cluster is its nearest in turn. Of
    1,420 clusters of five sets (docs/figures.md) 60% of such pairs hold the same thing, of the others 33%.

    Parameters
    ----------
    state : LabelState
    found : Prototypes
        Of the clusters of this state.
    clusters : sequence of Cluster

    Returns
    -------
    dict of int to (int, float)
        For a cluster's id its twin and the cosine between the centres.
    """
    names = np.full(len(found.clusters), -1)
    codes: dict[str, int] = {}
    named = [cluster for cluster in state.clusters if cluster.name is not None]
    places = np.searchsorted(found.clusters, [cluster.id for cluster in named])
    names[places] = [codes.setdefault(str(cluster.name), len(codes)) for cluster in named]
    at = np.searchsorted(found.clusters, [cluster.id for cluster in clusters])
    at = at[at < len(found.clusters)]
    if len(found.clusters) < 2 or not len(at):
        return {}
    apart = [np.searchsorted(found.clusters, pair) for pair in state.apart]
    twins, cosines = _nearest(found.centers, names, apart, at)
    asked, place = np.unique(twins, return_inverse=True)
    back, _ = _nearest(found.centers, names, apart, asked, other_names=True)
    mutual = np.isfinite(cosines) & (back[place] == at)
    ids = found.clusters
    return {
        int(ids[one]): (int(ids[twin]), float(cosine))
        for one, twin, cosine in zip(at[mutual], twins[mutual], cosines[mutual], strict=True)
    }


def _nearest(
    centers: Vectors, names: Rows, apart: Sequence[Rows], at: Rows, *, other_names: bool = False
) -> tuple[Rows, NDArray[np.float32]]:
    """Return (m,) the nearest place that could be the same thing as each place in `at`, and the cosines.

    The cosine is -inf where there is none. `other_names` leaves out what has the same name already.
    """
    near = centers[at] @ centers.T
    named, same = names[at][:, None] >= 0, names[at][:, None] == names
    near[named & (names >= 0) & ~same] = -np.inf
    if other_names:
        near[named & same] = -np.inf
    near[np.arange(len(at)), at] = -np.inf
    for one, other in apart:
        near[at == one, other] = -np.inf
        near[at == other, one] = -np.inf
    best = np.argmax(near, axis=1)
    return best.astype(np.int64), near[np.arange(len(at)), best]


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
