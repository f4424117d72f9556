"""What long work tells its listener: how far, how fast, what it measures, and a look at the result.

Work calls `progress.update(...)`; the listener may write it to a file (a job), draw it (a page)
or ignore it (`Silent`). Cancelling ends the process, so work never asks whether it was cancelled;
it asks `stop_requested()` only where ending early still yields a result.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Progress(Protocol):
    """A listener of long work."""

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        """Say that `done` of `total` units of `phase` are finished; `metrics` are the current losses or rates."""

    def say(self, sentence: str) -> None:
        """Tell the person something worth reading: a fallback, a halved batch, a named approximation."""

    def snapshot(self, labels: NDArray[np.int32]) -> None:
        """Show the clustering as it stands, (n,) with -1 for noise; the listener scores and draws it."""

    def stop_requested(self) -> bool:
        """Return whether the person asked to stop early and keep what there is."""


class Silent:
    """The listener that ignores everything."""

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        """Ignore."""

    def say(self, sentence: str) -> None:
        """Ignore."""

    def snapshot(self, labels: NDArray[np.int32]) -> None:
        """Ignore."""

    def stop_requested(self) -> bool:
        """Never."""
        return False


SILENT = Silent()
