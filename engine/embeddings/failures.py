"""failed.jsonl: why an image has no vector, one line each, appended; a line cut short by a kill counts for nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

from engine.core.files import storage_errors


def read_failures(path: Path, *, final: bool = False) -> dict[bytes, str]:
    """Return the last reason of each content id; `final` leaves out those whose last failure may pass."""
    found: dict[bytes, str] = {}
    if not path.exists():
        return found
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            key, reason, again = bytes.fromhex(entry["content"]), str(entry["reason"]), bool(entry.get("again"))
        except (ValueError, KeyError, TypeError):
            continue  # cut short: that image is simply tried again
        if final and again:
            found.pop(key, None)
        else:
            found[key] = reason
    return found


def append_failures(path: Path, failures: Iterable[tuple[bytes, str]], *, again: bool) -> None:
    """Append (content id, reason) pairs; `again` says that the next run should try them again.

    Raises
    ------
    StorageError
        The disk is full or the file may not be written.
    """
    made = time.time()
    lines = [
        json.dumps({"content": content.hex(), "reason": reason, "again": again, "made": made}) + "\n"
        for content, reason in failures
    ]
    with storage_errors(path), path.open("a+b") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write("".join(lines).encode())
