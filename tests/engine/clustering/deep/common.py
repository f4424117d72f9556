"""What tests of deep methods share: a listener that remembers, and planted groups."""

from __future__ import annotations

import numpy as np


class Listener:
    """Remembers what it is told; asks to stop once `stop_after` steps were reported."""

    def __init__(self, stop_after: int | None = None):
        self.stop_after, self.steps = stop_after, 0
        self.said: list[str] = []
        self.metrics: list[dict] = []
        self.shown: list[np.ndarray] = []

    def update(self, done, total, *, phase="", unit="", **metrics):
        if phase == "training":
            self.steps = int(done)
            self.metrics.append(metrics)

    def say(self, sentence):
        self.said.append(sentence)

    def snapshot(self, labels):
        self.shown.append(labels)

    def stop_requested(self):
        return self.stop_after is not None and self.steps >= self.stop_after


def groups(n: int = 150, d: int = 12, k: int = 3, *, spread: float = 0.35, seed: int = 0):
    """Return (n, d) float32 noisy copies of k random directions, and their (n,) truth."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.standard_normal((max(d, k), d)))[0][:k]
    truth = np.arange(n) % k
    return (directions[truth] + spread * rng.standard_normal((n, d)) / np.sqrt(d)).astype(np.float32), truth
