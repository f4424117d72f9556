"""Starting work from a page: a job's folder holds the request that the command line would make, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.clustering.registry import Method
from engine.core.settings import Settings
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import EncoderEntry
from engine.images.datasets import Dataset
from engine.images.decode import PreprocessSettings
from engine.images.reading import FolderSettings
from engine.jobs import job as jobs
from engine.jobs.tasks.registry import find_verb, verb_name
from engine.runs.run import folder_name, new_folder
from pages.shared.window import this_window


def request_config(verb: str, dataset: Dataset, **values: Any) -> dict[str, Any]:  # noqa: ANN401 - any request's fields
    """Return what config.json holds: the checked request of a verb, and what else is to be remembered of the job."""
    model = find_verb(verb).request
    known = {"dataset": dataset.id} | values
    request = model.from_config(known)
    about = {"id": dataset.id, "name": dataset.name, "kind": dataset.kind}
    return values | request.model_dump(mode="json", exclude_unset=True) | {"dataset": about}


def start_job(workspace: Workspace, verb: str, title: str, dataset: Dataset, **values: Any) -> jobs.JobStatus:  # noqa: ANN401
    """Start a job whose result lies in the cache, the catalog or a run; `values` are the fields of the verb's request.

    Raises
    ------
    InputError
        A field is missing or out of bounds.
    """
    config = request_config(verb, dataset, **values) | {"window": this_window()}
    folder = jobs.create(workspace.jobs, find_verb(verb).name, title, config)
    jobs.start(workspace, folder)
    return jobs.status(folder)


def start_scan(
    workspace: Workspace, dataset: Dataset, *, measure_again: bool = False, reading: FolderSettings | None = None
) -> jobs.JobStatus:
    """Read the folder: what is new, changed, broken, double; perhaps by other settings, or with deep images anew."""
    settings = {} if reading is None else {"reading": reading.model_dump(mode="json")}
    return start_job(workspace, "scan", f"Reading {dataset.name}", dataset, measure_again=measure_again, **settings)


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
    workspace: Workspace,
    dataset: Dataset,
    config_key: str,
    method: Method,
    settings: Settings,
    *,
    start_run: str = "",
    also: Sequence[str] = (),
    test_fraction: float | None = None,
) -> jobs.JobStatus:
    """Cluster in a job; its folder becomes the run.

    `start_run` is the run that `warm_start="run"` starts from, `also` the keys of further embeddings to read, and
    `test_fraction` the share that is set aside as the test part.
    """
    title = f"{method.title}, {dataset.name}"
    config = request_config(
        "cluster",
        dataset,
        config_key=config_key,
        method=method.name,
        settings=settings.given(),
        start_run=start_run,
        also=list(also),
        test_fraction=test_fraction,
        title=title,
    )
    count = method.n_clusters(settings)
    folder = new_folder(workspace.runs, folder_name(method.name, dataset.name, count))
    jobs.configure(folder, "cluster", title, config)
    jobs.start(workspace, folder)
    return jobs.status(folder)


def newest(
    workspace: Workspace,
    verb: str,
    dataset: Dataset,
    *,
    made: str = "",
    **values: Any,  # noqa: ANN401 - any request's fields
) -> jobs.JobStatus | None:
    """Return the newest job of one verb on a data set whose configuration holds `values` and that has `made` a file."""
    for job in jobs.list_jobs(workspace):
        if job.task == verb_name(verb) and job.config.get("dataset", {}).get("id") == dataset.id:
            if all(job.config.get(name) == value for name, value in values.items()) and (job.folder / made).exists():
                return job
    return None
