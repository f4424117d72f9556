"""What a running sweep has found so far: its finished candidates, read from its working folder."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from engine.core.errors import StorageError
from engine.core.files import load_array, read_json
from engine.evaluation.scores import CompositeSettings
from engine.selection.sweep.ranking import LeaderboardRow, leaderboard_row

_KEY = 32  # letters of a candidate's key


def found_so_far(folder: Path, n_images: int) -> list[tuple[str, LeaderboardRow]]:
    """Return the candidates with structure that a sweep has tried on all its images, the most promising first.

    Parameters
    ----------
    folder : Path
        The sweep's folder, of which `work` holds the candidates.
    n_images : int
        Candidates of another number of images, such as a sample's, are left out.

    Returns
    -------
    list of (str, LeaderboardRow)
        The candidate's key, and its row without a rank.
    """
    rows = []
    for path in (folder / "work" / "candidates").glob("*.json"):
        if len(path.stem) == _KEY and path.with_suffix(".npy").exists():
            row = _row(path, path.stat().st_mtime_ns, n_images)
            if row is not None and row.state == "ranked":
                rows.append((path.stem, row))
    return sorted(rows, key=lambda item: (-item[1].promise, item[0]))


@lru_cache(maxsize=512)
def _row(path: Path, written: int, n_images: int) -> LeaderboardRow | None:
    """Return the row of one finished candidate; None for a failure, a stability, another part or a file half there."""
    try:
        kept = read_json(path)
        if "neighbors" not in kept or len(load_array(path.with_suffix(".npy"))) != n_images:
            return None
        return leaderboard_row(kept, path.with_suffix(".npy"), CompositeSettings())
    except (StorageError, KeyError, TypeError, ValueError):
        return None
