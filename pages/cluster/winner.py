"""The clustering that the page is about: what a sweep found best, or the one in use, with its clusters large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine.clustering.registry import method_title
from engine.core.errors import KindredError
from engine.core.ids import positions
from engine.geometry.prototypes import Prototypes, prototypes
from engine.jobs.tasks.boards import KeepRankRequest, keep_rank
from engine.runs.rows import Rows
from engine.runs.run import Run
from engine.selection.sweep.ranking import LeaderboardRow
from engine.selection.sweep.report import SUMMARY, SweepResult
from pages.cluster.groups import group_tiles
from pages.cluster.kept_runs import manage
from pages.shared.actions import pressed
from pages.shared.board import open_board
from pages.shared.frame import next_step
from pages.shared.pictures import strip
from pages.shared.run_names import names_of_runs
from pages.shared.state import Current, choose, escape, show_error
from pages.shared.verdict import say_verdict, verdict_of_run
from pages.shared.words import count

_TABLE_AT_ONCE = 20_000  # images whose labels.csv is written while the person waits; Export makes it for more
_EXPLORE = "pages/explore/page.py"


@st.cache_resource(show_spinner="Looking for typical images", max_entries=4)
def _prototypes(_rows: Rows, _labels: NDArray[np.int32], folder: str, rank: int, key: str) -> Prototypes:
    return prototypes(_rows.vectors, _labels)


@st.cache_resource(show_spinner=False, max_entries=4)
def _labels_on(
    _rows: Rows, _result: SweepResult, _row: LeaderboardRow, folder: str, rank: int, key: str
) -> NDArray[np.int32]:
    """Return the labels of a rank on today's rows, (n,); -1 for images that were not swept."""
    labels, path = _result.labels(_row), _result.folder / "contents.npy"
    if not path.exists():
        return labels if len(labels) == len(_rows) else np.full(len(_rows), -1, np.int32)
    at = positions(np.load(path, allow_pickle=False), _rows.contents)
    return np.append(labels, np.int32(-1))[at].astype(np.int32)


def found_best(now: Current, rows: Rows, result: SweepResult) -> None:
    """Draw the first rank of a sweep that nobody has used yet; its button keeps it."""
    row = result.ranked[0]
    name = f"{method_title(row.algorithm)}, {count(row.n_clusters, 'cluster')}"
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"##### Found: {escape(name)}", width="content")
        used = pressed("Use these clusters", key="use_rank", type="primary", icon=":material/check:")
    if result.verdict is not None:
        names = ("evidence", "silhouette", "stability", "agreement", "largest_share", "noise_share")
        figures = {name: getattr(row, name) for name in names}
        say_verdict(now, result.verdict, figures, way=result.verdict.word == "weak")
    _reasons(result)
    written = (result.folder / SUMMARY).stat().st_mtime_ns  # a sweep that goes on ranks anew in the same folder
    about = (f"{result.folder}-{written}", row.rank, rows.embedding.key)
    labels = _labels_on(rows, result, row, *about)
    found = _prototypes(rows, labels, *about)
    clicked = group_tiles(f"found_{result.folder.name}", rows, labels, found, hint="Use these clusters and look at it.")
    if rows.dataset.kind != "vectors":
        _watched(rows, row)
    if used or clicked is not None:
        run = use_rank(now, result, row)
        if run is not None:
            cluster = {} if clicked is None else {"cluster": str(clicked)}
            st.switch_page(_EXPLORE, query_params=now.parameters | {"run": run.folder.name} | cluster)


def in_use(now: Current) -> None:
    """Draw the clustering that the other pages work on."""
    run, board = now.run, open_board(now)
    if run is None or board is None:
        return
    labels = board.state.cluster
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.markdown(f"##### {escape(names_of_runs(now.runs)[run.folder.name])}", width="content")
            manage(now, run)
        if (labels >= 0).any():
            next_step(now, _EXPLORE, "Explore")
    verdict_of_run(now, run)
    for sentence in run.results.get("notes", []):
        st.caption(escape(sentence))
    if not (labels >= 0).any():
        st.info("Every image is noise: this method put none into a cluster. Try another method or other settings.")
        return
    clicked = group_tiles(
        f"used_{run.folder.name}",
        board.rows,
        labels,
        board.prototypes,
        title_of=board.state.title,
        hint="Look at it on Explore.",
    )
    if clicked is not None:
        st.switch_page(_EXPLORE, query_params=now.parameters | {"cluster": str(clicked)})


def kept_as(now: Current, board: Path, rank: int) -> Run | None:
    """Return the run that a rank of a board was kept as; None where it was not, or is deleted."""
    for run in now.runs:
        source = run.config.get("labels_from")
        if isinstance(source, dict) and source.get("board") == str(board) and source.get("rank") == rank:
            return run
    return None


def use_rank(now: Current, result: SweepResult, row: LeaderboardRow) -> Run | None:
    """Choose a ranked clustering, kept as a run exactly as it is shown; None where that was refused, which is said."""
    run = kept_as(now, result.folder, row.rank)
    if run is None:
        try:
            small = int(result.summary["n_images"]) <= _TABLE_AT_ONCE
            with st.spinner("Keeping these clusters"):
                request = KeepRankRequest(board=str(result.folder), rank=row.rank, table=small)
                run = keep_rank(now.workspace, request)
        except KindredError as error:
            show_error(error)
            return None
    choose(run=run.folder.name)
    return run


def _reasons(result: SweepResult) -> None:
    """Say why the first rank won, and whether the number of clusters is clear."""
    told = list(result.why)
    if result.other_number is not None:
        told.append(
            f"No clear number of groups: {result.ranked[0].n_clusters:,} and {result.other_number:,} clusters are "
            "nearly as well supported. If you know about how many there are, say so under Settings."
        )
    if result.left_out:
        told.append(f"There was no time for {count(result.left_out, 'candidate')}; with more time they are tried, too.")
    if told:
        st.caption(escape(" ".join(told)))


def _watched(rows: Rows, row: LeaderboardRow) -> None:
    """Show in what company the watched images are."""
    for found in row.target or ():
        st.caption(
            f"A watched image among the {found['size']:,} of cluster {found['cluster']}, with its nearest there"
            if found["cluster"] >= 0
            else "A watched image that is noise in this clustering"
        )
        strip(rows.ids[[found["row"], *found["nearest"]]], size=56)
