"""The files that are made when their link is pressed: the tables and the report."""

from __future__ import annotations

from collections.abc import Callable

from engine.core.ids import to_bytes
from engine.export.export import export, prepare
from engine.export.formats import ExportFormat
from engine.export.report import write_report
from engine.export.settings import ExportSettings
from engine.export.taken import note_export
from engine.geometry.projection import ProjectionSettings
from engine.images.thumbnails import thumbnail
from engine.jobs.tasks.audits import QualityReportRequest, report_quality
from engine.labels.table import LabelTable
from engine.runs.judge import kept_verdict
from pages.shared.board import Board, map_points
from pages.shared.downloads import Download

REPORT, QUALITY = "report", "quality"


def table_file(board: Board, table: LabelTable, entry: ExportFormat, settings: ExportSettings) -> Download:
    """Return the download of a table; it is noted as taken when it is made."""
    labels = board.state.version

    def make() -> bytes:
        target = board.now.workspace.cache / "exports" / f"{board.rows.dataset.id}{entry.files}"
        target.parent.mkdir(parents=True, exist_ok=True)
        export(prepare(table, settings), target, vectors=lambda: board.rows.vectors)
        data = target.read_bytes()
        note_export(board.run.folder, entry.name, labels=labels)
        return data

    suffix = "-vectors" if settings.vectors else ""
    name = f"{board.rows.dataset.id}{suffix}{entry.files}"
    return Download(f"Download {entry.title}", name, make, primary=True)


def report_file(board: Board) -> Download:
    """Return the download of the report."""
    return Download("Download the report", f"{board.rows.dataset.id}.html", _report(board), primary=True)


def _report(board: Board) -> Callable[[], bytes]:
    xy, _, _ = map_points(board.now, board.rows, ProjectionSettings())

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
            xy=xy,
            facts={name.replace("_", " "): value for name, value in found.items() if value is not None},
            verdict="" if verdict is None else verdict.line,
        )
        return target.read_bytes()

    return make


def quality_file(board: Board) -> Download:
    """Return the download of the label quality report."""

    def make() -> bytes:
        target = board.now.workspace.cache / "exports" / f"{board.rows.dataset.id}-quality.html"
        request = QualityReportRequest(run=str(board.run.folder), output=str(target))
        return report_quality(board.now.workspace, request).read_bytes()

    return Download("Download the report", f"{board.rows.dataset.id}-label-quality.html", make, primary=True)
