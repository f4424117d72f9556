"""Labels in JSON: COCO, Label Studio, FiftyOne, Kindred's own, and plain records or mappings."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from engine.core.csv import path_bytes
from engine.core.errors import InputError, StorageError
from engine.labels.importing.file import LabelFile, content_of, numbers, text_path
from engine.labels.importing.settings import ImportSettings
from engine.labels.importing.tables import read_columns

_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")
LINES = (".jsonl", ".ndjson")
_PROVENANCE = ("label_source", "label_probability", "audit_bound")


def read_document(path: Path, settings: ImportSettings) -> LabelFile:
    """Read a JSON or JSON Lines file; numbers stay the text that stands there.

    Raises
    ------
    StorageError
        It cannot be read.
    InputError
        It is no JSON, or none of the known shapes.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 text.", "Save it as UTF-8.") from error
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        found = [_parsed(line) for line in lines] if path.suffix.casefold() in LINES else _parsed(text)
    except json.JSONDecodeError as error:
        found = _each(lines) if len(lines) > 1 else None
        if found is None:
            raise InputError(
                f"{path.name} is no JSON: line {error.lineno} cannot be read.", "Export it again."
            ) from error
    except RecursionError as error:
        raise InputError(f"{path.name} is nested too deeply to be a file of labels.") from error
    return read_value(found, settings, name=path.name)


def _each(lines: Sequence[str]) -> list[Any] | None:
    """Return the value of each line; None where one is no JSON."""
    try:
        return [_parsed(line) for line in lines]
    except json.JSONDecodeError:
        return None


def _parsed(text: str) -> Any:  # noqa: ANN401 - JSON is any
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=lambda name: None)


def read_value(found: Any, settings: ImportSettings, *, name: str) -> LabelFile:  # noqa: ANN401 - JSON is any
    """Read parsed JSON whose numbers are text.

    Raises
    ------
    InputError
        It is none of the known shapes.
    """
    if isinstance(found, dict):
        if isinstance(found.get("annotations"), list) and isinstance(found.get("categories"), list):
            return read_coco(found)
        if isinstance(found.get("classes"), list) and isinstance(found.get("labels"), dict):
            return read_fiftyone(found)
        if isinstance(found.get("images"), list):
            found = found["images"]
        elif "data" in found and ("annotations" in found or "predictions" in found):
            found = [found]
    if isinstance(found, list) and found and all(isinstance(item, dict) for item in found):
        if any(isinstance(item.get("data"), dict) for item in found):
            return read_label_studio(found, settings)
        names = list(dict.fromkeys(key for item in found for key in item))
        columns = {str(key): [_cell(item.get(key)) for item in found] for key in names}
        return by_annotator(read_columns(columns, settings, title="JSON", name=name))
    if isinstance(found, dict) and found:
        return _mapping(found, settings, name)
    raise InputError(
        f"{name} holds no labels that Kindred can read.",
        "It reads lists of objects, mappings of path to label, COCO and Label Studio.",
    )


def _mapping(found: dict[str, Any], settings: ImportSettings, name: str) -> LabelFile:
    """Read {path: label}, or columns as data frames write them: {name: [cells]} or {name: {row: cell}}."""
    if all(isinstance(value, list) for value in found.values()):
        columns = {key: [_cell(cell) for cell in value] for key, value in found.items()}
        if len({len(value) for value in columns.values()}) > 1:
            raise InputError(f"{name} has columns of different lengths.")
        return read_columns(columns, settings, title="JSON", name=name)
    if all(isinstance(value, dict) for value in found.values()):
        rows = list(dict.fromkeys(row for value in found.values() for row in value))
        columns = {key: [_cell(value.get(row)) for row in rows] for key, value in found.items()}
        return read_columns(columns, settings, title="JSON", name=name)
    pairs = [(text_path(key), _one(value)) for key, value in found.items()]
    problems = [(path.decode("utf-8", "replace"), reason) for path, (_, reason) in pairs if reason]
    return LabelFile("JSON", [path for path, _ in pairs], [label for _, (label, _) in pairs], problems=problems)


def _cell(value: Any) -> Any:  # noqa: ANN401 - JSON is any
    """Return a cell; a list of one choice is that choice."""
    label, reason = _one(value)
    return value if reason and not isinstance(value, dict | list) else label if not reason else json.dumps(value)


def _one(value: Any) -> tuple[str | None, str]:  # noqa: ANN401 - JSON is any
    """Return the one label that a value says, or None and the reason why it says none."""
    if isinstance(value, dict) and "choices" in value:
        value = value["choices"]
    if isinstance(value, list):
        distinct = list(dict.fromkeys(str(item) for item in value if item is not None))
        if len(distinct) > 1:
            return None, f"It has {len(distinct)} labels ({', '.join(distinct[:3])}); Kindred keeps one for an image."
        value = distinct[0] if distinct else None
    if isinstance(value, dict):
        return None, "Its label is no text."
    if value is None or value == "":
        return None, ""
    return (str(value).lower() if isinstance(value, bool) else str(value)), ""


def _with_provenance(found: LabelFile, entries: Sequence[dict[str, Any]]) -> LabelFile:
    """Add what Kindred wrote beside each label, where it did."""
    if any("label_source" in entry for entry in entries):
        found.title += " of Kindred"
        found.sources = [str(entry.get("label_source") or "none") for entry in entries]
        found.labels = [
            label if source != "none" else None for label, source in zip(found.labels, found.sources, strict=True)
        ]
        found.statuses = [str(entry.get("status") or "") for entry in entries]
        if any(entry.get("cluster_name") for entry in entries):
            found.cluster_names = [entry.get("cluster_name") for entry in entries]
        found.probability = numbers([entry.get("label_probability") for entry in entries])
        found.bound = numbers([entry.get("audit_bound") for entry in entries])
    return found


def read_coco(document: dict[str, Any]) -> LabelFile:
    """Read COCO: the category of an image's annotations, where all have the same one."""
    names = {str(item.get("id")): item.get("name") for item in document["categories"] if isinstance(item, dict)}
    images = [item for item in document.get("images", []) if isinstance(item, dict)]
    given: dict[str, list[dict[str, Any]]] = {}
    for annotation in document["annotations"]:
        if isinstance(annotation, dict):
            given.setdefault(str(annotation.get("image_id")), []).append(annotation)
    paths, labels, contents, entries, problems = [], [], [], [], []
    for image in images:
        mine = given.get(str(image.get("id")), [])
        label, reason = _one([names.get(str(one.get("category_id"))) for one in mine])
        entry = mine[0] if mine and "label_source" in mine[0] else {}
        path = str(entry.get("path") or image.get("file_name") or "")
        if reason:
            problems.append((path, reason))
        paths.append(path_bytes(path) if "path" in entry else text_path(path))
        labels.append(label)
        contents.append(content_of(entry.get("content_id")))
        entries.append(entry)
    found = LabelFile("COCO", paths, labels, contents if any(contents) else [], problems=problems)
    return _with_provenance(found, entries)


def read_fiftyone(document: dict[str, Any]) -> LabelFile:
    """Read FiftyOneImageClassificationDataset's labels.json: file stems and class numbers."""
    classes = [str(name) for name in document["classes"]]

    def label(value: Any) -> str | None:  # noqa: ANN401 - a number as text, or a name
        text, _ = _one(value.get("label") if isinstance(value, dict) else value)
        if text is not None and text.isdecimal() and int(text) < len(classes):
            return classes[int(text)]
        return text

    stems = [str(stem) for stem in document["labels"]]
    return LabelFile("FiftyOne", [text_path(stem) for stem in stems], [label(v) for v in document["labels"].values()])


def read_label_studio(tasks: Sequence[dict[str, Any]], settings: ImportSettings) -> LabelFile:
    """Read Label Studio's tasks: what its annotators chose, by majority where they are several.

    Predictions count only as suggestions, for tasks that nobody annotated. Tasks that Kindred exported and nobody
    touched since keep who gave each label.
    """
    paths, labels, contents, entries, problems, scores = [], [], [], [], [], []
    majority = predicted = 0
    for task in tasks:
        data = task.get("data") if isinstance(task.get("data"), dict) else {}
        assert isinstance(data, dict)
        path, as_written = _image_of(data)
        annotations = [one for one in task.get("annotations") or [] if isinstance(one, dict)]
        votes = [_choices(one) for one in annotations if not one.get("was_cancelled")]
        label, reason, by_majority = _agreed([vote for vote in votes if vote])
        ours = "label_source" in data and not any("id" in one or "completed_by" in one for one in annotations)
        score = None
        if label is None and not reason and (settings.how == "suggestions" or ours):
            label, score = _predicted(task)
        elif label is None and not reason and _predicted(task)[0] is not None:
            predicted += 1
        majority += by_majority
        if reason:
            problems.append((path.decode("utf-8", "replace"), reason))
        paths.append(path if as_written else _without_upload(path))
        labels.append(label)
        scores.append(score)
        contents.append(content_of(data.get("content_id")))
        known = {name: data.get(name) for name in (*_PROVENANCE, "status", "cluster_name")}
        entries.append(known if ours else {"label_source": "imported" if label else "none"})
    found = LabelFile("Label Studio", paths, labels, contents if any(contents) else [], problems=problems)
    if any(score is not None for score in scores):
        found.probability = numbers(scores)
    if majority:
        found.notes.append(
            f"Of {majority:,} {'task' if majority == 1 else 'tasks'} not all annotators chose the label taken."
        )
    if predicted:
        found.notes.append(f"Predictions alone: {predicted:,}. Import as suggestions to take these.")
    return (
        _with_provenance(found, entries) if any("label_source" in (task.get("data") or {}) for task in tasks) else found
    )


def _choices(annotation: dict[str, Any]) -> list[str]:
    """Return what one annotator chose for an image."""
    chosen: list[str] = []
    for result in annotation.get("result") or []:
        value = result.get("value") if isinstance(result, dict) else None
        if isinstance(value, dict):
            for kind in ("choices", "labels", "rectanglelabels", "taxonomy"):
                chosen += [str(one[-1] if isinstance(one, list) and one else one) for one in value.get(kind) or []]
    return list(dict.fromkeys(chosen))


def _agreed(votes: Iterable[list[str]]) -> tuple[str | None, str, bool]:
    """Return the label of several annotators, the reason why there is none, and whether it is only most of them's."""
    each = list(votes)
    if not each:
        return None, "", False
    singles = [vote[0] for vote in each if len(vote) == 1]
    if len(singles) < len(each):
        several = next(vote for vote in each if len(vote) > 1)
        return None, f"It has {len(several)} labels ({', '.join(several[:3])}); Kindred keeps one for an image.", False
    (label, count), *others = Counter(singles).most_common()
    if 2 * count > len(singles):
        return label, "", bool(others)
    return None, f"Its annotators disagree: {', '.join(name for name, _ in [(label, count), *others][:4])}.", False


def _predicted(task: dict[str, Any]) -> tuple[str | None, Any]:
    """Return the label of a task's last prediction and its score."""
    for prediction in reversed(task.get("predictions") or []):
        chosen = _choices(prediction) if isinstance(prediction, dict) else []
        if len(chosen) == 1:
            return chosen[0], prediction.get("score")
    return None, None


def _image_of(data: dict[str, Any]) -> tuple[bytes, bool]:
    """Return the path of a task's image, and whether Kindred wrote it."""
    if isinstance(data.get("path"), str) and "label_source" in data:
        return path_bytes(data["path"]), True
    texts = [(key, value) for key, value in data.items() if isinstance(value, str) and value]
    likely = [value for key, value in texts if key.casefold() in ("image", "img", "picture", "photo", "url", "path")]
    return text_path(local_path(likely[0] if likely else texts[0][1])) if texts else b"", False


def local_path(address: str) -> str:
    """Return the path inside an address: of a local file, an upload, a bucket or a web page."""
    parts = urlsplit(address)
    if "d" in parse_qs(parts.query):
        return parse_qs(parts.query)["d"][0]
    if parts.scheme in ("http", "https", "s3", "gs", "file", "azure-blob") or address.startswith("/data/"):
        return unquote(parts.path).lstrip("/")
    return address


def _without_upload(path: bytes) -> bytes:
    """Return a path without the eight digits that Label Studio puts before the name of an uploaded file."""
    folder, slash, name = path.decode("utf-8", "surrogateescape").rpartition("/")
    if "upload" not in folder.split("/"):
        return path
    return _UPLOADED.sub("", name).encode("utf-8", "surrogateescape")


def by_annotator(found: LabelFile) -> LabelFile:
    """Join the lines of several annotators of the same image into one, where the file says who annotated."""
    texts = [json.loads(label) if label and label[:1] in "{[" and _is_json(label) else label for label in found.labels]
    said = [_one(text) for text in texts]
    found.labels = [label for label, _ in said]
    found.problems += [
        (path.decode("utf-8", "replace"), reason) for path, (_, reason) in zip(found.paths, said, strict=True) if reason
    ]
    if not {"annotator", "annotation_id"} & found.columns or found.sources:
        return found
    votes: dict[bytes, list[list[str]]] = {}
    for path, label in zip(found.paths, found.labels, strict=True):
        votes.setdefault(path, []).extend([[label]] if label else [])
    agreed = {path: _agreed(mine) for path, mine in votes.items()}
    paths = [_without_upload(text_path(local_path(path.decode("utf-8", "surrogateescape")))) for path in agreed]
    joined = LabelFile(found.title, paths, [label for label, _, _ in agreed.values()], notes=found.notes)
    joined.problems = found.problems + [
        (path.decode("utf-8", "replace"), reason) for path, (_, reason, _) in agreed.items() if reason
    ]
    return joined


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
