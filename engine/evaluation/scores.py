"""What a clustering is worth: exact cosine silhouette, balance, composite, and agreement with truth.

Flows in: embeddings, labels (-1 is noise), truth where there is any. Flows out: plain numbers and tables.
Everything is linear in the number of images, so a million labels take seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import model_validator

from engine.core.errors import InputError
from engine.core.labels import compact, encode
from engine.core.settings import Settings, setting
from engine.core.vectors import blocks, unit
from engine.evaluation.agreement import Integers, accuracy, ari, nmi, random_accuracy, sizes
from engine.geometry.centers import cluster_sums

_DOUBLE_PRECISION_WORK = 2e9


class CompositeSettings(Settings):
    """How silhouette, balance and the absence of noise make one number."""

    silhouette_weight: float = setting(0.3, "Weight of the silhouette, scaled to 0..1.", ge=0, le=1, step=0.05)
    balance_weight: float = setting(0.4, "Weight of even cluster sizes.", ge=0, le=1, step=0.05)
    noise_weight: float = setting(0.3, "Weight of having little noise.", ge=0, le=1, step=0.05)
    validation_weight: float = setting(
        0.3, "Weight of your own pairs when you gave some; the other three share the rest.", ge=0, le=1, step=0.05
    )

    @model_validator(mode="after")
    def _some_weight(self) -> CompositeSettings:
        if self.silhouette_weight + self.balance_weight + self.noise_weight <= 0:
            raise ValueError("at least one of the three weights must be above zero")
        return self


def silhouette_samples(embeddings: NDArray[Any], labels: Integers, *, rows: Integers | None = None) -> NDArray[Any]:
    """Return the exact cosine silhouette of each image, in O(n K d).

    For unit vectors the mean cosine distance of x to a cluster is 1 - x . mean(cluster), so one matrix
    product with the cluster sums replaces all pairwise distances.

    Parameters
    ----------
    embeddings : (n, d) float
        An array or a memory map; need not be unit length.
    labels : (n,) int
        -1 is noise: it belongs to no cluster and counts in no mean.
    rows : (m,) int, optional
        Only these images are answered for; the cluster means are still those of all images.

    Returns
    -------
    (n,) or (m,) float64
        In [-1, 1]; 0 for a singleton, NaN for noise and where there are fewer than two clusters.

    References
    ----------
    Rousseeuw, Silhouettes, 1987.
    """
    labels = compact(labels)
    asked = np.arange(len(labels)) if rows is None else np.asarray(rows)
    counts = sizes(labels).astype(np.float64)
    result = np.full(len(asked), np.nan)
    if len(counts) < 2:
        return result
    if len(embeddings) != len(labels):
        raise InputError(f"{len(labels):,} labels were given for {len(embeddings):,} embeddings.")
    sums = cluster_sums(embeddings, labels, len(counts), normalise=True)
    heavy = len(asked) * float(sums.size) > _DOUBLE_PRECISION_WORK
    kind = np.float32 if heavy else np.float64
    means = (sums / counts[:, None]).T.astype(kind)
    for part in blocks(len(asked), max(256, int(2**21 / max(means.shape)))):
        chosen = asked[part]
        own = labels[chosen]
        vectors = unit(embeddings[chosen]).astype(kind)
        result[part] = _silhouette_block(vectors, own, means, counts)
    return result


def _silhouette_block(
    vectors: NDArray[Any], own: NDArray[np.int32], means: NDArray[Any], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the silhouettes of one block of unit rows, NaN for noise."""
    distances = 1 - (vectors @ means).astype(np.float64)
    line = np.arange(len(own))
    place = np.maximum(own, 0)
    size = counts[place]
    itself = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    total = size * distances[line, place]
    inside = np.divide(total - (1 - itself), size - 1, out=np.zeros(len(own)), where=size > 1)
    distances[line, place] = np.inf
    outside = distances.min(axis=1)
    largest = np.maximum(inside, outside)
    values = np.divide(outside - inside, largest, out=np.zeros(len(own)), where=largest > 0)
    values[size <= 1] = 0.0
    values[own < 0] = np.nan
    return np.clip(values, -1, 1)


def silhouette(
    embeddings: NDArray[Any], labels: Integers, *, sample: int | None = None, random_state: int = 0
) -> float:
    """Return the mean exact cosine silhouette over the images that are not noise; -1 below two clusters.

    With `sample`, the mean of that many random images (cluster means still of all): unbiased, for live scores.
    Equals `sklearn.metrics.silhouette_score(metric="cosine")` to seven digits.
    """
    rows = np.flatnonzero(np.asarray(labels) >= 0)
    if len(sizes(compact(labels))) < 2:
        return -1.0
    if sample is not None and sample < len(rows):
        rows = np.sort(np.random.default_rng(random_state).choice(rows, sample, replace=False))
    return float(np.mean(silhouette_samples(embeddings, labels, rows=rows)))


def balance(labels: Integers) -> float:
    """Return max(0, 1 - CV/2), CV the standard deviation of the cluster sizes over their mean; 0 below two."""
    counts = sizes(labels)
    counts = counts[counts > 0]
    if len(counts) < 2:
        return 0.0
    return float(max(0.0, 1 - counts.std() / counts.mean() / 2))


def noise_share(labels: Integers) -> float:
    """Return the share of images labelled -1."""
    return float(np.mean(np.asarray(labels) < 0)) if len(labels) else 0.0


def largest_share(labels: Integers) -> float:
    """Return the share of all images that the largest cluster holds: 0.82 is the failure Kindred exists for."""
    counts = sizes(labels)
    return float(counts.max() / len(labels)) if len(counts) else 0.0


def pair_share(labels: Integers, pairs: Integers) -> float:
    """Return the share of (m, 2) pairs of rows that sit in one same cluster, noise never; NaN without pairs."""
    pairs = np.asarray(pairs).reshape(-1, 2)
    if not len(pairs):
        return float("nan")
    first, second = np.asarray(labels)[pairs.T]
    return float(np.mean((first == second) & (first >= 0)))


def composite(
    silhouette_value: float,
    balance_value: float,
    noise_value: float,
    *,
    pairs_together: float | None = None,
    settings: CompositeSettings | None = None,
) -> float:
    """Return the one number a sweep ranks by, in [0, 1] with the default weights.

    0.3 (silhouette + 1)/2 + 0.4 balance + 0.3 (1 - noise share). With validation pairs of weight w, each
    of the three gets (1 - w)/3 and w goes to the share of pairs that are together.
    """
    settings = settings or CompositeSettings()
    parts = np.array([(silhouette_value + 1) / 2, balance_value, 1 - noise_value])
    if pairs_together is not None and np.isfinite(pairs_together):
        weight = settings.validation_weight
        return float((1 - weight) * parts.mean() + weight * pairs_together)
    weights = np.array([settings.silhouette_weight, settings.balance_weight, settings.noise_weight])
    return float(weights @ parts)


@dataclass(frozen=True)
class Floor:
    """What shuffled labels of the same sizes reach; a clustering has structure when it stands above `level`.

    Attributes
    ----------
    silhouette : float
        The clustering's own.
    level : float
        Mean plus three standard deviations of the shuffles, at least `MARGIN` above their mean.
    """

    silhouette: float
    level: float


MARGIN = 0.005


def shuffled_floor(
    embeddings: NDArray[Any],
    labels: Integers,
    *,
    value: float | None = None,
    shuffles: int = 5,
    sample: int = 5_000,
    random_state: int = 0,
) -> Floor:
    """Compare a clustering's silhouette with that of its own labels shuffled.

    The gate of every ranking: random balanced labels score high on balance and noise but not here. Five
    shuffles estimate their spread badly (three of five standard deviations are passed by chance once in
    forty), so the level also stands at least `MARGIN` above their mean.

    Parameters
    ----------
    value : float, optional
        The clustering's own silhouette when it is known already.
    sample : int
        Images on which each shuffle is measured; the cluster means are always of all.
    """
    rng = np.random.default_rng(random_state)
    own = silhouette(embeddings, labels) if value is None else value
    labels = np.asarray(labels)
    found = [silhouette(embeddings, rng.permutation(labels), sample=sample, random_state=i) for i in range(shuffles)]
    return Floor(own, float(np.mean(found)) + max(3 * float(np.std(found, ddof=1)), MARGIN))


def scores(
    embeddings: NDArray[Any] | None,
    labels: Integers,
    truth: ArrayLike | Sequence[str | None] | None = None,
    *,
    sample: int | None = None,
    weights: CompositeSettings | None = None,
    pairs: Integers | None = None,
) -> dict[str, float | int | None]:
    """Return every score of one clustering.

    Parameters
    ----------
    embeddings : (n, d) float or None
        Without them silhouette and composite are None.
    labels : (n,) int
        -1 is noise.
    truth : (n,) int or str, optional
        May be partial: None, "" or -1 where unknown; those rows are left out of accuracy, NMI and ARI.
    sample : int, optional
        Measure the silhouette on that many images.
    pairs : (m, 2) int, optional
        Validation pairs; they enter the composite.

    Returns
    -------
    dict
        accuracy, nmi, ari, random_accuracy, silhouette, balance, composite, n_clusters, largest_share,
        noise_share; None where it cannot be known.
    """
    labels = compact(labels)
    n_clusters = len(sizes(labels))
    found: dict[str, float | int | None] = dict.fromkeys(("accuracy", "nmi", "ari", "random_accuracy"))
    if truth is not None:
        codes, _ = encode(truth)
        if len(codes) != len(labels):
            raise InputError(f"{len(codes):,} true labels were given for {len(labels):,} images.")
        if (codes >= 0).any():
            found |= {
                "accuracy": accuracy(codes, labels),
                "nmi": nmi(codes, labels),
                "ari": ari(codes, labels),
                "random_accuracy": random_accuracy(codes, n_clusters) if n_clusters else None,
            }
    even, noise = balance(labels), noise_share(labels)
    own = silhouette(embeddings, labels, sample=sample) if embeddings is not None else None
    together = pair_share(labels, pairs) if pairs is not None else None
    whole = composite(own, even, noise, pairs_together=together, settings=weights) if own is not None else None
    return found | {
        "silhouette": own,
        "balance": even,
        "composite": whole,
        "n_clusters": n_clusters,
        "largest_share": largest_share(labels),
        "noise_share": noise,
    }
