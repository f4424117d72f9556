"""Label Studio tasks, to go on labelling there."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from engine.export.folders import Plan, Splits, make_plan
from engine.export.layout import CLASSES, class_list, encoded, flat_places, json_line, provenance
from engine.export.settings import ExportSettings
from engine.labels.state import BY_YOU, NO_LABEL, SOURCE_NAMES
from engine.labels.table import LabelTable


def plan(table: LabelTable, splits: Splits, settings: ExportSettings) -> Plan:
    """Plan Label Studio tasks: images/, tasks.json and the labelling interface, images by its local-files route.

    What a person labelled is an annotation, everything else a prediction; accepted guesses with their probability.
    """
    places, classes = flat_places(table, "images")
    known = provenance(table)
    tasks = []
    for line, place in places.items():
        choice = {
            "from_name": "label",
            "to_name": "image",
            "type": "choices",
            "value": {"choices": [table.label[line]]},
        }
        data: dict[str, Any] = {
            "image": f"/data/local-files/?d={quote(place)}",
            **known[line],
        }
        if splits:
            data["split"] = splits[line]
        task: dict[str, Any] = {"id": line + 1, "data": data}
        chance = known[line]["label_probability"]
        if table.source[line] == SOURCE_NAMES[BY_YOU]:
            task["annotations"] = [{"result": [choice]}]
        else:
            score = {} if chance is None else {"score": chance}
            said_by = table.source[line] if table.source[line] != SOURCE_NAMES[NO_LABEL] else "cluster"
            version = f"kindred: {said_by}"
            task["predictions"] = [{"model_version": version, **score, "result": [choice]}]
        tasks.append(task)
    choices = "\n".join(f"    <Choice value={quoteattr(label)}/>" for label in classes)
    interface = (
        '<View>\n  <Image name="image" value="$image"/>\n  <Choices name="label" toName="image" choice="single">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )
    rows = ",\n".join(json_line(task) for task in tasks)
    files = {"tasks.json": encoded(f"[\n{rows}\n]\n"), "interface.xml": encoded(interface)}
    files[CLASSES] = class_list(table, places, classes, splits=splits)
    return make_plan(table, places, files)
