"""Checking and scaling of what distillation is given: shapes, splits, clusters, true classes.

In come embeddings, pseudo-labels and perhaps truth; out comes `Prepared`, or one sentence about why not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.files import content_id
from engine.core.ids import Ids, pack
from engine.core.labels import encode
from engine.core.vectors import Vectors, check_embeddings, unit
from engine.distillation.settings import DistilSettings
from engine.geometry.projection import fit_pca
from engine.images.splits import stratified_split

Indices = NDArray[np.int64]
"""Row numbers, or class numbers of rows."""


@dataclass(frozen=True)
class Prepared:
    """Checked, split and scaled input.

    Attributes
    ----------
    train, test : int64
        Row numbers of the given embeddings; training rows have a cluster, test rows something to be compared with.
    rows : (n, p) float32
        The training rows: unit length, minus `mean`, on `axes`, divided by `scale`: their mean squared length is 1.
    labels : (n,) int64
        Their clusters, numbered 0..K-1 without gaps.
    clusters : (K,) int32
        The given number of each cluster.
    test_rows, test_truth : (m, p) float32, (m,) int64
        The test rows, scaled alike, and what they are: true classes, or pseudo-labels where no truth is known.
    mapping : (K,) int64
        Cluster to what `test_truth` holds; -1 where the cluster has no class.
    mean, axes, scale : (d,) float32, (p, d) float32, float
        From the embeddings' space to that of `rows`, see `restored`.
    against : str
        "true labels" or "pseudo-labels".
    classes : list of str or None
        Names of the true classes.
    """

    train: Indices
    test: Indices
    rows: Vectors
    labels: Indices
    clusters: NDArray[np.int32]
    test_rows: Vectors
    test_truth: Indices
    mapping: Indices
    mean: Vectors
    axes: Vectors
    scale: float
    against: str
    classes: list[str] | None

    def restored(self, rows: Vectors) -> Vectors:
        """Return (m, d) vectors in the space of the unit-length embeddings for rows (m, p)."""
        vectors = (rows * self.scale) @ self.axes + self.mean
        return vectors.astype(np.float32)


def _truth_codes(
    truth: Sequence[str | None] | NDArray[Any] | None, n: int, notes: list[str]
) -> tuple[Indices | None, list[str] | None]:
    """Return classes 0..C-1 with -1 for unknown, and their names; None where no truth is known at all."""
    if truth is None:
        return None, None
    if len(truth) != n:
        raise InputError(f"{len(truth):,} true labels were given for {n:,} images.")
    codes, names = encode(truth)
    unknown = int((codes < 0).sum())
    if unknown:
        notes.append(f"{unknown:,} images without a true label are not used for measuring.")
    return (codes.astype(np.int64), names) if names else (None, None)


def prepare(
    embeddings: Vectors,
    labels: NDArray[Any],
    truth: Sequence[str | None] | NDArray[Any] | None,
    train: Indices | None,
    test: Indices | None,
    contents: Ids | None,
    settings: DistilSettings,
    notes: list[str],
) -> Prepared:
    """Return the checked, split and scaled input; sentences about what was left out go to `notes`.

    Raises
    ------
    InputError
        See `engine.distillation.distil.distil`.
    """
    array = unit(check_embeddings(embeddings))
    given = np.asarray(labels, dtype=np.int64)
    if given.shape != (len(array),):
        raise InputError(f"{given.size:,} pseudo-labels were given for {len(array):,} images.")
    codes, names = _truth_codes(truth, len(array), notes)
    if train is None or test is None:
        ids = contents if contents is not None else _row_ids(array)
        train, test = stratified_split(ids, given if codes is None else codes, settings.test_fraction)
        notes.append(f"No test split: {len(test):,} of {len(array):,} images were set aside, stratified, by content.")
    unlabelled = int((given[train] < 0).sum())
    if unlabelled:
        notes.append(f"{unlabelled:,} training images without a cluster were left out.")
    train = np.asarray(train)[given[train] >= 0]
    clusters, own = np.unique(given[train], return_inverse=True)
    _check_size(own, settings, notes)
    if codes is None:
        notes.append("No true labels: accuracy is agreement with the test images' own pseudo-labels.")
        place = np.searchsorted(clusters, given[test]).clip(0, len(clusters) - 1)
        wanted = np.where(clusters[place] == given[test], place, -1)
        mapping = np.arange(len(clusters))
    else:
        wanted, mapping = codes[test], cluster_to_class(own, codes[train])
    test = np.asarray(test)[wanted >= 0]
    if settings.evaluate and len(test) == 0:
        raise InputError(
            "There is no test image to measure on.", "Give images a true label, or switch the evaluation off."
        )
    pca = fit_pca(array[train], settings.n_components)
    rows = pca(array[train])
    scale = float(np.sqrt((rows**2).sum(axis=1).mean()))
    if scale < 1e-6:
        raise InputError("All embeddings are equal; there is nothing to learn from them.")
    return Prepared(
        train=train,
        test=test,
        rows=rows / scale,
        labels=own.astype(np.int64),
        clusters=clusters.astype(np.int32),
        test_rows=pca(array[test]) / scale,
        test_truth=wanted[wanted >= 0],
        mapping=mapping,
        mean=pca.mean,
        axes=pca.axes,
        scale=scale,
        against="pseudo-labels" if codes is None else "true labels",
        classes=names,
    )


def _row_ids(array: Vectors) -> Ids:
    return pack(content_id(row.tobytes()) for row in array)


def _check_size(labels: Indices, settings: DistilSettings, notes: list[str]) -> None:
    """Refuse what cannot be distilled; note the clusters that are smaller than images_per_class."""
    counts = np.bincount(labels)
    if len(counts) < 2:
        raise InputError(
            "There are fewer than two clusters, so there is nothing for a classifier to tell apart.",
            "Cluster with two or more clusters first.",
        )
    kept = int(np.minimum(counts, settings.images_per_class).sum())
    if kept >= len(labels):
        raise InputError(
            f"{settings.images_per_class:,} images for each of {len(counts):,} clusters are all {len(labels):,} "
            "training images: nothing would become smaller.",
            "Ask for fewer images per class or for fewer clusters.",
        )
    small = int((counts < settings.images_per_class).sum())
    if small:
        notes.append(f"{small:,} clusters have fewer than {settings.images_per_class:,} images; they keep all theirs.")


def cluster_to_class(labels: NDArray[np.int64], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the class that most rows of each cluster have, (K,) int64; -1 where none is known.

    Parameters
    ----------
    labels, truth : (n,) int64
        Clusters 0..K-1 and true classes of the training rows, truth -1 where unknown. Ties go to the lower class.
    """
    table = np.zeros((labels.max() + 1, max(truth.max() + 1, 1)), dtype=np.int64)
    known = truth >= 0
    np.add.at(table, (labels[known], truth[known]), 1)
    return np.where(table.sum(axis=1) > 0, table.argmax(axis=1), -1)
