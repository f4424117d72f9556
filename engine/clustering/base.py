"""The contract of every clustering method: scikit-learn's estimator, built from one settings model.

`Method(MethodSettings(n_clusters=10)).fit(embeddings)` sets `labels_` (-1 is noise), `confidence_`
and, where the method has them, `centers_`; `predict` labels unseen embeddings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings
from engine.core.vectors import Vectors, check_embeddings, unit
from engine.geometry.neighbors import NeighborGraph

__all__ = ["ClusterEstimator", "Labels", "Vectors", "check_embeddings", "unit"]

Labels = NDArray[np.int32]


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
    cache : Path or None
        A folder where the method may keep what can be recomputed (reductions, keyed by content); set by the
        caller before `fit`. None keeps nothing.
    """

    settings_class: ClassVar[type[Settings]]

    labels_: Labels
    confidence_: Vectors
    centers_: Vectors | None = None
    resolved_: Settings
    cache: Path | None = None

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings if settings is not None else self.settings_class()
        self.notes_: list[str] = []
        self.extra_: dict[str, NDArray[Any]] = {}

    @property
    def wants_graph(self) -> bool:
        """Whether `fit` reads the shared neighbour graph with these settings; callers then pass the cached one."""
        return True

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
