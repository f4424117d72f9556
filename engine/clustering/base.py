"""The contract of every clustering method: scikit-learn's estimator, built from one settings model.

`Method(MethodSettings(n_clusters=10)).fit(embeddings)` sets `labels_` (-1 is noise), `confidence_`
and, where the method has them, `centers_`; `predict` labels unseen embeddings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.neighbors import NeighborGraph
from engine.progress import SILENT, Progress
from engine.settings import Settings

Labels = NDArray[np.int32]
Vectors = NDArray[np.float32]


class ClusterEstimator:
    """Base of every method.

    Parameters
    ----------
    settings : Settings, optional
        The method's own settings model; its defaults when absent. Never changed by `fit`.

    Attributes
    ----------
    labels_ : (n,) int32
        Cluster of each row, 0..K-1 without gaps unless the method says so; -1 is noise.
    confidence_ : (n,) float32
        In [0, 1], how sure the method is of each label; 0 for noise.
    centers_ : (K, d) float32 or None
        Unit-length cluster centres in the space of the given embeddings, where the method has them.
    resolved_ : Settings
        The settings after a preset was resolved for this n and device; what config.json records.
    notes_ : list of str
        Sentences worth reading: approximations named, fallbacks, "did not train".
    extra_ : dict of str to array
        Further per-image columns (an uncertainty, a second confidence) to keep with the result.
    """

    settings_class: ClassVar[type[Settings]]

    labels_: Labels
    confidence_: Vectors
    centers_: Vectors | None = None
    resolved_: Settings

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings if settings is not None else self.settings_class()
        self.notes_: list[str] = []
        self.extra_: dict[str, NDArray[Any]] = {}

    def fit(
        self,
        embeddings: Vectors,
        *,
        neighbors: NeighborGraph | None = None,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
    ) -> Self:
        """Cluster `embeddings`.

        Parameters
        ----------
        embeddings : (n, d) float32
            An array or a memory map; need not be unit length (a method that works on the sphere normalises).
        neighbors : NeighborGraph, optional
            The shared graph of these embeddings; a method that needs one and gets none computes it.
        progress : Progress
            Who listens.
        checkpoints : Path, optional
            A folder to save to and resume from; classical methods ignore it.

        Raises
        ------
        InputError
            NaN, too few rows for K, wrong shape.
        """
        raise NotImplementedError

    def predict(self, embeddings: Vectors) -> Labels:
        """Label (m, d) embeddings that were not seen in `fit`; -1 where the method calls them noise."""
        raise NotImplementedError

    def fit_predict(self, embeddings: Vectors, **options: Any) -> Labels:  # noqa: ANN401 - fit's options
        """Fit and return `labels_`."""
        return self.fit(embeddings, **options).labels_

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by name."""
        return self.settings.model_dump()

    def set_params(self, **values: Any) -> Self:  # noqa: ANN401 - any setting's value
        """Replace some settings, validated."""
        self.settings = self.settings.changed(**values)
        return self


def check_embeddings(embeddings: Vectors, n_clusters: int | None = None) -> Vectors:
    """Return `embeddings` as a C-ordered (n, d) float32 array, refusing what no method can use.

    Raises
    ------
    InputError
        Not two-dimensional, empty, NaN or infinity (the first bad row named), fewer rows than clusters.
    """
    array = np.ascontiguousarray(embeddings, dtype=np.float32)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"Embeddings must be a table of n rows and d columns, not shape {array.shape}.")
    finite = np.isfinite(array.sum(axis=1, dtype=np.float64))
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise InputError(
            f"{len(bad):,} of {len(array):,} embeddings contain NaN or infinity; the first is row {bad[0]:,}.",
            "Embed those images again or leave them out.",
        )
    if n_clusters is not None and n_clusters > len(array):
        raise InputError(
            f"{n_clusters:,} clusters were asked of {len(array):,} images.",
            "Ask for fewer clusters than there are images.",
        )
    return array


def unit(vectors: NDArray[Any]) -> Vectors:
    """Return rows scaled to length one; zero rows stay zero."""
    array = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(array, axis=1, keepdims=True)
    return array / np.maximum(length, np.finfo(np.float32).tiny)
