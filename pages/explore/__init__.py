"""Explore: the clusters, the map and the gallery side by side, and the search."""

from __future__ import annotations

from pages.shared.metrics import figures_of
from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current
from pages.shared.words import count


def step(now: Current) -> Step:
    """Looking around is never done; the figure is what there is to look at."""
    clusters = figures_of(now.run).get("n_clusters") if now.run else None
    return Step("not yet", f"{count(clusters, 'cluster')} found") if isinstance(clusters, int) else NOT_YET


SCREEN = Screen("explore", "Explore", ":material/travel_explore:", step, tasks=("map",))
