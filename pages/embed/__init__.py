"""Embed: the encoder and its settings, images before and after, and the embeddings that are kept."""

from __future__ import annotations

from pages.shared.screen import NOT_YET, Screen, Step
from pages.shared.state import Current, describe


def step(now: Current) -> Step:
    """Done when each image of the data set, or of the sample, has its vector."""
    found = now.configuration
    if found is None:
        return NOT_YET
    sampled = now.sample is not None and found.have >= len(now.sample)
    return Step("done" if found.state == "complete" or sampled else "out of date", describe(found))


SCREEN = Screen("embed", "Embed", ":material/grain:", step, tasks=("embed",))
