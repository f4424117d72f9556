"""What an import would change, counted before it is done, and the one event that does it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.csv import path_text
from engine.core.errors import InputError
from engine.labels.conflicts import images
from engine.labels.events import LabelHistory
from engine.labels.importing.file import LabelFile
from engine.labels.importing.match import AMBIGUOUS, UNMATCHED, Match
from engine.labels.importing.settings import ImportSettings
from engine.labels.log import Event, clean_label
from engine.labels.probability import pack
from engine.labels.state import (
    ACCEPTED_GUESS,
    CLUSTER_NAME,
    IMPORTED,
    LOCKED,
    NO_LABEL,
    PERSONAL,
    SOURCE_NAMES,
    STATUS_NAMES,
    LabelState,
)

LISTED = 200
_CONFIRMED = "confirmed"


@dataclass
class ImportReport:
    """What an import does, or would do.

    Attributes
    ----------
    name, title : str
        The file's name and kind.
    lines, labelled : int
        Lines of the file, and those with a label.
    by_way : dict of str to int
        Labelled lines found by path, name and content id.
    images, classes : int, dict of str to int
        Images that get a label or a suggestion, and how many of each class.
    by_source : dict of str to int
        Who is said to have given these labels.
    same, kept, locked : int
        Images that have this label already, that keep another one, and that are locked.
    unmatched, ambiguous, contradictory, unusable : list of (str, str)
        Lines that nothing comes of, with the reason; at most 200 of each.
    counts : dict of str to int
        How many of each of these there are.
    notes : list of str
        Sentences on how the file was read.
    event : str
        The sentence of the event; empty for a preview.
    how : str
        "labels" or "suggestions".
    """

    name: str
    title: str
    lines: int
    labelled: int
    how: str
    by_way: dict[str, int] = field(default_factory=dict)
    images: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    by_source: dict[str, int] = field(default_factory=dict)
    same: int = 0
    kept: int = 0
    locked: int = 0
    unmatched: list[tuple[str, str]] = field(default_factory=list)
    ambiguous: list[tuple[str, str]] = field(default_factory=list)
    contradictory: list[tuple[str, str]] = field(default_factory=list)
    unusable: list[tuple[str, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    event: str = ""

    def sentences(self) -> list[str]:
        """Return what a person is told, the most important first."""
        what = "suggestion" if self.how == "suggestions" else "label"
        told = [f"{self.name} ({self.title}): {_count(self.lines, 'line')}, {self.labelled:,} with a label."]
        ways = [f"{count:,} by {way}" for way, count in self.by_way.items() if count]
        told.append(f"Images found: {', '.join(ways)}." if ways else "No line names an image of this data set.")
        if self.images:
            each = sorted(self.classes.items(), key=lambda item: (-item[1], item[0]))
            shown = ", ".join(f"{name} {count:,}" for name, count in each[:12])
            more = f" and {len(each) - 12:,} more" if len(each) > 12 else ""
            told.append(
                f"{images(self.images)} {'gets' if self.images == 1 else 'get'} a {what}, "
                f"{_count(len(each), 'class', 'classes')}: {shown}{more}."
            )
            said = ", ".join(f"{count:,} {name}" for name, count in self.by_source.items())
            if self.how == "labels":
                told.append(f"Who said these labels: {said}.")
        for count, one, many in (
            (self.same, "has this label already", "have this label already"),
            (self.kept, "has another label of its own and keeps it", "have another label of their own and keep it"),
            (self.locked, "is locked and stays as it is", "are locked and stay as they are"),
        ):
            if count:
                told.append(f"{images(count)} {one if count == 1 else many}.")
        for kind, one, many in (
            ("unmatched", "names no image of this data set", "name no image of this data set"),
            ("ambiguous", "fits several images, so none gets the label", "fit several images, so none gets the label"),
            ("contradictory", "", "say different labels for the same image, so it gets none"),
            ("unusable", "says no label that can be used", "say no label that can be used"),
        ):
            if self.counts.get(kind):
                words = one if self.counts[kind] == 1 else many
                listed = getattr(self, kind)
                names = ", ".join(name for name, _ in listed[:3]) + (", ..." if self.counts[kind] > 3 else "")
                told.append(f"{_count(self.counts[kind], 'line')} {words}: {names}.")
        return told + self.notes


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


@dataclass(frozen=True)
class Planned:
    """An import before it is done: the report, and the images with what each gets.

    Attributes
    ----------
    report : ImportReport
    rows : (m,) int64
        Rows of the state.
    lines : (m,) int64
        The line of the file that each row's label is on.
    labels, sources, statuses, cluster_names : list
        Of each row.
    """

    report: ImportReport
    rows: NDArray[np.int64]
    lines: NDArray[np.int64]
    labels: list[str | None]
    sources: list[str]
    statuses: list[str]
    cluster_names: list[str | None]


def plan_import(file: LabelFile, found: Match, state: LabelState, settings: ImportSettings, *, name: str) -> Planned:
    """Work out what an import would change.

    Parameters
    ----------
    file : LabelFile
    found : Match
        Whose rows are rows of `state`.
    state : LabelState
        The labels as they are now.
    settings : ImportSettings
    name : str
        What the file is called.
    """
    kindred = file.is_kindred and settings.keep_sources and settings.how == "labels"
    labels, unusable = _cleaned(file)
    report = ImportReport(name, file.title, len(file), sum(label is not None for label in labels), settings.how)
    report.notes = list(file.notes)
    if found.other_bytes:
        report.notes.append(
            f"{_count(found.other_bytes, 'image')} found by path or name had other bytes when the file was written."
        )
    tells = np.array(
        [label is not None or bool(kindred and file.statuses[at]) for at, label in enumerate(labels)], bool
    )
    report.by_way = Match(found.rows[tells], found.way[tells], 0).counts()
    _list(report, "unusable", unusable)
    for kind, way, reason in (
        ("unmatched", UNMATCHED, "No image of this data set has this path, name or content."),
        ("ambiguous", AMBIGUOUS, "Several images have this name."),
    ):
        lost = np.flatnonzero(tells & (found.way == way))
        _list(report, kind, [(_shown(file, at), reason) for at in lost.tolist()])
    lines = np.flatnonzero(tells & (found.rows >= 0))
    lines = _one_each(report, file, found.rows, lines, labels)
    rows = found.rows[lines]
    keep = _kept(report, state, rows, [labels[at] for at in lines.tolist()], file, lines, kindred, settings)
    rows, lines = rows[keep], lines[keep]
    chosen = lines.tolist()
    given = [labels[at] for at in chosen]
    sources, statuses, names = _provenance(file, chosen, given, kindred=kindred)
    report.images = len(rows)
    report.classes = dict(Counter(label for label in given if label is not None))
    report.by_source = dict(Counter(source for source in sources if source != SOURCE_NAMES[NO_LABEL]))
    return Planned(report, rows, lines, given, sources, statuses, names)


def _cleaned(file: LabelFile) -> tuple[list[str | None], list[tuple[str, str]]]:
    """Return the labels as they are stored, and the lines whose label cannot be."""
    known: dict[str, str | None] = {}
    reasons: dict[str, str] = {}
    for label in {label for label in file.labels if label is not None}:
        try:
            known[label] = clean_label(label)
        except InputError as error:
            known[label], reasons[label] = None, error.sentence
    problems = list(file.problems)
    if reasons:
        problems += [(_shown(file, at), reasons[label]) for at, label in enumerate(file.labels) if label in reasons]
    return [None if label is None else known[label] for label in file.labels], problems


def _shown(file: LabelFile, at: int) -> str:
    if file.paths[at]:
        return path_text(file.paths[at])
    content = file.contents[at] if file.contents else None
    return content.hex() if content else f"line {at + 1}"


def _list(report: ImportReport, kind: str, items: list[tuple[str, str]]) -> None:
    report.counts[kind] = len(items)
    setattr(report, kind, items[:LISTED])


def _one_each(
    report: ImportReport,
    file: LabelFile,
    rows: NDArray[np.int64],
    lines: NDArray[np.int64],
    labels: list[str | None],
) -> NDArray[np.int64]:
    """Return one line for each image; images of which lines say different labels are listed and left out."""
    first: dict[int, int] = {}
    against: dict[int, list[int]] = {}
    for at, row in zip(lines.tolist(), rows[lines].tolist(), strict=True):
        known = first.setdefault(row, at)
        if labels[known] != labels[at]:
            against.setdefault(row, [known]).append(at)
    told = []
    for others in against.values():
        names = ", ".join(dict.fromkeys(str(labels[at] or "no label") for at in others))
        told += [(_shown(file, at), f"The lines of this image say {names}.") for at in others]
    _list(report, "contradictory", told)
    return np.array([at for row, at in first.items() if row not in against], np.int64)


def _kept(
    report: ImportReport,
    state: LabelState,
    rows: NDArray[np.int64],
    labels: list[str | None],
    file: LabelFile,
    lines: NDArray[np.int64],
    kindred: bool,
    settings: ImportSettings,
) -> NDArray[np.bool_]:
    """Return which images change: not the locked ones, those that say the same already, and those that keep theirs."""
    codes = {label: code for code, label in enumerate(state.label_names)}
    wanted = np.array([-1 if label is None else codes.get(label, -2) for label in labels], np.int64)
    locked = state.status[rows] == LOCKED
    own = np.isin(state.source[rows], (*PERSONAL, ACCEPTED_GUESS)) & (state.given[rows] >= 0)
    same = (state.codes[rows] == wanted) & (wanted >= 0)
    if settings.how == "suggestions":
        settled = same | ((state.suggested[rows] == wanted) & (wanted >= 0))
        others = own & ~same
    elif kindred:  # a label that is there is the same only where who gave it is the same, too
        chosen = lines.tolist()
        source = np.array([_code(file.sources[at], SOURCE_NAMES, IMPORTED) for at in chosen], np.int64)
        status = np.array([_code(file.statuses[at], STATUS_NAMES, 0) for at in chosen], np.int64)
        stronger = np.isin(state.source[rows], PERSONAL) & ~np.isin(source, PERSONAL)
        settled = same & ((state.source[rows] == source) & (state.status[rows] == status) | stronger)
        settled |= (wanted == -1) & (state.codes[rows] < 0) & (state.status[rows] == status)
        others = own & ~same
    else:
        settled = same & own
        others = own & ~same
    if settings.existing == "replace" and settings.how == "labels":
        others = np.zeros_like(others)
    report.locked = int(np.count_nonzero(locked & ~settled))
    report.same = int(np.count_nonzero(settled))
    report.kept = int(np.count_nonzero(others & ~settled & ~locked))
    free: NDArray[np.bool_] = ~(locked | settled | others)
    return free


def _code(name: str, names: tuple[str, ...], other: int) -> int:
    return names.index(name) if name in names else other


def _provenance(
    file: LabelFile, lines: list[int], labels: list[str | None], *, kindred: bool
) -> tuple[list[str], list[str], list[str | None]]:
    """Return who gave each label, its status, and what its cluster was called."""
    none, imported = SOURCE_NAMES[NO_LABEL], SOURCE_NAMES[IMPORTED]
    if not kindred:
        n = len(lines)
        return [imported if label is not None else none for label in labels], [_CONFIRMED] * n, [None] * n
    sources = [
        none if label is None else file.sources[at] if file.sources[at] in SOURCE_NAMES[1:] else imported
        for at, label in zip(lines, labels, strict=True)
    ]
    statuses = [file.statuses[at] if file.statuses[at] in STATUS_NAMES else "" for at in lines]
    named = file.cluster_names or [None] * len(file)
    names = [
        named[at] or (label if source == SOURCE_NAMES[CLUSTER_NAME] and file.cluster_names == [] else None)
        for at, label, source in zip(lines, labels, sources, strict=True)
    ]
    return sources, statuses, names


def carry_out(history: LabelHistory, planned: Planned, file: LabelFile, state: LabelState) -> Event:
    """Write the one event of an import.

    Raises
    ------
    InputError
        Nothing would change, or the labels have changed since `state`.
    """
    report = planned.report
    if not len(planned.rows):
        raise InputError(
            f"Nothing of {report.name} changes a label.", next(iter(report.sentences()[1:]), "Look at the file.")
        )
    suggest = report.how == "suggestions"
    audits, most_wrong = _audits(file, planned) if not suggest and len(file.bound) else ([-1] * len(planned.rows), [])
    keys = list(zip(planned.labels, planned.sources, planned.statuses, planned.cluster_names, audits, strict=True))
    number: dict[Any, int] = {}
    group = np.array([number.setdefault(key, len(number)) for key in keys], np.int64)
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group, minlength=len(number)).tolist()
    groups = list(number)
    detail: dict[str, Any] = {
        "labels": [[key[0], count] for key, count in zip(groups, counts, strict=True)],
        "from": report.name,
        "run": state.run,
        "sentence": _sentence(report),
    }
    if not suggest:
        detail |= {
            "sources": [key[1] for key in groups],
            "statuses": [key[2] for key in groups],
            "cluster_names": [key[3] for key in groups],
            "audits": [key[4] for key in groups],
            "most_wrong": most_wrong,
        }
    if len(file.probability):
        chance = file.probability[planned.lines]
        guessed = np.array([source == SOURCE_NAMES[ACCEPTED_GUESS] for source in planned.sources])
        chance = chance if suggest else np.where(guessed, chance, np.nan)
        if np.isfinite(chance).any():
            detail["probability"] = pack(chance[order])
    blob = state.contents[planned.rows[order]].tobytes()
    event = history.append("suggest" if suggest else "import", detail, blob, version=state.version)
    report.event = event.sentence
    return event


def _sentence(report: ImportReport) -> str:
    many = _count(len(report.classes), "label")
    if report.how == "suggestions":
        return f"{images(report.images)}: {many} suggested by {report.name}"
    return f"{images(report.images)}: {many} imported from {report.name}"


def _audits(file: LabelFile, planned: Planned) -> tuple[list[int], list[int]]:
    """Return which audit covers each image, and of each audit how many of its images may be wrong.

    Images with the same bound count as one audit, also where their labels differ: it may have been of a whole set.
    All images of the file are counted, also those that were not found: the wrong ones may all be among those that were.
    """
    covered = np.flatnonzero(np.isfinite(file.bound))
    contents: set[tuple[str, Any]] = set()
    total: Counter[str] = Counter()
    for at in covered.tolist():
        key = f"{file.bound[at]:.6f}"
        this = (key, file.contents[at] if file.contents and file.contents[at] else file.paths[at])
        if this not in contents:
            contents.add(this)
            total[key] += 1
    number = {key: place for place, key in enumerate(total)}
    most_wrong = [round((1 - float(bound)) * count) for bound, count in total.items()]
    audits = [number[f"{file.bound[at]:.6f}"] if np.isfinite(file.bound[at]) else -1 for at in planned.lines.tolist()]
    return audits, most_wrong
