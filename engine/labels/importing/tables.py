"""Labels in rows and columns: CSV of any dialect, Parquet, records of JSON, and Kindred's own tables.

Columns are found by their names, or named by the settings. What stands in a cell is text: "007", "NA" and "1e5" are
labels like any other.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.csv import path_bytes, restore_cell
from engine.core.errors import InputError, StorageError
from engine.labels.importing.file import LabelFile, content_of, numbers, text_path
from engine.labels.importing.settings import ImportSettings

PATHS = (
    *("path", "file_path", "filepath", "image_path", "imagepath", "file_name", "filename", "file", "image", "img"),
    *("image_name", "name", "image_file", "relative_path", "uri", "url", "photo", "picture", "image_id", "id"),
)
LABELS = (
    *("label", "labels", "class", "class_name", "classname", "category", "category_name", "choice", "annotation"),
    *("tag", "species", "target", "truth", "ground_truth", "y"),
)
IDS = ("content_id", "ids")
CHANCES = ("label_probability", "probability", "confidence", "score", "label_confidence")
_DELIMITERS = ",;\t|"
IMAGE_NAME = re.compile(r"\.(jpe?g|png|webp|bmp|gif|tiff?|heic|avif|jp2|jxl|ppm|tga|dng|mpo)$", re.IGNORECASE)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
Columns = Mapping[str, Sequence[Any]]


def read_delimited(path: Path, settings: ImportSettings) -> LabelFile:
    """Read a CSV file, whatever its delimiter, quotes, encoding and line ends.

    Raises
    ------
    StorageError
        It cannot be read.
    InputError
        No column of names or labels is found, the encoding is another, its quotes do not match.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from error
    text, notes = _decoded(data, settings.encoding, path.name)
    delimiter = {"\\t": "\t", "tab": "\t"}.get(settings.delimiter, settings.delimiter) or _sniffed(text)
    if len(delimiter) != 1:
        raise InputError(f"{settings.delimiter!r} is no delimiter.", "Give one character, such as ; or tab.")
    csv.field_size_limit(10_000_000)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [row for row in reader if any(row)]
    except csv.Error as error:
        raise InputError(f"{path.name}, line {reader.line_num}: {error}.", "Its quotes do not match.") from error
    if not rows:
        raise InputError(f"{path.name} is empty.")
    header = [name.strip() for name in rows[0]]
    if IMAGE_NAME.search(header[0]) or any(IMAGE_NAME.search(cell) for cell in header[:3]):
        width = max(len(row) for row in rows[:100])
        header, rows = [f"column {at + 1}" for at in range(width)], [[], *rows]
        notes.append("The file has no line of column names.")
        settings = _without_names(header, rows, settings)
    short = sum(len(row) < len(header) for row in rows[1:])
    if short:
        notes.append(f"{short:,} lines have too few cells.")
    columns = {name: [row[at] if at < len(row) else "" for row in rows[1:]] for at, name in enumerate(header) if name}
    return read_columns(columns, settings, title="CSV", name=path.name, notes=notes)


def read_parquet(path: Path, settings: ImportSettings) -> LabelFile:
    """Read a Parquet file of labels; columns of vectors are left where they are.

    Raises
    ------
    InputError
        It is no Parquet file, or has no column of names or labels.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        plain = [field.name for field in file.schema_arrow if not pa.types.is_nested(field.type)]
        table = file.read(columns=plain)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path.name} is no readable Parquet file.", "Write it again.") from error
    found = {}
    for name in plain:
        column = table[name]
        found[name] = (column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column).to_pylist()
    return read_columns(found, settings, title="Parquet", name=path.name)


def read_columns(
    columns: Columns, settings: ImportSettings, *, title: str, name: str, notes: Sequence[str] = ()
) -> LabelFile:
    """Read columns of cells, as text, numbers or None.

    Parameters
    ----------
    columns : mapping of str to sequence
        Of equal length.
    settings : ImportSettings
        The columns that a person named.
    title, name : str
        The kind of file, and what it is called.
    notes : sequence of str
        What reading it has shown.

    Raises
    ------
    InputError
        No column of labels, or none by which images are found.
    """
    ours = "label_source" in columns and any(one in columns for one in IDS)
    label_column = _chosen("label", settings.label_column, LABELS, columns, name)
    path_column = _chosen("path", settings.path_column, PATHS, columns, name, taken={label_column, *IDS}, needed=False)
    id_column = _chosen("id", settings.id_column, IDS, columns, name, needed=False)
    if not path_column and not id_column:
        raise InputError(
            f"{name} has no column by which images are found; its columns are {_listed(columns)}.",
            "Name it: --path-column NAME.",
        )
    chance = _chosen("confidence", settings.confidence_column, CHANCES, columns, name, needed=False)
    n = len(columns[label_column])
    cell = restore_cell if ours and title == "CSV" else str
    labels = [_text(value, cell) for value in columns[label_column]]
    as_bytes = path_bytes if ours else text_path
    paths = [as_bytes(_text(value, cell) or "") for value in columns[path_column]] if path_column else [b""] * n
    found = LabelFile(title, paths, labels, notes=list(notes), columns=set(columns))
    if id_column:
        found.contents = [content_of(value) for value in columns[id_column]]
        if id_column in IDS and not any(found.contents):
            found.contents = []
    if chance:
        found.probability = numbers(columns[chance])
    if ours:
        found.title = f"{title} of Kindred"
        found.sources = [str(value or "none") for value in columns["label_source"]]
        found.statuses = [str(value or "") for value in columns.get("status", [""] * n)]
        found.bound = numbers(columns.get("audit_bound", [None] * n))
        found.cluster_names = [_text(value, cell) for value in columns.get("cluster_name", ())]
    return found


def _text(value: object, cell: Any) -> str | None:  # noqa: ANN401 - a function of text
    """Return a cell as the text that was written; None where it is empty."""
    if value is None or value == "" or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text: str = cell(value if isinstance(value, str) else str(value))
    return text or None


def _chosen(
    what: str,
    given: str,
    known: Sequence[str],
    columns: Columns,
    name: str,
    *,
    taken: set[str] | None = None,
    needed: bool = True,
) -> str:
    """Return the column that a person named, else the first of the known names that is there; "" for none."""
    if given:
        if given not in columns:
            raise InputError(f"{name} has no column {given!r}; its columns are {_listed(columns)}.")
        return given
    plain = {_plain(column): column for column in reversed(list(columns))}
    for one in known:
        column = plain.get(one)
        if column is not None and column not in (taken or ()):
            return column
    if needed:
        raise InputError(
            f"{name} has no column called {' or '.join(known[:3])}; its columns are {_listed(columns)}.",
            f"Name it: --{what}-column NAME.",
        )
    return ""


def _plain(column: str) -> str:
    return re.sub(r"[\s\-]+", "_", column.strip().casefold())


def _listed(columns: Columns) -> str:
    names = [repr(name if len(name) <= 40 else f"{name[:39]}\u2026") for name in columns]
    return ", ".join(names[:12]) + (f" and {len(names) - 12:,} more" if len(names) > 12 else "")


def _without_names(header: list[str], rows: list[list[str]], settings: ImportSettings) -> ImportSettings:
    """Return the settings for a file without column names: the images' column, and the next one as labels."""
    first = rows[1]
    at = next(at for at, cell in enumerate(first) if IMAGE_NAME.search(cell))
    others = [header[other] for other in range(len(header)) if other != at]
    if not others:
        raise InputError("The file names images and says no label.", "Give it a second column.")
    return settings.changed(
        path_column=settings.path_column or header[at], label_column=settings.label_column or others[0]
    )


def _decoded(data: bytes, encoding: str, name: str) -> tuple[str, list[str]]:
    """Return the text of a file: by its byte-order mark, else UTF-8, else Windows-1252, which is said."""
    guessed = encoding or next((found for mark, found in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(guessed)
        return text.replace("\x00", ""), []
    except LookupError as error:
        raise InputError(f"There is no encoding {encoding!r}.", "Such as utf-8, utf-16, cp1252.") from error
    except UnicodeError as error:
        if encoding:
            raise InputError(f"{name} is not {encoding} text.", "Leave --encoding out to have it found.") from error
    told = "The text is not UTF-8 and was read as Windows-1252; name its encoding if letters are wrong."
    return data.decode("cp1252", "replace").replace("\x00", ""), [told]


def _sniffed(text: str) -> str:
    """Return the delimiter that cuts the first lines into the most columns, as many in each."""
    sample = text[:200_000]
    best, most = ",", 0.0
    for delimiter in _DELIMITERS:
        rows = []
        for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
            if any(row):
                rows.append(len(row))
            if len(rows) == 50:
                break
        if rows and rows[0] > 1:
            score = sum(length == rows[0] for length in rows) / len(rows) + rows[0] / 1000
            if score > most:
                best, most = delimiter, score
    return best
