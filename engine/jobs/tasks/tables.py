"""The files of a run as a table: what the person said about each laid over what the method found."""

from __future__ import annotations

from dataclasses import replace

from engine.core.workspace import Workspace
from engine.labels.events import LabelHistory
from engine.labels.table import LabelTable, label_table
from engine.runs.rows import Rows, align
from engine.runs.run import Run


def labelled_files(workspace: Workspace, run: Run, rows: Rows) -> LabelTable:
    """Return every file of a run with its cluster and label as they stand: the run with the label history over it."""
    labels, confidence = align(run, rows)
    state = LabelHistory(workspace, rows.dataset.id).state(rows.contents, labels, run=run.folder.name)
    table = label_table(workspace, rows.dataset.id, rows.contents, labels, confidence, state=state)
    return split_as(table, rows)


def split_as(table: LabelTable, rows: Rows) -> LabelTable:
    """Return the table with the split of the rows it was made from in place of the catalog's."""
    return replace(table, split=[rows.split[row] for row in table.rows.tolist()])
