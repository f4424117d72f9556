"""The arrays of a sweep that worker processes map: written once into the working folder, opened by every worker.

A part is a set of rows with its own embeddings and neighbour graph: "all", "sample" (for halving), "half-0" and
"half-1" (for the stability). Each lies in a folder of its name: embeddings.npy (m, d) float32 of unit rows,
indices.npy and similarities.npy of the graph, rows.npy with the row numbers in the given embeddings.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.files import load_array, replace_file, save_array
from engine.core.progress import Progress
from engine.core.vectors import blocks, unit
from engine.geometry.neighbors import NeighborGraph, build_graph
from engine.geometry.reduce import content_key
from engine.selection.sweep.grid import Candidate

ALL, SAMPLE, HALVES = "all", "sample", ("half-0", "half-1")
REDUCTIONS = "reductions"
STABILITY_ROWS = 60_000
_HALF_SHARE = 0.8


class SweepData:
    """Writes the parts of one sweep.

    Parameters
    ----------
    folder : Path
        The sweep's working folder.
    array : (n, d) float32
        The embeddings; need not be unit length.
    graph : NeighborGraph, optional
        Their neighbour graph; built when it is first needed.
    sample : int
        Rows of the part "sample".
    random_state : int
        Seed of the sample and of the halves.
    device : str
        Where graphs are built.

    Attributes
    ----------
    key : str
        Names the content of `array`.
    """

    def __init__(
        self,
        folder: Path,
        array: NDArray[np.float32],
        graph: NeighborGraph | None,
        *,
        sample: int,
        random_state: int,
        device: str,
        progress: Progress,
    ) -> None:
        self.folder, self.array, self.graph = folder, array, graph
        self.sample, self.random_state, self.device = min(sample, len(array)), random_state, device
        self.progress = progress
        self.key = content_key(array)

    def stability_key(self, candidate: Candidate) -> str:
        """Return what names the stability of a candidate on these data."""
        return candidate.key(self.key, "stability")

    @property
    def stability_ratio(self) -> float:
        """By how much minimum sizes shrink on a half: 1 unless the halves are of a sample of `STABILITY_ROWS`."""
        count = len(self.array)
        return 1.0 if count <= STABILITY_ROWS else _HALF_SHARE * STABILITY_ROWS / count

    def prepare(self, part: str) -> None:
        """Write embeddings and graph of "all" or "sample", unless they are there."""
        folder = self.folder / part
        identity = self.key if part == ALL else f"{self.key} {self.sample} {self.random_state}"
        if (folder / "ready").exists() and (folder / "ready").read_text() == identity:
            return
        self._write_rows(folder, np.arange(len(self.array)) if part == ALL else self._sample_rows())
        if part == ALL and self.graph is not None:
            graph = self.graph
        else:
            graph = self._build_graph(folder)
            if part == ALL:
                self.graph = graph
        _write_graph(folder, graph)
        (folder / "ready").write_text(identity)

    def prepare_halves(self) -> None:
        """Write two overlapping random subsamples with their graphs, 80% of at most `STABILITY_ROWS` rows each."""
        rng = np.random.default_rng(self.random_state)
        count = len(self.array)
        base = np.sort(rng.choice(count, min(count, STABILITY_ROWS), replace=False))
        for half in HALVES:
            rows = np.sort(rng.choice(base, round(_HALF_SHARE * len(base)), replace=False))
            folder = self.folder / half
            self._write_rows(folder, rows)
            if self.graph is None or len(base) < count:
                _write_graph(folder, self._build_graph(folder))
            else:
                _write_graph(folder, self.graph.subset(rows))

    def clean(self) -> None:
        """Delete the parts and the reduced spaces; all can be made again."""
        for name in (ALL, SAMPLE, *HALVES, REDUCTIONS):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _build_graph(self, folder: Path) -> NeighborGraph:
        vectors = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
        return build_graph(vectors, device=self.device, progress=self.progress)

    def _write_rows(self, folder: Path, rows: NDArray[np.int64]) -> None:
        """Write the unit rows as one .npy, block by block."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ready").unlink(missing_ok=True)
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(rows), self.array.shape[1])}

        def write(file: Any) -> None:  # noqa: ANN401 - an open file
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks(len(rows)):
                file.write(unit(self.array[rows[block]]).tobytes())

        replace_file(folder / "embeddings.npy", write)
        save_array(folder / "rows.npy", rows)

    def _sample_rows(self) -> NDArray[np.int64]:
        """Return rows for halving, stratified over coarse k-means clusters: each gives its share."""
        from engine.clustering.kmeans import assign, train_kmeans

        rng = np.random.default_rng(self.random_state)
        count = len(self.array)
        some = unit(self.array[np.sort(rng.choice(count, min(count, 20_000), replace=False))])
        centers = train_kmeans(some, min(64, len(some) // 4), spherical=True, max_iter=5)
        stratum = np.concatenate([assign(unit(self.array[rows]), centers)[0] for rows in blocks(count)])
        order = np.lexsort((rng.random(count), stratum))
        every = np.floor((np.arange(self.sample) + rng.random()) * count / self.sample).astype(np.int64)
        return np.sort(order[np.minimum(every, count - 1)])


def open_part(folder: Path, part: str) -> tuple[NDArray[np.float32], NeighborGraph]:
    """Return the unit embeddings, (m, d) float32, and the graph of one part as memory maps."""
    place = folder / part
    graph = NeighborGraph(load_array(place / "indices.npy"), load_array(place / "similarities.npy"))
    return load_array(place / "embeddings.npy"), graph


def part_rows(folder: Path, part: str) -> NDArray[np.int64]:
    """Return the row numbers of one part, (m,) rising."""
    return np.asarray(load_array(folder / part / "rows.npy"))


def half_labels(folder: Path, key: str, half: str) -> Path:
    """Return where the labels of a candidate on one of the halves lie; `key` names the candidate's stability."""
    return folder / "candidates" / f"{key}-{half}.npy"


def _write_graph(folder: Path, graph: NeighborGraph) -> None:
    save_array(folder / "indices.npy", graph.indices)
    save_array(folder / "similarities.npy", graph.similarities)
