"""The verb that asks what beside their content the clusters of a run have in common."""

from __future__ import annotations

from typing import Any

from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.evaluation.explanation import Explanation
from engine.jobs.tasks.labels import labels_as_they_stand
from engine.jobs.tasks.requests import RunRequest
from engine.runs.explained import explain_rows, keep_explanation
from engine.runs.rows import rows_of_run


class ExplainRequest(RunRequest):
    """Ask how far measures of the files explain a run and each of its clusters, with a person's changes."""


def explain_run(workspace: Workspace, request: ExplainRequest, progress: Progress = SILENT) -> Explanation:
    """Explain a run's clusters; explanation.json in its folder keeps the result.

    Raises
    ------
    InputError
        There is no such run, or its embeddings are gone.
    """
    run = request.opened(workspace)
    rows = rows_of_run(workspace, run)
    clusters = labels_as_they_stand(workspace, run, rows).cluster
    found = explain_rows(workspace, rows, clusters, progress=progress)
    keep_explanation(run, clusters, found)
    return found


def explain_run_summary(found: Explanation) -> dict[str, Any]:
    """Return the sentence and the measures that are worth a word."""
    return {"sentence": found.sentence, "notable": [reason.measure for reason in found.notable]}
