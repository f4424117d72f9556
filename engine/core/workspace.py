"""Where everything lives: the folder that the person names, else the checkout's own cache/ and library/.

An installed Kindred has no checkout; it keeps both in the folder Kindred of the person's home.

`cache/` can be recomputed and deleted at any time; `library/` is what a person made.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engine.core.files import storage_errors

PROGRAM = Path(__file__).resolve().parents[2]
"""The folder that holds app.py, engine/ and pages/: the checkout, or site-packages of an installation."""


def default_root() -> Path:
    """Return the workspace of who names none: the checkout, or ~/Kindred when Kindred is installed."""
    return PROGRAM if (PROGRAM / "pyproject.toml").is_file() else Path.home() / "Kindred"


@dataclass(frozen=True)
class Workspace:
    """The two folders and the names inside them."""

    root: Path

    @classmethod
    def open(cls, root: str | Path | None = None) -> Workspace:
        """Open the workspace at `root`, else at KINDRED_WORKSPACE, else at the default; folders are created.

        Only the person who made them may look into them; folders that are there keep their permissions.

        Raises
        ------
        StorageError
            They may not be created there.
        """
        chosen = Path(root or os.environ.get("KINDRED_WORKSPACE") or default_root()).expanduser().resolve()
        workspace = cls(chosen)
        with storage_errors(workspace.root):
            chosen.parent.mkdir(parents=True, exist_ok=True)
            for folder in (chosen, workspace.cache, workspace.library, workspace.runs):
                folder.mkdir(mode=0o700, exist_ok=True)
        return workspace

    @property
    def cache(self) -> Path:
        """What can be recomputed."""
        return self.root / "cache"

    @property
    def library(self) -> Path:
        """What a person made."""
        return self.root / "library"

    @property
    def catalog(self) -> Path:
        """Data sets, images and label events."""
        return self.library / "catalog.sqlite"

    @property
    def thumbnails(self) -> Path:
        """256 px JPEG by content id."""
        return self.cache / "thumbnails.sqlite"

    def sample(self, dataset_id: str) -> Path:
        """The sample that the person drew of a data set, with the images named as targets and pairs."""
        return self.library / "samples" / f"{dataset_id}.json"

    @property
    def runs(self) -> Path:
        """Finished and running clusterings, one folder each."""
        return self.library / "runs"

    @property
    def jobs(self) -> Path:
        """Work that ends in the cache or the catalog: scans, embeddings, maps."""
        return self.cache / "jobs"

    @property
    def selections(self) -> Path:
        """What was drawn and found on Explore, so that an address can name it."""
        return self.cache / "selections"

    @property
    def locks(self) -> Path:
        """One lock file per device, by the name that the device really has: "auto" is one of the others."""
        return self.cache / "locks"

    def embeddings(self, key: str) -> Path:
        """The folder of one embedding configuration."""
        return self.cache / "embeddings" / key

    def neighbors(self, key: str) -> Path:
        """The folder of one neighbour graph."""
        return self.cache / "neighbors" / key

    def projection(self, key: str) -> Path:
        """The folder of one 2-D map."""
        return self.cache / "projections" / key
