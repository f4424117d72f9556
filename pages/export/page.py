"""Export: take the labels out, as tables or as folders for other tools, with what is known of their quality."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from engine.core.errors import KindredError
from engine.core.ids import to_bytes
from engine.export.export import export, prepare
from engine.export.folders import undo_export
from engine.export.formats import FORMATS, ExportFormat
from engine.export.report import write_report
from engine.export.settings import OPTIONS, ExportSettings
from engine.export.split import near_duplicate_groups
from engine.export.taken import note_export
from engine.images.thumbnails import thumbnail
from engine.jobs.job import JobStatus
from engine.jobs.tasks.tables import labelled_files
from engine.labels.table import LabelTable
from engine.runs.judge import kept_verdict
from pages.shared import forms
from pages.shared.actions import pressed, say
from pages.shared.board import Board, graph_for, open_board
from pages.shared.changed import changed_panel
from pages.shared.downloads import Download, downloads
from pages.shared.frame import first_do, heading
from pages.shared.job_view import job_view
from pages.shared.state import current, escape, show_error
from pages.shared.tasks import newest, start_job
from pages.shared.verdict import verdict_of_run
from pages.shared.words import count


@st.cache_resource(show_spinner="Reading the labels", max_entries=2)
def _table(_board: Board, version: str, scanned: float | None) -> LabelTable:
    return labelled_files(_board.now.workspace, _board.run, _board.rows)


def _file(board: Board, table: LabelTable, entry: ExportFormat, *, vectors: bool) -> Callable[[], bytes]:
    """Return a function that makes one table file when its link is pressed."""
    labels = board.state.version

    def make() -> bytes:
        target = board.now.workspace.cache / "exports" / f"{board.rows.dataset.id}{entry.files}"
        target.parent.mkdir(parents=True, exist_ok=True)
        chosen = ExportSettings(format=entry.name, vectors=vectors)
        export(prepare(table, chosen), target, vectors=lambda: board.rows.vectors)
        data = target.read_bytes()
        note_export(board.run.folder, entry.name, labels=labels)
        return data

    return make


def _report(board: Board) -> Callable[[], bytes]:
    def make() -> bytes:
        target = board.now.workspace.cache / "exports" / f"{board.rows.dataset.id}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        ids = dict(zip(to_bytes(board.rows.contents), board.rows.ids.tolist(), strict=True))
        found, verdict = board.run.results["train"], kept_verdict(board.run)
        write_report(
            target,
            board.state,
            title=f"{board.rows.dataset.name}: {board.run.name}",
            paths=board.rows.paths,
            thumbnail=lambda content: thumbnail(board.now.workspace, ids.get(content, 0)),
            typicality=board.prototypes.typicality,
            facts={name.replace("_", " "): value for name, value in found.items() if value is not None},
            verdict="" if verdict is None else verdict.line,
        )
        return target.read_bytes()

    return make


def _downloads(board: Board, table: LabelTable) -> None:
    name = board.rows.dataset.id
    tables = [entry for entry in FORMATS.values() if entry.is_table]
    files: list[Download] = []
    for entry in tables:
        for vectors in (False, True)[: 1 + ("vectors" in entry.options)]:
            title, suffix = (f"{entry.title} with vectors", "-vectors") if vectors else (entry.title, "")
            make = _file(board, table, entry, vectors=vectors)
            files.append(Download(title, f"{name}{suffix}{entry.files}", make, primary=not files))
    downloads(board.run.folder.name, [*files, Download("Report", f"{name}.html", _report(board))])


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
        unused = set(OPTIONS) - set(FORMATS[chosen].options)
        if not st.session_state.get("export_split"):
            unused |= {"train", "val", "test", "near_duplicate", "random_state"}
        values = forms.draw(
            ExportSettings,
            key="export",
            columns=3,
            skip={"format"} | unused,
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
    changed_panel(now)
    table = _table(board, board.version, board.rows.dataset.scanned)
    labelled = sum(label is not None for label in table.label)
    st.markdown(
        f"**{count(len(table), 'file')}** in {count(len(board.state.clusters), 'cluster')}, "
        f"**{labelled:,}** with a label. :gray[{escape(board.run.name)}]"
    )
    st.caption(" ".join(table.quality().sentences()))
    verdict_of_run(now, board.run)
    _downloads(board, table)
    first = table.take(np.arange(min(200, len(table))))
    three = st.column_config.NumberColumn(format="%.3g")
    st.dataframe(
        pd.DataFrame(first.columns()),
        hide_index=True,
        width="stretch",
        height=300,
        placeholder="",
        column_config=dict.fromkeys(("label_probability", "cluster_confidence", "audit_bound"), three),
    )
    if board.rows.dataset.kind != "vectors":
        _folders(board, table)


page()
