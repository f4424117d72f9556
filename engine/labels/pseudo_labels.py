"""Pseudo-labels: a cluster takes the majority label of the samples nearest to its centre, and gives it to its samples.

Embeddings, assignments and known labels (the data set's truth, or what a person labelled) flow in; a label and a
confidence for every sample and every cluster flow out. `engine.export.pseudo_labels` writes them into a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.settings import Settings, setting

CHUNK = 16_384
Ints = NDArray[np.int64]


class PseudoLabelSettings(Settings):
    """How clusters get labels, and what the picture shows."""

    k_samples: int = setting(
        10,
        "Samples nearest to a cluster's centre that vote; 5-10 for ten classes, 20-50 for a thousand.",
        ge=1,
        le=1000,
    )
    visualize_mapping: bool = setting(True, "Draw the picture of clusters beside their labels.")
    max_clusters_viz: int = setting(20, "Clusters in the picture.", ge=1, le=200)
    samples_per_cluster: int = setting(5, "Pictures of each cluster.", ge=1, le=20)


@dataclass(frozen=True)
class LabelNames:
    """Label names and their numbers: in numerical order when all are whole numbers, else in code-point order."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, *columns: Sequence[str | None]) -> LabelNames:
        """Collect the names of some columns; None and "" are no labels."""
        found = {text for column in columns for text in set(column) if text}
        whole = all(text.isascii() and text.isdigit() for text in found)
        return cls(tuple(sorted(found, key=lambda text: (int(text), text)) if whole else sorted(found)))

    def encode(self, column: Sequence[str | None]) -> NDArray[np.int32]:
        """Return (n,) numbers, -1 for None and ""."""
        place: dict[str | None, int] = {None: -1, "": -1}
        place.update((name, at) for at, name in enumerate(self.names))
        return np.fromiter((place[text] for text in column), np.int32, len(column))

    def decode(self, codes: NDArray[Any]) -> list[str | None]:
        """Return the names of numbers, None for -1."""
        table: list[str | None] = [*self.names, None]
        return [table[code] for code in codes.tolist()]


@dataclass(frozen=True)
class PseudoLabels:
    """What clusters are called, by the vote of the samples nearest to their centres.

    Attributes
    ----------
    k : int
        Voters asked of each cluster; a smaller cluster asks all it has.
    names : LabelNames
        What the codes mean.
    centers : (K, d) float32
        Unit-length centres.
    cluster_label : (K,) int32
        Winning label, -1 where no voter's label is known.
    cluster_confidence : (K,) float32
        Purity: the winner's share of the voters whose label is known; 0 where there are none.
    cluster_size : (K,) int64
        Samples voted over; 0 for an empty cluster.
    known_voters : (K,) int64
        Voters whose label is known.
    radius : (K,) float32
        Distance of the farthest voter; samples within it get the cluster's full confidence.
    voters : (K, k) int64
        Rows, nearest first, -1 where the cluster has fewer.
    distance : (n,) float32
        Of each row to its centre: Euclidean between unit vectors, in [0, 2]; NaN for noise.
    """

    k: int
    names: LabelNames
    centers: NDArray[np.float32]
    cluster_label: NDArray[np.int32]
    cluster_confidence: NDArray[np.float32]
    cluster_size: Ints
    known_voters: Ints
    radius: NDArray[np.float32]
    voters: Ints
    distance: NDArray[np.float32]

    @property
    def empty_clusters(self) -> list[int]:
        """Clusters without samples."""
        return np.flatnonzero(self.cluster_size == 0).tolist()

    @property
    def unlabelled_clusters(self) -> list[int]:
        """Clusters with samples whose voters carry no known label."""
        return np.flatnonzero((self.cluster_size > 0) & (self.cluster_label < 0)).tolist()

    def label(
        self, assignments: NDArray[np.integer[Any]], distance: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Label samples by their clusters.

        Parameters
        ----------
        assignments : (m,) int
            Clusters, -1 for noise.
        distance : (m,) float32
            From `distances_to_centers`.

        Returns
        -------
        labels : (m,) int32
            -1 where the cluster has none.
        confidence : (m,) float32
            Purity of the voters times a distance term, min(1, radius / distance); 0 where there is no label.
        """
        labels = np.append(self.cluster_label, -1)[assignments]
        purity = np.append(self.cluster_confidence, 0)[assignments]
        radius = np.append(self.radius, 0)[assignments]
        with np.errstate(divide="ignore", invalid="ignore"):
            near = np.where(distance <= radius, 1.0, radius / distance)
        confidence = np.where(labels >= 0, purity * near, 0.0).astype(np.float32)
        return labels.astype(np.int32), confidence


def pseudo_label(
    embeddings: NDArray[Any],
    assignments: NDArray[np.integer[Any]],
    known: Sequence[str | None],
    *,
    centers: NDArray[Any] | None = None,
    k: int = 10,
    names: LabelNames | None = None,
) -> PseudoLabels:
    """Let the k samples nearest to each centre vote with the labels that are known.

    Parameters
    ----------
    embeddings : (n, d) array
        Not necessarily unit length; a memory map is read in chunks.
    assignments : (n,) int
        Clusters 0..K-1, -1 for noise.
    known : sequence of str or None, length n
        True labels, or those that a person gave.
    centers : (K, d) array, optional
        Cluster centres; the mean of each cluster's unit vectors by default.
    k : int
        How many vote.
    names : LabelNames, optional
        Numbering to use; that of `known` by default.

    Raises
    ------
    InputError
        Different lengths, a cluster without a centre, k below 1.

    Notes
    -----
    Ties go to the label with the smaller summed distance, then to the lower number.
    """
    clusters = np.asarray(assignments, np.int64)
    n = len(embeddings)
    if len(clusters) != n or len(known) != n:
        raise InputError(
            f"{n:,} embeddings need as many clusters and labels, not {len(clusters):,} and {len(known):,}."
        )
    if k < 1:
        raise InputError("At least one sample of each cluster must vote.")
    n_clusters = int(clusters.max(initial=-1)) + 1
    if centers is not None:
        if len(centers) < n_clusters:
            raise InputError(f"Cluster {n_clusters - 1} has no centre: only {len(centers):,} were given.")
        n_clusters = len(centers)
    middles = _unit(np.asarray(centers)) if centers is not None else cluster_centers(embeddings, clusters)
    distance = distances_to_centers(embeddings, clusters, middles)
    members = np.flatnonzero(clusters >= 0)
    order = members[np.lexsort((distance[members], clusters[members]))]
    size = np.bincount(clusters[members], minlength=n_clusters)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size)
    voters = np.full((n_clusters, k), -1, np.int64)
    voting = order[rank < k]
    voters[clusters[voting], rank[rank < k]] = voting
    radius = np.zeros(n_clusters, np.float32)
    np.maximum.at(radius, clusters[voting], distance[voting])
    numbering = names or LabelNames.of(known)
    codes = numbering.encode(known)
    voting = voting[codes[voting] >= 0]
    winner, votes, asked = _vote(clusters[voting], codes[voting], distance[voting], n_clusters)
    return PseudoLabels(
        k=k,
        names=numbering,
        centers=middles,
        cluster_label=winner,
        cluster_confidence=(votes / np.maximum(asked, 1)).astype(np.float32),
        cluster_size=size,
        known_voters=asked,
        radius=radius,
        voters=voters,
        distance=distance,
    )


def _vote(
    cluster: Ints, code: NDArray[np.int32], distance: NDArray[np.float32], n_clusters: int
) -> tuple[NDArray[np.int32], Ints, Ints]:
    """Return (winning label, its votes, all votes) of each cluster."""
    width = int(code.max(initial=0)) + 1
    pairs, at = np.unique(cluster * width + code, return_inverse=True)
    votes = np.bincount(at, minlength=len(pairs))
    summed = np.bincount(at, distance.astype(np.float64), minlength=len(pairs))
    home, label = pairs // width, pairs % width
    best = np.lexsort((label, summed, -votes, home))
    first = best[np.unique(home[best], return_index=True)[1]]
    winner = np.full(n_clusters, -1, np.int32)
    winner[home[first]] = label[first]
    won = np.zeros(n_clusters, np.int64)
    won[home[first]] = votes[first]
    return winner, won, np.bincount(cluster, minlength=n_clusters)


def cluster_centers(embeddings: NDArray[Any], assignments: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """Return (K, d) unit-length means of each cluster's unit vectors; zeros for an empty cluster."""
    n_clusters = int(np.max(assignments, initial=-1)) + 1
    sums = np.zeros((n_clusters, embeddings.shape[1]), np.float64)
    for start in range(0, len(embeddings), CHUNK):
        part = np.asarray(assignments[start : start + CHUNK])
        vectors = _unit(np.asarray(embeddings[start : start + CHUNK])[part >= 0])
        part = part[part >= 0]
        order = np.argsort(part, kind="stable")
        found, starts = np.unique(part[order], return_index=True)
        if len(found):
            sums[found] += np.add.reduceat(vectors[order], starts, axis=0, dtype=np.float64)
    return _unit(sums)


def distances_to_centers(
    embeddings: NDArray[Any], assignments: NDArray[np.integer[Any]], centers: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return (n,) Euclidean distances between unit vectors and the unit centre of their cluster; NaN for noise."""
    distance = np.full(len(embeddings), np.nan, np.float32)
    for start in range(0, len(embeddings), CHUNK):
        part = np.asarray(assignments[start : start + CHUNK])
        vectors = np.asarray(embeddings[start : start + CHUNK], np.float32)
        inside = part >= 0
        if not inside.all():
            vectors, part = vectors[inside], part[inside]
        length = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
        cosine = np.einsum("nd,nd->n", vectors, centers[part]) / np.maximum(length, np.finfo(np.float32).tiny)
        distance[start : start + CHUNK][inside] = np.sqrt(np.clip(2 - 2 * cosine, 0, 4))
    return distance


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return rows scaled to length one; zero rows stay zero."""
    length = np.linalg.norm(np.asarray(vectors, np.float64 if vectors.dtype == np.float64 else np.float32), axis=1)
    return (vectors / np.maximum(length, np.finfo(np.float32).tiny)[:, None]).astype(np.float32)
