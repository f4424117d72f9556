"""Compare: one run analysed, two side by side, the consensus of several, and experiments with several models."""

from __future__ import annotations

from engine.jobs.tasks.experiments import experiments_folder
from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current


def step(now: Current) -> Step:
    """Done when the run in use was analysed or models were compared."""
    analysed = now.run is not None and (now.run.folder / "analysis.json").exists()
    compared = now.dataset is not None and experiments_folder(now.workspace, now.dataset.id).exists()
    return Step("done") if analysed or compared else NOT_YET


SCREEN = Screen(
    "compare", "Compare", ":material/compare:", step, tasks=("experiment", "analyse", "graph", "pseudo-label")
)
