"""What was exported of a run, in exports.json of its folder: where to, and what the labels were then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.core.errors import StorageError
from engine.core.files import read_json, write_json
from engine.export.folders import MANIFEST

_FILE = "exports.json"
_MOST = 100


def note_export(run_folder: Path, what: str, *, labels: int, target: Path | None = None) -> None:
    """Remember one export.

    Parameters
    ----------
    run_folder : Path
    what : str
        The format's name.
    labels : int
        The label history's version (`LabelHistory.version`) that was written.
    target : Path, optional
        Where it lies; None for a file that the browser took.
    """
    entry = {"what": what, "labels": labels, "target": "" if target is None else str(target.absolute())}
    write_json(run_folder / _FILE, [*(old for old in _entries(run_folder) if old != entry), entry][-_MOST:])


def exported_labels(run_folder: Path) -> int | None:
    """Return the newest version of the labels that was exported and is still there; None where nothing was."""
    return max((int(entry["labels"]) for entry in _entries(run_folder) if _is_there(entry)), default=None)


def _entries(run_folder: Path) -> list[dict[str, Any]]:
    """Return the entries; none where the file is missing or was edited into something else."""
    path = run_folder / _FILE
    if not path.exists():
        return []
    try:
        found = read_json(path)
    except StorageError:
        return []
    known = found if isinstance(found, list) else []
    return [
        entry
        for entry in known
        if isinstance(entry, dict) and isinstance(entry.get("labels"), int) and isinstance(entry.get("target"), str)
    ]


def _is_there(entry: dict[str, Any]) -> bool:
    """Whether the export was not undone or deleted since; what a browser took is out of sight."""
    target = Path(entry["target"])
    return not entry["target"] or target.is_file() or (target / MANIFEST).is_file()
