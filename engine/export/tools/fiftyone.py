"""FiftyOne's FiftyOneImageClassificationDataset."""

from __future__ import annotations

from pathlib import PurePosixPath

from engine.export.folders import Plan, Splits, make_plan
from engine.export.layout import CLASSES, class_list, encoded, flat_places, json_line
from engine.export.settings import ExportSettings
from engine.labels.table import LabelTable


def plan(table: LabelTable, splits: Splits, settings: ExportSettings) -> Plan:
    """Plan FiftyOneImageClassificationDataset: data/ and labels.json with classes and an index for each file stem."""
    roots = list(splits) if splits else [""] * len(table)
    places, classes = flat_places(table, [f"{root}/data".lstrip("/") for root in roots])
    index = {label: at for at, label in enumerate(classes)}
    labels: dict[str, dict[str, int]] = {}
    for line, place in places.items():
        found = labels.setdefault(roots[line], {})
        found[PurePosixPath(place).stem] = index[str(table.label[line])]
    files = {
        f"{root}/labels.json".lstrip("/"): encoded(json_line({"classes": classes, "labels": found}) + "\n")
        for root, found in labels.items()
    }
    files[CLASSES] = class_list(table, places, classes, splits=splits)
    return make_plan(table, places, files)
