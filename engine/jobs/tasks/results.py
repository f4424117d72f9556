"""Verbs on a finished run: analyse it, distil it, export its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.clustering.deep.forecast import human_time
from engine.core.errors import InputError, KindredError, StorageError
from engine.core.files import load_arrays, read_json, write_json
from engine.core.labels import encode
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.workspace import Workspace
from engine.distillation.settings import DistilSettings
from engine.export.formats import find_format
from engine.export.settings import ExportSettings
from engine.images.datasets import find_dataset
from engine.jobs.tasks.requests import RunRequest
from engine.jobs.tasks.tables import absent_sentences, labelled_files, labelled_run
from engine.labels.events import LabelHistory
from engine.runs.analysis import analyze
from engine.runs.figures import draw_run
from engine.runs.judge import judge_run, kept_verdict
from engine.runs.rows import Rows, align, graph_of, rows_of_run
from engine.runs.run import Run

if TYPE_CHECKING:
    from engine.export.folders import ExportReport
    from engine.export.settings import Mode


class AnalyseRequest(RunRequest):
    """Recompute everything that a run says about itself."""

    detailed: bool = setting(True, "Also every class, every cluster and the contingency.")
    plot: bool = setting(False, "Also draw the figures.")
    viz_method: Literal["umap", "tsne", "pca"] = setting("umap", "The map of the figures.")


def analyse(workspace: Workspace, request: AnalyseRequest, progress: Progress = SILENT) -> dict[str, Any]:
    """Analyse a run from its folder; analysis.json keeps it where the folder may be written.

    Raises
    ------
    InputError
        There is no such run.
    StorageError
        Its files are damaged.
    """
    run = request.opened(workspace)
    try:
        rows = rows_of_run(workspace, run)
    except KindredError as error:
        rows = None
        progress.say(str(error))
    analysis = analyze(run, rows, detailed=request.detailed)
    try:
        verdict = kept_verdict(run) if rows is None else judge_run(run, rows)
    except InputError as error:  # such as a method of a later version
        verdict = None
        progress.say(str(error))
    analysis["verdict"] = None if verdict is None else verdict.as_dict()
    try:
        write_json(run.folder / "analysis.json", analysis)
    except StorageError as error:  # such as a colleague's folder
        progress.say(str(error))
    if request.plot and rows is not None:
        draw_run(workspace, run, rows, request.viz_method, progress=progress)
    return analysis


def analyse_summary(analysis: dict[str, Any]) -> dict[str, Any]:
    """Return the number of images."""
    return {"images": analysis["images"]}


@dataclass(frozen=True)
class LearnedLabels:
    """What the classes of a distillation are, and who said so.

    Attributes
    ----------
    codes : (n,) int
        Cluster numbers, or numbers of `names`; -1 for an image without label and cluster.
    names : list of str or None
        None where no image has a label, so that the codes are cluster numbers.
    counts : dict of str to int
        Images by each source: "by you", "cluster name", "accepted guess", "cluster number", "none".
    """

    codes: NDArray[np.integer[Any]]
    names: list[str] | None
    counts: dict[str, int]

    @property
    def n_classes(self) -> int:
        """Classes that have images."""
        return len(np.unique(self.codes[self.codes >= 0]))


class DistilRequest(RunRequest):
    """Make a small set that trains almost as well as all images of a run, and measure it."""

    settings: DistilSettings = setting(DistilSettings(), "How it is made and measured.")
    export_dir: str = setting("", "Also copy the images nearest to the small set into this new folder.", runtime=True)


def distil_run(workspace: Workspace, request: DistilRequest, progress: Progress = SILENT) -> dict[str, Any]:
    """Distil the embeddings of a run by its clusters into <run>/distillation and return what results.json holds.

    Raises
    ------
    InputError
        The embeddings are gone, the clusters are too few or too small, or the export's folder is not empty.
    """
    from engine.distillation.distil import distil
    from engine.distillation.forecast import seconds_needed
    from engine.export.folders import check_target

    run = request.opened(workspace)
    if request.export_dir:
        check_target(Path(request.export_dir), find_dataset(workspace, run.dataset).source(), "copy")
    rows = rows_of_run(workspace, run)
    learned = labels_to_learn(workspace, run, rows)
    progress.say(labels_used(learned.counts))
    seconds = seconds_needed(request.settings, len(rows.train), rows.vectors.shape[1], learned.n_classes)
    progress.say(f"About {human_time(seconds)}, by a few steps of each part.")
    distilled = distil(
        rows.vectors,
        learned.codes,
        label_names=learned.names,
        truth=rows.truth if any(rows.truth) else None,
        train=rows.train if len(rows.test) else None,
        test=rows.test if len(rows.test) else None,
        contents=rows.contents,
        settings=request.settings,
        output_dir=run.folder / "distillation",
        known={"labels": learned.counts, "seconds_foreseen": seconds},
        progress=progress,
    )
    if request.export_dir:
        report = export_distilled(workspace, run, Path(request.export_dir), progress=progress)
        progress.say(f"{report.written:,} images written to {report.target}.")
    return distilled.results


def labels_to_learn(workspace: Workspace, run: Run, rows: Rows) -> LearnedLabels:
    """Return what a distillation learns: of each image its label, by you before the cluster's name, else a number."""
    base, _ = align(run, rows)
    state = LabelHistory(workspace, rows.dataset.id).state(rows.contents, base, run=run.folder.name)
    named = state.codes >= 0
    counts = dict(state.source_counts)
    numbered = int(np.count_nonzero(~named & (state.cluster >= 0)))
    counts |= {"cluster number": numbered, "none": int(np.count_nonzero(~named)) - numbered}
    if not named.any():
        return LearnedLabels(state.cluster, None, counts)
    called = [
        label if label is not None else f"cluster {own}" if own >= 0 else None
        for label, own in zip(state.labels, state.cluster.tolist(), strict=True)
    ]
    codes, names = encode(called)
    return LearnedLabels(codes, names, counts)


def labels_used(counts: Mapping[str, int]) -> str:
    """Return a sentence on the sources of the labels that a distillation learns from."""
    sources = ("by you", "cluster name", "accepted guess", "cluster number")
    parts = [f"{counts[one]:,} {one if one == 'by you' else f'by {one}'}" for one in sources if counts.get(one)]
    return f"Labels used: {', '.join(parts) or 'none'}."


def distil_run_summary(results: dict[str, Any]) -> dict[str, Any]:
    """Return the results as they are."""
    return results


def export_distilled(
    workspace: Workspace, run: Run, target: Path, *, mode: Mode = "copy", progress: Progress = SILENT
) -> ExportReport:
    """Write the real images nearest to the distilled rows into one folder for each cluster; originals are only read.

    Raises
    ------
    InputError
        The run was not distilled, holds vectors without images, or the target is not empty.
    """
    from engine.export.export import export, prepare

    folder = run.folder / "distillation"
    if not (folder / "results.json").exists():
        raise InputError("This run was not distilled yet.", "Distil it first.")
    rows = rows_of_run(workspace, run)
    path = folder / f"{read_json(folder / 'results.json')['chosen']}.npz"
    kept = np.unique(load_arrays(path, hint="Distil again.")["nearest_contents"])
    table = labelled_files(workspace, run, rows)
    first = np.unique(table.contents, return_index=True)[1]  # one file of each content
    table = table.take(np.sort(first[np.isin(table.contents[first], kept)]))
    prepared = prepare(table, ExportSettings(format="folders", mode=mode, classes="cluster"))
    return export(prepared, target, source=rows.dataset.source(), progress=progress)


class ExportRequest(RunRequest):
    """Write a run's labels for other tools."""

    settings: ExportSettings = setting(ExportSettings(), "What is written.")
    target: str = setting(
        "",
        "A file for tables, a new folder for images; in the run's folder when empty.",
        aliases=("output", "output-dir"),
    )


def export_run(workspace: Workspace, request: ExportRequest, progress: Progress = SILENT) -> ExportReport:
    """Write a run's labels as a table or as folders in another tool's format; originals are only read.

    Raises
    ------
    InputError
        The embeddings are gone, labels are missing, or the target cannot be.
    """
    from engine.export.export import export, prepare
    from engine.export.split import near_duplicate_groups
    from engine.export.taken import note_export

    run, settings = request.opened(workspace), request.settings
    dataset, rows = find_dataset(workspace, run.dataset), _rows_if_needed(workspace, run, settings)
    groups = None
    if settings.split and rows is not None:
        groups = near_duplicate_groups(graph_of(workspace, rows, progress=progress), threshold=settings.near_duplicate)
    labels = LabelHistory(workspace, dataset.id).version()
    table = labelled_run(workspace, run) if rows is None else labelled_files(workspace, run, rows)
    absent = absent_sentences(workspace, run)
    if not len(table):
        raise InputError("There is nothing to export.", " ".join(absent) or "None of the images is embedded any more.")
    for sentence in absent:
        progress.say(sentence)
    prepared = prepare(table, settings, groups=groups)
    if prepared.plan is None and not len(prepared.table):
        raise InputError("No image has a label, so nothing would be written.", "Name clusters, or take all files.")
    source = None if dataset.kind == "vectors" or settings.is_file else dataset.source()
    name = f"labels{find_format(settings.format).files}" if settings.is_file else settings.format
    target = Path(request.target) if request.target else run.folder / "exports" / name
    vectors = None if rows is None else rows.vectors
    report = export(prepared, target, source=source, vectors=vectors, progress=progress)
    note_export(run.folder, settings.format, labels=labels, target=target)
    return report


def _rows_if_needed(workspace: Workspace, run: Run, settings: ExportSettings) -> Rows | None:
    """Return the run's rows; None for a plain table where their vectors are not in the cache."""
    try:
        rows = rows_of_run(workspace, run)
    except KindredError:
        if not settings.is_file or settings.vectors or settings.split:
            raise
        return None
    plain = settings.is_file and not settings.vectors and not settings.split
    return None if plain and not len(rows) else rows


def export_run_summary(report: ExportReport) -> dict[str, Any]:
    """Return where it lies, how much was written and what could not be."""
    return {
        "target": str(report.target),
        "written": report.written,
        "by_source": report.by_source,
        "failed": report.failed[:200],
        "notes": report.notes,
    }
