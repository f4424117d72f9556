"""Explore: the clusters, the map and the gallery side by side, and the search."""

from __future__ import annotations

from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current


def step(now: Current) -> Step:
    """Looking around is never done and counts nothing."""
    return NOT_YET


SCREEN = Screen("explore", "Explore", ":material/travel_explore:", step, tasks=("map",), on_run=True)
