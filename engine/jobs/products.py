"""What is made of a finished run: pseudo-labels, figures, saved features, exports, a distilled set.

Each function takes the run and reads its rows where they still exist; jobs and commands call them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.core.errors import InputError
from engine.core.files import read_json, save_arrays
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings
from engine.core.workspace import Workspace
from engine.geometry.projection import ProjectionSettings
from engine.images.thumbnails import thumbnail
from engine.labels.events import LabelHistory
from engine.labels.pseudo_labels import PseudoLabelSettings
from engine.runs import run as runs
from engine.runs.fit import split_as
from engine.runs.rows import Rows, align, graph_of, load_rows, map_of, rows_of_run, truth_codes

if TYPE_CHECKING:
    from engine.export.folders import ExportReport
    from engine.export.pseudo_labels import Written
    from engine.export.settings import ExportSettings, Mode
    from engine.labels.table import LabelTable


def distil_run(
    workspace: Workspace, run: runs.Run, settings: Settings, *, progress: Progress = SILENT
) -> dict[str, Any]:
    """Distil the embeddings of a run by its clusters into <run>/distillation and return results.json."""
    from engine.distillation.distil import distil
    from engine.distillation.settings import DistilSettings

    assert isinstance(settings, DistilSettings)
    rows = rows_of_run(workspace, run)
    labels, _ = align(run, rows)
    test = np.array([part == "test" for part in rows.split], dtype=bool)
    given = bool(test.any()) and not test.all()
    made = distil(
        rows.vectors,
        labels,
        truth=rows.truth if any(rows.truth) else None,
        train=np.flatnonzero(~test) if given else None,
        test=np.flatnonzero(test) if given else None,
        contents=rows.contents,
        settings=settings,
        output_dir=run.folder / "distillation",
        progress=progress,
    )
    return made.results


def export_distilled(
    workspace: Workspace, run: runs.Run, target: Path, *, mode: Mode = "copy", progress: Progress = SILENT
) -> ExportReport:
    """Write the real images nearest to the distilled rows into one folder for each cluster; originals are only read.

    Raises
    ------
    InputError
        The run was not distilled, holds vectors without images, or the target is not empty.
    """
    from engine.export.folders import plan_folders, write_plan

    folder = run.folder / "distillation"
    if not (folder / "results.json").exists():
        raise InputError("This run was not distilled yet.", "Distil it first.")
    rows = rows_of_run(workspace, run)
    path = folder / f"{read_json(folder / 'results.json')['chosen']}.npz"
    with np.load(path, allow_pickle=False) as arrays:
        kept = np.unique(arrays["nearest_contents"])
    table = labelled_files(workspace, run, rows)
    first = np.unique(table.contents, return_index=True)[1]  # one file of each content
    table = table.take(np.sort(first[np.isin(table.contents[first], kept)]))
    pairs = zip(table.label, table.cluster.tolist(), strict=True)
    names: list[str | None] = [label or f"cluster {own}" for label, own in pairs]
    table = replace(table, label=names)
    return write_plan(plan_folders(table), table, rows.dataset.source(), target, mode=mode, progress=progress)


def pseudo_label_run(
    workspace: Workspace, run: runs.Run, settings: PseudoLabelSettings, *, progress: Progress = SILENT
) -> Written:
    """Write the pseudo-label files of a run: a person's labels vote, else the truth.

    Raises
    ------
    InputError
        No label is known at all, or the embeddings are gone.
    """
    from engine.export.pseudo_labels import write_pseudo_labels

    rows = rows_of_run(workspace, run)
    labels, _ = align(run, rows)
    state = LabelHistory(workspace, rows.dataset.id).state(rows.contents, labels, run=run.folder.name)
    return write_pseudo_labels(
        run.folder,
        rows.vectors,
        labels,
        contents=rows.contents,
        paths=rows.paths,
        split=rows.split,
        truth=rows.truth,
        given=state.given_labels,
        settings=settings,
        picture=None if rows.dataset.kind == "vectors" else lambda row: thumbnail(workspace, int(rows.ids[row])),
        progress=progress,
    )


def draw_run(
    workspace: Workspace, run: runs.Run, rows: Rows, kind: str = "umap", *, progress: Progress = SILENT
) -> list[Path]:
    """Write the run's figures: the map by cluster beside truth, and the cluster sizes.

    A run that trained a network is drawn in the space that it learned.
    """
    from engine.runs.figures import draw_maps, draw_sizes

    if "trained_embedding" in run.config:
        rows = load_rows(workspace, run.dataset, str(run.config["trained_embedding"]))
    labels, _ = align(run, rows)
    xy = map_of(workspace, rows, ProjectionSettings.parse({"kind": kind}), progress=progress)
    truth = truth_codes(rows.truth)
    names = sorted({name for name in rows.truth if name is not None})
    folder = run.folder / "figures"
    maps = draw_maps(folder, xy, labels, truth, names, title=run.name, name=f"map_{kind}")
    return [*maps, *draw_sizes(folder, labels)]


def save_features(run: runs.Run, rows: Rows) -> list[Path]:
    """Write the embeddings into the run, train and test apart, with ids and truth: `--vectors` reads them again."""
    test = np.array([part == "test" for part in rows.split], dtype=bool)
    written = []
    for name, chosen in (("train", ~test), ("test", test)):
        if chosen.any():
            arrays = {"vectors": rows.vectors[chosen], "ids": np.array(rows.names)[chosen]}
            if any(rows.truth):
                arrays["labels"] = np.array([truth or "" for truth in rows.truth])[chosen]
            path = run.folder / "features" / f"{name}_features.npz"
            save_arrays(path, **arrays)
            written.append(path)
    return written


def labelled_files(workspace: Workspace, run: runs.Run, rows: Rows) -> LabelTable:
    """Return every file of a run with its cluster and label as they stand: the run with the label history over it."""
    from engine.labels.table import label_table

    labels, confidence = align(run, rows)
    state = LabelHistory(workspace, rows.dataset.id).state(rows.contents, labels, run=run.folder.name)
    table = label_table(workspace, rows.dataset.id, rows.contents, labels, confidence, state=state)
    return split_as(table, rows)


def export_run(
    workspace: Workspace, run: runs.Run, settings: ExportSettings, target: Path, *, progress: Progress = SILENT
) -> ExportReport:
    """Write a run's labels as a table or as folders in another tool's format; originals are only read."""
    from engine.export.export import export, prepare
    from engine.export.split import near_duplicate_groups

    rows = rows_of_run(workspace, run)
    groups = None
    if settings.split:
        groups = near_duplicate_groups(graph_of(workspace, rows, progress=progress), threshold=settings.near_duplicate)
    prepared = prepare(labelled_files(workspace, run, rows), settings, groups=groups)
    source = None if rows.dataset.kind == "vectors" else rows.dataset.source()
    return export(prepared, target, source=source, vectors=lambda: rows.vectors, progress=progress)
