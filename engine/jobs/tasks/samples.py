"""The verb that makes the sample sets ready to look at: read, embedded, clustered and drawn by the other verbs."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.workspace import Workspace
from engine.images.datasets import add_benchmark, find_dataset
from engine.images.sets.registry import SAMPLES, find_benchmark
from engine.jobs.tasks.clustering import ClusterRequest, cluster_images
from engine.jobs.tasks.data import EmbedRequest, MapRequest, ScanRequest, embed_images, project, scan_images
from engine.jobs.tasks.requests import Request
from engine.runs.run import Run, list_runs


class SamplesRequest(Request):
    """Make sample sets ready to look at."""

    sets: tuple[str, ...] = setting(SAMPLES, "Names of the sets, in the order in which they are made ready.")
    quietly: bool = setting(
        False, "Give way to everything else on this machine, and do not list the sets until they are opened."
    )


def prepare_samples(workspace: Workspace, request: SamplesRequest, progress: Progress = SILENT) -> list[Run]:
    """Return a clustering of each set, with as many clusters as it has classes; what is there already is kept.

    Raises
    ------
    InputError
        No set has such a name.
    """
    entries = [find_benchmark(name) for name in request.sets]
    if request.quietly and hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(19)
    found = []
    for entry in entries:
        dataset = add_benchmark(workspace, entry.name, waiting=request.quietly)
        runs = list_runs(workspace, dataset.id)
        if runs:
            found.append(runs[0])
            continue
        progress.say(f"Preparing {entry.title}.")
        if find_dataset(workspace, dataset.id).scanned is None:
            scan_images(workspace, ScanRequest(dataset=dataset.id), progress)
        key = embed_images(workspace, EmbedRequest(dataset=dataset.id), progress).embedding.config_key
        project(workspace, MapRequest(dataset=dataset.id, config_key=key), progress)
        settings = {"n_clusters": entry.classes}
        asked = ClusterRequest(
            dataset=dataset.id, config_key=key, settings=settings, title=f"k-means, {entry.title}", judge=False
        )
        found.append(cluster_images(workspace, asked, progress))
    return found


def prepare_samples_summary(runs: list[Run]) -> dict[str, Any]:
    """Return the names of the clusterings."""
    return {"runs": [run.folder.name for run in runs]}
