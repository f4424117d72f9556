"""Images with vectors, in one fixed order: what every step after embedding works on.

`load_rows` brings the catalog and one embedding configuration together; the neighbour graph and the maps of
these rows come from the cache or are made now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError, StorageError
from engine.core.files import load_array
from engine.core.ids import Ids, positions, to_hex
from engine.core.labels import Labels, encode
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings
from engine.core.vectors import Vectors
from engine.core.workspace import Workspace
from engine.embeddings.embed import EmbeddingSet, embed, load_set
from engine.geometry.neighbors import NeighborGraph, cached_graph
from engine.geometry.projection import ProjectionSettings, cached_projection
from engine.images.datasets import Dataset, find_dataset
from engine.images.decode import PreprocessSettings
from engine.images.sampling import kept_sample
from engine.images.splits import stratified_split
from engine.images.tables import load_images
from engine.runs import run as runs


@dataclass(frozen=True)
class Rows:
    """Images with vectors, in one order.

    Attributes
    ----------
    dataset : Dataset
    embedding : EmbeddingSet
        `vectors` is (n, d) float32; `key` names configuration and rows together.
    ids : (n,) int64
        Stable integers of the catalog, for thumbnails.
    paths : list of bytes
    truth : list of str or None
    split : list of str
        "", "train" or "test".
    width, height : (n,) int32
        Pixels; 0 for vectors without images.
    """

    dataset: Dataset
    embedding: EmbeddingSet
    ids: NDArray[np.int64]
    paths: list[bytes]
    truth: list[str | None]
    split: list[str]
    width: NDArray[np.int32]
    height: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def contents(self) -> Ids:
        """Content ids, (n,) S16."""
        return self.embedding.contents

    @property
    def names(self) -> list[str]:
        """What others know each row by: its content id in hex; of vectors the given id, else the row's number."""
        if self.dataset.kind == "vectors":
            return [path.decode("utf-8", "surrogatepass") for path in self.paths]
        return to_hex(self.contents)

    @property
    def vectors(self) -> Vectors:
        """Embeddings, (n, d) float32."""
        return self.embedding.vectors


def load_rows(workspace: Workspace, dataset_id: str, config_key: str) -> Rows:
    """Bring together the catalog's images and the embeddings of one configuration.

    Where the person keeps a sample of the data set, these are the rows of the sample.
    """
    sample = kept_sample(workspace, dataset_id)
    only = None if sample is None else sample.contents
    return _rows(workspace, load_set(workspace, dataset_id, config_key, only=only), dataset_id)


def rows_of_run(workspace: Workspace, run: runs.Run) -> Rows:
    """Return the rows that a run was made on, as far as they still exist, split as the run split them.

    Raises
    ------
    InputError
        The data set or its embeddings are gone.
    """
    key = str(run.config.get("embedding", {}).get("config_key", ""))
    if not key.isalnum():
        raise InputError(f"{run.folder.name} does not say on which embeddings it was made.", "Run it again.")
    embedding = load_set(workspace, run.dataset, key, only=run.contents)
    rows = _rows(workspace, embedding, run.dataset)
    if "split" not in run.predictions:
        return rows
    split = run.predictions["split"][positions(run.contents, rows.contents)]
    return replace(rows, split=[str(part) for part in split.tolist()])


def with_test_fraction(rows: Rows, fraction: float) -> Rows:
    """Set a share of the rows aside as the test part, each class its share, by content hash.

    Parameters
    ----------
    fraction : float
        Above 0 and below 1.

    Raises
    ------
    InputError
        The data have a test part already, the fraction is out of range, or there are too few rows.
    """
    if not 0 < fraction < 1:
        raise InputError(f"The test fraction must lie between 0 and 1, not at {fraction:g}.")
    if "test" in rows.split:
        raise InputError(
            f"{rows.dataset.name} has a test part of its own.", "Leave the test fraction out to use that one."
        )
    codes = truth_codes(rows.truth)
    strata = np.zeros(len(rows), np.int64) if codes is None else codes.astype(np.int64)
    _, test = stratified_split(rows.contents, strata, fraction)
    split = np.full(len(rows), "train", dtype="U5")
    split[test] = "test"
    if len(test) in (0, len(rows)):
        raise InputError(f"{len(rows):,} images are too few to set a test part aside.")
    return replace(rows, split=split.tolist())


def _rows(workspace: Workspace, embedding: EmbeddingSet, dataset_id: str) -> Rows:
    table = load_images(workspace, dataset_id)
    chosen = embedding.rows
    return Rows(
        dataset=find_dataset(workspace, dataset_id),
        embedding=embedding,
        ids=table.ids[chosen],
        paths=[table.paths[row] for row in chosen],
        truth=[table.truth[row] for row in chosen],
        split=[table.split[row] for row in chosen],
        width=table.width[chosen],
        height=table.height[chosen],
    )


def embed_dataset(
    workspace: Workspace,
    dataset_id: str,
    encoder: str,
    settings: Settings,
    *,
    preprocess: PreprocessSettings | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
    force: bool = False,
    only: Ids | None = None,
) -> Rows:
    """Embed what is missing, with `force` everything, and return the rows; `only` takes just these content ids."""
    embedding = embed(
        workspace,
        dataset_id,
        encoder,
        settings,
        preprocess=preprocess,
        progress=progress,
        device=device,
        force=force,
        only=only,
    )
    return _rows(workspace, embedding, dataset_id)


def align(run: runs.Run, rows: Rows) -> tuple[Labels, NDArray[np.float32]]:
    """Return a run's labels and confidence on these rows; images that came later are -1 with confidence 0."""
    at = positions(run.contents, rows.contents)
    known = at >= 0
    labels = np.full(len(rows), -1, dtype=np.int32)
    labels[known] = run.assignments[at[known]]
    confidence = np.zeros(len(rows), dtype=np.float32)
    confidence[known] = run.predictions["confidence"][at[known]]
    return labels, confidence


def truth_codes(truth: Sequence[str | None]) -> NDArray[np.int32] | None:
    """Return truth as codes, -1 where unknown; None where nothing is known."""
    codes, names = encode(truth)
    return codes if names else None


def graph_of(workspace: Workspace, rows: Rows, *, progress: Progress = SILENT) -> NeighborGraph:
    """Return the shared neighbour graph of all rows, from the cache or made now."""
    return cached_graph(workspace, rows.embedding.key, rows.vectors, progress=progress)


def map_of(
    workspace: Workspace, rows: Rows, settings: ProjectionSettings, *, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Return the (n, 2) map of all rows, from the cache or made now."""
    graph = graph_of(workspace, rows, progress=progress) if settings.kind == "umap" else None
    return cached_projection(workspace, _map_key(rows, settings), rows.vectors, graph, settings, progress)


def kept_map(workspace: Workspace, rows: Rows, settings: ProjectionSettings) -> NDArray[np.float32] | None:
    """Return the (n, 2) map where the cache holds it."""
    try:
        kept: NDArray[np.float32] = load_array(workspace.projection(_map_key(rows, settings)) / "xy.npy")
    except StorageError:
        return None
    return kept if kept.shape == (len(rows), 2) else None


def _map_key(rows: Rows, settings: ProjectionSettings) -> str:
    return f"{rows.embedding.key}-{settings.key()}"
