"""What every command prints: progress and sentences on stderr, where the result lies on stdout."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class ConsoleProgress:
    """A listener that keeps one line on a terminal up to date, or prints a line now and then into a log."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.last, self.phase, self.began = 0.0, "", time.monotonic()

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        """Print how far the phase is."""
        now = time.monotonic()
        fresh = phase != self.phase
        if fresh:
            self.phase, self.began = phase, now
        if not fresh and (done < total or not total) and now - self.last < (0.2 if self.terminal else 10):
            return
        self.last = now
        share = f"{100 * done / total:3.0f}%" if total else f"{done:,.0f} {unit}"
        left = (now - self.began) * (total - done) / done if done and total else 0.0
        values = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        line = f"{phase or 'working'} {share} {values}" + (f"  about {left:.0f} s left" if left > 1 else "")
        print(f"\r\033[K{line}" if self.terminal else line, end="" if self.terminal else "\n", file=sys.stderr)
        sys.stderr.flush()

    def say(self, sentence: str) -> None:
        """Print a sentence on a line of its own."""
        print(f"\r\033[K{sentence}" if self.terminal else sentence, file=sys.stderr)

    def snapshot(self, labels: NDArray[np.int32]) -> None:
        """Ignore; the command prints the result."""

    def stop_requested(self) -> bool:
        """Never; Ctrl-C ends the command."""
        return False


def finish(line: str | Path) -> int:
    """Print the last line: where the result lies."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    print(line)
    return 0
