"""What ranking the next actions costs on Label: when the clusters changed, and after every other label.

python -m benchmarks.bench_next_action
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from engine.core.vectors import unit
from engine.core.workspace import Workspace
from engine.geometry.prototypes import prototypes
from engine.labels.next_action import next_actions, separation, weigh
from engine.labels.proposals import Proposals
from engine.labels.simulate.desk import scratch_history


def main() -> None:
    """Print medians of seven runs, in processor time."""
    print("images   clusters  separation     weigh and rank (ms of processor time)")
    for n, clusters in ((2_500, 40), (100_000, 200), (100_000, 2_000)):
        rng = np.random.default_rng(0)
        base = rng.integers(0, clusters, n).astype(np.int32)
        centers = rng.normal(size=(clusters, 512))
        vectors = unit((centers[base] + 2 * rng.normal(size=(n, 512))).astype(np.float32))
        contents = np.frombuffer(rng.integers(1, 256, (n, 16), dtype=np.uint8).tobytes(), "S16")
        with tempfile.TemporaryDirectory() as folder:
            history = scratch_history(Workspace.open(Path(folder)))
            state = history.state(contents, base)
            history.name(state, {cluster: f"kind {cluster % 20}" for cluster in range(clusters // 2)})
            state = history.state(contents, base)
            history.label(state, np.arange(0, n, 50), "kind 1")
            state = history.state(contents, base)
        found = prototypes(vectors, state.cluster)
        separated = separation(vectors, found, state.cluster)
        rows = np.flatnonzero(state.codes < 0)
        chance = rng.random(len(rows)).astype(np.float32)
        names = [f"kind {row % 20}" for row in rows.tolist()]
        proposals = Proposals(rows, names, chance, chance, "propagation", state.version, state.version)

        def rank() -> Any:  # noqa: ANN401
            return next_actions(weigh(state, found, separated), shown=0, proposals=proposals)  # noqa: B023

        apart = _median(lambda: separation(vectors, found, state.cluster))  # noqa: B023
        print(f"{n:>7,}  {clusters:>7,}  {apart:>10.0f}  {_median(rank):>12.0f}")


def _median(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(7):
        began = time.process_time()
        work()
        times.append(1000 * (time.process_time() - began))
    return median(times)


if __name__ == "__main__":
    main()
