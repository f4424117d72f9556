"""Label: one cluster at a time to name, correct, grow and audit; the review of spread labels; the history."""

from __future__ import annotations

from pages.shared.board import history_of
from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current
from pages.shared.words import count


def step(now: Current) -> Step:
    """Being done while label actions stand; the figure is what the person has done."""
    if now.dataset is None:
        return NOT_YET
    changes = len(history_of(now.workspace, now.dataset).effective()[0])
    return Step("doing", count(changes, "change")) if changes else NOT_YET


SCREEN = Screen("label", "Label", ":material/label:", step, tasks=("spread", "name-clusters"))
