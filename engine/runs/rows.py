"""Images with vectors, in one fixed order: what every step after embedding works on.

`load_rows` brings the catalog and one embedding configuration together; the neighbour graph and the maps of
these rows come from the cache or are made now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError, StorageError
from engine.core.files import load_array, save_arrays
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
from engine.runs.run import Run


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
    further : tuple of (n, d_s) float32
        The same images in further configurations, for methods that read several spaces; see `with_spaces`.
    """

    dataset: Dataset
    embedding: EmbeddingSet
    ids: NDArray[np.int64]
    paths: list[bytes]
    truth: list[str | None]
    split: list[str]
    width: NDArray[np.int32]
    height: NDArray[np.int32]
    further: tuple[Vectors, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def train(self) -> NDArray[np.int64]:
        """Numbers of the rows that methods are fitted on; all rows where there is no test part beside another."""
        return train_and_test(self.split)[0]

    @cached_property
    def test(self) -> NDArray[np.int64]:
        """Numbers of the rows held back for the test; none where there is no test part beside another."""
        return train_and_test(self.split)[1]

    def training(self) -> Rows:
        """Return the training part as rows of its own; these rows themselves where nothing is held back."""
        return self.take(self.train) if len(self.test) else self

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """Return some of the rows, by number; their graph and maps are cached under a key of their own."""
        contents = self.contents[rows]
        digest = hashlib.blake2b(np.ascontiguousarray(contents).tobytes(), digest_size=8).hexdigest()
        embedding = EmbeddingSet(
            f"{self.embedding.key}-{digest}",
            self.embedding.config_key,
            contents,
            self.vectors[rows],
            self.embedding.rows[rows],
        )
        return Rows(
            dataset=self.dataset,
            embedding=embedding,
            ids=self.ids[rows],
            paths=[self.paths[row] for row in rows.tolist()],
            truth=[self.truth[row] for row in rows.tolist()],
            split=[self.split[row] for row in rows.tolist()],
            width=self.width[rows],
            height=self.height[rows],
            further=tuple(space[rows] for space in self.further),
        )

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


def train_and_test(split: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row numbers of the training part and of the test part.

    Parameters
    ----------
    split : sequence of str
        "", "train" or "test" for each row. Where all rows or none are "test", all of them are for training.
    """
    held_back = np.array([part == "test" for part in split], dtype=bool)
    if held_back.all() or not held_back.any():
        return np.arange(len(held_back)), np.empty(0, np.int64)
    return np.flatnonzero(~held_back), np.flatnonzero(held_back)


def load_rows(workspace: Workspace, dataset_id: str, config_key: str, *, only: Ids | None = None) -> Rows:
    """Bring together the catalog's images and the embeddings of one configuration.

    Parameters
    ----------
    only : (m,) S16, optional
        Take just these content ids. By default the sample that the person keeps of the data set, else everything.
    """
    if only is None and (sample := kept_sample(workspace, dataset_id)) is not None:
        only = sample.contents
    return _rows(workspace, load_set(workspace, dataset_id, config_key, only=only), dataset_id)


def rows_of_run(workspace: Workspace, run: Run) -> Rows:
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


def with_spaces(
    workspace: Workspace, rows: Rows, keys: Sequence[str], *, refuse_missing: bool = False
) -> tuple[Rows, str]:
    """Return the rows that have embeddings in further configurations too, with these, and a sentence on their number.

    Parameters
    ----------
    keys : sequence of str
        Further configurations of the same data set.
    refuse_missing : bool
        Refuse where a row lacks one of them, instead of leaving it out.

    Raises
    ------
    InputError
        A configuration that is not there or is named twice; missing rows where they are refused, or all missing.
    """
    if len({rows.embedding.config_key, *keys}) <= len(keys):
        raise InputError("The same embeddings are named twice.", "Name each configuration once.")
    sets = [load_set(workspace, rows.dataset.id, key, only=rows.contents) for key in keys]
    places = [positions(one.contents, rows.contents) for one in sets]
    missing = np.any([place < 0 for place in places], axis=0)
    lost = int(missing.sum())
    number = f"{len(rows) - lost:,} of {len(rows):,} images have all {len(keys) + 1} embeddings"
    if lost and (refuse_missing or lost == len(rows)):
        raise InputError(
            f"{lost:,} of {len(rows):,} images lack one of the {len(keys) + 1} embeddings.",
            "Embed them with each encoder first"
            + (", or allow them to be left out." if lost < len(rows) else ", on the same images."),
        )
    kept = np.flatnonzero(~missing)
    further = tuple(one.vectors[place[kept]] for one, place in zip(sets, places, strict=True))
    chosen = rows.take(kept) if lost else rows
    return replace(chosen, further=further), f"{number}{f'; the other {lost:,} are left out' if lost else ''}."


def check_test_fraction(fraction: float) -> None:
    """Refuse a share of the rows that leaves nothing on one side.

    Raises
    ------
    InputError
    """
    if not 0 < fraction < 1:
        raise InputError(f"The test fraction must lie between 0 and 1, not at {fraction:g}.")


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
    check_test_fraction(fraction)
    if len(rows.test):
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


def save_features(rows: Rows, folder: Path) -> list[Path]:
    """Write the embeddings as files that `--vectors` reads again, train and test apart, with ids and truth."""
    written = []
    for name, chosen in (("train", rows.train), ("test", rows.test)):
        if len(chosen):
            arrays = {"vectors": rows.vectors[chosen], "ids": np.array(rows.names)[chosen]}
            if any(rows.truth):
                arrays["labels"] = np.array([truth or "" for truth in rows.truth])[chosen]
            written.append(folder / f"{name}_features.npz")
            save_arrays(written[-1], **arrays)
    return written


def align(run: Run, rows: Rows) -> tuple[Labels, NDArray[np.float32]]:
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
