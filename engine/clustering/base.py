"""The contract of every clustering method: scikit-learn's estimator, built over one settings model.

`KMeans(n_clusters=10)` and `KMeans(KMeansSettings(n_clusters=10))` are the same estimator; `fit` sets `labels_`
and `confidence_` and changes no setting; `clone`, `Pipeline`, `get_params` and `set_params` work as in scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.sweep_scope import SweepScope
from engine.core.errors import InputError
from engine.core.labels import Labels, rank_by_size
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings
from engine.core.vectors import Vectors, blocks, check_embeddings, distinct_rows, unit
from engine.geometry.centers import mean_directions
from engine.geometry.neighbors import NeighborGraph
from engine.geometry.reduce import Space, reduce_embeddings


class ClusterEstimator:
    """Base of every method; a method writes `_fit` and, where it can label unseen rows, `predict`.

    Parameters
    ----------
    settings : Settings, optional
        The method's own settings model; its defaults when absent. Never changed by `fit`.
    **values
        Settings by name, in place of the model's or on top of it.

    Attributes
    ----------
    labels_ : (n,) int32
        Cluster of each row: 0 is the largest, K-1 the smallest, without gaps; -1 is noise.
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
    encoder_ : (str, dict) or None
        Name and settings of the encoder that `fit` trained, where the method trains one.
    n_features_in_ : int
        Columns of the embeddings given to `fit`.
    cache : Path or None
        A folder where the method may keep what can be recomputed (reductions, keyed by content); set by the
        caller before `fit`. None keeps nothing.

    Raises
    ------
    InputError
        Unknown settings, values out of bounds, or the settings model of another method.
    """

    settings_class: ClassVar[type[Settings]]
    citation: ClassVar[str] = ""
    cut_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that `recut` can change after `fit`, from what was kept."""

    labels_: Labels
    confidence_: Vectors
    centers_: Vectors | None = None
    resolved_: Settings
    encoder_: tuple[str, dict[str, str]] | None = None
    n_features_in_: int
    cache: Path | None = None
    _place: Labels
    _kind: NDArray[np.int64] | None = None
    """Which distinct row each one equals, (n,); None where all rows differ."""

    def __init__(self, settings: Settings | None = None, **values: Any) -> None:  # noqa: ANN401 - any setting's value
        if settings is None:
            settings = self.settings_class.parse(values)
        elif not isinstance(settings, self.settings_class):
            raise InputError(
                f"{type(self).__name__} takes {self.settings_class.__name__}, not {type(settings).__name__}.",
                f"Or give settings by name: {', '.join(self.settings_class.model_fields)}.",
            )
        self.settings = settings.changed(**values) if values else settings
        self.notes_: list[str] = []
        self.extra_: dict[str, NDArray[Any]] = {}

    @classmethod
    def sweep_grid(cls, scope: SweepScope) -> Sequence[Settings]:
        """Return the settings that a sweep tries: one candidate, unless the method says more."""
        counts = "n_clusters" in cls.settings_class.model_fields
        return [cls.settings_class.parse({"n_clusters": scope.k0} if counts else {})]

    @property
    def wants_graph(self) -> bool:
        """Whether `fit` reads the shared neighbour graph with these settings; callers then pass the cached one."""
        return True

    def fit(
        self,
        X: NDArray[Any],  # noqa: N803 - scikit-learn's name
        y: object = None,
        *,
        neighbors: NeighborGraph | None = None,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
    ) -> Self:
        """Cluster the rows of `X`.

        Parameters
        ----------
        X : (n, d) float32
            An array or a memory map; need not be unit length (a method that works on the sphere normalises).
        y : ignored
            There for scikit-learn's pipelines.
        neighbors : NeighborGraph, optional
            The shared graph of these embeddings; a method that needs one and gets none computes it.
        progress : Progress
            Who listens.
        checkpoints : Path, optional
            A folder to save to and resume from; methods that do not train ignore it.

        Raises
        ------
        InputError
            NaN, too few rows for K, wrong shape, a graph of other rows.
        """
        array = check_embeddings(X, self._n_clusters)
        self.notes_, self.extra_ = [], {}
        self.n_features_in_ = array.shape[1]
        self.resolved_ = self._resolve(array)
        found = distinct_rows(array)
        self._kind = None if found is None else found[1]
        classes, confidence = self._fit(array, neighbors, progress, checkpoints)
        self._set_labels(array, classes, confidence)
        return self

    def _resolve(self, array: Vectors) -> Settings:
        """Return the settings as they will be used on `array`; a reason to differ goes to `notes_`."""
        return self.settings

    def _fit(
        self, array: Vectors, neighbors: NeighborGraph | None, progress: Progress, checkpoints: Path | None
    ) -> tuple[NDArray[np.integer[Any]], NDArray[np.floating[Any]]]:
        """Return a class of each of the (n, d) rows, in any order and with -1 for noise, and its confidence.

        `resolved_` holds the settings to use; `notes_` and `extra_` are empty and may be filled.
        """
        raise NotImplementedError

    def _set_labels(
        self, array: Vectors, classes: NDArray[np.integer[Any]], confidence: NDArray[np.floating[Any]]
    ) -> None:
        """Number the classes by falling size, and set `labels_`, `confidence_` and `centers_`.

        Equal rows take the class that most of them have. `_place` keeps the label of each class, for `predict`; classes
        without rows come last.
        """
        if self._kind is not None:
            classes, confidence = _one_for_equal(self._kind, np.asarray(classes), np.asarray(confidence))
        self._place = rank_by_size(classes, self._n_clusters or 0)
        self.labels_ = np.append(self._place, np.int32(-1))[classes]
        self.confidence_ = np.clip(confidence, 0, 1).astype(np.float32)
        self.centers_ = mean_directions(array, self.labels_, int(self.labels_.max(initial=-1)) + 1)

    def predict(self, X: NDArray[Any]) -> Labels:  # noqa: N803
        """Label (m, d) embeddings that were not seen in `fit`; -1 where the method calls them noise.

        Raises
        ------
        InputError
            Before `fit`, NaN, or another number of columns than in `fit`.
        """
        raise NotImplementedError

    def predict_confidence(self, X: NDArray[Any]) -> tuple[Labels, Vectors]:  # noqa: N803
        """Return the labels of (m, d) unseen embeddings and a confidence in [0, 1], 0 for noise.

        Where a method has none of its own it is 1 - (cosine distance to the own centre / to the nearest other).
        """
        labels = self.predict(X)
        confidence = np.zeros(len(labels), dtype=np.float32)
        inside = np.flatnonzero(labels >= 0)
        centers = self.centers_
        if centers is None or len(centers) < 2:
            confidence[inside] = 1.0
            return labels, confidence
        for part in blocks(len(inside)):
            rows = inside[part]
            distance = np.maximum(1 - unit(X[rows]) @ centers.T, 0)
            line = np.arange(len(rows))
            own = distance[line, labels[rows]]
            distance[line, labels[rows]] = np.inf
            confidence[rows] = np.clip(1 - own / np.maximum(distance.min(axis=1), 1e-12), 0, 1)
        return labels, confidence

    def fit_predict(self, X: NDArray[Any], y: object = None, **options: Any) -> Labels:  # noqa: ANN401, N803
        """Fit with `fit`'s options and return `labels_`."""
        return self.fit(X, **options).labels_

    def recut(self, **values: Any) -> Self:  # noqa: ANN401 - any setting's value
        """Change some of `cut_settings` and label anew from what `fit` kept, without fitting again.

        Raises
        ------
        InputError
            Before `fit`; a setting that takes another fit.
        """
        other = [name for name in values if name not in self.cut_settings]
        if other:
            raise InputError(f"{type(self).__name__} cannot change {', '.join(other)} without fitting again.")
        self._check_fitted()
        self.set_params(**values)
        self._recut()
        return self

    def _recut(self) -> None:
        """Label anew with `settings` from what `fit` kept."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------- as scikit-learn asks

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by name."""
        return self.settings.model_dump()

    def set_params(self, **values: Any) -> Self:  # noqa: ANN401 - any setting's value
        """Replace some settings, checked; what was learned stays until the next `fit`.

        Raises
        ------
        InputError
            Unknown names, or values out of bounds.
        """
        self.settings = self.settings.changed(**values)
        return self

    def __repr__(self) -> str:
        """Return the call that builds it: settings that differ from their defaults."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._chosen())})"

    def _chosen(self) -> Iterator[tuple[str, Any]]:
        for name, field in type(self.settings).model_fields.items():
            value = self.settings.model_dump(include={name})[name]
            if value != field.get_default(call_default_factory=True):
                yield name, value

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted estimator with the same settings."""
        twin = type(self)(self.settings)
        twin.cache = self.cache
        return twin

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether `fit` has set what was learned."""
        return "labels_" in vars(self)

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - scikit-learn is not imported before it asks
        """Return scikit-learn's description: a clusterer of dense arrays that needs no target."""
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type="clusterer", target_tags=TargetTags(required=False))

    @property
    def _n_clusters(self) -> int | None:
        """The number of clusters asked for; None where the method finds it."""
        number: int | None = self.get_params().get("n_clusters")
        return number

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise InputError(f"{type(self).__name__} has not been fitted yet.", "Call fit first.")


def _one_for_equal(
    kind: NDArray[np.int64], classes: NDArray[np.integer[Any]], confidence: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.integer[Any]], NDArray[np.floating[Any]]]:
    """Return classes and confidence in which rows of one kind are alike: its most frequent class, its mean confidence.

    Of equally frequent classes the one with the higher number is taken, so that noise, -1, is the last choice.
    """
    pairs, counts = np.unique(np.stack([kind, classes.astype(np.int64)]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], counts, pairs[0]))
    last = np.append(np.flatnonzero(np.diff(pairs[0, order])), len(order) - 1)
    chosen = pairs[1, order][last].astype(classes.dtype)
    sums = np.bincount(kind, weights=confidence) / np.bincount(kind)
    return chosen[kind], np.where(chosen[kind] >= 0, sums[kind], 0)


class SpaceEstimator(ClusterEstimator):
    """Base of the methods that work in the space named by their setting `reduce`.

    A method writes `_cluster` and `_predict`, both in the coordinates of that space. Its settings model has
    `reduce` and `random_state`.
    """

    reads_neighbors: ClassVar[bool] = False
    """Whether the method itself reads the nearest neighbours of each row."""

    _space: Space
    _tree_notes: tuple[str, ...] = ()

    @property
    def wants_graph(self) -> bool:
        """A UMAP layout reads the graph, and a method that reads neighbours does in the embeddings' own space."""
        how = str(self.get_params()["reduce"])
        return how.startswith("umap") or (self.reads_neighbors and how == "none")

    def _fit(
        self, array: Vectors, neighbors: NeighborGraph | None, progress: Progress, checkpoints: Path | None
    ) -> tuple[NDArray[np.integer[Any]], NDArray[np.floating[Any]]]:
        values = self.resolved_.model_dump()
        self._space = reduce_embeddings(
            array,
            values["reduce"],
            graph=neighbors,
            random_state=values["random_state"],
            cache=self.cache,
            progress=progress,
        )
        return self._cluster(self._space, progress, checkpoints)

    def _cluster(
        self, space: Space, progress: Progress, checkpoints: Path | None
    ) -> tuple[NDArray[np.integer[Any]], NDArray[np.floating[Any]]]:
        """Return a class of each row of the space, -1 for noise, and its confidence."""
        raise NotImplementedError

    def _set_labels(
        self, array: Vectors, classes: NDArray[np.integer[Any]], confidence: NDArray[np.floating[Any]]
    ) -> None:
        super()._set_labels(self._space.original, classes, confidence)
        wanted, made = self._n_clusters, int(self.labels_.max(initial=-1)) + 1
        if wanted is not None and made < wanted:
            self.notes_.append(f"{wanted:,} clusters were asked for; distinct images fill only {made:,}.")

    def predict(self, X: NDArray[Any]) -> Labels:  # noqa: N803
        """Label (m, d) embeddings that were not seen in `fit`; -1 where the method calls them noise.

        Raises
        ------
        InputError
            Before `fit`, NaN, or another number of columns than in `fit`.
        """
        self._check_fitted()
        return self._predict(self._space.place(X))

    def _predict(self, placed: Vectors) -> Labels:
        """Return the label of each of (m, c) unseen rows of the space."""
        raise NotImplementedError

    def _recut(self) -> None:
        self.resolved_, self.notes_ = self.settings, list(self._tree_notes)
        self._set_labels(self._space.original, *self._cut())

    def _cut(self) -> tuple[NDArray[np.integer[Any]], NDArray[np.floating[Any]]]:
        """Return what `_cluster` does, from the kept tree; `_tree_notes` holds the sentences about the tree."""
        raise NotImplementedError
