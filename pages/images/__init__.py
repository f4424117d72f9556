"""Images: where they come from, what a scan found, what was measured on them, and the sample to work on."""

from __future__ import annotations

from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current


def step(now: Current) -> Step:
    """Done when there is a readable image."""
    images, sample = now.images, now.sample
    if not images:
        return NOT_YET
    part = f"{len(sample):,} of " if sample is not None and len(sample) < images else ""
    return Step("done", f"{part}{images:,}")


SCREEN = Screen("images", "Images", ":material/photo_library:", step, tasks=("scan", "duplicates"))
