"""The identity of weight files on disk: a hash of their bytes, remembered while size and time stay the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path


def fingerprint(files: Sequence[Path]) -> str:
    """Return 32 hex digits that name the content of `files` in their order; renaming or copying changes nothing."""
    digest = hashlib.blake2b(digest_size=16)
    for path in files:
        found = path.stat()
        digest.update(_hash(path.resolve(), found.st_size, found.st_mtime_ns))
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _hash(path: Path, size: int, mtime_ns: int) -> bytes:
    """Hash one file; `size` and `mtime_ns` are there for the cache."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
