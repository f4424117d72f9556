"""What of a folder is read: the settings that a person chooses, and what is left out unless they say otherwise.

A NAS, a Mac and a package manager keep machine-made copies and deleted files beside the pictures; Kindred's own runs
and exports hold copies, too. They are left out, and counted.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from engine.core.settings import Settings, setting

EXPORT_MANIFEST = b"kindred-export.jsonl"
HIDDEN = "hidden"
OWN = "Kindred's own"
_SYSTEM = frozenset(
    {
        *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "recycler"),
        *("system volume information", "lost+found", "__macosx", "node_modules", "__pycache__"),
    }
)
_MOST_COUNTED = 200_000  # entries of left-out folders that are looked at for their number
_UP = 8  # folders above the one that is read in which an export's list is looked for


class FolderSettings(Settings):
    """What of a folder is read."""

    exclude: tuple[str, ...] = setting(
        (),
        "Leave out files and folders of these names or paths; * stands for anything, as in small* or raw/*.tif.",
        label="Leave out",
    )
    follow_links: bool = setting(
        False, "Also read what links lead to outside the folder, each place once; nothing is written there."
    )
    system_folders: bool = setting(
        False,
        "Also read what systems and tools make, such as @eaDir, #recycle and node_modules, and Kindred's own runs and "
        "exports.",
    )
    all_pages: bool = setting(
        False, "Take every page or frame of a TIFF, GIF, WebP or MPO file as an image of its own, not only the first."
    )
    max_megapixels: float = setting(
        179.0,
        "Images with more megapixels are not opened; each megapixel takes 4 MB of memory.",
        ge=1,
        le=100_000,
        log=True,
    )

    @property
    def max_pixels(self) -> int:
        """The most pixels of an image that is opened."""
        return round(self.max_megapixels * 1e6)

    @classmethod
    def of(cls, options: dict[str, object]) -> FolderSettings:
        """Return the settings that are kept with a data set."""
        return cls.parse({name: options[name] for name in cls.model_fields if name in options})


class LeftOut:
    """Decides what of a folder is left out, and counts it.

    Parameters
    ----------
    settings : FolderSettings

    Attributes
    ----------
    counts : Counter of str
        Files by the reason: the name of a system folder, a pattern, "hidden" or "Kindred's own".
    """

    def __init__(self, settings: FolderSettings) -> None:
        self.counts: Counter[str] = Counter()
        self._system = not settings.system_folders
        self._patterns = [(pattern, _matcher(pattern)) for pattern in settings.exclude if pattern.strip("/ ")]
        self._budget = _MOST_COUNTED

    def reason(self, name: bytes) -> str:
        """Return why a file or folder of this name inside the source is left out; empty where it is not."""
        last = name.rsplit(b"/", 1)[-1]
        if last.startswith(b"."):
            return HIDDEN
        text = last.decode("utf-8", "surrogateescape")
        if self._system and text.casefold() in _SYSTEM:
            return text
        if not self._patterns:
            return ""
        whole = plain_name(name)
        return next((pattern for pattern, match in self._patterns if match(whole)), "")

    def own(self, folder: bytes, names: Collection[bytes], path: bytes) -> bool:
        """Return whether a folder below the source is a run, an export or the workspace of Kindred."""
        if not self._system or not folder:
            return False
        run = b"predictions.npz" in names and b"config.json" in names
        return EXPORT_MANIFEST in names or run or b"catalog.sqlite" in names or _is_cache(path, names)

    def count(self, reason: str, path: bytes, *, folder: bool) -> None:
        """Count a file, or the files of a folder, as left out."""
        self.counts[reason] += self._files(path) if folder else 1

    def _files(self, folder: bytes) -> int:
        files, pending = 0, [folder]
        while pending and self._budget > 0:
            try:
                with os.scandir(pending.pop()) as found:
                    for child in found:
                        self._budget -= 1
                        if child.is_dir(follow_symlinks=False):
                            pending.append(child.path)
                        else:
                            files += 1
            except OSError:
                continue
        return files


def _is_cache(path: bytes, names: Collection[bytes]) -> bool:
    return b"jobs" in names and os.path.isfile(os.path.join(os.path.dirname(path), b"library", b"catalog.sqlite"))


def _matcher(pattern: str) -> Callable[[str], object]:
    """Return a function of a whole name: a pattern with a slash is about the path, any other about the last part."""
    text = plain_name(os.fsencode(pattern)).strip("/ ")
    regex = re.compile(fnmatch.translate(text))
    if "/" in text:
        return regex.match
    return lambda whole: regex.match(whole.rsplit("/", 1)[-1])


def plain_name(name: bytes) -> str:
    """Return a name for comparison: as text, NFC, without regard to case."""
    return unicodedata.normalize("NFC", name.decode("utf-8", "surrogateescape")).casefold()


def existing(path: Path) -> Path:
    """Return the path as it stands on disk, where its accents are written in another form there; else the path itself.

    macOS writes é as two letters in file names, keyboards as one.
    """
    if path.exists() or not path.is_absolute():
        return path
    found = Path(path.anchor)
    for part in path.parts[1:]:
        if not (found / part).exists():
            wanted = unicodedata.normalize("NFC", part)
            try:
                alike = [name for name in os.listdir(found) if unicodedata.normalize("NFC", name) == wanted]
            except OSError:
                return path
            if len(alike) != 1:
                return path
            part = alike[0]
        found /= part
    return found


def linked_originals(root: Path) -> frozenset[str]:
    """Return where the links of Kindred's own export lead, if `root` lies in one that was made of links."""
    for folder in (root, *list(root.parents)[:_UP]):
        manifest = folder / os.fsdecode(EXPORT_MANIFEST)
        if not manifest.is_file():
            continue
        try:
            header, *entries = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
            paths = [str(entry["path"]) for entry in entries if entry["path"] is not None]
            return frozenset(map(os.path.realpath, paths)) if header["mode"] == "symlink" else frozenset()
        except (OSError, ValueError, KeyError, TypeError):
            return frozenset()
    return frozenset()


def counted(counts: Sequence[tuple[str, int]] | Counter[str] | dict[str, int], *, most: int = 8) -> str:
    """Return counts as words, the largest first: "3 .dng, 1 .mov"."""
    pairs = sorted(dict(counts).items(), key=lambda pair: (-pair[1], pair[0]))
    shown = ", ".join(f"{number:,} {name}" for name, number in pairs[:most])
    return f"{shown} and {len(pairs) - most:,} more kinds" if len(pairs) > most else shown
