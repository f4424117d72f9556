"""Reading labels from a path: the kind of file or folder is found by what is in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from engine.core.csv import read_csv
from engine.core.errors import InputError, KindredError
from engine.core.files import content_id
from engine.core.progress import SILENT, Progress
from engine.labels.importing.documents import LINES, by_annotator, read_document
from engine.labels.importing.file import LabelFile
from engine.labels.importing.settings import ImportSettings
from engine.labels.importing.tables import IMAGE_NAME, read_delimited, read_parquet

SPLITS = ("train", "val", "valid", "validation", "test")
LABELS, CLASSES, UNLABELLED = "labels.csv", "classes.csv", "_unlabelled"  # as `engine.export` names them


def read_labels(path: Path, settings: ImportSettings, *, progress: Progress = SILENT) -> LabelFile:
    """Read labels from a file or a folder.

    Parameters
    ----------
    path : Path
        CSV, Parquet, JSON or JSON Lines; a folder that Kindred exported, a COCO, Hugging Face, FiftyOne or Label
        Studio folder, or one folder for each class.
    settings : ImportSettings

    Raises
    ------
    InputError
        There is nothing there, or nothing that Kindred can read.
    StorageError
        It may not be read.
    """
    if path.is_dir():
        return _folder(path, settings, progress)
    if not path.is_file():
        raise InputError(f"There is no file or folder {path}.", "Check the path.")
    suffix = path.suffix.casefold()
    if suffix in (".parquet", ".pq"):
        return read_parquet(path, settings)
    if suffix in (".json", *LINES):
        return read_document(path, settings)
    if suffix in (".xls", ".xlsx", ".ods"):
        raise InputError(f"{path.name} is a spreadsheet.", "Save it as CSV UTF-8 and import that file.")
    if suffix in (".zip", ".gz", ".tar"):
        raise InputError(f"{path.name} is packed.", "Unpack it and import the file or folder in it.")
    with path.open("rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    if start.startswith(b"PAR1"):
        return read_parquet(path, settings)
    if start[:1] in (b"{", b"["):
        return read_document(path, settings)
    found = read_delimited(path, settings)
    return found if found.sources else by_annotator(found)


def _folder(path: Path, settings: ImportSettings, progress: Progress) -> LabelFile:
    if (path / LABELS).is_file() and _is_ours(path / LABELS):
        found = read_delimited(path / LABELS, settings)
        found.title = "a folder that Kindred exported"
        return found
    if (path / "tasks.json").is_file():
        return read_document(path / "tasks.json", settings)
    readers: Sequence[tuple[str, Callable[[Path], LabelFile]]] = (
        ("annotations/*.json", lambda file: read_document(file, settings)),
        ("**/metadata.jsonl", lambda file: _beside(read_document(file, settings), file.parent, path, progress)),
        ("**/metadata.csv", lambda file: _beside(read_delimited(file, settings), file.parent, path, progress)),
        ("labels.json", lambda file: _stems(read_document(file, settings), file.parent / "data", progress)),
        ("*/labels.json", lambda file: _stems(read_document(file, settings), file.parent / "data", progress)),
    )
    for pattern, read in readers:
        files = sorted(file for file in path.glob(pattern) if len(file.relative_to(path).parts) <= 4)
        if files:
            return _joined([read(file) for file in files])
    return _class_folders(path, progress)


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.readline(4096).decode("utf-8-sig", "replace")
    return "label_source" in header and "content_id" in header


def _class_folders(path: Path, progress: Progress) -> LabelFile:
    """Read one folder for each class, perhaps below train, val and test; images are known by their bytes, too."""
    places = sorted(_images_below(path))
    tops = {place.split("/")[0] for place in places if "/" in place}
    skip = 1 if tops and all(top.casefold() in SPLITS for top in tops) else 0
    parts = [place.split("/") for place in places]
    kept = [at for at, part in enumerate(parts) if len(part) > skip + 1]
    if not kept:
        raise InputError(
            f"{path} holds no labels that Kindred can read.", "Choose a file, or a folder of class folders."
        )
    names: dict[str, str | None] = {UNLABELLED: None}
    try:
        told = read_csv(path / CLASSES, required=("folder", "label"))
        names |= dict(zip(told["folder"], told["label"], strict=True))
    except KindredError:
        pass  # not an export of Kindred; the folders' names are the labels
    labels = [names.get(parts[at][skip], parts[at][skip]) for at in kept]
    found = LabelFile("class folders", [os.fsencode(places[at]) for at in kept], labels)
    return _with_contents(found, [path / places[at] for at in kept], progress)


def _images_below(folder: Path) -> list[str]:
    found = []
    for here, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if not name.startswith(".")]
        place = os.path.relpath(here, folder).replace(os.sep, "/")
        for name in names:
            if not name.startswith(".") and (IMAGE_NAME.search(name) or "." not in name):
                found.append(name if place == "." else f"{place}/{name}")
    return found


def _with_contents(found: LabelFile, files: Sequence[Path | None], progress: Progress) -> LabelFile:
    """Add the content id of each image that lies at hand, so that a renamed copy is known."""
    found.contents = []
    for done, file in enumerate(files):
        try:
            found.contents.append(content_id(file.read_bytes()) if file is not None else None)
        except OSError:
            found.contents.append(None)
        if done % 100 == 0:
            progress.update(done, len(files), phase="Read the images beside the labels", unit="images")
    return found


def _beside(found: LabelFile, home: Path, root: Path, progress: Progress) -> LabelFile:
    """Return labels whose images lie beside their file: names by their place below the root, contents where unknown."""
    files = [home / os.fsdecode(path) if path else None for path in found.paths]
    if not found.sources:
        below = home.relative_to(root).as_posix()
        found.paths = [path if below == "." else os.fsencode(below) + b"/" + path for path in found.paths]
    return found if any(found.contents) else _with_contents(found, files, progress)


def _stems(found: LabelFile, home: Path, progress: Progress) -> LabelFile:
    """Return FiftyOne's labels with the names of the files that their stems belong to."""
    names = {Path(name).stem: name for name in (os.listdir(home) if home.is_dir() else [])}
    here = [names.get(os.fsdecode(path)) for path in found.paths]
    found.paths = [os.fsencode(name) if name else path for name, path in zip(here, found.paths, strict=True)]
    return _with_contents(found, [home / name if name else None for name in here], progress)


def _joined(parts: Sequence[LabelFile]) -> LabelFile:
    """Return several files of one kind as one; what only some of them know is dropped where it could not be told."""
    if len(parts) == 1:
        return parts[0]
    n = sum(len(part) for part in parts)
    values: dict[str, object] = {"title": parts[0].title}
    for field in fields(LabelFile):
        if field.name in ("title", "columns"):
            continue
        each = [getattr(part, field.name) for part in parts]
        if isinstance(each[0], np.ndarray):
            joined: object = np.concatenate(each)
            values[field.name] = joined if len(each) and sum(map(len, each)) == n else each[0][:0]
        else:
            whole = [item for part in each for item in part]
            listed = field.name in ("problems", "notes") or len(whole) == n
            values[field.name] = whole if listed else []
    return LabelFile(**values)  # type: ignore[arg-type]
