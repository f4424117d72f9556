"""The images of a run that is looked at, which need not be the run in use, nor lie in the library."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.core.errors import InputError, KindredError
from engine.core.workspace import Workspace
from engine.runs.rows import Rows, rows_of_run
from engine.runs.run import Run, open_run
from pages.shared.board import rows_of
from pages.shared.state import Current


def open_finished(folder: Path) -> Run:
    """Open a run anywhere by its folder.

    Raises
    ------
    InputError, StorageError
        No run, an unfinished one, or one that cannot be read.
    """
    run = open_run(folder.expanduser())
    if not run.finished:
        raise InputError(f"{folder} holds a run without results.", "Resume it, or choose a finished one.")
    return run


@st.cache_resource(show_spinner="Reading the embeddings", max_entries=1)
def _elsewhere(_workspace: Workspace, _run: Run, folder: str, version: float) -> Rows:
    return rows_of_run(_workspace, _run)


def rows_for(now: Current, run: Run) -> Rows | None:
    """Return the rows a run was made on; None where its images or embeddings are not in this workspace."""
    key = run.config.get("embedding", {}).get("config_key")
    if now.dataset is not None and run.dataset == now.dataset.id:
        for configuration in now.configurations:
            if configuration.key == key and configuration.have:
                return rows_of(now, configuration)
    try:
        return _elsewhere(now.workspace, run, str(run.folder), version_of(run))
    except KindredError:
        return None


def version_of(run: Run) -> float:
    """Return what changes when the run is made again."""
    return (run.folder / "predictions.npz").stat().st_mtime
