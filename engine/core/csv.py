"""The one CSV writer of the project, and the reader that gives back what was written.

RFC 4180 with CRLF, UTF-8, a header line. Text that a spreadsheet would run as a formula gets an apostrophe in front;
numbers stay numbers; file names that are not UTF-8 are written with visible escapes and can be read back to bytes.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError, StorageError
from engine.core.files import replace_file

Column = Sequence[Any] | NDArray[Any]
DECIMALS = 6
_FORMULA = "=+-@\t\r\n＝＋－＠"
_WRITTEN = re.compile(f"'+[{re.escape(_FORMULA)}]")
_NEEDS = re.compile(f"'*[{re.escape(_FORMULA)}]")
_FIRST = frozenset(_FORMULA + "'")
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def safe_cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: an apostrophe in front where it would."""
    return f"'{text}" if _NEEDS.match(text) else text


def restore_cell(text: str) -> str:
    """Return what `safe_cell` was given."""
    return text[1:] if _WRITTEN.match(text) else text


def path_text(path: bytes) -> str:
    r"""Return a file name as text; bytes that are not UTF-8 become \xNN, and then a backslash \x5c."""
    text = path.decode("utf-8", "surrogateescape")
    if "\\x" not in text and text.isprintable():
        return text
    strange = any("\udc80" <= letter <= "\udcff" for letter in text)
    if not strange and not _ESCAPE.search(text):
        return text
    return "".join(
        f"\\x{ord(letter) - 0xDC00:02x}" if "\udc80" <= letter <= "\udcff" else "\\x5c" if letter == "\\" else letter
        for letter in text
    )


def path_bytes(text: str) -> bytes:
    """Return the file name that `path_text` was given."""
    escaped = _ESCAPE.sub(lambda found: chr(0xDC00 + int(found[1], 16)) if int(found[1], 16) > 127 else "\\", text)
    return escaped.encode("utf-8", "surrogateescape")


def write_csv(path: Path, columns: Mapping[str, Column], *, bom: bool = False) -> None:
    """Write columns of equal length as a CSV file, atomically.

    Parameters
    ----------
    path : Path
        The file; replaced whole or not at all.
    columns : mapping of name to values
        Text is made formula-safe, bytes are file names, None and NaN are empty cells, floats are
        rounded to six decimals.
    bom : bool
        Begin with a byte-order mark, by which Excel knows UTF-8.

    Raises
    ------
    InputError
        Columns of different lengths.
    StorageError
        Disk full or no permission.
    """
    replace_file(path, _writer(columns, bom=bom))


def csv_bytes(columns: Mapping[str, Column]) -> bytes:
    """Return what `write_csv` would write."""
    file = io.BytesIO()
    _writer(columns)(file)
    return file.getvalue()


def _writer(columns: Mapping[str, Column], *, bom: bool = False) -> Callable[[IO[bytes]], None]:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"The columns have different lengths: {lengths}.")

    def write(file: IO[bytes]) -> None:
        if bom:
            file.write(codecs.BOM_UTF8)
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=False)
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow([safe_cell(name) for name in columns])
        writer.writerows(zip(*(cells(values) for values in columns.values()), strict=True))
        text.flush()
        text.detach()

    return write


def cells(values: Column) -> list[Any]:
    """Return a column's cells as the writer takes them: safe text, plain numbers, "" for what is missing."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iub":
        plain: list[Any] = values.tolist()
        return plain
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        rounded = np.round(values.astype(np.float64), DECIMALS)
        numbers: list[Any] = rounded.tolist()
        missing = ~np.isfinite(rounded)
        if missing.any():
            for row in np.flatnonzero(missing).tolist():
                numbers[row] = ""
        return numbers
    return _texts(values.tolist() if isinstance(values, np.ndarray) else values)


def _texts(values: Sequence[Any]) -> list[Any]:
    return [
        (value if value[:1] not in _FIRST else safe_cell(value)) if type(value) is str else _cell(value)
        for value in values
    ]


def _cell(value: Any) -> Any:  # noqa: ANN401 - any value has a cell
    if value is None:
        return ""
    if isinstance(value, bytes):
        return safe_cell(path_text(value))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, DECIMALS) if np.isfinite(value) else ""
    return value if isinstance(value, (int, bool)) else safe_cell(str(value))


def read_csv(path: Path, *, required: Sequence[str] = ()) -> dict[str, list[str]]:
    """Read a CSV file with a header line into columns of text, apostrophes of `safe_cell` removed.

    Parameters
    ----------
    path : Path
        UTF-8, with or without a byte-order mark; CRLF or LF.
    required : sequence of str
        Columns that must be there.

    Raises
    ------
    StorageError
        Missing or unreadable.
    InputError
        Not UTF-8, no header, a repeated or missing column, a line with too many or too few cells (named by number).
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 text.", "Save it as CSV UTF-8.") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [restore_cell(name) for name in next(reader, [])]
        missing = [name for name in required if name not in header]
        if not header or missing:
            raise InputError(f"{path.name} lacks the column {', '.join(missing) or 'names'}.")
        if len(set(header)) < len(header):
            raise InputError(f"{path.name} has two columns of the same name.")
        rows = []
        for row in reader:
            if row and len(row) != len(header):
                raise InputError(f"{path.name}, line {reader.line_num}: {len(row)} cells instead of {len(header)}.")
            if row:
                rows.append(row)
    except csv.Error as error:
        raise InputError(f"{path.name}, line {reader.line_num}: {error}.", "Its quotes do not match.") from error
    columns = zip(*rows, strict=True) if rows else ([] for _ in header)
    return {name: [restore_cell(cell) for cell in column] for name, column in zip(header, columns, strict=True)}
