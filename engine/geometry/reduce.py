"""The space a classical method works in: the embeddings themselves, their principal axes, or UMAP.

`reduce` is "none", "pca-N" or "umap-N". Flows in: embeddings and the shared graph. Flows out: a `Space` with
the vectors to cluster, their Euclidean neighbours and a way to place unseen vectors. Reductions are kept on
disk by content when the estimator has a cache folder.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from engine.core.device import use_threads
from engine.core.errors import InputError, StorageError
from engine.core.files import load_array, save_array
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.vectors import Vectors, blocks, check_embeddings, distinct_rows, unit, unit_rows
from engine.geometry.neighbors import NeighborGraph, build_graph, search, without_self
from engine.geometry.projection import Pca, fit_pca, umap_layout

_FORM = re.compile(r"(?:none|(?:pca|umap)-([1-9][0-9]{0,3}))")


def _known(value: str) -> str:
    found = _FORM.fullmatch(value)
    if not found or (value.startswith("umap") and int(found[1]) > 100):
        raise ValueError("must be none, pca-N or umap-N (N up to 100), as in umap-10")
    return value


Reduce = Annotated[str, AfterValidator(_known)]


def reduce_setting(default: str) -> Any:  # noqa: ANN401 - Pydantic's Field is Any by design
    """Declare the `reduce` setting of a method."""
    return setting(
        default,
        "Space to work in: none (the embeddings), pca-N (principal axes), umap-N (neighbourhoods drawn together).",
        search=["none", "pca-64", "umap-10"],
        label="Reduce first",
    )


@dataclass
class Space:
    """Where a method clusters.

    Attributes
    ----------
    how : str
        "none", "pca-N" or "umap-N".
    vectors : (n, c) float32
        Unit rows of the embeddings for "none"; Euclidean distances mean something in all three.
    original : (n, d) float32
        Unit rows of the embeddings.
    graph : NeighborGraph or None
        The shared graph of the original embeddings.
    """

    how: str
    vectors: Vectors
    original: Vectors
    graph: NeighborGraph | None
    pca: Pca | None = None
    cache: Path | None = None
    key: str = ""
    _neighbors: tuple[NDArray[np.int32], Vectors] | None = field(default=None, repr=False)

    @property
    def spherical(self) -> bool:
        """Whether rows have length one and cosine is the measure."""
        return self.how == "none"

    def neighbors(self, k: int, progress: Progress = SILENT) -> tuple[NDArray[np.int32], Vectors]:
        """Return (n, k) indices and Euclidean distances in this space, itself excluded, rising.

        In the original space these come from the shared graph: sqrt(2 - 2 similarity).
        """
        k = min(k, len(self.vectors) - 1)
        if self.spherical:
            if self.graph is None or self.graph.k < k:
                self.graph = build_graph(self.vectors, k=max(k, 64), progress=progress)
            graph = self.graph.first(k)
            return np.asarray(graph.indices), np.sqrt(np.maximum(2 - 2 * graph.similarities, 0))
        if self._neighbors is None or self._neighbors[0].shape[1] < k:
            self._neighbors = self._kept_neighbors(max(k, min(64, len(self.vectors) - 1)))
        return self._neighbors[0][:, :k], self._neighbors[1][:, :k]

    def _kept_neighbors(self, k: int) -> tuple[NDArray[np.int32], Vectors]:
        if self.cache is None:
            return euclidean_neighbors(self.vectors, k)
        paths = [self.cache / f"{self.key}-{k}-{name}.npy" for name in ("indices", "distances")]
        try:
            kept = load_array(paths[0]), load_array(paths[1])
            if kept[0].shape == kept[1].shape == (len(self.vectors), k):
                return kept
        except StorageError:
            pass  # not there yet, or damaged: made below
        made = euclidean_neighbors(self.vectors, k)
        for path, array in zip(paths, made, strict=True):
            save_array(path, array)
        return made

    def nearest(self, placed: Vectors, k: int) -> tuple[NDArray[np.integer[Any]], Vectors]:
        """Return the known rows nearest to (m, c) placed points: (m, k) indices and Euclidean distances, rising."""
        if self.spherical:
            indices, similarities = search(self.vectors, placed, k)
            return indices, np.sqrt(np.maximum(2 - 2 * similarities, 0))
        import faiss

        squares, near = faiss.knn(np.ascontiguousarray(placed), np.ascontiguousarray(self.vectors), k)
        return near, np.sqrt(np.maximum(squares, 0))

    def place(self, embeddings: NDArray[Any]) -> Vectors:
        """Return (m, c) coordinates of unseen embeddings.

        Exact for none and pca-N. For umap-N the similarity-weighted mean of the ten most similar known
        images: the layout itself stays as it is.
        """
        rows = unit(check_embeddings(embeddings))
        if rows.shape[1] != self.original.shape[1]:
            raise InputError(
                f"These embeddings have {rows.shape[1]} columns, the clustered ones {self.original.shape[1]}.",
                "Use the same encoder.",
            )
        if self.spherical:
            return rows
        if self.pca is not None:
            return self.pca(rows)
        parts = []
        for part in blocks(len(rows), 2048):
            indices, similarities = search(self.original, rows[part], 10)
            weight = np.exp((similarities - similarities[:, :1]) * 20)
            parts.append(np.einsum("mk,mkc->mc", weight / weight.sum(axis=1, keepdims=True), self.vectors[indices]))
        return np.concatenate(parts).astype(np.float32)


def euclidean_neighbors(vectors: Vectors, k: int) -> tuple[NDArray[np.int32], Vectors]:
    """Return the exact (n, k) Euclidean neighbours of every row, itself excluded by id."""
    import faiss

    use_threads()
    vectors = np.ascontiguousarray(vectors)
    count = len(vectors)
    k = min(k, count - 1)
    indices, distances = np.empty((count, k), np.int32), np.empty((count, k), np.float32)
    for rows in blocks(count):
        squares, found = faiss.knn(vectors[rows], vectors, k + 1)
        own = np.arange(rows.start, rows.stop)
        indices[rows], distances[rows] = without_self(found, np.sqrt(np.maximum(squares, 0)), own, k)
    return indices, distances


def content_key(embeddings: Vectors) -> str:
    """Return 32 hex digits that name these vectors."""
    digest = hashlib.blake2b(repr((embeddings.shape, str(embeddings.dtype))).encode(), digest_size=16)
    for rows in blocks(len(embeddings)):
        digest.update(np.ascontiguousarray(embeddings[rows]).data)
    return digest.hexdigest()


def reduce_embeddings(
    embeddings: NDArray[Any],
    how: str = "none",
    *,
    graph: NeighborGraph | None = None,
    random_state: int = 0,
    cache: Path | None = None,
    progress: Progress = SILENT,
) -> Space:
    """Return the space that `how` names, from the cache folder when it is there.

    Parameters
    ----------
    embeddings : (n, d) float32
        Checked here: finite, at least two rows, not all identical.
    how : str
        "none", "pca-N", "umap-N"; N is cut to what n and d allow. Equal rows are placed once, so they lie together.
    graph : NeighborGraph, optional
        Of these embeddings; umap-N builds one when it is absent.
    cache : Path, optional
        Where reductions are kept, named by the content of the embeddings.

    Raises
    ------
    InputError
        NaN, wrong shape, a single image, all images identical, an unknown `how`.
    """
    try:
        _known(how)
    except ValueError as error:
        raise InputError(f"reduce {error}.") from error
    array = check_embeddings(embeddings)
    if len(array) < 2:
        raise InputError("One image alone cannot be clustered.", "Add more images.")
    original = unit_rows(array)
    if all(np.abs(original[rows] - original[0]).max() < 1e-6 for rows in blocks(len(original))):
        raise InputError(
            f"All {len(array):,} embeddings are identical, so there is nothing to tell apart.",
            "Check the images and the encoder.",
        )
    if graph is not None and len(graph) != len(array):
        raise InputError(f"The neighbour graph is of {len(graph):,} images, not of these {len(array):,}.")
    if how == "none":
        return Space(how, original, original, graph)
    kind, size = how.split("-")
    found = distinct_rows(original)
    known = original if found is None else original[found[0]]
    width = min(int(size), array.shape[1], len(known) - 1)
    if kind == "pca":
        pca = fit_pca(original, width)
        return Space(how, _copied(pca(known), found), original, graph, pca)
    key = f"{content_key(original)}-{how}-{random_state}{'' if found is None else '-distinct'}"
    vectors = _kept(cache / f"{key}.npy" if cache else None, len(array))
    if vectors is None:
        if found is not None or graph is None:
            near = build_graph(known, progress=progress)
            graph = near if found is None else graph
        else:
            near = graph
        layout = umap_layout(
            known, near, n_components=width, min_dist=0.0, random_state=random_state, progress=progress
        )
        vectors = _copied(layout, found)
        if cache:
            save_array(cache / f"{key}.npy", vectors)
    return Space(how, vectors, original, graph, None, cache, key)


def _copied(vectors: Vectors, found: tuple[NDArray[np.int64], NDArray[np.int64]] | None) -> Vectors:
    """Return a row for each image of what was made of the distinct ones only."""
    return vectors if found is None else vectors[found[1]]


def _kept(path: Path | None, count: int) -> Vectors | None:
    """Return a kept reduction of `count` rows, None where there is none."""
    if path is None or not path.exists():
        return None
    try:
        kept: Vectors = load_array(path, mapped=False)
    except StorageError:
        return None
    return kept if kept.ndim == 2 and len(kept) == count else None
