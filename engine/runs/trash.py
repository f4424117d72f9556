"""The library's trash: what a person deletes lies there whole and can be put back.

On disk it is the folder `bin` of the library.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from engine.core.workspace import Workspace
from engine.runs.run import Run, new_folder, open_run, runs_in

_DELETED = re.compile(r"_\d{19}$")  # nanoseconds since 1970, behind the folder's name


def _trash_folder(workspace: Workspace) -> Path:
    return workspace.library / "bin"


def trash_run(workspace: Workspace, run: Run) -> Path:
    """Move the run into the trash and return where it lies now."""
    _trash_folder(workspace).mkdir(parents=True, exist_ok=True)
    target = _trash_folder(workspace) / f"{run.folder.name}_{time.time_ns()}"
    shutil.move(run.folder, target)
    return target


def trashed_runs(workspace: Workspace, dataset: str | None = None) -> list[Run]:
    """Return the finished runs in the trash, the one deleted last first."""
    return sorted(
        runs_in(_trash_folder(workspace), dataset), key=lambda run: run.folder.name.rpartition("_")[2], reverse=True
    )


def restore_run(workspace: Workspace, run: Run) -> Run:
    """Put a run of the trash back among the others, under its old name while that is free."""
    target = new_folder(workspace.runs, _DELETED.sub("", run.folder.name))
    target.rmdir()
    shutil.move(run.folder, target)
    return open_run(target)
