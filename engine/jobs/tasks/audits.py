"""Verbs on the quality of a run's labels: the audit of all of them from a few checks, and the report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.csv import path_text, read_csv, write_csv
from engine.core.errors import InputError
from engine.core.ids import from_hex, positions, to_bytes, to_hex
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.workspace import Workspace
from engine.images.thumbnails import thumbnail
from engine.jobs.tasks.labels import labels_as_they_stand
from engine.jobs.tasks.requests import RunRequest
from engine.labels.events import LabelHistory
from engine.labels.set_audit import draw_audit, keep_set_audit
from engine.runs.rows import rows_of_run
from engine.runs.run import make_parent

RIGHT, WRONG = "right", "wrong"


class AuditRequest(RunRequest):
    """Audit all labels of a run that nobody gave one by one."""

    checks: int = setting(120, "How many images to look at.", ge=1)
    by: str = setting("label", "What the parts are that each get some checks.", choices=("label", "cluster"))
    confidence: float = setting(0.95, "How sure the bound is to be.", ge=0.5, le=0.999)
    random_state: int = setting(0, "Draws the images.", ge=0)
    answers: str = setting("", "The list with its column `answer` filled in: right or wrong in each line.")
    output: str = setting("", "Where the list of images goes; audit.csv in the run's folder when empty.", runtime=True)


@dataclass(frozen=True)
class Audited:
    """What an audit came to: the list that was drawn, or the sentence of the answers.

    Attributes
    ----------
    path : Path
        The list.
    checks, parts : int
        Images on it, and parts that they are drawn from.
    sentence : str
        What the answers prove; empty where none were given.
    """

    path: Path
    checks: int
    parts: int
    sentence: str = ""


def audit_labels(workspace: Workspace, request: AuditRequest, progress: Progress = SILENT) -> Audited:
    """Draw the images to look at and write them as a list, or keep the answers as an event that can be undone.

    Raises
    ------
    InputError
        No label to audit, a line without an answer, or labels that have changed since the draw.
    """
    run = request.opened(workspace)
    rows = rows_of_run(workspace, run)
    state = labels_as_they_stand(workspace, run, rows)
    history = LabelHistory(workspace, rows.dataset.id)
    audit = draw_audit(
        state, request.checks, by=request.by, events=history.effective()[0], random_state=request.random_state
    )
    if not request.answers:
        path = Path(request.output) if request.output else run.folder / "audit.csv"
        make_parent(path.parent)
        at = np.random.default_rng(request.random_state).permutation(audit.sample)  # no part after the other
        columns = {
            "path": [path_text(rows.paths[row]) for row in at.tolist()],
            "content_id": to_hex(rows.contents[at]),
            "label": [state.labels[row] for row in at.tolist()],
            "answer": [""] * len(at),
        }
        write_csv(path, columns)
        return Audited(path, len(at), len(audit.names))
    path = Path(request.answers)
    listed = read_csv(path, required=("content_id", "label", "answer"))
    answers = [text.strip().casefold() for text in listed["answer"]]
    if missing := sum(text not in (RIGHT, WRONG) for text in answers):
        raise InputError(
            f"{missing:,} of {len(answers):,} lines of {path.name} have no answer.",
            f"Write {RIGHT} or {WRONG} into the column `answer` of each line.",
        )
    at = positions(rows.contents, from_hex(listed["content_id"]))
    if (at >= 0).all() and any(
        state.labels[row] != label for row, label in zip(at.tolist(), listed["label"], strict=True)
    ):
        raise InputError("Labels have changed since this list was drawn.", "Draw the list again.")
    if len(np.unique(at)) < len(at) or not np.isin(at, audit.rows).all():
        raise InputError(f"{path.name} lists images that are not to be audited.", "Draw the list again.")
    bad = at[np.array(answers) == WRONG]
    audit = replace(audit, sample=at)
    event = keep_set_audit(history, state, audit, bad, confidence=request.confidence)
    return Audited(path, len(at), len(audit.names), event.sentence)


def audit_labels_summary(result: Audited) -> dict[str, Any]:
    """Return where the list lies, how many images it has, and what its answers prove."""
    return {"path": str(result.path), "checks": result.checks, "parts": result.parts, "proves": result.sentence}


class QualityReportRequest(RunRequest):
    """Write what is known of the quality of a run's labels as one HTML file."""

    output: str = setting("", "The file; label_quality.html in the run's folder when empty.", runtime=True)


def report_quality(workspace: Workspace, request: QualityReportRequest, progress: Progress = SILENT) -> Path:
    """Write for each label how many there are, who looked, what audits prove, with examples right and wrong.

    Raises
    ------
    InputError
        The embeddings are gone.
    """
    from engine.export.quality_report import write_quality_report

    run = request.opened(workspace)
    rows = rows_of_run(workspace, run)
    state = labels_as_they_stand(workspace, run, rows)
    path = Path(request.output) if request.output else run.folder / "label_quality.html"
    make_parent(path.parent)
    ids = dict(zip(to_bytes(rows.contents), rows.ids.tolist(), strict=True))
    write_quality_report(
        path,
        state,
        LabelHistory(workspace, rows.dataset.id).effective()[0],
        title=f"Label quality: {rows.dataset.name}",
        paths=rows.paths,
        thumbnail=lambda content: thumbnail(workspace, ids.get(content, 0)),
    )
    return path


def report_quality_summary(path: Path) -> dict[str, Any]:
    """Return where it lies."""
    return {"path": str(path)}
