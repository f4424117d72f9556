"""The files of a finished sweep, and opening them again.

rank_01_<algorithm>/ holds the labels of a rank, clustering_summary.json every candidate with its scores or reason,
all_results.parquet the same as a table.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.files import load_array, read_json, replace_file, save_array, write_json
from engine.evaluation.verdict import Verdict, verdict_of
from engine.selection.sweep.ranking import LeaderboardRow

SUMMARY = "clustering_summary.json"
_GROUPS = {
    "ranked": ("ranked",),
    "no_structure": ("no structure",),
    "failed": ("failed",),
    "set_aside": ("repeated", "halved", "left out"),
}


@dataclass(frozen=True)
class SweepResult:
    """A finished (or stopped) sweep.

    Attributes
    ----------
    folder : Path
        Holds the summary and the rank folders.
    ranked, unstructured, failed, set_aside : list of LeaderboardRow
        In order of rank; with the reason where not ranked. Set aside are repeats of ranked clusterings, after
        halving what was not among the best quarter on the sample, and what was left out for time.
    summary : dict
        What clustering_summary.json holds.
    """

    folder: Path
    ranked: list[LeaderboardRow]
    unstructured: list[LeaderboardRow]
    failed: list[LeaderboardRow]
    set_aside: list[LeaderboardRow]
    summary: dict[str, Any]

    @property
    def best(self) -> LeaderboardRow | None:
        """The first rank, None where nothing has structure."""
        return self.ranked[0] if self.ranked else None

    @property
    def verdict(self) -> Verdict | None:
        """What the first rank is worth; None on older boards."""
        return verdict_of(self.summary)

    @property
    def why(self) -> list[str]:
        """Two sentences, why the first rank won and how sure that is; none on older boards."""
        return [str(sentence) for sentence in self.summary.get("why", ())]

    @property
    def left_out(self) -> int:
        """Candidates that there was no time for."""
        return int(self.summary.get("left_out_for_time", 0))

    @property
    def other_number(self) -> int | None:
        """A number of clusters nearly as well supported as the first rank's; None where that one is clear."""
        found = self.summary.get("other_number")
        return int(found) if found is not None else None

    def labels(self, row: LeaderboardRow) -> NDArray[np.int32]:
        """Return the (n,) labels of a row that ran.

        Raises
        ------
        InputError
            The candidate failed, or only the first ranks were kept.
        """
        path = self.folder / row.folder / "cluster_labels.npy" if row.folder else row.labels
        if path is None or not path.exists():
            raise InputError(f"The labels of {row.title} were not kept.", "Run the sweep again to make them.")
        kept: NDArray[np.int32] = load_array(path, mapped=False)
        return kept

    def confidence(self, row: LeaderboardRow) -> NDArray[np.float32]:
        """Return the method's confidence in each label of a kept rank, (n,); NaN where an older sweep kept none."""
        path = self.folder / row.folder / "confidence.npy"
        if row.folder and path.exists():
            kept: NDArray[np.float32] = load_array(path, mapped=False)
            return kept
        return np.full(len(self.labels(row)), np.nan, np.float32)


def write_report(
    folder: Path,
    rows: Sequence[LeaderboardRow],
    about: dict[str, Any],
    names: Sequence[Any] | None,
    top: int,
) -> SweepResult:
    """Write everything; rank folders of an earlier sweep in the same place are replaced.

    Parameters
    ----------
    rows : sequence of LeaderboardRow
        The ranked ones in order of rank; the others anywhere.
    about : dict
        Mode, settings, counts, seconds: the head of the summary.
    names : sequence, optional
        What each row of the embeddings is: a path (bytes or text) or an id; row numbers when absent.
    top : int
        How many ranks get a folder.
    """
    for old in folder.glob("rank_[0-9]*_*"):
        shutil.rmtree(old)
    placed = []
    for row in rows:
        name = f"rank_{row.rank:02d}_{row.algorithm}" if 0 < row.rank <= top else ""
        placed.append(replace(row, folder=name))
        if name:
            _write_rank(folder / name, placed[-1], names)
    groups = {name: [row for row in placed if row.state in states] for name, states in _GROUPS.items()}
    summary = about | {name: [row.as_dict() for row in group] for name, group in groups.items()}
    write_json(folder / SUMMARY, summary)
    _write_parquet(folder / "all_results.parquet", placed)
    return _result(folder, groups, summary)


def _result(folder: Path, groups: dict[str, list[LeaderboardRow]], summary: dict[str, Any]) -> SweepResult:
    return SweepResult(folder, groups["ranked"], groups["no_structure"], groups["failed"], groups["set_aside"], summary)


def _write_rank(folder: Path, row: LeaderboardRow, names: Sequence[Any] | None) -> None:
    from engine.core.csv import write_csv

    assert row.labels is not None
    labels = load_array(row.labels, mapped=False)
    folder.mkdir(parents=True, exist_ok=True)
    save_array(folder / "cluster_labels.npy", labels)
    if (sure := confidence_path(row.labels)).exists():
        shutil.copyfile(sure, folder / "confidence.npy")
    write_json(folder / "clustering_info.json", row.as_dict())
    rows: Sequence[Any] = list(names) if names is not None else range(len(labels))
    write_csv(folder / "assignments.csv", {"image": rows, "cluster": labels})


def confidence_path(labels: Path) -> Path:
    """Return where a candidate's confidence lies, given where its labels do."""
    return labels.with_name(f"{labels.stem}-confidence.npy")


def _write_parquet(path: Path, rows: Sequence[LeaderboardRow]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = []
    for row in rows:
        record = row.as_dict()
        for name in ("parameters", "target", "notes", "two_kinds"):
            record[name] = json.dumps(record[name])
        record["sizes"] = list(record["sizes"])
        records.append(record)
    replace_file(path, lambda file: pq.write_table(pa.Table.from_pylist(records), file))


def load_sweep(folder: Path) -> SweepResult:
    """Open a finished sweep's folder.

    Raises
    ------
    StorageError
        There is no summary, or it is damaged.
    InputError
        It is JSON but not a sweep's summary.
    """
    summary = read_json(folder / SUMMARY)
    known = {field.name for field in fields(LeaderboardRow)}

    def rows(name: str) -> list[LeaderboardRow]:
        opened = []
        for record in summary[name]:
            values = {key: value for key, value in record.items() if key in known and value is not None}
            values |= {key: tuple(values.get(key, ())) for key in ("sizes", "notes", "target", "two_kinds")}
            opened.append(LeaderboardRow(**values))
        return opened

    try:
        return _result(folder, {name: rows(name) for name in _GROUPS}, summary)
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / SUMMARY} is not the summary of a sweep.", "Run the sweep again.") from error
