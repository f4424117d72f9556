"""Export: take the labels out, as tables or as folders for other tools, with what is known of their quality."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import streamlit as st

from engine.core.errors import KindredError
from engine.core.ids import to_bytes
from engine.evaluation.verdict import verdict_of
from engine.export.export import export, prepare
from engine.export.folders import undo_export
from engine.export.formats import FORMATS, ExportFormat
from engine.export.report import write_report
from engine.export.settings import OPTIONS, ExportSettings
from engine.export.split import near_duplicate_groups
from engine.images.thumbnails import thumbnail
from engine.jobs.job import JobStatus
from engine.jobs.tasks.tables import labelled_files
from engine.labels.table import LabelTable
from pages.shared import forms
from pages.shared.actions import pressed, say
from pages.shared.board import Board, graph_for, open_board
from pages.shared.frame import first_do, heading
from pages.shared.job_view import job_view
from pages.shared.state import current, escape, show_error
from pages.shared.tasks import newest, start_job
from pages.shared.words import count


@st.cache_resource(show_spinner="Reading the labels", max_entries=2)
def _table(_board: Board, version: str, scanned: float | None) -> LabelTable:
    return labelled_files(_board.now.workspace, _board.run, _board.rows)


def _file(board: Board, table: LabelTable, entry: ExportFormat, *, vectors: bool) -> Callable[[], bytes]:
    """Return a function that makes one table file when its button is pressed."""

    def make() -> bytes:
        target = board.now.workspace.cache / "exports" / f"{board.rows.dataset.id}{entry.files}"
        target.parent.mkdir(parents=True, exist_ok=True)
        chosen = ExportSettings(format=entry.name, vectors=vectors)
        export(prepare(table, chosen), target, vectors=lambda: board.rows.vectors)
        return target.read_bytes()

    return make


def _report(board: Board) -> Callable[[], bytes]:
    def make() -> bytes:
        target = board.now.workspace.cache / "exports" / f"{board.rows.dataset.id}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        ids = dict(zip(to_bytes(board.rows.contents), board.rows.ids.tolist(), strict=True))
        found, verdict = board.run.results["train"], verdict_of(board.run.results)
        write_report(
            target,
            board.state,
            title=f"{board.rows.dataset.name}: {board.run.name}",
            paths=board.rows.paths,
            thumbnail=lambda content: thumbnail(board.now.workspace, ids.get(content, 0)),
            typicality=board.prototypes.typicality,
            facts=({"verdict": verdict.line} if verdict else {})
            | {name.replace("_", " "): value for name, value in found.items() if value is not None},
        )
        return target.read_bytes()

    return make


def _downloads(board: Board, table: LabelTable) -> None:
    name, icon = board.rows.dataset.id, ":material/download:"
    with st.container(horizontal=True):
        tables = [entry for entry in FORMATS.values() if entry.is_table]
        choices = [
            (entry, vectors) for entry in tables for vectors in (False, True)[: 1 + ("vectors" in entry.options)]
        ]
        for entry, vectors in choices:
            title = f"{entry.title} with vectors" if vectors else entry.title
            kind: Literal["primary", "secondary"] = "primary" if entry is tables[0] else "secondary"
            make = _file(board, table, entry, vectors=vectors)
            st.download_button(
                title, make, f"{name}{entry.files}", type=kind, icon=icon, on_click="ignore", key=f"get_{title}"
            )
        st.download_button("Report", _report(board), f"{name}.html", "text/html", icon=icon, on_click="ignore")


def _folders(board: Board, table: LabelTable) -> None:
    """Write images into folders: settings, the tree with counts first, then a job."""
    now = board.now
    st.markdown(
        "##### Images in folders, for other tools", help="Copies or links; originals are never moved or changed"
    )
    job = newest(now.workspace, "export", board.rows.dataset, run=str(board.run.folder))
    if job is not None and _is_mended(job):
        job = None
    if job_view(job):
        return
    if job is not None and job.state == "done" and Path(job.result["target"]).is_dir():
        _written(job.result)
    try:
        folders = [name for name, entry in FORMATS.items() if not entry.is_table]
        chosen = str(st.selectbox("Format", folders, format_func=lambda key: FORMATS[key].title))
        st.caption(FORMATS[chosen].sentence)
        values = forms.draw(
            ExportSettings,
            key="export",
            columns=3,
            skip={"format", *OPTIONS} - set(FORMATS[chosen].options),
            values={"format": chosen},
        )
        groups = (
            near_duplicate_groups(graph_for(now, board.rows), threshold=values.near_duplicate) if values.split else None
        )
        prepared = prepare(table, values, groups=groups)
    except KindredError as error:
        show_error(error)
        return
    st.code("\n".join(prepared.tree()[:40]), language=None)
    for sentence in prepared.notes:
        st.caption(escape(sentence))
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    target = left.text_input("Into this folder (new or empty)", key="export_target", placeholder="/home/me/labelled")
    with right:
        asked = pressed("Write", type="primary", icon=":material/drive_file_move:", width="stretch")
    if asked and target.strip():
        start_job(
            now.workspace,
            "export",
            "Exporting",
            board.rows.dataset,
            run=str(board.run.folder),
            settings=values.model_dump(mode="json"),
            target=str(Path(target.strip()).expanduser()),
        )
        st.rerun()


def _is_mended(job: JobStatus) -> bool:
    """Whether an export failed for a folder that the person has replaced by another one since."""
    target = str(st.session_state.get("export_target") or "").strip()
    return job.state == "failed" and bool(target) and str(Path(target).expanduser()) != job.config.get("target")


def _written(result: dict[str, Any]) -> None:
    target = Path(result["target"])
    st.success(f"{count(int(result['written']), 'image')} written to {escape(target)}", icon=":material/check:")
    failed = result.get("failed")
    if failed:
        with st.expander("Could not be written"):
            st.dataframe(pd.DataFrame(failed, columns=["file", "reason"]), hide_index=True)
    if pressed("Undo this export", icon=":material/undo:", help="Removes what was written and not changed since"):
        try:
            report = undo_export(target)
            say(f"{count(report.removed, 'file')} removed.")
        except KindredError as error:
            say(str(error), ":material/error:")
        st.rerun()


def page() -> None:
    """Draw the screen."""
    now = current()
    heading("Export", "Take your labels with you. Originals are only read.")
    board = open_board(now)
    if board is None:
        first_do(
            now, "Cluster the images first; then their labels can be exported.", "pages/cluster/page.py", "Cluster"
        )
        return
    table = _table(board, board.version, board.rows.dataset.scanned)
    labelled = sum(label is not None for label in table.label)
    st.markdown(
        f"**{count(len(table), 'file')}** in {count(len(board.state.clusters), 'cluster')}, "
        f"**{labelled:,}** with a label. :gray[{escape(board.run.name)}]"
    )
    st.caption(" ".join(table.quality().sentences()))
    if found := verdict_of(board.run.results):
        st.caption(found.line)
    _downloads(board, table)
    first = table.take(np.arange(min(200, len(table))))
    st.dataframe(pd.DataFrame(first.columns()), hide_index=True, width="stretch", height=300, placeholder="")
    if board.rows.dataset.kind != "vectors":
        _folders(board, table)


page()
