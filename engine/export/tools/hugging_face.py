"""A Hugging Face data set of the kind `imagefolder`."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from engine.export.folders import Plan, Splits, make_plan
from engine.export.layout import CLASSES, class_list, encoded, flat_places, json_line, provenance
from engine.export.settings import ExportSettings
from engine.labels.table import LabelTable

_HUB_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_TYPES = {
    "cluster": "int32",
    **dict.fromkeys(("path", "content_id", "cluster_name", "status", "label_source"), "string"),
    **dict.fromkeys(("label_probability", "cluster_confidence", "audit_bound"), "float32"),
}


def plan(table: LabelTable, splits: Splits, settings: ExportSettings) -> Plan:
    """Plan a Hugging Face `imagefolder` data set: data/<split>/<file> with one metadata.jsonl per split.

    The head of README.md says the type of each column, so that `label` is read as a ClassLabel with its names.
    """
    places, classes = flat_places(table, [f"data/{_HUB_SPLITS[split]}" for split in splits] if splits else "data/train")
    lines: dict[str, list[str]] = {}
    known = provenance(table)
    for line, place in places.items():
        folder, name = place.rsplit("/", 1)
        row: dict[str, Any] = {"file_name": name, "label": table.label[line], "cluster": int(table.cluster[line])}
        row |= known[line]
        lines.setdefault(folder, []).append(json_line(row))
    files = {f"{folder}/metadata.jsonl": encoded("\n".join(rows) + "\n") for folder, rows in lines.items()}
    order = list(_HUB_SPLITS.values())
    folders = sorted(lines, key=lambda folder: order.index(folder.rsplit("/", 1)[1]))
    counts = Counter(table.label[line] for line in places)
    listed = "\n".join(f"- {json.dumps(label, ensure_ascii=False)}: {counts[label]:,}" for label in classes)
    quality = " ".join(table.quality(list(places)).sentences())
    files["README.md"] = encoded(f"{_head(folders, classes)}\nLabelled with Kindred. {quality}\n\n{listed}\n")
    files[CLASSES] = class_list(table, places, classes, splits=splits)
    return make_plan(table, places, files)


def _head(folders: list[str], classes: list[str]) -> str:
    """Return the card's head in YAML: where each split lies, and the columns with their types."""
    written = (json.dumps(name, ensure_ascii=False) for name in classes)
    names = "\n".join(f"              '{at}': {name}" for at, name in enumerate(written))
    parts = "\n".join(
        f"      - split: {folder.rsplit('/', 1)[1]}\n        path: {json.dumps(folder + '/**')}" for folder in folders
    )
    others = "\n".join(f"      - name: {name}\n        dtype: {kind}" for name, kind in _TYPES.items())
    return (
        "---\ntask_categories:\n  - image-classification\nconfigs:\n  - config_name: default\n    data_files:\n"
        f"{parts}\n    features:\n      - name: image\n        dtype: image\n      - name: label\n"
        f"        dtype:\n          class_label:\n            names:\n{names}\n{others}\n---\n"
    )
