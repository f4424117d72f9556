"""Export: the labels as tables, as a report, or as images in folders for other tools."""

from __future__ import annotations

import numpy as np

from engine.export.taken import exported_labels
from engine.labels.state import NO_LABEL
from pages.shared.board import history_of
from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current
from pages.shared.words import count


def step(now: Current) -> Step:
    """Done when the labels of this run were taken as they stand; until then the figure says how sure they are."""
    if now.dataset is None or now.run is None:
        return NOT_YET
    history = history_of(now.workspace, now.dataset)
    taken = exported_labels(now.run.folder)
    if taken is not None:
        return Step("done", "taken") if taken == history.version() else Step("out of date", "changed")
    state = history.kept_state(now.run.folder.name)
    if state is None or state.source.max(initial=NO_LABEL) == NO_LABEL:
        return NOT_YET
    return Step("not yet", f"{count(int(np.isfinite(state.bound).sum()), 'image')} audited")


SCREEN = Screen("export", "Export", ":material/ios_share:", step, tasks=("export",), on_run=True)
