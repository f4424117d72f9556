"""Export: take the labels out, as tables or as folders for other tools, with what is known of their quality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components.tiles.face import Tile, tiles
from engine.core.errors import KindredError
from engine.export.export import Prepared, prepare
from engine.export.folders import undo_export
from engine.export.formats import FORMATS, ExportFormat
from engine.export.settings import OPTIONS, ExportSettings
from engine.export.split import near_duplicate_groups
from engine.jobs.job import JobStatus
from engine.jobs.tasks.tables import labelled_files
from engine.labels.table import LabelTable
from pages.export.files import QUALITY, REPORT, quality_file, report_file, table_file
from pages.export.quality import show_quality
from pages.shared import forms
from pages.shared.action_bar import action_bar
from pages.shared.actions import pressed, say
from pages.shared.board import Board, graph_for, open_board
from pages.shared.changed import changed_panel
from pages.shared.downloads import downloads
from pages.shared.frame import first_do, heading
from pages.shared.job_view import job_view
from pages.shared.state import Current, current, escape, show_error
from pages.shared.tasks import newest, start_job
from pages.shared.verdict import verdict_of_run
from pages.shared.words import count

_CHOSEN = "export_format"
_LISTED = 200  # lines of a table that are shown
_TREE = 40  # lines of a tree
_SPLIT = {"train", "val", "test", "near_duplicate", "random_state"}
_REPORT = Tile(
    REPORT, "", "Report", "One page to send: what it is worth, the clusters in pictures, how sure labels are."
)
_QUALITY = Tile(
    QUALITY, "", "Label quality", "One page: for each label who looked, what an audit proves, right and wrong."
)


@st.cache_resource(show_spinner="Reading the labels", max_entries=2)
def _table(_board: Board, version: str, scanned: float | None) -> LabelTable:
    return labelled_files(_board.now.workspace, _board.run, _board.rows)


@st.cache_resource(show_spinner="Planning the export", max_entries=4)
def _prepared(_board: Board, _table: LabelTable, version: str, scanned: float | None, settings: str) -> Prepared:
    """Plan an export once for the labels as they stand; `settings` is their JSON."""
    values = ExportSettings.model_validate_json(settings)
    groups = None
    if values.split:
        graph = graph_for(_board.now, _board.rows)
        groups = near_duplicate_groups(graph, threshold=values.near_duplicate)
    return prepare(_table, values, groups=groups)


def _nothing_labelled(now: Current) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("No image has a label yet; clusters go by their numbers.", width="content")
        if pressed("Name them on Label", icon=":material/label:", type="tertiary"):
            st.switch_page("pages/label/page.py", query_params=now.parameters)


def _choose_format(board: Board) -> str:
    """Draw a card for each format and return the chosen one."""
    names = [name for name, entry in FORMATS.items() if entry.is_table or board.rows.dataset.kind != "vectors"]
    chosen = str(st.session_state.get(_CHOSEN, names[0]))
    chosen = chosen if chosen in (*names, REPORT, QUALITY) else names[0]
    shown = [Tile(name, "", FORMATS[name].title, FORMATS[name].sentence) for name in names]
    clicked = tiles("export_formats", [*shown, _REPORT, _QUALITY], label="Formats", width=212, chosen=chosen)
    if clicked is not None and clicked != chosen:
        st.session_state[_CHOSEN] = clicked
        st.rerun()
    return chosen


def _options(entry: ExportFormat) -> ExportSettings:
    """Draw what can be chosen for a format; the shares of a split only where there is one."""
    unused = set(OPTIONS) - set(entry.options)
    if entry.is_table:
        unused |= _SPLIT | {"split"}
    elif not (entry.needs_split or st.session_state.get("export_split")):
        unused |= _SPLIT
    return forms.draw(ExportSettings, key="export", columns=4, skip={"format"} | unused, values={"format": entry.name})


def _as_table(board: Board, table: LabelTable, entry: ExportFormat) -> None:
    """Draw a table format: its options, its first lines and the link that makes it."""
    settings = _options(entry)
    first = table.take(np.arange(min(_LISTED, len(table))))
    three = st.column_config.NumberColumn(format="%.3g")
    st.dataframe(
        pd.DataFrame(first.columns()),
        hide_index=True,
        width="stretch",
        height=360,
        placeholder="",
        column_config=dict.fromkeys(("label_probability", "cluster_confidence", "audit_bound"), three),
    )
    shown = "All lines are shown." if len(first) == len(table) else f"The first {_LISTED} of {len(table):,} lines."
    with action_bar("export"), _line():
        st.markdown(f"{count(len(table), 'line')}, one for each file. :gray[{shown}]", width="content")
        downloads(board.run.folder.name, [table_file(board, table, entry, settings)])


def _as_report(board: Board) -> None:
    st.markdown(
        f"One HTML file that needs nothing else: {escape(board.run.name)}, its verdict and figures, the typical "
        "images of each cluster with its name, and who said the labels."
    )
    with action_bar("export"), _line():
        st.markdown(f"{count(len(board.state.clusters), 'cluster')} with their pictures", width="content")
        downloads(board.run.folder.name, [report_file(board)])


def _as_quality(board: Board) -> None:
    st.markdown(
        "One HTML file that needs nothing else: for each label how many images have it, how many were looked at one by "
        "one, what audits prove, with examples that were found right and wrong."
    )
    with action_bar("export"), _line():
        named = len({code for code in board.state.codes.tolist() if code >= 0})
        st.markdown(f"{count(named, 'label')} in use", width="content")
        downloads(board.run.folder.name, [quality_file(board)])


def _line() -> Any:  # noqa: ANN401 - a container
    return st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")


def _as_folders(board: Board, table: LabelTable, entry: ExportFormat) -> None:
    """Draw a folder format: its options, the tree with counts, then the folder and the button that writes it."""
    now = board.now
    job = newest(now.workspace, "export", board.rows.dataset, run=str(board.run.folder))
    if job is not None and _is_mended(job):
        job = None
    if job_view(job):
        return
    if job is not None and job.state == "done" and Path(job.result["target"]).is_dir():
        _written(job.result)
    try:
        values = _options(entry)
        prepared = _prepared(board, table, board.version, board.rows.dataset.scanned, values.model_dump_json())
    except KindredError as error:
        show_error(error)
        return
    tree = prepared.tree()
    st.code("\n".join(tree[:_TREE]), language=None)
    for sentence in prepared.notes:
        st.caption(escape(sentence))
    with action_bar("export"), st.container(horizontal=True, vertical_alignment="bottom"):
        target = st.text_input(
            "Into this folder (new or empty); originals are only read",
            key="export_target",
            placeholder="/home/me/labelled",
            width=520,
        )
        asked = pressed("Write", type="primary", icon=":material/drive_file_move:", disabled=not tree)
    if asked and not target.strip():
        st.warning("Name a folder to write into; it is made if needed.", icon=":material/folder:")
    elif asked:
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
    with _line():
        st.success(f"{count(int(result['written']), 'image')} written to {escape(target)}", icon=":material/check:")
        undone = pressed(
            "Undo this export", icon=":material/undo:", help="Removes what was written and not changed since"
        )
    for sentence in result.get("notes", ()):
        st.caption(escape(sentence))
    failed = result.get("failed")
    if failed:
        with st.expander(f"{count(len(failed), 'image')} could not be written"):
            st.dataframe(pd.DataFrame(failed, columns=["file", "reason"]), hide_index=True)
    if undone:
        try:
            report = undo_export(target)
            say(f"{count(report.removed, 'file')} removed.")
        except KindredError as error:
            say(str(error), ":material/error:")
        st.rerun()


def page() -> None:
    """Draw the screen."""
    now = current()
    heading("Export", "")
    board = open_board(now)
    if board is None:
        first_do(
            now, "Cluster the images first; then their labels can be exported.", "pages/cluster/page.py", "Cluster"
        )
        return
    changed_panel(now)
    table = _table(board, board.version, board.rows.dataset.scanned)
    show_quality(table.quality())
    if not table.quality().labelled:
        _nothing_labelled(now)
    verdict_of_run(now, board.run, way=False)
    chosen = _choose_format(board)
    if chosen == REPORT:
        _as_report(board)
    elif chosen == QUALITY:
        _as_quality(board)
    elif FORMATS[chosen].is_table:
        _as_table(board, table, FORMATS[chosen])
    else:
        _as_folders(board, table, FORMATS[chosen])


page()
