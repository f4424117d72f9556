"""Export: the labels as tables, as a report, or as images in folders for other tools."""

from __future__ import annotations

from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current
from pages.shared.tasks import newest


def step(now: Current) -> Step:
    """Done when labels of this run were written; while the run has none there is nothing to take."""
    if now.dataset is None:
        return NOT_YET
    taken = any((now.workspace.cache / "exports").glob(f"{now.dataset.id}.*"))
    job = newest(now.workspace, "export", now.dataset)
    return Step("done") if taken or (job is not None and job.state == "done") else NOT_YET


SCREEN = Screen("export", "Export", ":material/ios_share:", step, tasks=("export",))
