"""Find good clusters without knowing any parameter: try many candidates, rank them, keep the best.

Flows in: embeddings and their graph. Flows out: a folder with a ranked board, each rank's labels and every
failure with its reason. Candidates run in worker processes; each finished one is on disk at once, so a
stopped sweep goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator, model_validator

from engine.core.device import gpu_count
from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.vectors import check_embeddings
from engine.evaluation.scores import CompositeSettings
from engine.geometry.neighbors import NeighborGraph
from engine.selection.sweep.grid import ALGORITHMS
from engine.selection.sweep.ranking import LeaderboardRow, around_target, break_ties, by_composite, without_repeats
from engine.selection.sweep.report import SweepResult, load_sweep, write_report
from engine.selection.sweep.runner import Workbench

__all__ = ["LeaderboardRow", "Sweep", "SweepResult", "SweepSettings", "load_sweep"]


class SweepSettings(CompositeSettings):
    """Settings of the sweep; the weights of the composite are among them."""

    mode: Literal["fast", "balanced", "comprehensive", "gpu"] = setting(
        "fast", "fast tries about 25 candidates, balanced about 75, comprehensive over 200; gpu is balanced on a GPU."
    )
    target_cluster_size: int = setting(200, "About how many images a cluster should hold.", ge=5, le=100_000, log=True)
    algorithms: tuple[str, ...] = setting(ALGORITHMS, "Methods to try.")
    min_clusters: int | None = setting(
        None, "Fewest clusters to try; chosen from the number of images when empty.", ge=2, le=2000
    )
    max_clusters: int | None = setting(None, "Most clusters to try; 300 when empty.", ge=2, le=2000)
    max_combinations: int | None = setting(None, "At most so many candidates, taken evenly.", ge=1, le=1000)
    top_results: int = setting(10, "How many of the best are kept with their own folder.", ge=1, le=100)
    stability: bool = setting(True, "Check how much the best change on other subsets of the images.")
    near_tie: float = setting(
        0.05, "Composites this close count as a tie, which stability breaks.", ge=0, le=0.5, step=0.01, advanced=True
    )
    max_largest_share: float = setting(
        0.3,
        "Clusterings with one cluster above this share rank below all others.",
        ge=0.01,
        le=1,
        step=0.01,
        advanced=True,
    )
    shuffles: int = setting(
        5, "Shuffles of the labels that set the floor a silhouette must pass.", ge=2, le=50, advanced=True
    )
    halving_above: int = setting(
        100_000,
        "Above so many images all candidates run on a sample first, the best quarter in full.",
        ge=100,
        le=100_000_000,
        log=True,
        advanced=True,
    )
    halving_sample: int = setting(50_000, "Images in that sample.", ge=50, le=1_000_000, log=True, advanced=True)
    random_state: int = setting(0, "Seed.", ge=0, le=2**31 - 1, advanced=True)
    n_jobs: int = setting(0, "Worker processes, one thread each; 0 takes the free cores.", ge=0, le=256, runtime=True)
    time_limit: float = setting(
        600.0, "Seconds a candidate may take before it is ended.", ge=0.1, le=86_400, log=True, runtime=True
    )
    memory_limit_mb: float | None = setting(
        None,
        "MiB of its own that a candidate may take before it is ended.",
        ge=50,
        le=1_000_000,
        log=True,
        runtime=True,
        advanced=True,
    )
    no_gpu: bool = setting(False, "Leave the GPU alone.", runtime=True, advanced=True)
    no_parallel: bool = setting(False, "One worker process at a time.", runtime=True, advanced=True)
    skip_embeddings: bool = setting(
        False, "Use embeddings that are there; never compute any.", runtime=True, advanced=True
    )

    @field_validator("algorithms")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in ALGORITHMS]
        if unknown or not value:
            raise ValueError(f"must be some of {', '.join(ALGORITHMS)}")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> SweepSettings:
        if self.min_clusters and self.max_clusters and self.min_clusters > self.max_clusters:
            raise ValueError("min_clusters must not be above max_clusters")
        return self


class Sweep:
    """The sweep.

    Parameters
    ----------
    settings : SweepSettings, optional
    """

    def __init__(self, settings: SweepSettings | None = None) -> None:
        self.settings = settings or SweepSettings()
        self.peak_mb = self.peak_mb_above_imports = 0.0

    def run(
        self,
        embeddings: NDArray[Any],
        *,
        output_dir: Path,
        graph: NeighborGraph | None = None,
        paths: Sequence[Any] | None = None,
        ids: Sequence[Any] | None = None,
        progress: Progress = SILENT,
        validation_pairs: NDArray[np.integer[Any]] | Sequence[tuple[int, int]] | None = None,
        target: Sequence[int] | int | None = None,
    ) -> SweepResult:
        """Try, score, rank and write.

        Parameters
        ----------
        embeddings : (n, d) float32
            At least 10 rows; need not be unit length.
        output_dir : Path
            Gets rank_01_<algorithm>/ ..., clustering_summary.json, all_results.parquet and work/, where
            finished candidates are kept: the same sweep started again does only what is missing.
        graph : NeighborGraph, optional
            The shared graph; built when absent.
        paths, ids : sequence, optional
            What the rows are, for assignments.csv: paths first, else ids, else row numbers.
        validation_pairs : (m, 2) int, optional
            Rows that belong together.
        target : int or sequence of int, optional
            Rows whose cluster is reported for each rank.

        Raises
        ------
        InputError
            Fewer than 10 images, NaN, all identical, no GPU in mode gpu, names or pairs that do not fit.
        """
        settings = self.settings
        began = time.perf_counter()
        names = paths if paths is not None else ids
        pairs, targets = _check(embeddings, names, validation_pairs, target, settings)
        array = check_embeddings(embeddings)
        bench = Workbench(Path(output_dir), array, graph, settings, progress)
        try:
            rows = bench.try_all(pairs)
        finally:
            self.peak_mb, self.peak_mb_above_imports = bench.peak_mb, bench.peak_mb_above_imports
        rows = without_repeats(rows)
        ranked = by_composite(rows, settings.max_largest_share)
        if settings.stability and not bench.stopped:
            ranked = bench.stabilities(ranked, settings.top_results)
        ranked = break_ties(ranked, settings.near_tie, settings.max_largest_share)
        ranked = [
            replace(row, target=around_target(array, np.load(row.labels), targets, names=names))
            if targets and row.rank <= settings.top_results and row.labels
            else row
            for row in ranked
        ]
        about = {
            "mode": settings.mode,
            "n_images": len(array),
            "dimension": array.shape[1],
            "candidates": len(rows),
            "stopped": bench.stopped,
            "seconds": time.perf_counter() - began,
            "settings": settings.model_dump(mode="json"),
            "validation_pairs": len(pairs),
        }
        result = write_report(
            Path(output_dir),
            [*ranked, *(row for row in rows if row.state != "ranked")],
            about,
            names,
            settings.top_results,
        )
        bench.clean()
        return result


def _check(
    embeddings: NDArray[Any],
    names: Sequence[Any] | None,
    pairs: Any,  # noqa: ANN401 - anything that NumPy reads as pairs
    target: Sequence[int] | int | None,
    settings: SweepSettings,
) -> tuple[NDArray[np.int64], list[int]]:
    """Return pairs as (m, 2) and targets as a list, refusing what does not fit."""
    count = len(embeddings)
    if count < 10:
        raise InputError(f"A sweep needs at least 10 images; there are {count}.", "Add more images.")
    if names is not None and len(names) != count:
        raise InputError(f"{len(names):,} paths or ids were given for {count:,} embeddings.")
    if settings.mode == "gpu" and (settings.no_gpu or gpu_count() == 0):
        raise InputError(
            "There is no GPU here that the sweep can use.",
            "Choose the balanced mode: the same candidates on the processor.",
        )
    found = np.asarray([] if pairs is None else pairs, dtype=np.int64).reshape(-1, 2)
    targets = [] if target is None else [int(row) for row in np.atleast_1d(np.asarray(target))]
    for row in [*found.ravel().tolist(), *targets]:
        if not 0 <= row < count:
            raise InputError(f"A validation pair or target names row {row}, which does not exist.")
    return found, targets
