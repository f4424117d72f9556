"""What other tools' formats share: places for images beside each other, the class list, values for label files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from engine.core.csv import csv_bytes, path_text
from engine.core.ids import to_hex
from engine.export.names import Namer, safe_file_name
from engine.labels.table import LabelTable

CLASSES = "classes.csv"


def flat_places(table: LabelTable, folder: str | list[str]) -> tuple[dict[int, str], list[str]]:
    """Return a place for each labelled line, all in one folder or each in its own, and the classes in order."""
    namers: dict[str, Namer] = {}
    places = {}
    for line, (path, label) in enumerate(zip(table.paths, table.label, strict=True)):
        if label is not None:
            home = folder if isinstance(folder, str) else folder[line]
            places[line] = f"{home}/{namers.setdefault(home, Namer()).take(safe_file_name(path))}"
    return places, sorted({str(table.label[line]) for line in places})


def class_list(
    table: LabelTable,
    places: Mapping[int, str],
    classes: Sequence[str],
    *,
    splits: Sequence[str] | None = None,
    first: int = 0,
    folders: Mapping[str, str] | None = None,
) -> bytes:
    """Return classes.csv: the number of each class, its label, its folder, and how many images each part has of it.

    Parameters
    ----------
    table : LabelTable
    places : mapping of line to place
        What is exported.
    classes : sequence of str
        The labels in the order that the format numbers them.
    splits : sequence of str, optional
        The part of each line of the table.
    first : int
        The number of the first class.
    folders : mapping of label to folder, optional
        Where each class has a folder of its own.
    """
    columns: dict[str, Any] = {"number": list(range(first, first + len(classes))), "label": list(classes)}
    if folders is not None:
        columns["folder"] = [folders[label] for label in classes]
    count = Counter(table.label[line] for line in places)
    columns["images"] = [count[label] for label in classes]
    if splits is not None:
        each = Counter((table.label[line], splits[line]) for line in places)
        there = {splits[line] for line in places}
        for part in ("train", "val", "test"):
            if part in there:
                columns[part] = [each[label, part] for label in classes]
    return csv_bytes(columns)


def number(value: Any) -> float | None:  # noqa: ANN401 - a NumPy scalar
    """Return a rounded number, None for NaN."""
    return None if value != value else round(float(value), 6)


def provenance(table: LabelTable) -> list[dict[str, Any]]:
    """Return what Kindred knows of each line and its label, each under its own name, so that it can be read again."""
    columns: dict[str, list[Any]] = {
        "path": [path_text(path) for path in table.paths],
        "content_id": to_hex(table.contents),
        "cluster_name": table.cluster_name,
        "status": table.status,
        "label_source": table.source,
        "label_probability": [number(value) for value in table.label_probability.tolist()],
        "cluster_confidence": [number(value) for value in table.cluster_confidence.tolist()],
        "audit_bound": [number(value) for value in table.audit_bound.tolist()],
    }
    names = tuple(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def json_line(value: Any) -> str:  # noqa: ANN401 - JSON is any
    """Return JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def encoded(text: str) -> bytes:
    """Return text as UTF-8; what has no encoding becomes a visible escape."""
    return text.encode("utf-8", "backslashreplace")
