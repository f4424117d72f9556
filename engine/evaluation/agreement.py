"""Labels beside labels: contingency, matched accuracy, NMI, ARI, per class and per cluster.

Flows in: integer columns where -1 is noise or unknown truth. Flows out: numbers and small tables. Everything
goes through one contingency table, so a million labels take less than a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.labels import compact

Integers = NDArray[np.integer[Any]]


def sizes(labels: Integers) -> NDArray[np.int64]:
    """Return the number of images in each cluster 0..K-1, noise left out."""
    array = np.asarray(labels)
    return np.bincount(array[array >= 0]).astype(np.int64)


def contingency(truth: Integers, labels: Integers) -> NDArray[np.int64]:
    """Return the (C, K) table of counts; rows with a negative truth or label are left out."""
    truth, labels = np.asarray(truth), np.asarray(labels)
    known = (truth >= 0) & (labels >= 0)
    first, second = truth[known].astype(np.int64), labels[known].astype(np.int64)
    if not len(first):
        return np.zeros((0, 0), dtype=np.int64)
    rows, columns = int(first.max()) + 1, int(second.max()) + 1
    return np.bincount(first * columns + second, minlength=rows * columns).reshape(rows, columns)


def _with_noise(labels: Integers) -> NDArray[np.int32]:
    """Return labels without gaps, all noise as one further cluster."""
    codes = compact(labels)
    return codes + np.int32(codes.min(initial=0) < 0)


def _table(truth: Integers, labels: Integers) -> NDArray[np.int64]:
    """Return the contingency of the rows with truth, all noise as one further cluster."""
    truth = np.asarray(truth)
    known = truth >= 0
    return contingency(truth[known], _with_noise(np.asarray(labels)[known]))


# ------------------------------------------------------------------------------- against the truth


def match(truth: Integers, labels: Integers) -> dict[int, int]:
    """Return {cluster: class} that agrees with most images: the Hungarian assignment, rectangular too."""
    from scipy.optimize import linear_sum_assignment

    table = contingency(truth, labels)
    classes, clusters = linear_sum_assignment(table, maximize=True)
    return {int(cluster): int(name) for cluster, name in zip(clusters, classes, strict=True)}


def accuracy(truth: Integers, labels: Integers) -> float:
    """Return the share of images whose cluster, matched one to one to a class, is right.

    Parameters
    ----------
    truth, labels : (n,) int
        Rows with a negative truth are left out. Noise (-1) is never right, and neither are the clusters
        left over when there are more clusters than classes.

    Returns
    -------
    float
        In [0, 1]; NaN when no row has truth.

    References
    ----------
    Kuhn, The Hungarian method for the assignment problem, 1955; by `scipy.optimize.linear_sum_assignment`.
    """
    from scipy.optimize import linear_sum_assignment

    known = int((np.asarray(truth) >= 0).sum())
    if not known:
        return float("nan")
    table = contingency(truth, labels)
    if not table.size:
        return 0.0
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / known)


def nmi(truth: Integers, labels: Integers) -> float:
    """Return the normalised mutual information (arithmetic mean), noise counted as one cluster of its own.

    NaN when no row has truth. Equals scikit-learn's `normalized_mutual_info_score`, in two fifths of its time.
    """
    table = _table(truth, labels).astype(np.float64)
    total = table.sum()
    if total == 0:
        return float("nan")
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    first, second = _entropy(rows / total), _entropy(columns / total)
    if first == 0 and second == 0:
        return 1.0
    i, j = np.nonzero(table)
    joint = table[i, j]
    information = float(np.sum(joint / total * (np.log(joint) + np.log(total) - np.log(rows[i]) - np.log(columns[j]))))
    return float(max(information, 0.0) / ((first + second) / 2))


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum()) if len(some) > 1 else 0.0


def ari(truth: Integers, labels: Integers) -> float:
    """Return the adjusted Rand index to the truth, noise counted as one cluster of its own; in [-0.5, 1].

    Rows with a negative truth are left out; NaN when no row has truth. Equals scikit-learn's `adjusted_rand_score`,
    in a third of its time on 1.28 million labels of 1,000 classes.

    References
    ----------
    Hubert and Arabie, Comparing partitions, 1985.
    """
    return _adjusted_rand(_table(truth, labels))


def ari_between(first: Integers, second: Integers) -> float:
    """Return the adjusted Rand index of two clusterings of the same rows; noise is a cluster in either."""
    return _adjusted_rand(contingency(_with_noise(first), _with_noise(second)))


def _adjusted_rand(counts: NDArray[np.int64]) -> float:
    table = counts.astype(np.float64)
    total = table.sum()
    if total == 0:
        return float("nan")
    pairs = _pairs(table).sum()
    rows, columns = _pairs(table.sum(axis=1)).sum(), _pairs(table.sum(axis=0)).sum()
    possible = _pairs(total)
    expected = rows * columns / possible if possible else 0.0
    highest = (rows + columns) / 2
    return 1.0 if highest == expected else float((pairs - expected) / (highest - expected))


def _pairs(counts: Any) -> Any:  # noqa: ANN401 - scalar or array
    return counts * (counts - 1) / 2


def random_accuracy(truth: Integers, n_clusters: int, *, draws: int = 3, random_state: int = 0) -> float:
    """Return the accuracy that a random balanced labelling with `n_clusters` clusters reaches on average.

    The floor under `accuracy`: with few images per class the matching alone finds a good part by luck.
    """
    truth = np.asarray(truth)
    known = truth[truth >= 0]
    if not len(known) or n_clusters < 1:
        return float("nan")
    rng = np.random.default_rng(random_state)
    balanced = np.arange(len(known)) % n_clusters
    return float(np.mean([accuracy(known, rng.permutation(balanced)) for _ in range(draws)]))


def per_class(truth: Integers, labels: Integers) -> list[dict[str, float]]:
    """Return for each class its size, the cluster matched to it (-1 for none) and the share found there."""
    truth = np.asarray(truth)
    counts = sizes(truth)
    table = contingency(truth, labels)
    cluster_of = {name: cluster for cluster, name in match(truth, labels).items()} if table.size else {}
    rows = []
    for name, count in enumerate(counts.tolist()):
        cluster = cluster_of.get(name, -1)
        right = int(table[name, cluster]) if cluster >= 0 else 0
        rows.append({"class": name, "size": count, "cluster": cluster, "accuracy": right / count if count else 0.0})
    return rows


def per_cluster(truth: Integers, labels: Integers) -> list[dict[str, float]]:
    """Return for each cluster its size, its most frequent class (-1 for none) and that class's share of it."""
    counts = sizes(labels)
    table = contingency(truth, labels)
    known = table.sum(axis=0) if table.size else np.zeros(0, dtype=np.int64)
    rows = []
    for cluster, count in enumerate(counts.tolist()):
        seen = int(known[cluster]) if cluster < len(known) else 0
        top = int(table[:, cluster].argmax()) if seen else -1
        purity = float(table[top, cluster] / seen) if seen else 0.0
        rows.append({"cluster": cluster, "size": count, "class": top, "purity": purity})
    return rows
