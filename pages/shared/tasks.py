"""Starting work from a page: each function makes a job's folder, starts it and returns its status."""

from __future__ import annotations

from typing import Any

from engine.clustering.registry import Method
from engine.core.settings import Settings
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import EncoderEntry
from engine.images.datasets import Dataset
from engine.images.decode import PreprocessSettings
from engine.jobs import job as jobs
from engine.runs import run as runs


def _dataset(dataset: Dataset) -> dict[str, Any]:
    return {"dataset": {"id": dataset.id, "name": dataset.name, "kind": dataset.kind}}


def start_job(workspace: Workspace, task: str, title: str, dataset: Dataset, **config: Any) -> jobs.JobStatus:  # noqa: ANN401
    """Start a job whose result lies in the cache or the catalog."""
    folder = jobs.create(workspace.jobs, task, title, _dataset(dataset) | config)
    jobs.start(workspace, folder)
    return jobs.status(folder)


def start_scan(workspace: Workspace, dataset: Dataset) -> jobs.JobStatus:
    """Read the folder: what is new, changed, broken, double."""
    return start_job(workspace, "scan", f"Reading {dataset.name}", dataset)


def start_embedding(
    workspace: Workspace,
    dataset: Dataset,
    encoder: EncoderEntry,
    settings: Settings,
    preprocess: PreprocessSettings,
    *,
    force: bool = False,
) -> jobs.JobStatus:
    """Embed what is missing; with `force` everything again."""
    return start_job(
        workspace,
        "embed",
        f"Embedding with {encoder.title}",
        dataset,
        encoder=encoder.name,
        settings=settings.model_dump(mode="json"),
        preprocess=preprocess.model_dump(mode="json"),
        force=force,
    )


def start_clustering(
    workspace: Workspace, dataset: Dataset, config_key: str, method: Method, settings: Settings
) -> jobs.JobStatus:
    """Cluster in a job; its folder becomes the run."""
    name = runs.folder_name(method.name, dataset.name, method.n_clusters(settings))
    folder = runs.new_folder(workspace.runs, name)
    jobs.configure(
        folder,
        "cluster",
        f"{method.title}, {dataset.name}",
        _dataset(dataset)
        | {"config_key": config_key, "method": method.name, "settings": settings.model_dump(mode="json")},
    )
    jobs.start(workspace, folder)
    return jobs.status(folder)


def newest(workspace: Workspace, task: str, dataset: Dataset, **config: Any) -> jobs.JobStatus | None:  # noqa: ANN401
    """Return the newest job of one kind on a data set whose configuration holds `config`."""
    for job in jobs.list_jobs(workspace):
        if job.task == task and job.config.get("dataset", {}).get("id") == dataset.id:
            if all(job.config.get(name) == value for name, value in config.items()):
                return job
    return None
