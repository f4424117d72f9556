"""The shared k-nearest-neighbour graph of one embedding set, by FAISS or on a GPU by torch, cached on disk.

HDBSCAN, DBSCAN, spectral methods, UMAP, TEMI pairs, duplicates, outliers and "similar to this" all
read this one graph. Exact on a GPU, and up to `FLAT_LIMIT` rows on a CPU; beyond it an inverted file whose recall is
measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.core.device import accelerator, use_threads
from engine.core.errors import StorageError
from engine.core.files import load_array, read_json, save_array, write_json
from engine.core.progress import SILENT, Progress
from engine.core.vectors import BLOCK, Vectors, blocks, check_embeddings, unit, unit_rows

if TYPE_CHECKING:
    from engine.core.workspace import Workspace

FLAT_LIMIT = 100_000
GPU_FLAT_LIMIT = 10_000_000
RECALL_WANTED = 0.95
LAYOUT = 1

Found = tuple[NDArray[np.int32], NDArray[np.float32]]


@dataclass(frozen=True)
class NeighborGraph:
    """k nearest neighbours of every row, itself excluded by id.

    Attributes
    ----------
    indices : (n, k) int32
        Neighbours in falling similarity.
    similarities : (n, k) float32
        Cosine similarities, in [-1, 1].
    recall : float
        Measured share of true neighbours found; 1.0 for the exact search.
    """

    indices: NDArray[np.int32]
    similarities: NDArray[np.float32]
    recall: float = 1.0

    @property
    def k(self) -> int:
        """Neighbours per row."""
        return int(self.indices.shape[1])

    def __len__(self) -> int:
        return len(self.indices)

    def first(self, k: int) -> NeighborGraph:
        """Return the graph of the k nearest only; the same graph when it has no more."""
        if k >= self.k:
            return self
        return NeighborGraph(self.indices[:, :k], self.similarities[:, :k], self.recall)

    def subset(self, rows: NDArray[np.integer[Any]]) -> NeighborGraph:
        """Return the graph among `rows` alone, renumbered.

        Exact as far as it goes: each row keeps its neighbours inside the subset, and k becomes the
        smallest number that every row kept (0 columns when some row kept none).
        """
        place = np.full(len(self), -1, dtype=np.int32)
        place[rows] = np.arange(len(rows), dtype=np.int32)
        indices = place[self.indices[rows]]
        inside = indices >= 0
        k = int(inside.sum(axis=1).min()) if len(rows) else 0
        kept = inside & (np.cumsum(inside, axis=1, dtype=np.int32) <= k)
        similarities = self.similarities[rows]
        shape = (len(rows), k)
        return NeighborGraph(indices[kept].reshape(shape), similarities[kept].reshape(shape), self.recall)


def without_self(indices: NDArray[Any], values: NDArray[Any], own: NDArray[Any], k: int) -> Found:
    """Drop each query's own id from (m, k + 1) results and return (m, k).

    Duplicated rows tie with the row itself and may stand before it, so the own id is looked for
    everywhere; a row whose duplicates pushed it out loses its last neighbour instead.
    """
    mine = indices == own[:, None]
    missing = ~mine.any(axis=1)
    mine[missing, -1] = True
    shape = (len(indices), k)
    return indices[~mine].reshape(shape).astype(np.int32), values[~mine].reshape(shape).astype(np.float32)


def build_graph(
    embeddings: NDArray[Any],
    *,
    k: int = 64,
    device: str = "auto",
    progress: Progress = SILENT,
) -> NeighborGraph:
    """Return the cosine k-nearest-neighbour graph of `embeddings`.

    Parameters
    ----------
    embeddings : (n, d) float32
        Need not be unit length; a row of zeros has similarity 0 to everything.
    k : int
        Neighbours per row; n - 1 when there are fewer.
    device : str
        "auto" searches on a GPU where there is one, "cuda" or "mps" on that one; "cpu" never does.
    progress : Progress
        Told in images.

    Returns
    -------
    NeighborGraph
        Exact up to `FLAT_LIMIT` rows on a CPU and `GPU_FLAT_LIMIT` on a GPU, up to the rounding of float32. Beyond, an
        inverted file whose probes are raised until `RECALL_WANTED` is reached on sampled rows; the measured recall is
        kept.

    Raises
    ------
    InputError
        Wrong shape, NaN, or a GPU is named that is not here.
    """
    array = check_embeddings(embeddings)
    count = len(array)
    k = min(k, count - 1)
    if k < 1:
        return NeighborGraph(np.empty((count, 0), np.int32), np.empty((count, 0), np.float32))
    gpu = accelerator(device)
    recall = 1.0
    find: Callable[[slice], tuple[NDArray[Any], NDArray[Any]]]
    if count <= (GPU_FLAT_LIMIT if gpu else FLAT_LIMIT):
        rows_unit = unit_rows(array)
        exact = _exact_search(rows_unit, gpu)
        if gpu:
            progress.say(f"Neighbours are searched on {gpu}.")

        def find(rows: slice) -> tuple[NDArray[Any], NDArray[Any]]:
            return exact(rows_unit[rows], k + 1)
    else:
        index, recall = _inverted_file(array, k + 1, progress)

        def find(rows: slice) -> tuple[NDArray[Any], NDArray[Any]]:
            similarities, indices = index.search(unit(array[rows]), k + 1)
            return indices, similarities

    all_indices = np.empty((count, k), dtype=np.int32)
    all_similarities = np.empty((count, k), dtype=np.float32)
    for rows in blocks(count, BLOCK // 2):
        indices, similarities = find(rows)
        own = np.arange(rows.start, rows.stop)
        all_indices[rows], all_similarities[rows] = without_self(indices, similarities, own, k)
        progress.update(rows.stop, count, phase="neighbours", unit="images")
    _mend(all_indices, all_similarities)
    np.clip(all_similarities, -1, 1, out=all_similarities)
    return NeighborGraph(all_indices, all_similarities, recall)


def _exact_search(base: Vectors, gpu: str | None) -> Callable[[Vectors, int], tuple[NDArray[Any], NDArray[Any]]]:
    """Return a function (queries, k) -> (indices, similarities) over unit rows, exact; no copy on a CPU."""
    if gpu is not None:
        from engine.geometry.device_search import DeviceSearch

        return DeviceSearch(base, gpu)
    import faiss

    use_threads()

    def on_cpu(queries: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        similarities, indices = faiss.knn(queries, base, k, metric=faiss.METRIC_INNER_PRODUCT)
        return indices, similarities

    return on_cpu


def _inverted_file(array: Vectors, k: int, progress: Progress) -> tuple[Any, float]:
    """Return an inverted file of half-precision unit rows that reaches the wanted recall, and its recall."""
    import faiss

    use_threads()
    count, dimension = array.shape
    lists = int(4 * np.sqrt(count))
    quantizer = faiss.IndexFlatIP(dimension)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, dimension, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    rng = np.random.default_rng(0)
    index.cp.niter = 8
    index.train(unit(array[np.sort(rng.choice(count, min(count, 40 * lists), replace=False))]))
    for rows in blocks(count, 65_536):
        index.add(unit(array[rows]))
        progress.update(rows.stop, count, phase="index", unit="images")
    asked = np.sort(rng.choice(count, 256, replace=False))
    queries = unit(array[asked])
    truth = _exact_blockwise(array, queries, k)
    index.nprobe = 8
    while True:
        _, found = index.search(queries, k)
        recall = float(np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(found, truth, strict=True)]))
        if recall >= RECALL_WANTED or index.nprobe >= lists:
            break
        index.nprobe = min(lists, index.nprobe * 2)
    progress.say(f"Neighbours are searched approximately: {recall:.1%} of the true ones are found.")
    return index, recall


def _exact_blockwise(array: NDArray[Any], queries: Vectors, k: int) -> NDArray[np.int64]:
    """Return the (m, k) true neighbours of a few unit queries, one pass over the rows."""
    return _search_blockwise(array, queries, k)[0]


def _search_blockwise(array: NDArray[Any], queries: Vectors, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the k most similar rows of `array` for each unit query, in falling similarity, rows read once."""
    best = np.empty((len(queries), 0), dtype=np.float32)
    where = np.empty((len(queries), 0), dtype=np.int64)
    for rows in blocks(len(array), 65_536):
        similarities = queries @ unit(array[rows]).T
        best = np.hstack([best, similarities])
        ids = np.broadcast_to(np.arange(rows.start, rows.stop), similarities.shape)
        where = np.hstack([where, ids])
        if best.shape[1] > k:
            top = np.argpartition(-best, k - 1, axis=1)[:, :k]
            best, where = np.take_along_axis(best, top, 1), np.take_along_axis(where, top, 1)
    order = np.lexsort((where, -best), axis=1)
    return np.take_along_axis(where, order, 1), np.take_along_axis(best, order, 1)


def _mend(indices: NDArray[np.int32], similarities: NDArray[np.float32]) -> None:
    """Fill places that an approximate search left empty (-1) with the row's last found neighbour, in place."""
    holes = indices < 0
    if not holes.any():
        return
    for column in range(1, indices.shape[1]):
        empty = holes[:, column]
        indices[empty, column] = indices[empty, column - 1]
        similarities[empty, column] = similarities[empty, column - 1]
    first = np.flatnonzero(indices[:, 0] < 0)
    indices[first] = ((first + 1) % len(indices))[:, None]
    similarities[first] = 0


def search(embeddings: NDArray[Any], queries: NDArray[Any], k: int = 64) -> Found:
    """Return the k rows of `embeddings` most similar to each query, exactly.

    Parameters
    ----------
    embeddings : (n, d) float32
        An array or a memory map, read once in blocks; need not be unit length.
    queries : (m, d) or (d,) float32
        Vectors that need not be among the embeddings; a row that is finds itself first.
    k : int
        Results per query; n when there are fewer rows.

    Returns
    -------
    indices : (m, k) int32
    similarities : (m, k) float32
        Falling.
    """
    asked = unit(check_embeddings(np.atleast_2d(np.asarray(queries, dtype=np.float32))))
    k = min(k, len(embeddings))
    if len(asked) <= 256:
        indices, similarities = _search_blockwise(embeddings, asked, k)
        return indices.astype(np.int32), similarities
    exact = _exact_search(unit_rows(embeddings), accelerator())
    found, values = exact(asked, k)
    return found.astype(np.int32), values.astype(np.float32)


def vote_of_nearest(
    embeddings: NDArray[Any], labels: NDArray[np.int32], queries: NDArray[Any], *, k: int = 10
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return for each of (m, d) queries the label that most of its k nearest embeddings have, and that label's share.

    Parameters
    ----------
    embeddings : (n, d) float32
    labels : (n,) int32
        -1 is noise and votes as well. Of labels with as many votes the one that has the nearest is taken.

    Returns
    -------
    labels : (m,) int32
    share : (m,) float32
        In (0, 1]; 0 for noise.
    """
    indices, _ = search(embeddings, queries, k)
    near = np.asarray(labels)[indices]
    votes = np.zeros(near.shape, np.int32)
    for column in near.T:
        votes += near == column[:, None]
    line = np.arange(len(near))
    first = votes.argmax(axis=1)
    found = near[line, first].astype(np.int32)
    share = (votes[line, first] / near.shape[1]).astype(np.float32)
    return found, np.where(found >= 0, share, np.float32(0))


def cached_graph(
    workspace: Workspace,
    key: str,
    embeddings: NDArray[Any],
    *,
    k: int = 64,
    device: str = "auto",
    progress: Progress = SILENT,
) -> NeighborGraph:
    """Return the graph kept under `key`, memory-mapped; built and kept first when it is not there.

    A kept graph with more neighbours serves a wish for fewer. One that is damaged or of another number of
    rows is built again.
    """
    folder = workspace.neighbors(key)
    kept = kept_graph(workspace, key, len(embeddings), k=k)
    if kept is not None:
        return kept
    began = time.perf_counter()
    graph = build_graph(embeddings, k=k, device=device, progress=progress)
    (folder / "meta.json").unlink(missing_ok=True)
    save_array(folder / "indices.npy", graph.indices)
    save_array(folder / "similarities.npy", graph.similarities)
    meta = {
        "layout": LAYOUT,
        "n": len(graph),
        "k": graph.k,
        "dimension": int(np.shape(embeddings)[1]),
        "recall": graph.recall,
        "seconds": time.perf_counter() - began,
    }
    write_json(folder / "meta.json", meta)
    return _load(folder, len(embeddings), k) or graph


def kept_graph(workspace: Workspace, key: str, count: int, *, k: int = 64) -> NeighborGraph | None:
    """Return the graph of `count` rows kept under `key`, memory-mapped; None where it would have to be built."""
    return _load(workspace.neighbors(key), count, k)


def _load(folder: Any, count: int, k: int) -> NeighborGraph | None:  # noqa: ANN401 - a path
    """Return the graph in `folder` when it is whole and fits, else None."""
    try:
        meta = read_json(folder / "meta.json")
        wanted = min(k, count - 1)
        if meta.get("layout") != LAYOUT or meta.get("n") != count or meta.get("k", 0) < wanted:
            return None
        indices = load_array(folder / "indices.npy")
        similarities = load_array(folder / "similarities.npy")
    except StorageError:
        return None
    if indices.shape != (count, meta["k"]) or similarities.shape != indices.shape:
        return None
    return NeighborGraph(indices, similarities, float(meta["recall"])).first(k)
