"""Why are these clusters: what measures of the files explain them, at once where that is quick, else by a job."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine.core.workspace import Workspace
from engine.evaluation.explanation import Explanation
from engine.runs.explained import clusters_name, explain_rows, explained_quickly, kept_explanation
from engine.runs.rows import Rows
from engine.runs.run import Run
from pages.shared.board import Board
from pages.shared.tasks import newest, start_job


@st.cache_resource(show_spinner=False, max_entries=6)
def _explained(_workspace: Workspace, _rows: Rows, _clusters: NDArray[np.int32], name: str) -> Explanation:
    return explain_rows(_workspace, _rows, _clusters)


@st.cache_resource(show_spinner=False, max_entries=16)
def _quick(_workspace: Workspace, _rows: Rows, name: str, n_clusters: int) -> bool:
    return explained_quickly(_workspace, _rows, n_clusters)


def explanation_of(workspace: Workspace, run: Run, rows: Rows, clusters: NDArray[np.int32]) -> Explanation | None:
    """Return what explains clusters (n,) of the rows; None where a job is finding it out."""
    about = f"{rows.embedding.key}-{rows.dataset.scanned}"
    if _quick(workspace, rows, about, int(clusters.max(initial=-1)) + 1):
        return _explained(workspace, rows, clusters, f"{about}-{clusters_name(clusters)}")
    found = kept_explanation(run, clusters)
    if found is None:
        wanted = {"run": str(run.folder), "clusters": clusters_name(clusters)}
        if newest(workspace, "explain", rows.dataset, **wanted) is None:
            start_job(workspace, "explain", "What explains the clusters", rows.dataset, **wanted)
    return found


def badges_of(board: Board) -> dict[int, str]:
    """Return for each cluster of a board what explains it in words; only those that something explains."""
    found = explanation_of(board.now.workspace, board.run, board.rows, board.state.cluster)
    told = {} if found is None else {cluster: found.badge(cluster) for cluster in found.clusters}
    return {cluster: words for cluster, words in told.items() if words}
