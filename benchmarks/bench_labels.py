"""Label history: replaying 10,000 events, and one action on 100,000 images until the new state is there.

The alternative in the same run is the plain way: one dictionary per image, event by event.
Run: python -m benchmarks.bench_labels
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from engine.core.catalog import open_catalog
from engine.core.ids import Ids
from engine.core.workspace import Workspace
from engine.labels.events import LabelHistory
from engine.labels.log import Event
from engine.labels.state import LabelState

N, K, EVENTS = 100_000, 100, 10_000


def timed(work: Callable[[], object], repeats: int = 3) -> tuple[float, float]:
    """Return the median seconds of `work()`: on the clock, and of the processor (which a busy machine changes less)."""
    clock, processor = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return median(clock), median(processor)


def fill(history: LabelHistory, contents: Ids, rng: np.random.Generator) -> None:
    """Write 10,000 events of the common kinds, 1 to 200 images each, in one transaction."""
    rows = []
    for step in range(EVENTS):
        chosen = rng.choice(N, rng.integers(1, 201), replace=False)
        kind = ("rename", "label", "move", "reject", "confirm")[step % 5]
        detail = {"run": "a", "sentence": "", "before": 0}
        if kind in ("rename", "label", "confirm"):
            detail["labels"] = [[f"label {step % 50}", len(chosen)]]
        elif kind == "move":
            detail |= {"to": int(rng.integers(K)), "label": f"label {step % 50}"}
        else:
            detail["sources"] = [[0, len(chosen), 0]]
        rows.append((history.dataset, 0.0, kind, json.dumps(detail), contents[chosen].tobytes()))
    with open_catalog(history.catalog, write=True) as db:
        db.executemany("INSERT INTO event (dataset, made, kind, detail, contents) VALUES (?, ?, ?, ?, ?)", rows)


def plain(events: list[Event], contents: Ids, base: NDArray[np.int32]) -> dict[bytes, list[object]]:
    """The alternative: a dictionary per image."""
    state: dict[bytes, list[object]] = {
        content: [cluster, None, 0] for content, cluster in zip(contents.tolist(), base.tolist(), strict=True)
    }
    for event in events:
        label = event.detail["labels"][0][0] if "labels" in event.detail else event.detail.get("label")
        for content in event.contents.tolist():
            entry = state[content]
            entry[1] = label
            if event.kind in ("move", "reject"):
                entry[0] = event.detail.get("to", -1)
    return state


def main() -> None:
    rng = np.random.default_rng(0)
    contents = np.frombuffer(rng.integers(1, 256, (N, 16), dtype=np.uint8).tobytes(), "S16")
    base = rng.integers(0, K, N).astype(np.int32)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(folder)
        with open_catalog(workspace.catalog, write=True) as db:
            db.execute("INSERT INTO dataset (id, name, kind, location, created) VALUES ('d', 'd', 'folder', x'', 0)")
        history = LabelHistory(workspace, "d")
        first, _ = timed(lambda: history.rename(history.state(contents, base, run="a"), 3, "cat"))
        everything, _ = timed(
            lambda: (
                history.label(history.state(contents, base, run="a"), np.arange(N), "thing"),
                history.state(contents, base, run="a"),
            )
        )
        print(f"empty history: rename of 1,000 images {first:.3f} s; label of all {N:,} images {everything:.3f} s")
        fill(history, contents, rng)
        exact, busy = timed(lambda: LabelHistory(workspace, "d").state(contents, base, run="a"))
        foreign, _ = timed(lambda: LabelHistory(workspace, "d").state(contents, base, run="b"))
        events = history.events()
        slow, _ = timed(lambda: plain(LabelHistory(workspace, "d").events(), contents, base), 1)
        print(f"replay of {EVENTS:,} events over {N:,} images, log read from disk: {exact:.3f} s on the same run ")
        print(f"  ({busy:.3f} s of processor time), {foreign:.3f} s on another; dictionaries {slow:.3f} s")
        print(f"  ({slow / exact:.1f} x)")
        history.state(contents, base, run="a")

        def action() -> LabelState:
            history.rename(history.state(contents, base, run="a"), 3, "owl")
            return history.state(contents, base, run="a")

        def back() -> LabelState:
            history.undo()
            return history.state(contents, base, run="a")

        did, _ = timed(action)
        undid, _ = timed(back)
        print(f"after {len(events):,} events: rename until the new state {did:.3f} s; undo {undid:.3f} s")
        megabytes = Path(workspace.catalog).stat().st_size / 2**20
        print(f"catalog {megabytes:.0f} MiB")


if __name__ == "__main__":
    main()
