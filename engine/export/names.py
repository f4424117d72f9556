"""Names that every file system takes: no separators, no reserved words, nothing hidden, unique without regard to case.

Labels may hold anything a person typed; what becomes a folder or file name goes through here, so no export
can write outside its target.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata

from engine.core.csv import path_text

LIMIT = 120
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*]')
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")


def safe_name(text: str, *, limit: int = LIMIT) -> str:
    """Return a name of at most `limit` UTF-8 bytes that is one component of a path on every system.

    Separators, control characters and the characters that Windows refuses become underscores; marks that
    turn the writing direction go; a leading dot, dash or formula sign gets an underscore in front.
    """
    name = _FORBIDDEN.sub("_", _DIRECTION.sub("", unicodedata.normalize("NFC", text)))
    name = name.encode("utf-8", "replace").decode("utf-8").strip().rstrip(". ")
    if not name or name[0] in ".-=+@~'" or _RESERVED.fullmatch(name):
        name = f"_{name}"
    if len(name.encode()) > limit:
        mark = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
        name = f"{_cut(name, limit - len(mark) - 1)}_{mark}"
    return name


def safe_file_name(path: bytes) -> str:
    """Return the last part of a path as a safe name that keeps its extension."""
    stem, suffix = os.path.splitext(path_text(path.rsplit(b"/", 1)[-1]))
    if len(suffix) > 10 or not suffix[1:].isalnum():
        stem, suffix = stem + suffix, ""
    return safe_name(stem, limit=LIMIT - len(suffix.encode())) + suffix


def _cut(text: str, limit: int) -> str:
    """Return the beginning of a text in at most `limit` bytes, whole characters only."""
    return text.encode()[:limit].decode("utf-8", "ignore").rstrip(". ")


class Namer:
    """Hands out names that differ from each other, without regard to case and form.

    Parameters
    ----------
    stems : bool
        The stems of file names differ, too; without it a name is a folder's, where a dot is a letter like any other.
    """

    def __init__(self, *, stems: bool = True) -> None:
        self._stems = stems
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return `name`, or with " (2)", " (3)" ... before the extension where its stem is taken."""
        stem, suffix = os.path.splitext(name)
        if not self._stems or not stem or len(suffix) > 10:
            stem, suffix = name, ""
        key = self._key(stem)
        if key not in self._taken:
            self._taken.add(key)
            return name
        number = self._next.get(key, 2)
        while self._key(f"{stem} ({number})") in self._taken:
            number += 1
        self._next[key] = number + 1
        self._taken.add(self._key(f"{stem} ({number})"))
        return f"{stem} ({number}){suffix}"

    @staticmethod
    def _key(stem: str) -> str:
        return unicodedata.normalize("NFKC", stem).casefold()
