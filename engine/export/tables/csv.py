"""Labels as CSV: path, content_id, cluster, label, who said it and how sure it is, each in a column of its own.

The columns are those of `LabelTable.columns`; truth and split come last, where they are known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from engine.core.csv import write_csv
from engine.core.progress import SILENT, Progress
from engine.export.settings import ExportSettings
from engine.labels.table import LabelTable


def write(
    path: Path,
    table: LabelTable,
    settings: ExportSettings,
    vectors: NDArray[Any] | None = None,
    progress: Progress = SILENT,
) -> None:
    """Write the table, atomically."""
    write_csv(path, table.columns(), bom=settings.bom)
