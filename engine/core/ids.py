"""Content ids in bulk: 16-byte blake2b identities as NumPy arrays of dtype S16.

S16 sorts, compares and searches fast; NumPy only drops trailing zero bytes when one element becomes
a Python object, so single ids leave through `to_bytes` and text through `to_hex`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 16
Ids = NDArray[np.bytes_]


def pack(ids: Iterable[bytes] | bytes) -> Ids:
    """Return an (n,) S16 array of 16-byte ids, given one by one or end to end."""
    joined = ids if isinstance(ids, bytes) else b"".join(ids)
    return np.frombuffer(joined, dtype=f"S{WIDTH}")


def to_bytes(ids: Ids) -> list[bytes]:
    """Return the ids as Python bytes of length 16."""
    joined = np.ascontiguousarray(ids).tobytes()
    return [joined[i : i + WIDTH] for i in range(0, len(joined), WIDTH)]


def to_hex(ids: Ids) -> list[str]:
    """Return the ids as 32 hex digits each."""
    joined = np.ascontiguousarray(ids).tobytes().hex()
    return [joined[i : i + 2 * WIDTH] for i in range(0, len(joined), 2 * WIDTH)]


def from_hex(texts: Iterable[str]) -> Ids:
    """Return the S16 array of hex ids."""
    return pack(bytes.fromhex("".join(texts)))


def positions(haystack: Ids, needles: Ids) -> NDArray[np.int64]:
    """Return where each needle stands in `haystack`, -1 where it does not."""
    if len(haystack) == 0:
        return np.full(len(needles), -1, dtype=np.int64)
    order = np.argsort(haystack, kind="stable")
    at: NDArray[Any] = np.searchsorted(haystack, needles, sorter=order)
    found = order[np.minimum(at, len(haystack) - 1)]
    return np.where(haystack[found] == needles, found, -1).astype(np.int64)
