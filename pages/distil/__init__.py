"""Distil: a small set on which a classifier trains almost as well, beside honest baselines."""

from __future__ import annotations

from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current


def step(now: Current) -> Step:
    """Done when the run in use was distilled."""
    found = now.run is not None and (now.run.folder / "distillation" / "results.json").exists()
    return Step("done") if found else NOT_YET


SCREEN = Screen("distil", "Distil", ":material/compress:", step, tasks=("distil",), on_run=True)
