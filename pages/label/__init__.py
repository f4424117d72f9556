"""Label: one cluster at a time to name, correct, grow and audit; the review of spread labels; the history."""

from __future__ import annotations

from engine.labels.state import BY_YOU
from pages.shared.board import history_of
from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current
from pages.shared.words import count


def step(now: Current) -> Step:
    """Being done while label actions stand; the figure is how many images the person labelled, else the steps."""
    if now.dataset is None:
        return NOT_YET
    history = history_of(now.workspace, now.dataset)
    changes = len(history.effective()[0])
    state = history.kept_state(now.run.folder.name) if now.run else None
    if state is not None:  # cheap: a page has worked it out
        yours = int((state.source == BY_YOU).sum())
        return Step("doing", f"{count(yours, 'image')} by you") if changes else NOT_YET
    return Step("doing", count(changes, "step")) if changes else NOT_YET


SCREEN = Screen(
    "label",
    "Label",
    ":material/label:",
    step,
    tasks=("spread", "label-errors", "name-clusters", "import-labels"),
    on_run=True,
)
