"""What the doctor says about one place of a workspace, and how it may be mended.

A finding about the library is only reported: what a person made is never changed by a check. A finding about the cache
brings its remedy, for all of the cache can be made again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes
    ----------
    place : Path
        The file or folder.
    sentence : str
        What is wrong, and for the library what a person can do.
    mend : function, optional
        Puts it right; None for the library.
    remedy : str
        What `mend` does, in words: "is removed".
    size : int
        Bytes that `mend` frees.
    """

    place: Path
    sentence: str
    mend: Callable[[], None] | None = None
    remedy: str = ""
    size: int = 0

    @property
    def is_cache(self) -> bool:
        """Whether it can be mended without touching what a person made."""
        return self.mend is not None


def size_of(place: Path) -> int:
    """Return the bytes of a file or of all files below a folder; 0 where there is nothing."""
    if not place.is_dir():
        return place.lstat().st_size if place.exists() else 0
    return sum(path.lstat().st_size for path in place.rglob("*") if path.is_file())


def half_written(folder: Path) -> list[Path]:
    """Return the temporary files below `folder` whose writer is gone, as `engine.core.files` names them."""
    found = []
    for path in folder.rglob(".*.tmp") if folder.is_dir() else ():
        writer = path.name.removesuffix(".tmp").rpartition(".")[2]
        if writer.isdigit() and not psutil.pid_exists(int(writer)):
            found.append(path)
    return sorted(found)
