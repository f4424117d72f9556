"""Compare: one run analysed, two side by side, the consensus of several, and experiments with several models."""

from __future__ import annotations

from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current
from pages.shared.words import count


def step(now: Current) -> Step:
    """Never done; the figure says what there is to compare with."""
    return Step("not yet", count(len(now.runs), "run")) if len(now.runs) > 1 else NOT_YET


SCREEN = Screen(
    "compare", "Compare", ":material/compare:", step, tasks=("experiment", "analyse", "graph", "pseudo-label")
)
