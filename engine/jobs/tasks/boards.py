"""The verb that keeps a ranked clustering of a sweep's board as a run, exactly as the board shows it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.clustering.registry import METHODS, method_title
from engine.core.csv import write_csv
from engine.core.errors import InputError
from engine.core.files import load_array, read_json
from engine.core.ids import positions
from engine.core.labels import Labels
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.vectors import Vectors
from engine.core.workspace import Workspace
from engine.evaluation.scores import scores
from engine.geometry.neighbors import vote_of_nearest
from engine.images.sampling import Sample
from engine.jobs.tasks.requests import Request, training_rows
from engine.jobs.tasks.tables import split_as
from engine.labels.table import label_table
from engine.runs.fit import configuration
from engine.runs.rows import Rows, load_rows, truth_codes
from engine.runs.run import Run, folder_name, new_folder, save_run
from engine.selection.sweep.ranking import LeaderboardRow
from engine.selection.sweep.report import SweepResult, load_sweep

NEW_IMAGES = "vote of the 10 nearest images"
_VOTES = 10
_ASKED = 20_000


class KeepRankRequest(Request):
    """Keep one clustering of a sweep's board: the labels that were shown, without clustering again."""

    board: str = setting(..., "The board's folder.")
    rank: int = setting(1, "Which rank.", ge=1)
    title: str = setting("", "What the run is called.", runtime=True)
    table: bool = setting(True, "Also write labels.csv, one line per file.", runtime=True)
    results_dir: str = setting("", "Where a new run's folder is made; the library when empty.", runtime=True)


def keep_rank(workspace: Workspace, request: KeepRankRequest, progress: Progress = SILENT) -> Run:
    """Write a run folder whose labels and scores are those of the board.

    The run holds the images that were swept. Images of the same sample that were not, such as a test part, take the
    vote of their nearest images that were, and the run's notes say how many.

    Raises
    ------
    InputError
        There is no such rank, its labels were not kept, or the board's images cannot be told any more.
    """
    board = Path(request.board)
    result = load_sweep(board)
    row = next((row for row in result.ranked if row.rank == request.rank), None)
    if row is None:
        raise InputError(f"The board has no rank {request.rank}.", f"Its ranks go from 1 to {len(result.ranked)}.")
    shown, sure = result.labels(row), result.confidence(row)
    rows, at = _rows_of_board(workspace, board, result)
    labels, confidence, notes = _spread(rows, at, shown, sure)
    settings = row.parameters
    if row.algorithm in METHODS:
        settings = METHODS[row.algorithm].settings_class.parse(settings).model_dump(mode="json")
    title = request.title or f"{method_title(row.algorithm)}, {row.n_clusters:,} clusters, {rows.dataset.name}"
    config = configuration(rows, row.algorithm, settings, title) | {
        "given": sorted(row.parameters),
        "resolved": settings,
        "labels_from": {"kind": "sweep", "board": str(board), "rank": row.rank, "candidate": row.title},
        "new_images": NEW_IMAGES,
    }
    parent = Path(request.results_dir) if request.results_dir else workspace.runs
    folder = new_folder(parent, folder_name(row.algorithm, rows.dataset.name, int(labels.max(initial=-1)) + 1))
    run = save_run(
        folder,
        config=config,
        results=_results(rows, labels, at, row) | {"notes": [*row.notes, *notes]},
        ids=rows.names,
        contents=rows.contents,
        paths=rows.paths,
        assignments=labels,
        confidence=confidence,
        truth=rows.truth,
        split=rows.split,
    )
    if request.table:
        table = label_table(workspace, rows.dataset.id, rows.contents, labels, confidence)
        write_csv(folder / "labels.csv", split_as(table, rows).columns())
    for sentence in notes:
        progress.say(sentence)
    return run


def keep_rank_summary(run: Run) -> dict[str, Any]:
    """Return the run's name and how many clusters it has."""
    return {"run": run.folder.name, "n_clusters": run.results["train"]["n_clusters"]}


def _rows_of_board(workspace: Workspace, board: Path, result: SweepResult) -> tuple[Rows, np.ndarray[Any, Any]]:
    """Return the rows of the board's sample and, for each, its row on the board; -1 where it was not swept."""
    source = result.summary.get("source") or {}
    if not source and (board / "config.json").exists():  # a board of the app, older than the key `source`
        kept = read_json(board / "config.json")
        source = {"dataset": kept.get("dataset", {}).get("id"), "config_key": kept.get("config_key")}
    if not source.get("dataset") or not source.get("config_key"):
        raise InputError(
            "This board was made from a file of vectors, not from a data set here.",
            "Its labels are in the folders rank_01_..., as assignments.csv; or sweep again with --vectors.",
        )
    dataset, key = str(source["dataset"]), str(source["config_key"])
    sample = Sample.load(board / "sample.json")
    rows = load_rows(workspace, dataset, key, only=sample.contents)
    if (board / "contents.npy").exists():
        swept = load_array(board / "contents.npy", mapped=False)
    else:
        swept = training_rows(workspace, dataset, key, sample.contents).contents
    if len(swept) != result.summary["n_images"]:
        raise InputError(
            "The images have changed since this board was made, and it does not say which they were.",
            "Find good clusters again.",
        )
    return rows, positions(swept, rows.contents)


def _spread(rows: Rows, at: np.ndarray[Any, Any], shown: Labels, sure: Vectors) -> tuple[Labels, Vectors, list[str]]:
    """Return labels and confidence of all rows, and sentences on what the board did not hold."""
    notes = []
    labels, confidence = np.append(shown, np.int32(-1))[at], np.append(sure, np.float32(0))[at]
    if gone := len(shown) - int((at >= 0).sum()):
        notes.append(f"{gone:,} images of the board are gone; the run holds the others.")
    new = np.flatnonzero(at < 0)
    if len(new) and len(new) < len(at):
        known = np.flatnonzero(at >= 0)
        if len(known) > _ASKED:
            known = np.sort(np.random.default_rng(0).choice(known, _ASKED, replace=False))
        labels[new], confidence[new] = vote_of_nearest(rows.vectors[known], labels[known], rows.vectors[new], k=_VOTES)
        notes.append(f"{len(new):,} images were not on the board; each took the {NEW_IMAGES} that were.")
    return labels.astype(np.int32), confidence.astype(np.float32), notes


def _results(rows: Rows, labels: Labels, at: np.ndarray[Any, Any], row: LeaderboardRow) -> dict[str, Any]:
    """Return the run's metrics: those of the board for what it showed, measured ones for a test part."""
    truth = truth_codes(rows.truth)
    began = time.perf_counter()
    on_board = at >= 0
    found = scores(None, labels[on_board], None if truth is None else truth[on_board])
    shown = {"silhouette": row.silhouette, "composite": row.composite, "generalisation": row.generalisation}
    test = None
    if len(rows.test):
        part = rows.test
        test = scores(rows.vectors[part], labels[part], None if truth is None else truth[part])
    return {
        "train": found | shown,
        "test": test,
        "seconds": {"cluster": row.seconds, "score": time.perf_counter() - began},
        "evidence": row.evidence,
        "stability": row.stability,
        "agreement": row.agreement,
        "two_kinds": list(row.two_kinds),
        "verdict": None if row.verdict is None else row.verdict.as_dict(),
    }
