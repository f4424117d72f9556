"""A process that has imported everything and forks one child for each thing to do, so that a kill costs no imports.

It reads one JSON order a line on stdin and answers with one on stdout. An order may say when the child dies by SIGKILL:
after so many seconds, or just before its n-th change to the file system (a file opened for writing, renamed, removed).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = (
    *("faiss", "skimage.color", "skimage.feature", "sklearn.cluster", "sklearn.linear_model", "sklearn.metrics"),
    *("torch._dynamo", "engine.clustering.deep.temi.estimator", "engine.clustering.kmeans", "engine.export.export"),
    *("engine.embeddings.encoders.descriptor", "engine.selection.sweep.runner", "engine.images.scan"),
    *(f"engine.jobs.tasks.{name}" for name in ("clustering", "data", "imports", "results", "selection", "upkeep")),
    "tests.faults.activities",
)
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}


def main() -> None:
    """Answer orders until stdin ends."""
    for name in MODULES:
        import_module(name)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_carry_out(json.loads(line))) + "\n")
        sys.stdout.flush()


def _carry_out(order: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        _child(order, writing)
    os.close(writing)
    return _watch(order, child, reading)


def _watch(order: dict[str, Any], child: int, reading: int) -> dict[str, Any]:
    """Read what the child says until it ends; kill it when its time has come."""
    begun, deadline, said, killed = 0.0, time.monotonic() + 120, b"", False
    while True:
        seconds = order.get("seconds")
        due = begun + seconds if begun and seconds is not None and not killed else deadline
        ready, _, _ = select.select([reading], [], [], max(0.0, due - time.monotonic()))
        if ready:
            part = os.read(reading, 65536)
            if not part:
                break
            if not said:
                begun = time.monotonic()
            said += part
            if killed and not order["group"]:
                break  # what it has started holds the pipe as well
        elif not killed:
            killed = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL) if order["group"] else os.kill(child, signal.SIGKILL)
        else:
            break
    seconds = time.monotonic() - begun
    _, status = os.waitpid(child, 0)
    if order["group"]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    os.close(reading)
    lines = [json.loads(line) for line in said.splitlines(keepends=True) if line.endswith(b"\n")]
    answer: dict[str, Any] = {"killed": os.WIFSIGNALED(status), "seconds": seconds, "told": 0, "changes": 0}
    for line in lines:
        answer |= line
    return answer


def _child(order: dict[str, Any], writing: int) -> None:
    """Do one thing, tell it, and end without a word to anyone else."""
    from tests.faults.activities import ACTIVITIES, prepare

    def say(**what: Any) -> None:
        os.write(writing, json.dumps(what).encode() + b"\n")

    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    try:
        place = Path(order["place"])
        if order["what"] == "prepare":
            say(begun=True)
            prepare(place)
        else:
            activity = ACTIVITIES[order["activity"]](place)
            if order["what"] == "run":
                say(begun=True)
                count = _count_changes(order.get("change"))
                activity.run(lambda told: say(told=told))
                say(changes=count[0])
            elif order["what"] == "kept":
                say(kept=activity.kept())
            else:
                say(outcome=activity.outcome())
    except BaseException:
        say(error=traceback.format_exc())
    finally:
        os._exit(0)


def _count_changes(last: int | None) -> list[int]:
    """Count the changes to the file system from now on; die just before the one numbered `last`."""
    count = [0]

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            changes = isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        else:
            changes = event in CHANGES
        if changes:
            count[0] += 1
            if count[0] == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    return count


if __name__ == "__main__":
    main()
