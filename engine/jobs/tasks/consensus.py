"""The verb that makes one clustering out of several runs of the same images, by a weighted vote."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.csv import write_csv
from engine.core.errors import InputError
from engine.core.ids import positions
from engine.core.labels import Labels
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.workspace import Workspace
from engine.evaluation.consensus import NAME, combine, consensus, vote_weights
from engine.evaluation.generalisation import LinearProbe
from engine.jobs.tasks.requests import Request, named_run
from engine.jobs.tasks.tables import split_as
from engine.labels.table import label_table
from engine.runs.fit import configuration, measure
from engine.runs.rows import Rows, align, graph_of, rows_of_run
from engine.runs.run import Run, folder_name, new_folder, save_run

_TOLD = 8  # members that a run's notes name
TOO_FEW = "A consensus needs at least two runs, or one of TEMI or TURTLE with several heads."


class ConsensusRequest(Request):
    """Combine several runs of the same images into one."""

    runs: tuple[str, ...] = setting(
        ...,
        "The runs: their folders, or their names in the library. One of TEMI or TURTLE is enough: then its heads vote.",
    )
    n_clusters: int | None = setting(
        None,
        "How many clusters; one of the runs must have as many. When empty, what fits all runs best.",
        ge=1,
        le=100_000,
    )
    title: str = setting("", "What the run is called.", runtime=True)
    results_dir: str = setting("", "Where a new run's folder is made; the library when empty.", runtime=True)


def combine_runs(workspace: Workspace, request: ConsensusRequest, progress: Progress = SILENT) -> Run:
    """Let the runs vote on each image, weighted by how well a classifier learns them, and keep the result as a run.

    One run alone votes by the clusterings that it kept beside its own, such as those of the heads of TEMI and TURTLE.

    The confidence is the share of the weight that voted for the cluster. The embeddings are those of the first run.
    predictions.npz also tells which images are settled: noise in no run, and their near neighbours sorted alike by all.

    Raises
    ------
    InputError
        Fewer than two runs, one that there is not, runs of other images, or no run with as many clusters as asked for.
    """
    began = time.perf_counter()
    runs = [named_run(workspace, name) for name in dict.fromkeys(request.runs)]
    if not runs:
        raise InputError(TOO_FEW, "Name the runs.")
    if len({run.dataset for run in runs}) > 1:
        raise InputError("The runs are of different data sets.", "Choose runs on the same images.")
    rows = rows_of_run(workspace, runs[0])
    graph = graph_of(workspace, rows, progress=progress)
    labels, names = _members(runs, rows)
    probe = LinearProbe(rows.vectors)
    learned = [probe.measure(column).score for column in labels]
    weights = vote_weights(learned)
    progress.update(0, 1, phase="voting")
    found = combine(labels, weights=weights, n_clusters=request.n_clusters, graph=graph)
    settled = consensus(labels, graph).groups >= 0
    share = np.asarray(weights) / sum(weights)
    told = ", ".join(f"{names[at]} ({share[at]:.0%})" for at in np.argsort(-share, kind="stable")[:_TOLD])
    told += f" and {len(names) - _TOLD:,} more" if len(names) > _TOLD else ""
    notes = [
        f"A vote of {len(names)} clusterings, weighted by how well a classifier learns them: {told}.",
        f"They agree on the surroundings of {settled.mean():.0%} of the images; the others are its border.",
    ]
    made = int(found.labels.max(initial=-1)) + 1
    folder = new_folder(
        Path(request.results_dir) if request.results_dir else workspace.runs,
        folder_name(NAME, rows.dataset.name, made),
    )
    config = configuration(rows, NAME, {"n_clusters": request.n_clusters}, request.title) | {
        "resolved": {"n_clusters": made},
        "labels_from": {"kind": NAME, "runs": [run.folder.name for run in runs], "weights": share.tolist()},
    }
    seconds = {"cluster": time.perf_counter() - began}
    results = measure(rows, found.labels) | {
        "seconds": seconds,
        "notes": notes,
        "settled_share": float(settled.mean()),
        "likeness": found.likeness,
    }
    run = save_run(
        folder,
        config=config,
        results=results,
        ids=rows.names,
        contents=rows.contents,
        paths=rows.paths,
        assignments=found.labels,
        confidence=found.confidence,
        truth=rows.truth,
        split=rows.split,
        extra={"settled": settled},
    )
    table = label_table(workspace, rows.dataset.id, rows.contents, found.labels, found.confidence)
    write_csv(folder / "labels.csv", split_as(table, rows).columns())
    for sentence in notes:
        progress.say(sentence)
    return run


def _members(runs: list[Run], rows: Rows) -> tuple[list[Labels], list[str]]:
    """Return the (n,) labels of the clusterings that vote, and what they are called.

    Raises
    ------
    InputError
        One run that kept no other clusterings than its own.
    """
    if len(runs) > 1:
        return [align(run, rows)[0] for run in runs], [run.name for run in runs]
    kept = runs[0].predictions.get("members")
    if kept is None or kept.ndim != 2 or kept.shape[1] < 2:
        raise InputError(TOO_FEW, "Choose another run.")
    whole = np.append(np.nan_to_num(kept, nan=-1).astype(np.int32), np.full((1, kept.shape[1]), -1, np.int32), axis=0)
    columns = whole[positions(runs[0].contents, rows.contents)]
    return [np.ascontiguousarray(column) for column in columns.T], [f"head {at + 1}" for at in range(kept.shape[1])]


def combine_runs_summary(run: Run) -> dict[str, Any]:
    """Return the run's name and how many clusters it has."""
    return {"run": run.folder.name, "n_clusters": run.results["train"]["n_clusters"]}
