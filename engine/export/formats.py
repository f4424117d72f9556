"""Other tools' formats: ImageFolder, YOLO classification, Hugging Face, FiftyOne, COCO classification, Label Studio.

Each builds a `Plan` of images and label files; `engine.export.folders.write_plan` carries it out. `FORMATS` is what
pages and the command line offer; adding one is one function and one line.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from engine.core.csv import path_text
from engine.core.errors import InputError
from engine.export.folders import Plan, make_plan, plan_folders
from engine.export.labels import LabelTable
from engine.export.names import Namer, safe_file_name

Splits = list[str] | None
_HUB_SPLITS = {"train": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Format:
    """A folder format as pages and the command line see it."""

    name: str
    title: str
    sentence: str
    plan: Callable[[LabelTable, Splits], Plan]


def image_folder(table: LabelTable, splits: Splits) -> Plan:
    """Plan torchvision's ImageFolder: one folder per class, below one per split where there are splits."""
    return plan_folders(table, splits=splits)


def yolo(table: LabelTable, splits: Splits) -> Plan:
    """Plan YOLO classification: train/, val/ and test/, one folder per class in each.

    Raises
    ------
    InputError
        Without a split: the trainer needs train and val.
    """
    if splits is None or not {"train", "val"} <= set(splits):
        raise InputError("YOLO classification needs a train and a val part.", "Turn on the split.")
    return plan_folders(table, splits=splits)


def hugging_face(table: LabelTable, splits: Splits) -> Plan:
    """Plan a Hugging Face `imagefolder` data set: data/<split>/<file> with one metadata.jsonl per split."""
    places, classes = _flat(table, [f"data/{_HUB_SPLITS[split]}" for split in splits] if splits else "data/train")
    lines: dict[str, list[str]] = {}
    for line, place in places.items():
        folder, name = place.rsplit("/", 1)
        row: dict[str, Any] = {"file_name": name, "label": table.label[line], "cluster": int(table.cluster[line])}
        row["confidence"] = _number(table.confidence[line])
        row["content_id"] = table.contents[line : line + 1].tobytes().hex()
        lines.setdefault(folder, []).append(_json(row))
    files = {f"{folder}/metadata.jsonl": _text("\n".join(rows) + "\n") for folder, rows in lines.items()}
    parts = [
        f"      - split: {folder.rsplit('/', 1)[1]}\n        path: {json.dumps(folder + '/**')}"
        for folder in sorted(lines, key=lambda folder: list(_HUB_SPLITS.values()).index(folder.rsplit("/", 1)[1]))
    ]
    counts = Counter(table.label[line] for line in places)
    listed = "\n".join(f"- {json.dumps(label, ensure_ascii=False)}: {counts[label]:,}" for label in classes)
    files["README.md"] = _text(
        "---\ntask_categories:\n  - image-classification\nconfigs:\n  - config_name: default\n    data_files:\n"
        + "\n".join(parts)
        + f"\n---\n\nLabelled with Kindred: {len(places):,} images.\n\n{listed}\n"
    )
    return make_plan(table, places, files)


def fiftyone(table: LabelTable, splits: Splits) -> Plan:
    """Plan FiftyOneImageClassificationDataset: data/ and labels.json with classes and an index for each file stem."""
    roots = list(splits) if splits else [""] * len(table)
    places, classes = _flat(table, [f"{root}/data".lstrip("/") for root in roots])
    index = {label: at for at, label in enumerate(classes)}
    labels: dict[str, dict[str, int]] = {}
    for line, place in places.items():
        found = labels.setdefault(roots[line], {})
        found[PurePosixPath(place).stem] = index[str(table.label[line])]
    files = {
        f"{root}/labels.json".lstrip("/"): _text(_json({"classes": classes, "labels": found}) + "\n")
        for root, found in labels.items()
    }
    return make_plan(table, places, files)


def coco(table: LabelTable, splits: Splits) -> Plan:
    """Plan COCO classification: images/ and annotations/<split>.json, annotations without boxes."""
    roots = list(splits) if splits else ["all"] * len(table)
    places, classes = _flat(table, "images")
    index = {label: at for at, label in enumerate(classes, start=1)}
    files = {}
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
            size = {"width": int(table.width[line]), "height": int(table.height[line])} if len(table.width) else {}
            found["images"].append({"id": line + 1, "file_name": name, **size})
            found["annotations"].append(
                {
                    "id": line + 1,
                    "image_id": line + 1,
                    "category_id": index[str(table.label[line])],
                    "score": _number(table.confidence[line]),
                }
            )
        files[f"annotations/{root}.json"] = _text(_json(found) + "\n")
    return make_plan(table, places, files)


def label_studio(table: LabelTable, splits: Splits) -> Plan:
    """Plan Label Studio tasks: images/, tasks.json and the labelling interface, images by its local-files route.

    What a person confirmed or locked is an annotation, everything else a prediction with its score.
    """
    places, classes = _flat(table, "images")
    tasks = []
    for line, place in places.items():
        choice = {
            "from_name": "label",
            "to_name": "image",
            "type": "choices",
            "value": {"choices": [table.label[line]]},
        }
        data = {"image": f"/data/local-files/?d={quote(place)}", "path": path_text(table.paths[line])}
        if splits:
            data["split"] = splits[line]
        task: dict[str, Any] = {"id": line + 1, "data": data}
        if table.status[line] in ("confirmed", "locked"):
            task["annotations"] = [{"result": [choice]}]
        else:
            score = _number(table.confidence[line])
            task["predictions"] = [{"model_version": "kindred", "score": score, "result": [choice]}]
        tasks.append(task)
    choices = "\n".join(f"    <Choice value={quoteattr(label)}/>" for label in classes)
    interface = (
        '<View>\n  <Image name="image" value="$image"/>\n  <Choices name="label" toName="image" choice="single">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )
    rows = ",\n".join(_json(task) for task in tasks)
    return make_plan(table, places, {"tasks.json": _text(f"[\n{rows}\n]\n"), "interface.xml": _text(interface)})


_ALL = (
    Format(
        "folders", "Class folders (ImageFolder)", "One folder per label, for torchvision and most tools.", image_folder
    ),
    Format("yolo", "YOLO classification", "train, val and test, one folder per label in each.", yolo),
    Format("huggingface", "Hugging Face data set", "Images and metadata.jsonl, loaded by `imagefolder`.", hugging_face),
    Format("fiftyone", "FiftyOne", "Images and labels.json, for FiftyOneImageClassificationDataset.", fiftyone),
    Format("coco", "COCO classification", "Images and one annotation file per split, without boxes.", coco),
    Format(
        "labelstudio",
        "Label Studio",
        "Images, tasks and the labelling interface; open labels are predictions.",
        label_studio,
    ),
)

FORMATS: dict[str, Format] = {entry.name: entry for entry in _ALL}


def find_format(name: str) -> Format:
    """Return the format called `name`.

    Raises
    ------
    InputError
        Unknown; the known ones are listed.
    """
    if name not in FORMATS:
        raise InputError(f"There is no export format {name!r}.", f"Known: {', '.join(FORMATS)}.")
    return FORMATS[name]


def _flat(table: LabelTable, folder: str | list[str]) -> tuple[dict[int, str], list[str]]:
    """Return a place for each labelled line, all in one folder or each in its own, and the classes in order."""
    namers: dict[str, Namer] = {}
    places = {}
    for line, (path, label) in enumerate(zip(table.paths, table.label, strict=True)):
        if label is not None:
            home = folder if isinstance(folder, str) else folder[line]
            places[line] = f"{home}/{namers.setdefault(home, Namer()).take(safe_file_name(path))}"
    return places, sorted({str(table.label[line]) for line in places})


def _number(value: Any) -> float | None:  # noqa: ANN401 - a NumPy scalar
    """Return a rounded number, None for NaN."""
    return None if value != value else round(float(value), 6)


def _json(value: Any) -> str:  # noqa: ANN401 - JSON is any
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _text(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
