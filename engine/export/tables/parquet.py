"""Labels as Parquet, with the embeddings if wanted: typed columns, nulls where values are missing.

The file reads back in any data frame library, and as `precomputed` vectors (columns `ids`, `vectors`, `labels`).
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.files import replace_file
from engine.core.progress import SILENT, Progress
from engine.export.settings import ExportSettings
from engine.labels.table import LabelTable

ROWS = 50_000
_NAMES = {"content_id": "ids", "label": "labels"}


def write(
    path: Path,
    table: LabelTable,
    settings: ExportSettings,
    vectors: NDArray[Any] | None = None,
    progress: Progress = SILENT,
) -> None:
    """Write the table, atomically and in pieces, so that a million vectors never stand in memory twice.

    Parameters
    ----------
    path : Path
    table : LabelTable
        With vectors the duplicates of an image are left out, because ids must be distinct.
    settings : ExportSettings
        Whether `vectors` are wanted.
    vectors : (n, d) float array, optional
        Rows as in the arrays that the table was made from (`table.rows`).

    Raises
    ------
    InputError
        Vectors are wanted and not here, or are not those of the table.
    StorageError
        Disk full or no permission.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if settings.vectors and vectors is None:
        raise InputError("The embeddings are not here.", "Embed the images first, or export without them.")
    vectors = vectors if settings.vectors else None
    if vectors is not None:
        if len(table) and (table.rows.min() < 0 or table.rows.max() >= len(vectors)):
            raise InputError("These labels do not belong to these vectors.", "Open the run again and export anew.")
        table = table.take(np.sort(np.unique(table.rows, return_index=True)[1]))
    columns = table.columns()
    fields = [pa.field(name, _type(pa, name)) for name in columns]
    if vectors is not None:
        fields = [pa.field(_NAMES.get(field.name, field.name), field.type) for field in fields]
        fields.append(pa.field("vectors", pa.list_(pa.float32(), vectors.shape[1])))
    schema = pa.schema(fields, metadata={"kindred": "1"})

    def pieces(file: IO[bytes]) -> None:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for start in range(0, max(len(table), 1), ROWS):
                part = slice(start, start + ROWS)
                arrays = [_array(pa, values[part], _type(pa, name)) for name, values in columns.items()]
                if vectors is not None:
                    flat = np.ascontiguousarray(vectors[table.rows[part]], np.float32).reshape(-1)
                    arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(flat), vectors.shape[1]))
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                progress.update(min(start + ROWS, len(table)), len(table), phase="Write Parquet", unit="images")

    replace_file(path, pieces)


def _type(pa: Any, name: str) -> Any:  # noqa: ANN401 - pyarrow is imported late
    shares = dict.fromkeys(("label_probability", "cluster_confidence", "audit_bound"), pa.float32())
    return ({"cluster": pa.int32()} | shares).get(name, pa.string())


def _array(pa: Any, values: Any, kind: Any) -> Any:  # noqa: ANN401 - pyarrow is imported late
    """Return a column; NaN becomes null, text that is no UTF-8 gets visible escapes."""
    if isinstance(values, np.ndarray):
        return pa.array(values, kind, mask=np.isnan(values) if values.dtype.kind == "f" else None)
    clean = [text if text is None else text.encode("utf-8", "backslashreplace").decode() for text in values]
    return pa.array(clean, kind)
