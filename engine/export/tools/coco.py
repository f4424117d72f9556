"""COCO classification: one annotation for each image, whose box is the whole image."""

from __future__ import annotations

from typing import Any

from engine.export.folders import Plan, Splits, make_plan
from engine.export.layout import CLASSES, class_list, encoded, flat_places, json_line, provenance
from engine.export.settings import ExportSettings
from engine.labels.table import LabelTable


def plan(table: LabelTable, splits: Splits, settings: ExportSettings) -> Plan:
    """Plan COCO classification: images/ and annotations/<split>.json, whose categories are numbered from 1.

    Each annotation has the area and the box of the whole image, as readers of COCO want them.
    """
    roots = list(splits) if splits else ["all"] * len(table)
    places, classes = flat_places(table, "images")
    index = {label: at for at, label in enumerate(classes, start=1)}
    known = provenance(table)
    files = {CLASSES: class_list(table, places, classes, splits=splits, first=1)}
    for root in sorted({roots[line] for line in places}):
        lines = [line for line in places if roots[line] == root]
        found: dict[str, Any] = {
            "info": {"description": "Labelled with Kindred", "version": "1"},
            "licenses": [],
            "categories": [{"id": at, "name": label, "supercategory": ""} for label, at in index.items()],
            "images": [],
            "annotations": [],
        }
        for line in lines:
            name = places[line].removeprefix("images/")
            width, height = (int(table.width[line]), int(table.height[line])) if len(table.width) else (0, 0)
            found["images"].append({"id": line + 1, "file_name": name, "width": width, "height": height})
            found["annotations"].append(
                {
                    "id": line + 1,
                    "image_id": line + 1,
                    "category_id": index[str(table.label[line])],
                    "bbox": [0, 0, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                    **known[line],
                }
            )
        files[f"annotations/{root}.json"] = encoded(json_line(found) + "\n")
    return make_plan(table, places, files)
