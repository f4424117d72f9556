"""The verb that clusters: one configuration's embeddings, or the images themselves, into a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.clustering.registry import METHODS, find_method
from engine.core.csv import write_csv
from engine.core.errors import InputError, KindredError
from engine.core.labels import Labels
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.core.workspace import Workspace
from engine.evaluation.scores import scores
from engine.jobs.tasks.requests import EmbeddedRequest, named_run
from engine.jobs.tasks.tables import split_as
from engine.labels.table import label_table
from engine.runs.fit import cluster, fit
from engine.runs.rows import Rows, align, load_rows, save_features, truth_codes, with_spaces, with_test_fraction
from engine.runs.run import Run, drop_empty, folder_name, kept_config, new_folder

LIVE_SCORES = ("silhouette", "balance", "n_clusters", "largest_share", "accuracy", "nmi", "ari")


class ClusterRequest(EmbeddedRequest):
    """Cluster a data set with one method."""

    method: str = setting("kmeans", "The clustering method.")
    settings: dict[str, Any] = setting(
        {}, "The method's settings; as many clusters as there are known classes unless it says how many."
    )
    test_fraction: float | None = setting(
        None, "Share set aside as the test part, by class and content hash; for data without one of its own."
    )
    also: tuple[str, ...] = setting(
        (), "Keys of further embeddings of the same images, for a method that reads several at once."
    )
    refuse_missing: bool = setting(
        False, "Refuse where an image lacks one of several embeddings, instead of leaving it out.", runtime=True
    )
    start_run: str = setting("", "A run of the same images whose clusters a deep method's training starts from.")
    title: str = setting("", "What the run is called.", runtime=True)
    save_features: bool = setting(False, "Keep the embeddings in the run folder.", runtime=True)
    folder: str = setting("", "The run's folder: a new one in the library when empty.", runtime=True)
    results_dir: str = setting("", "Where a new run's folder is made; the library when empty.", runtime=True)
    judge: bool = setting(True, "Also measure what the clustering is worth; `analyse` does so later.", runtime=True)
    arguments: tuple[str, ...] = setting((), "The command line's flags, for a resume.", runtime=True)
    seconds: dict[str, float] = setting({}, "How long earlier steps took, kept beside this one's.", runtime=True)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read the request; of a run's whole settings those count that were given.

        Older runs did not note them: there a value that is not the default was given.
        """
        values = config.get("settings")
        if isinstance(values, Mapping) and "given" in config:
            values = {name: value for name, value in values.items() if name in config["given"]}
        elif isinstance(values, Mapping) and "format" in config and config.get("method") in METHODS:
            plain = find_method(str(config.get("method"))).settings_class().model_dump(mode="json")
            values = {name: value for name, value in values.items() if name not in plain or value != plain[name]}
        return super().from_config(dict(config) | ({} if values is None else {"settings": values}))


@dataclass(frozen=True)
class Prepared:
    """A clustering before it begins: the rows, split; the whole settings; labels to start from, (n,), if any.

    `notes` are sentences about the rows.
    """

    rows: Rows
    settings: Settings
    start: Labels | None
    notes: tuple[str, ...] = ()


def prepare(workspace: Workspace, request: ClusterRequest) -> Prepared:
    """Bring together what a request asks for; nothing is written.

    Raises
    ------
    InputError
        Embeddings that are gone, a setting out of bounds, a test fraction where there is a test part already,
        a start run for a method that starts from none, further embeddings for a method that reads one.
    """
    rows, notes = load_rows(workspace, request.dataset, request.config_key), []
    if request.also:
        entry = find_method(request.method)
        if entry.takes != "spaces":
            raise InputError(
                f"{entry.title} reads the embeddings of one encoder, not of several.", "Leave the further ones out."
            )
        rows, sentence = with_spaces(workspace, rows, request.also, refuse_missing=request.refuse_missing)
        notes.append(sentence)
    if request.test_fraction is not None:
        rows = with_test_fraction(rows, request.test_fraction)
    settings, start = dict(request.settings), None
    if request.start_run:
        method = find_method(request.method)
        if not method.starts_from_labels:
            raise InputError(f"{method.title} does not start from another clustering.", "Leave the start run out.")
        if settings.setdefault("warm_start", "run") != "run":
            raise InputError(
                f"A start run is named, but the warm start is {settings['warm_start']!r}.",
                "Set the warm start to 'run', or leave the start run out.",
            )
        start, _ = align(named_run(workspace, request.start_run), rows)
    return Prepared(rows, settings_for(request.method, settings, rows), start, tuple(notes))


def settings_for(method: str, values: Mapping[str, Any], rows: Rows) -> Settings:
    """Return a method's settings; as many clusters as there are known classes where `values` does not say how many.

    Raises
    ------
    InputError
        A setting that is unknown or out of bounds.
    """
    entry = find_method(method)
    classes = rows.dataset.n_classes or len({name for name in rows.truth if name is not None})
    if entry.counts_clusters and classes > 1:
        values = {"n_clusters": classes} | dict(values)
    return entry.settings_class.parse(values)


def run_folder(workspace: Workspace, request: ClusterRequest, prepared: Prepared) -> Path:
    """Return the request's folder, or make a new one that is named after method, data and number of clusters."""
    if request.folder:
        return Path(request.folder)
    count = find_method(request.method).n_clusters(prepared.settings)
    parent = Path(request.results_dir) if request.results_dir else workspace.runs
    return new_folder(parent, folder_name(request.method, prepared.rows.dataset.name, count))


def cluster_images(workspace: Workspace, request: ClusterRequest, progress: Progress = SILENT) -> Run:
    """Cluster into a run folder: config.json, results.json, predictions.npz and labels.csv.

    A folder that holds an unfinished run of the same request goes on from its checkpoints.

    Raises
    ------
    InputError
        What the method cannot do with these data and settings.
    CheckpointError
        The folder holds checkpoints of other settings.
    """
    prepared = prepare(workspace, request)
    rows, settings = prepared.rows, prepared.settings
    n_clusters = find_method(request.method).n_clusters(settings)
    if n_clusters is not None and "n_clusters" not in settings.model_fields_set:
        progress.say(
            f"No number of clusters was given and no truth tells it: {n_clusters} are made. "
            "--num-clusters asks for another; `python -m engine sweep` looks for one."
        )
    for sentence in prepared.notes:
        progress.say(sentence)
    folder = run_folder(workspace, request, prepared)
    listen_with_scores(progress, rows)
    asked = request.model_dump(
        mode="json", exclude={"folder", "results_dir", "seconds", "dataset", "judge"}, exclude_defaults=True
    )
    try:
        run = cluster(
            workspace,
            rows,
            request.method,
            settings,
            folder,
            title=request.title,
            config=(kept_config(folder) or {}) | {"config_key": request.config_key} | asked,
            start=prepared.start,
            progress=progress,
            seconds=dict(request.seconds),
            judged=request.judge,
            notes=prepared.notes,
        )
    except KeyboardInterrupt:
        progress.say(f"To go on from what is there: python -m engine run --resume-from {folder}")
        raise
    except KindredError:
        drop_empty(folder)
        raise
    table = label_table(workspace, rows.dataset.id, rows.contents, run.assignments, run.predictions["confidence"])
    write_csv(folder / "labels.csv", split_as(table, rows).columns())
    if request.save_features:
        save_features(rows, folder / "features")
    return run


def cluster_images_summary(run: Run) -> dict[str, Any]:
    """Return the run's name and how many clusters it has."""
    return {"run": run.folder.name, "n_clusters": run.results["train"]["n_clusters"]}


def help_to_train(workspace: Workspace, request: ClusterRequest) -> None:
    """Join another process in its training, in `request.folder`; only that process writes the run."""
    prepared = prepare(workspace, request)
    folder = Path(request.folder)
    fit(find_method(request.method), prepared.settings, prepared.rows, workspace, checkpoints=folder / "checkpoints")


def listen_with_scores(progress: Progress, rows: Rows) -> None:
    """Let a job's listener score snapshots of the rows that a method is fitted on, against truth where it is known.

    A score also holds the cluster sizes in falling order; it is empty where a method left out images.
    """
    if not hasattr(progress, "score"):
        return
    truth = truth_codes(rows.truth)

    def score(labels: NDArray[np.int32]) -> dict[str, Any]:
        if len(labels) not in (len(rows), len(rows.train)):
            return {}
        part = slice(None) if len(labels) == len(rows) else rows.train
        figures = scores(rows.vectors[part], labels, None if truth is None else truth[part])
        sizes = np.sort(np.bincount(labels[labels >= 0]))[::-1]
        return {name: figures[name] for name in LIVE_SCORES if figures[name] is not None} | {"sizes": sizes.tolist()}

    progress.score = score
