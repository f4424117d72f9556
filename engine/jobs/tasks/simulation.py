"""The verb that measures labelling: simulated persons label a run of known truth, and their clicks are counted."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from engine.core.files import write_json
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.workspace import Workspace
from engine.jobs.tasks.requests import RunRequest
from engine.labels.simulate.measure import PRECISION, RECALL
from engine.labels.simulate.ways import Labelling, SimulateSettings, simulate
from engine.runs.rows import align, graph_of, rows_of_run
from engine.runs.run import make_parent


class SimulateRequest(RunRequest):
    """Let simulated persons label a run."""

    settings: SimulateSettings = setting(SimulateSettings(), "Who labels, and how often.")
    folder: str = setting("", "Where simulation.json goes; the run's own folder when empty.", runtime=True)


def simulate_labelling(workspace: Workspace, request: SimulateRequest, progress: Progress = SILENT) -> list[Labelling]:
    """Label a run's clustering anew in a history of its own; the labels of the workspace are neither read nor changed.

    Raises
    ------
    InputError
        No truth is known, or the embeddings are gone.
    """
    run = request.opened(workspace)
    rows = rows_of_run(workspace, run)
    base, _ = align(run, rows)
    graph = graph_of(workspace, rows, progress=progress)
    found = simulate(rows.contents, rows.vectors, graph, base, rows.truth, settings=request.settings, progress=progress)
    folder = Path(request.folder or run.folder)
    make_parent(folder)
    kept = {"settings": request.settings.model_dump(), "labellings": [figures(one) for one in found]}
    write_json(folder / "simulation.json", kept)
    return found


def figures(one: Labelling) -> dict[str, Any]:
    """Return what a labelling comes to, as JSON."""
    curve, end = one.curve, one.curve.points[-1] if one.curve.points else None
    return {
        "way": one.way,
        "seed": one.seed,
        "right_per_click": curve.right_per_click(),
        f"clicks_to_{RECALL:.0%}_at_{PRECISION:.0%}": curve.clicks_to(),
        "clicks": one.count.clicks,
        "decisions": one.count.decisions,
        "looks": one.count.looks,
        "letters": one.count.letters,
        "by_kind": dict(one.count.by_kind),
        "labelled": end.labelled if end else 0,
        "right": end.right if end else 0,
        "images_with_truth": curve.total,
        "contradictions": one.contradictions,
        "conflicts": one.conflicts,
    }


def write_curves(path: Path, named: list[tuple[str, float, list[Labelling]]]) -> None:
    """Write the points of all curves as CSV, a line each; the name is that of the run, the number the error rate."""
    make_parent(path.parent)
    columns = ("run", "error_rate", "way", "seed", "clicks", "decisions", "looks", "labelled", "right")
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow((*columns, "precision", "recall"))
        for run, rate, found in named:
            for one in found:
                for point in one.curve.points:
                    said = (run, rate, one.way, one.seed, *(getattr(point, name) for name in columns[4:]))
                    table.writerow((*said, f"{point.precision:.4f}", f"{one.curve.recall(point):.4f}"))


def simulate_labelling_summary(found: list[Labelling]) -> dict[str, Any]:
    """Return the figures of the first person of each way."""
    return {one.way: one.curve.right_per_click() for one in found if one.seed == 0}
