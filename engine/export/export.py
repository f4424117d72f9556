"""One export by its settings: what the Export page and `python -m engine export` call.

`prepare` is the dry run; `export` writes one file (CSV, JSON, Parquet, report) or a folder in another tool's format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.export.folders import ExportReport, Mode, Plan, plan_folders, write_plan
from engine.export.formats import find_format
from engine.export.labels import LabelTable, write_labels_csv, write_labels_json
from engine.export.split import PARTS, split_groups
from engine.images.sources import Source

FILES = {"csv": ".csv", "json": ".json", "parquet": ".parquet"}
Kind = Literal["csv", "json", "parquet", "folders", "yolo", "huggingface", "fiftyone", "coco", "labelstudio"]


class ExportSettings(Settings):
    """What to export and how."""

    format: Kind = setting("csv", "What to write: a table, or folders of images in another tool's format.")
    mode: Mode = setting("copy", "How images get into folders: copied, or linked to the originals.")
    include_unlabelled: bool = setting(False, "Class folders: images without a label into a folder of their own.")
    labelled_only: bool = setting(False, "Tables: leave out the files without a label.")
    vectors: bool = setting(False, "Parquet: with the embeddings, one line per distinct image.")
    split: bool = setting(False, "Divide into train, val and test; near-duplicates stay together.")
    train: float = setting(0.8, "Share of the training part.", ge=0.0, le=1.0, step=0.05)
    val: float = setting(0.1, "Share of the validation part.", ge=0.0, le=1.0, step=0.05)
    test: float = setting(0.1, "Share of the test part.", ge=0.0, le=1.0, step=0.05)
    near_duplicate: float = setting(
        0.98, "Images at least so similar count as near-duplicates.", ge=0.5, le=1.0, step=0.01, advanced=True
    )
    random_state: int = setting(0, "Seed of the split.", ge=0, le=2**31 - 1, advanced=True)

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.split and abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError("the shares of train, validation and test must add up to 1")
        return self

    @property
    def is_file(self) -> bool:
        """Whether one file is written rather than a folder."""
        return self.format in FILES


@dataclass(frozen=True)
class Prepared:
    """An export before it is written.

    Attributes
    ----------
    settings : ExportSettings
    table : LabelTable
        With the new split in place of the catalog's where one was asked for.
    plan : Plan or None
        Where images go; None for one file.
    notes : tuple of str
        Sentences worth reading before it is written.
    """

    settings: ExportSettings
    table: LabelTable
    plan: Plan | None
    notes: tuple[str, ...] = ()

    def tree(self) -> list[str]:
        """Return the dry run, line by line."""
        if self.plan is not None:
            return self.plan.tree()
        labelled = sum(label is not None for label in self.table.label)
        return [f"{len(self.table):,} lines, {labelled:,} with a label"]


def prepare(table: LabelTable, settings: ExportSettings, *, groups: NDArray[np.integer[Any]] | None = None) -> Prepared:
    """Plan an export without writing anything.

    Parameters
    ----------
    table : LabelTable
    settings : ExportSettings
    groups : (n,) int, optional
        Near-duplicate groups of the arrays' rows (`near_duplicate_groups`); a split without them keeps
        exact duplicates together only.

    Raises
    ------
    InputError
        A format that needs a split, labels that are not there.
    """
    splits: list[str] | None = None
    notes: tuple[str, ...] = ()
    if settings.split:
        parts = table.rows if groups is None else np.asarray(groups)[table.rows]
        fractions = (settings.train, settings.val, settings.test)
        splits = split_groups(parts, table.label, fractions=fractions, random_state=settings.random_state)
        notes = _notes(parts)
    elif any(table.split) and set(table.split) <= set(PARTS):
        splits = table.split
    if splits is not None:
        table = LabelTable(**{**vars(table), "split": splits})
    if settings.is_file:
        if settings.labelled_only:
            table = table.take(np.array([label is not None for label in table.label], bool))
        return Prepared(settings, table, None, notes)
    if settings.format == "folders":
        plan = plan_folders(table, splits=splits, include_unlabelled=settings.include_unlabelled)
    else:
        plan = find_format(settings.format).plan(table, splits)
    return Prepared(settings, table, plan, notes)


def _notes(parts: NDArray[np.integer[Any]]) -> tuple[str, ...]:
    """Return a warning where one group is so large that it distorts the shares."""
    largest = int(np.unique(parts, return_counts=True)[1].max(initial=0))
    if largest <= max(10, len(parts) // 20):
        return ()
    return (
        f"The largest group of near-duplicates holds {largest:,} of {len(parts):,} files and goes to one part whole; "
        "raise the similarity if they are not alike.",
    )


def export(
    prepared: Prepared,
    target: Path,
    *,
    source: Source | None = None,
    vectors: NDArray[Any] | Callable[[], NDArray[Any]] | None = None,
    progress: Progress = SILENT,
) -> ExportReport:
    """Write a prepared export.

    Parameters
    ----------
    prepared : Prepared
    target : Path
        A file for csv, json and parquet (replaced atomically), else a new or empty folder.
    source : Source, optional
        Where the images are read; folders need it.
    vectors : (n, d) array or a function that loads it, optional
        For Parquet with embeddings.

    Raises
    ------
    InputError
        A target that cannot be, no source or vectors where they are needed.
    StorageError
        Disk full or no permission; nothing half-written.
    """
    settings, table = prepared.settings, prepared.table
    if prepared.plan is not None:
        if source is None:
            raise InputError("This data set has no images to write.", "Export a table instead.")
        return write_plan(prepared.plan, table, source, target, mode=settings.mode, progress=progress)
    if target.is_dir():
        raise InputError(f"{target} is a folder.", f"Name a file, such as labels{FILES[settings.format]}.")
    if settings.format == "csv":
        write_labels_csv(target, table)
    elif settings.format == "json":
        write_labels_json(target, table)
    else:
        from engine.export.parquet import write_parquet

        found = vectors() if callable(vectors) else vectors
        if settings.vectors and found is None:
            raise InputError("The embeddings are not here.", "Embed the images first, or export without them.")
        write_parquet(target, table, vectors=found if settings.vectors else None, progress=progress)
    return ExportReport(target, len(table), [])
