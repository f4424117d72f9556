"""The inside of a job's process: take the lock, wait for the device, do the work, write how it ended."""

from __future__ import annotations

import io
import json
import os
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.catalog import made_in
from engine.core.device import device_name
from engine.core.errors import KindredError
from engine.core.files import read_json, save_array, write_json, write_text
from engine.core.workspace import Workspace
from engine.jobs import job as jobs
from engine.jobs.tasks.registry import find_verb

_EVERY = 0.25  # seconds between two progress lines


class FileProgress:
    """A listener that appends to progress.jsonl, at most a few lines a second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file: io.BufferedWriter = (folder / "progress.jsonl").open("ab")
        self.last, self.phase, self.done = 0.0, "", 0.0
        self.score: Any = None  # labels -> dict of scores, set by a verb that has embeddings

    def _append(self, line: dict[str, Any]) -> None:
        self.file.write(json.dumps({"at": time.time()} | line).encode() + b"\n")
        self.file.flush()

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        """Append one line unless one was written a moment ago; the first and last of a phase always count."""
        now, self.done = time.monotonic(), float(done)
        if now - self.last < _EVERY and phase == self.phase and done < total:
            return
        self.last, self.phase = now, phase
        line: dict[str, Any] = {"phase": phase, "done": float(done), "total": float(total), "unit": unit}
        if metrics:
            line["metrics"] = {name: float(value) for name, value in metrics.items() if np.isfinite(value)}
        self._append(line)

    def say(self, sentence: str) -> None:
        """Append a sentence."""
        self._append({"say": sentence})

    def snapshot(self, labels: NDArray[np.int32]) -> None:
        """Keep the newest labels beside the job and append their scores and the step at which they were."""
        save_array(self.folder / "snapshot.npy", np.asarray(labels, dtype=np.int32))
        if self.score is not None and (found := self.score(labels)):
            self._append({"scores": found, "step": self.done})

    def stop_requested(self) -> bool:
        """Return whether the file `stop` lies in the folder."""
        return (self.folder / "stop").exists()


def run_job(folder: Path) -> int:
    """Run the job in `folder` and return the exit status: 0 done, 2 failed with a sentence."""
    workspace = Workspace.open()
    with jobs.holding(folder / "lock", timeout=jobs.SAVING + 5):
        write_text(folder / "pid", str(os.getpid()))
        progress = FileProgress(folder)
        progress.update(0, 1, phase="begin")
        began = time.time()
        try:
            config = read_json(folder / "config.json")
            verb = find_verb(config.get("task", "cluster"))
            request = verb.request.from_config(config).for_job(workspace, folder)
            with made_in(str(config.get("window", ""))), ExitStack() as held:
                if verb.computes:
                    progress.update(0, 1, phase="waiting")
                    held.enter_context(jobs.holding(device_lock(workspace, request.wanted_device), timeout=-1))
                    progress.update(0, 1, phase="starting")
                result = verb.function(workspace, request, progress)
            summary = verb.summary(result)
        except KindredError as error:
            outcome = _failed(error.sentence, error.hint)
        except MemoryError:
            outcome = _failed("The machine ran out of memory.", "Close other programs or take a sample of the images.")
        except Exception as error:  # the last line of defence: the person is told, the detail is kept
            outcome = _failed(
                f"Something unexpected went wrong ({type(error).__name__}).",
                "The technical detail is below; resume to try again.",
            )
        else:
            outcome = {"state": "done", "result": summary}
        write_json(folder / "outcome.json", outcome | {"ended": time.time(), "seconds": time.time() - began})
    return 0 if outcome["state"] == "done" else 2


def device_lock(workspace: Workspace, wanted: str) -> Path:
    """Return the lock file of the device that `wanted` means here: "auto" and "cuda:0" share one.

    Raises
    ------
    InputError
        The device is not on this machine.
    """
    return workspace.locks / f"{device_name(wanted).replace(':', '-')}.lock"


def _failed(sentence: str, hint: str) -> dict[str, Any]:
    return {"state": "failed", "sentence": sentence, "hint": hint, "detail": traceback.format_exc()}


def wait_for_job() -> int:
    """Import what jobs need, then run the one folder named on stdin; end quietly when stdin closes."""
    import faiss  # noqa: F401
    import torch  # noqa: F401

    line = sys.stdin.buffer.readline().rstrip(b"\n")
    return run_job(Path(os.fsdecode(line))) if line else 0
