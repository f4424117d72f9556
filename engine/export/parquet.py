"""Labels as Parquet, with the embeddings if wanted: typed columns, nulls where values are missing.

The file reads back here, in any data frame library, and as `precomputed` vectors (columns `ids`, `vectors`, `labels`).
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from engine.core.csv import path_bytes
from engine.core.errors import InputError, StorageError
from engine.core.files import replace_file
from engine.core.ids import from_hex
from engine.core.progress import SILENT, Progress
from engine.export.labels import LabelTable

ROWS = 50_000
_NAMES = {"content_id": "ids", "label": "labels"}


def write_parquet(
    path: Path, table: LabelTable, *, vectors: NDArray[Any] | None = None, progress: Progress = SILENT
) -> None:
    """Write the table, atomically and in pieces, so that a million vectors never stand in memory twice.

    Parameters
    ----------
    path : Path
    table : LabelTable
        With vectors the duplicates of an image are left out, because ids must be distinct.
    vectors : (n, d) float array, optional
        Rows as in the arrays that the table was made from (`table.rows`).

    Raises
    ------
    InputError
        The table does not know its rows.
    StorageError
        Disk full or no permission.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if vectors is not None:
        if len(table) and (table.rows.min() < 0 or table.rows.max() >= len(vectors)):
            raise InputError("These labels do not belong to these vectors.")
        table = table.take(np.sort(np.unique(table.rows, return_index=True)[1]))
    columns = table.columns()
    fields = [pa.field(name, _type(pa, name)) for name in columns]
    if vectors is not None:
        fields = [pa.field(_NAMES.get(field.name, field.name), field.type) for field in fields]
        fields.append(pa.field("vectors", pa.list_(pa.float32(), vectors.shape[1])))
    schema = pa.schema(fields, metadata={"kindred": "1"})

    def write(file: IO[bytes]) -> None:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for start in range(0, max(len(table), 1), ROWS):
                part = slice(start, start + ROWS)
                arrays = [_array(pa, values[part], _type(pa, name)) for name, values in columns.items()]
                if vectors is not None:
                    flat = np.ascontiguousarray(vectors[table.rows[part]], np.float32).reshape(-1)
                    arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(flat), vectors.shape[1]))
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                progress.update(min(start + ROWS, len(table)), len(table), phase="Write Parquet", unit="images")

    replace_file(path, write)


def read_parquet(path: Path) -> tuple[LabelTable, NDArray[np.float32] | None]:
    """Read back what `write_parquet` wrote; `rows` and `ids` are -1.

    Raises
    ------
    StorageError
        Missing or damaged.
    InputError
        A Parquet file of something else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"{path} is not a readable Parquet file.") from error
    back = {new: old for old, new in _NAMES.items()}
    columns = {back.get(name, name): found.column(name) for name in found.column_names}
    missing = [name for name in ("path", "content_id", "cluster", "label") if name not in columns]
    if missing:
        raise InputError(f"{path.name} lacks the column {', '.join(missing)}.", "It was not exported by Kindred.")
    n = found.num_rows
    texts = {name: column.to_pylist() for name, column in columns.items() if name != "vectors"}
    vectors = None
    if "vectors" in columns:
        flat = columns["vectors"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors = flat.reshape(n, columns["vectors"].type.list_size).astype(np.float32)
    nothing = [None] * n
    return LabelTable(
        paths=[path_bytes(text) for text in texts["path"]],
        contents=from_hex(texts["content_id"]),
        rows=np.full(n, -1),
        ids=np.full(n, -1),
        cluster=np.array(texts["cluster"], np.int32),
        label=texts["label"],
        confidence=np.array(texts.get("confidence", nothing), np.float32),
        status=[text or "" for text in texts.get("status", nothing)],
        audit_bound=np.array(texts.get("audit_bound", nothing), np.float32),
        truth=texts.get("truth", nothing),
        split=[text or "" for text in texts.get("split", nothing)],
    ), vectors


def _type(pa: Any, name: str) -> Any:  # noqa: ANN401 - pyarrow is imported late
    numbers = {"cluster": pa.int32(), "confidence": pa.float32(), "audit_bound": pa.float32()}
    return numbers.get(name, pa.string())


def _array(pa: Any, values: Any, kind: Any) -> Any:  # noqa: ANN401 - pyarrow is imported late
    """Return a column; NaN becomes null, text that is no UTF-8 gets visible escapes."""
    if isinstance(values, np.ndarray):
        return pa.array(values, kind, mask=np.isnan(values) if values.dtype.kind == "f" else None)
    clean = [text if text is None else text.encode("utf-8", "backslashreplace").decode() for text in values]
    return pa.array(clean, kind)
