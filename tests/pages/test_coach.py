"""The line under what to do next: how much has a label, and how much the next clicks add at most."""

from __future__ import annotations

import numpy as np
import pytest

from engine.labels.next_action import Move
from pages.label.coach import stop_line


class State:
    """A hundred images, some of them with a label."""

    def __init__(self, labelled: int) -> None:
        self.codes = np.where(np.arange(100) < labelled, 0, -1)

    def __len__(self) -> int:
        return len(self.codes)


@pytest.mark.parametrize(
    ("labelled", "gains", "line"),
    [
        (37, [60, 60, 60], "37% labelled; the next 100 clicks add about 63%."),  # all on the same images
        (37, [10, 5], "37% labelled; the next 100 clicks add about 15%."),
        (37, [], "37% labelled; further clicks add next to nothing."),
        (100, [3], "All labelled; further clicks add next to nothing."),
    ],
)
def test_clicks_never_add_more_than_is_left(labelled, gains, line):
    moves = [Move("name", at, images=60, gain=gain, clicks=2) for at, gain in enumerate(gains)]
    assert stop_line(State(labelled), moves) == line
