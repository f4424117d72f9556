"""Labels as JSON: {"format": 1, "images": [{column: value}, ...]}, null where a value is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from engine.core.csv import DECIMALS
from engine.core.files import replace_file
from engine.core.progress import SILENT, Progress
from engine.export.settings import ExportSettings
from engine.labels.table import LabelTable

FORMAT = 1


def write(
    path: Path,
    table: LabelTable,
    settings: ExportSettings,
    vectors: NDArray[Any] | None = None,
    progress: Progress = SILENT,
) -> None:
    """Write the table, atomically, one image a line."""
    columns = {name: _plain(values) for name, values in table.columns().items()}

    def lines(file: IO[bytes]) -> None:
        file.write(b'{"format": %d, "images": [' % FORMAT)
        for at, row in enumerate(zip(*columns.values(), strict=True)):
            text = json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False, allow_nan=False)
            file.write((",\n" if at else "\n").encode() + text.encode("utf-8", "backslashreplace"))
        file.write(b"\n]}\n")

    replace_file(path, lines)


def _plain(values: Any) -> list[Any]:  # noqa: ANN401 - a column
    """Return a column as JSON values, floats rounded as in the CSV."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return [None if value != value else round(value, DECIMALS) for value in values.astype(float).tolist()]
    plain: list[Any] = values.tolist() if isinstance(values, np.ndarray) else values
    return plain
