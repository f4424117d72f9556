"""A Hugging Face data set of the kind `imagefolder`."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from engine.export.folders import Plan, Splits, make_plan
from engine.export.layout import encoded, flat_places, json_line, provenance
from engine.export.settings import ExportSettings
from engine.labels.table import LabelTable

_HUB_SPLITS = {"train": "train", "val": "validation", "test": "test"}


def plan(table: LabelTable, splits: Splits, settings: ExportSettings) -> Plan:
    """Plan a Hugging Face `imagefolder` data set: data/<split>/<file> with one metadata.jsonl per split."""
    places, classes = flat_places(table, [f"data/{_HUB_SPLITS[split]}" for split in splits] if splits else "data/train")
    lines: dict[str, list[str]] = {}
    for line, place in places.items():
        folder, name = place.rsplit("/", 1)
        row: dict[str, Any] = {"file_name": name, "label": table.label[line], "cluster": int(table.cluster[line])}
        row |= provenance(table, line)
        row["content_id"] = table.contents[line : line + 1].tobytes().hex()
        lines.setdefault(folder, []).append(json_line(row))
    files = {f"{folder}/metadata.jsonl": encoded("\n".join(rows) + "\n") for folder, rows in lines.items()}
    parts = [
        f"      - split: {folder.rsplit('/', 1)[1]}\n        path: {json.dumps(folder + '/**')}"
        for folder in sorted(lines, key=lambda folder: list(_HUB_SPLITS.values()).index(folder.rsplit("/", 1)[1]))
    ]
    counts = Counter(table.label[line] for line in places)
    listed = "\n".join(f"- {json.dumps(label, ensure_ascii=False)}: {counts[label]:,}" for label in classes)
    quality = " ".join(table.quality(list(places)).sentences())
    files["README.md"] = encoded(
        "---\ntask_categories:\n  - image-classification\nconfigs:\n  - config_name: default\n    data_files:\n"
        + "\n".join(parts)
        + f"\n---\n\nLabelled with Kindred. {quality}\n\n{listed}\n"
    )
    return make_plan(table, places, files)
