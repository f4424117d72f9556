"""The verb that finds duplicates: groups of images that show the same, and which of each is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.csv import path_text, write_csv
from engine.core.errors import InputError
from engine.core.files import load_arrays, save_arrays
from engine.core.ids import Ids, positions, to_hex
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.vectors import Vectors, unit_rows
from engine.core.workspace import Workspace
from engine.geometry.duplicates import LEVELS, Duplicates, find_duplicates
from engine.geometry.neighbors import NeighborGraph
from engine.images.datasets import find_dataset
from engine.images.keeping import RULES, keep_order
from engine.images.looks import load_looks
from engine.images.tables import ImageTable, load_images, load_pixel_hashes, load_quality
from engine.jobs.tasks.requests import DatasetRequest
from engine.labels.aside import labels_of_images, labels_within, set_aside
from engine.labels.events import LabelHistory
from engine.labels.state import REJECTED
from engine.runs.rows import graph_of, load_rows


class DuplicatesRequest(DatasetRequest):
    """Find images that show the same."""

    config_key: str = setting("", "Embeddings that confirm and find more; none when empty.")
    level: str = setting("same picture", "How far to go; each level holds the ones before.", choices=LEVELS)
    keep: str = setting("largest", "Which image of a group is kept.", choices=RULES)
    prefer: str = setting("", "Folder inside the data set whose images are kept before all others.")
    similarity: float = setting(0.97, "Cosine similarity from which images are similar.", ge=0.5, le=1)
    set_aside: bool = setting(False, "Set all but the kept ones aside now; one undo brings them back.")
    folder: str = setting("", "Where duplicates.npz and duplicates.csv go.", runtime=True)


@dataclass(frozen=True)
class Found:
    """Duplicates of a data set by content id, as duplicates.npz keeps them.

    Attributes
    ----------
    contents : (m,) S16
        Images of all groups, the kept one of each group first.
    group : (m,) int32
        Group of each.
    level : (m,) int8
        Index into `LEVELS`, -1 for the kept one.
    likeness : (m,) float32
        To the kept one; see `Duplicates`.
    listed : str
        The list.
    images, unembedded : int
        Images that were looked at, and those of them without an embedding where embeddings were asked.
    """

    contents: Ids
    group: np.ndarray[Any, np.dtype[np.int32]]
    level: np.ndarray[Any, np.dtype[np.int8]]
    likeness: np.ndarray[Any, np.dtype[np.float32]]
    listed: str
    images: int
    unembedded: int

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max(initial=-1)) + 1

    def save(self, path: Path) -> None:
        """Write the file, atomically."""
        save_arrays(path, **{name: np.asarray(value) for name, value in vars(self).items()})

    @classmethod
    def read(cls, path: Path) -> Found:
        """Read what `save` wrote."""
        found: dict[str, Any] = load_arrays(path, hint="Look for duplicates again.")
        return cls(**{name: value.item() if not value.ndim else value for name, value in found.items()})


def duplicates(workspace: Workspace, request: DuplicatesRequest, progress: Progress = SILENT) -> Found:
    """Find groups of duplicates, write them as a list, and set all but the kept ones aside where that is asked.

    Raises
    ------
    InputError
        No image, no such embeddings, or "similar" without embeddings.
    """
    table = load_images(workspace, request.dataset)
    if not len(table):
        raise InputError("There is no readable image here.", "Read the folder first.")
    pictures = find_dataset(workspace, request.dataset).kind != "vectors"
    graph, vectors, unembedded = _embedded(workspace, request, table, progress)
    found = find_duplicates(
        keep_order(
            table, load_quality(workspace, request.dataset).get("sharpness"), rule=request.keep, folder=request.prefer
        ),
        level=request.level,
        pixels=load_pixel_hashes(workspace, request.dataset) if pictures else None,
        looks=load_looks(workspace, table, progress=progress) if pictures and request.level != LEVELS[0] else None,
        graph=graph,
        vectors=vectors,
        similarity=request.similarity,
        progress=progress,
    )
    folder = Path(request.folder or workspace.cache / "duplicates" / request.dataset)
    folder.mkdir(parents=True, exist_ok=True)
    rows, group, level, likeness = _flat(found)
    result = Found(table.contents[rows], group, level, likeness, str(folder / "duplicates.csv"), len(table), unembedded)
    result.save(folder / "duplicates.npz")
    history = LabelHistory(workspace, request.dataset)
    state = labels_of_images(history, table.contents)
    write_csv(
        folder / "duplicates.csv",
        {
            "group": group + 1,
            "path": [path_text(table.paths[row]) for row in rows.tolist()],
            "content_id": to_hex(table.contents[rows]),
            "what": ["kept" if at < 0 else LEVELS[at] for at in level.tolist()],
            "likeness": likeness,
            "width": table.width[rows],
            "height": table.height[rows],
            "label": [state.labels[row] for row in rows.tolist()],
            "status": [state.statuses[row] for row in rows.tolist()],
        },
    )
    mixed = sum(len(labels_within(state, rows[group == at])) > 1 for at in range(result.groups))
    if mixed:
        progress.say(f"{mixed:,} of {result.groups:,} groups hold images with different labels.")
    if request.set_aside:
        progress.say(f"{set_aside(history, state, rows[level >= 0]).sentence}.")
    return result


def _embedded(
    workspace: Workspace, request: DuplicatesRequest, table: ImageTable, progress: Progress
) -> tuple[NeighborGraph | None, Vectors | None, int]:
    """Return graph and unit vectors in the order of the table, and how many images have none."""
    if not request.config_key:
        return None, None, 0
    rows = load_rows(workspace, request.dataset, request.config_key, only=table.contents)
    graph = graph_of(workspace, rows, progress=progress)
    at = positions(table.contents, rows.contents)
    n, k = len(table), graph.k
    indices = np.repeat(np.arange(n, dtype=np.int32)[:, None], k, axis=1)  # an image without a vector is its own
    similarities = np.full((n, k), -1, np.float32)
    indices[at], similarities[at] = at[graph.indices], graph.similarities
    vectors = np.zeros((n, rows.vectors.shape[1]), np.float32)
    vectors[at] = unit_rows(rows.vectors)
    return NeighborGraph(indices, similarities, graph.recall), vectors, n - len(at)


def _flat(found: Duplicates) -> tuple[Any, ...]:
    """Return rows, group, level and likeness of all groups end to end, the kept image of each first."""
    rows: list[Any] = [np.empty(0, np.int64)]
    group: list[Any] = [np.empty(0, np.int32)]
    level: list[Any] = [np.empty(0, np.int8)]
    likeness: list[Any] = [np.empty(0, np.float32)]
    for at, kept in enumerate(found.kept.tolist()):
        rows += [[kept], found.members[at]]
        group.append(np.full(1 + len(found.members[at]), at, np.int32))
        level += [np.array([-1], np.int8), found.levels[at]]
        likeness += [np.ones(1, np.float32), found.likeness[at]]
    return (
        np.concatenate(rows).astype(np.int64),
        np.concatenate(group),
        np.concatenate(level),
        np.concatenate(likeness),
    )


def duplicates_summary(result: Found) -> dict[str, Any]:
    """Return how many groups there are and how many images beside the kept ones, by level."""
    beside = {LEVELS[at]: int(np.count_nonzero(result.level == at)) for at in range(len(LEVELS))}
    return {"groups": result.groups, "images": result.images, "unembedded": result.unembedded, **beside}


def open_groups(result: Found, contents: Ids, status: np.ndarray[Any, np.dtype[np.uint8]]) -> list[Any]:
    """Return the rows of each group that is still open: the kept image and one that is not set aside are here.

    Parameters
    ----------
    result : Found
    contents : (n,) S16
    status : (n,) uint8
        Of the labels of images as they are now.

    Returns
    -------
    list of (group, rows, levels, likeness)
        The kept image first.
    """
    at = positions(contents, result.contents)
    here = (at >= 0) & ((result.level < 0) | (status[np.maximum(at, 0)] != REJECTED))
    starts = np.flatnonzero(result.level < 0)
    found = []
    for number, part in enumerate(np.split(np.arange(len(at)), starts[1:])):
        part = part[here[part]]
        if len(part) > 1 and result.level[part[0]] < 0:
            found.append((number, at[part], result.level[part], result.likeness[part]))
    return found
