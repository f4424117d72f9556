"""A workspace with work in it: 30 pictures scanned, embedded and clustered, with a graph, labels, a view and a job."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.files import write_json
from engine.jobs import job as jobs
from engine.labels.events import LabelHistory
from engine.runs.rows import graph_of
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def worked(workspace, tmp_path):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "photos"))
    graph_of(workspace, rows)
    history = LabelHistory(workspace, rows.dataset.id)
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    history.rename(state, 0, 'red, "quoted" and ünï')
    history.label(history.state(rows.contents, run.assignments, run=run.folder.name), np.arange(3), "seen")
    history.undo()
    history.redo()
    write_json(workspace.library / "views" / f"{rows.dataset.id}.json", {"views": []})
    jobs.create(workspace.jobs, "scan", "Reading", {"dataset": {"id": rows.dataset.id}})
    return rows, run
