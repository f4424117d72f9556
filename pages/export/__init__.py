"""Export: the labels as tables, as a report, or as images in folders for other tools."""

from __future__ import annotations

from engine.export.taken import exported_labels
from pages.shared.board import history_of
from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current


def step(now: Current) -> Step:
    """Done when the labels of this run were taken as they stand; out of date when they have changed since."""
    if now.dataset is None or now.run is None:
        return NOT_YET
    taken = exported_labels(now.run.folder)
    if taken is None:
        return NOT_YET
    return Step("done" if taken == history_of(now.workspace, now.dataset).version() else "out of date")


SCREEN = Screen("export", "Export", ":material/ios_share:", step, tasks=("export",))
