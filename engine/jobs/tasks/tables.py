"""The files of a run as a table: what the person said about each laid over what the method found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.core.ids import to_bytes
from engine.core.workspace import Workspace
from engine.images.identity import changed_images
from engine.images.tables import load_images
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


def labelled_run(workspace: Workspace, run: Run) -> LabelTable:
    """Return what `labelled_files` does from the run alone, where its embeddings are not in the cache."""
    labels = run.assignments
    here = np.isin(run.contents, load_images(workspace, run.dataset).contents)
    contents, labels, confidence = run.contents[here], labels[here], run.predictions["confidence"][here]
    state = LabelHistory(workspace, run.dataset).state(contents, labels, run=run.folder.name)
    table = label_table(workspace, run.dataset, contents, labels, confidence, state=state)
    if "split" not in run.predictions:
        return table
    split = run.predictions["split"][here].tolist()
    return replace(table, split=[str(split[row]) for row in table.rows.tolist()])


def absent_sentences(workspace: Workspace, run: Run) -> list[str]:
    """Say why images of a run have no file any more: their pixels changed, or the files are gone; mostly nothing."""
    here = np.isin(run.contents, load_images(workspace, run.dataset).contents)
    lost = set(to_bytes(run.contents[~here]))
    if not lost:
        return []
    changed = sum(before in lost for _, before, _ in changed_images(workspace, run.dataset))
    told = []
    if changed:
        images, they = ("image has", "it counts as a new one") if changed == 1 else ("images have", "they count as new")
        told.append(
            f"{changed:,} {images} changed in the pixels since; {they} until you keep the labels (a button on Images, "
            "or scan --keep-labels)."
        )
    if len(lost) > changed:
        total = f"{len(lost) - changed:,} of {len(run.contents):,} images of this run"
        told.append(f"{total} {'is' if len(lost) - changed == 1 else 'are'} not in the data set any more.")
    return told


def split_as(table: LabelTable, rows: Rows) -> LabelTable:
    """Return the table with the split of the rows it was made from in place of the catalog's."""
    return replace(table, split=[rows.split[row] for row in table.rows.tolist()])
