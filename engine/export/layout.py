"""What other tools' formats share: places for images beside each other, and values as their label files take them."""

from __future__ import annotations

import json
from typing import Any

from engine.export.names import Namer, safe_file_name
from engine.labels.table import LabelTable


def flat_places(table: LabelTable, folder: str | list[str]) -> tuple[dict[int, str], list[str]]:
    """Return a place for each labelled line, all in one folder or each in its own, and the classes in order."""
    namers: dict[str, Namer] = {}
    places = {}
    for line, (path, label) in enumerate(zip(table.paths, table.label, strict=True)):
        if label is not None:
            home = folder if isinstance(folder, str) else folder[line]
            places[line] = f"{home}/{namers.setdefault(home, Namer()).take(safe_file_name(path))}"
    return places, sorted({str(table.label[line]) for line in places})


def number(value: Any) -> float | None:  # noqa: ANN401 - a NumPy scalar
    """Return a rounded number, None for NaN."""
    return None if value != value else round(float(value), 6)


def provenance(table: LabelTable, line: int) -> dict[str, Any]:
    """Return who said the label of a line and what is known of it, each under its own name."""
    return {
        "label_source": table.source[line],
        "label_probability": number(table.label_probability[line]),
        "cluster_confidence": number(table.cluster_confidence[line]),
        "audit_bound": number(table.audit_bound[line]),
    }


def json_line(value: Any) -> str:  # noqa: ANN401 - JSON is any
    """Return JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def encoded(text: str) -> bytes:
    """Return text as UTF-8; what has no encoding becomes a visible escape."""
    return text.encode("utf-8", "backslashreplace")
