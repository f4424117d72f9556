"""Labels for a copy of a folder: what a person did in one data set, done again in another that holds the same images.

Every event that holds is written once more, so the copy's history is that of the original; from then on each goes its
own way. Events name images by content, so that images which only one of the two holds are left as they are.
"""

from __future__ import annotations

from engine.core.catalog import append_event, open_catalog
from engine.core.errors import InputError
from engine.core.workspace import Workspace
from engine.images.datasets import find_dataset
from engine.images.identity import know_as_in
from engine.labels.events import LabelHistory


def adopt_labels(workspace: Workspace, source: str, target: str) -> int:
    """Give a data set the labels of another; return how many steps its history has gained.

    Raises
    ------
    InputError
        The source has no labels, the target has some of its own, or one of them does not exist.
    """
    name = find_dataset(workspace, source).name
    into = find_dataset(workspace, target).name
    events = [event for event in LabelHistory(workspace, source).effective()[0] if event.kind != "carry"]
    if not events:
        raise InputError(f"{name!r} has no labels to take over.")
    if any(event.kind != "carry" for event in LabelHistory(workspace, target).effective()[0]):
        raise InputError(f"{into!r} has labels of its own.", "Undo them first, or leave the two apart.")
    with open_catalog(workspace.catalog, write=True) as db:
        know_as_in(db, target, source)
        for event in events:
            append_event(db, target, event.kind, {**event.detail, "from": source}, event.blob)
    return len(events)
