"""Cluster: the sweep, one method by hand, the search for its settings, the number of clusters, the kept runs."""

from __future__ import annotations

from pages.shared.metrics import figures_of
from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current
from pages.shared.words import count


def step(now: Current) -> Step:
    """Done when a clustering is kept; the figure is what the one in use found."""
    clusters = figures_of(now.run).get("n_clusters") if now.run else None
    if isinstance(clusters, int):
        return Step("done", f"{count(clusters, 'cluster')} found")
    return Step("done", count(len(now.runs), "run")) if now.runs else NOT_YET


SCREEN = Screen("cluster", "Cluster", ":material/bubble_chart:", step, tasks=("cluster", "sweep", "search", "count"))
