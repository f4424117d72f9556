"""One export by its settings: what the Export page and `python -m engine export` call.

`prepare` is the dry run; `export` writes one file of labels or a folder in another tool's format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.export.folders import README, ExportReport, Plan, write_plan
from engine.export.formats import find_format
from engine.export.layout import CLASSES
from engine.export.readme import readme
from engine.export.settings import ExportSettings
from engine.export.split import PARTS, lacking, split_groups
from engine.images.sources import Source
from engine.labels.quality import LabelQuality
from engine.labels.table import LabelTable


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
        Sentences worth reading before it is written: classes that are clusters, classes that a part is without.
    """

    settings: ExportSettings
    table: LabelTable
    plan: Plan | None
    notes: tuple[str, ...] = ()

    @property
    def quality(self) -> LabelQuality:
        """Who said the labels that will be written, and how many an audit covers."""
        return self.table.quality() if self.plan is None else self.table.quality(list(self.plan.places))

    def tree(self) -> list[str]:
        """Return the dry run, line by line: who said the labels first."""
        if self.plan is not None:
            return [*self.quality.sentences(), *self.plan.tree()]
        labelled = sum(label is not None for label in self.table.label)
        return [*self.quality.sentences(), f"{len(self.table):,} lines, {labelled:,} with a label"]


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
    classed, notes = _classed(table, settings)
    splits: list[str] | None = None
    if settings.split:
        parts = table.rows if groups is None else np.asarray(groups)[table.rows]
        fractions = (settings.train, settings.val, settings.test)
        splits = split_groups(parts, classed.label, fractions=fractions, random_state=settings.random_state)
        notes += _notes(parts)
    elif any(table.split) and set(table.split) <= set(PARTS):
        splits = table.split
    if splits is not None:
        table, classed = replace(table, split=splits), replace(classed, split=splits)
    if settings.is_file:
        if settings.labelled_only:
            table = table.take(np.array([label is not None for label in table.label], bool))
        return Prepared(settings, table, None, notes)
    entry = find_format(settings.format)
    if entry.needs_split and (splits is None or not {"train", "val"} <= set(splits)):
        raise InputError(f"{entry.title} needs a train and a val part.", "Turn on the split.")
    plan: Plan = entry.writer(classed, splits, settings)
    if splits is not None:
        notes += _lacking([splits[line] for line in plan.places], [classed.label[line] for line in plan.places])
    if plan.skipped:
        notes += (f"{plan.skipped:,} of {len(table):,} files have no label and are left out.",)
    quality = table.quality(list(plan.places))
    text = readme(entry.title, entry.opening, quality, notes=notes, class_numbers=CLASSES in plan.files)
    return Prepared(settings, table, replace(plan, files=plan.files | {README: text}), notes)


def _classed(table: LabelTable, settings: ExportSettings) -> tuple[LabelTable, tuple[str, ...]]:
    """Return the table with the class of each line in place of its label, and a note where these are clusters."""
    if settings.is_file:
        return table, ()
    labelled = any(label is not None for label in table.label)
    if labelled and settings.classes == "label":
        return table, ()
    taken = set(table.label)
    names: dict[int, str] = {}
    for cluster in np.unique(table.cluster[table.cluster >= 0]).tolist():
        names[cluster] = f"cluster {cluster}"
        while names[cluster] in taken:
            names[cluster] += " (no label)"
    pairs = zip(table.label, table.cluster.tolist(), strict=True)
    classes = [names.get(cluster) if label is None else label for label, cluster in pairs]
    if labelled or not names:
        return replace(table, label=classes), ()
    return replace(table, label=classes), (
        "No image has a label yet, so each cluster is a class of its own: 'cluster 0' is the largest. "
        "labels.csv keeps the labels empty.",
    )


def _notes(parts: NDArray[np.integer[Any]]) -> tuple[str, ...]:
    """Return a warning where one group is so large that it distorts the shares."""
    largest = int(np.unique(parts, return_counts=True)[1].max(initial=0))
    if largest <= max(10, len(parts) // 20):
        return ()
    return (
        f"The largest group of near-duplicates holds {largest:,} of {len(parts):,} files and goes to one part whole; "
        "raise the similarity if they are not alike.",
    )


def _lacking(splits: list[str], labels: list[str | None]) -> tuple[str, ...]:
    """Return a sentence on the classes that are not in every part, because they are too few or too alike."""
    missing = lacking(splits, labels)
    if not missing:
        return ()
    told = [f"{name!r} ({' and '.join(parts)})" for name, parts in missing.items()]
    more = f" and {len(told) - 20:,} more" if len(told) > 20 else ""
    return (
        f"{len(told):,} class{'' if len(told) == 1 else 'es'} with too few distinct images for every part: missing are "
        f"{', '.join(told[:20])}{more}. Tools that number the folders of each part by themselves count differently "
        "there; the class list in classes.csv holds for all parts.",
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
        A file for a table (replaced atomically), else a new or empty folder.
    source : Source, optional
        Where the images are read; folders need it.
    vectors : (n, d) array or a function that loads it, optional
        Where the settings ask for the embeddings; loaded only then.

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
        report = write_plan(prepared.plan, table, source, target, mode=settings.mode, progress=progress)
        return _with_quality(report, prepared)
    entry = find_format(settings.format)
    if target.is_dir():
        raise InputError(f"{target} is a folder.", f"Name a file, such as labels{entry.files}.")
    wanted = settings.vectors and "vectors" in entry.options
    found = vectors() if wanted and callable(vectors) else vectors if wanted else None
    entry.writer(target, table, settings, found, progress)
    return _with_quality(ExportReport(target, len(table), []), prepared)


def _with_quality(report: ExportReport, prepared: Prepared) -> ExportReport:
    quality = prepared.quality
    return replace(report, by_source=quality.by_source, quality=quality.sentences(), notes=list(prepared.notes))
