"""Pseudo-labels as the files of a run: JSON, one CSV per split, the cluster mapping as CSV and as a picture.

Column names and file names are those of methods/pseudo-labels.md; without truth the truth columns are empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.csv import path_text, write_csv
from engine.core.errors import InputError
from engine.core.files import read_json, write_json
from engine.core.ids import Ids, to_hex
from engine.core.progress import SILENT, Progress
from engine.export.mapping_picture import draw_mapping
from engine.labels.pseudo_labels import (
    LabelNames,
    PseudoLabels,
    PseudoLabelSettings,
    distances_to_centers,
    pseudo_label,
)
from engine.runs.rows import train_and_test

FORMAT = 1


@dataclass(frozen=True)
class SplitLabels:
    """Pseudo-labels of one split.

    Attributes
    ----------
    rows : (m,) int64
        Rows of the run.
    labels : (m,) int32
        -1 where there is none.
    confidence : (m,) float32
    truth : (m,) int32
        -1 where unknown.
    accuracy : float or None
        Share of right labels among the rows with a label and a known truth; None without any.
    coverage : float
        Share of rows with a label.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    truth: NDArray[np.int32]

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Rows whose label can be right or wrong."""
        return (self.labels >= 0) & (self.truth >= 0)

    @property
    def accuracy(self) -> float | None:
        """Share of right labels among the judged."""
        judged = self.judged
        return float(np.mean(self.labels[judged] == self.truth[judged])) if judged.any() else None

    @property
    def coverage(self) -> float:
        """Share of rows with a label."""
        return float(np.mean(self.labels >= 0)) if len(self.labels) else 0.0


@dataclass(frozen=True)
class Written:
    """What was computed, and the files."""

    result: PseudoLabels
    splits: dict[str, SplitLabels]
    files: list[Path]


def write_pseudo_labels(
    folder: Path,
    embeddings: NDArray[Any],
    assignments: NDArray[np.integer[Any]],
    *,
    contents: Ids,
    paths: Sequence[bytes],
    split: Sequence[str] = (),
    truth: Sequence[str | None] = (),
    given: Sequence[str | None] | None = None,
    centers: NDArray[Any] | None = None,
    settings: PseudoLabelSettings | None = None,
    picture: Callable[[int], bytes | None] | None = None,
    progress: Progress = SILENT,
) -> Written:
    """Compute pseudo-labels of a run and write them into `folder`/pseudo_labels.

    Parameters
    ----------
    folder : Path
        The run.
    embeddings : (n, d) array
    assignments : (n,) int
        -1 is noise.
    contents : (n,) S16
    paths : n bytes
        First path of each image.
    split : n str, optional
        "test" rows are labelled and do not vote, unless all are.
    truth : n str or None, optional
        True labels; they fill the truth columns, and vote unless `given` does.
    given : n str or None, optional
        Labels that a person gave; when there are any, they vote instead of the truth.
    centers : (K, d), optional
        The method's centres.
    settings : PseudoLabelSettings, optional
    picture : function of a row, optional
        Encoded image bytes; without it no picture is drawn.

    Raises
    ------
    InputError
        No label is known at all, or lengths differ.
    """
    chosen = settings or PseudoLabelSettings()
    n = len(embeddings)
    true: Sequence[str | None] = truth if len(truth) else [None] * n
    parts: Sequence[str] = split if len(split) else [""] * n
    by_person = given is not None and any(given)
    known = given if by_person and given is not None else true
    if not any(known):
        raise InputError(
            "No image has a label, so clusters cannot be labelled by vote.",
            "Label a few images of each cluster, or name the clusters.",
        )
    if not len(assignments) == len(true) == len(parts) == len(contents) == len(paths) == n:
        raise InputError("Images, clusters, labels and splits differ in number.", "Run the clustering again.")
    voting, others = train_and_test(parts)
    progress.update(0, 3, phase="Vote")
    names = LabelNames.of(known, true)
    everything = len(voting) == n
    vectors = embeddings if everything else embeddings[voting]
    clusters = np.asarray(assignments)
    result = pseudo_label(
        vectors,
        clusters[voting],
        known if everything else [known[row] for row in voting.tolist()],
        centers=centers,
        k=chosen.k_samples,
        names=names,
    )
    codes = names.encode(true)
    splits = {"train": _split(result, voting, clusters[voting], result.distance, codes)}
    if len(others):
        there = np.where(clusters[others] < len(result.centers), clusters[others], -1)
        distance = distances_to_centers(embeddings[others], there, result.centers)
        splits["test"] = _split(result, others, there, distance, codes)
    progress.update(1, 3, phase="Write")
    target, k = folder / "pseudo_labels", chosen.k_samples
    mapping = mapping_columns(result, splits["train"], clusters[voting])
    files = [_write_json(target / f"pseudo_labels_k{k}.json", result, splits, mapping, by_person, contents[voting])]
    files.append(_write_mapping(target / f"cluster_mapping_k{k}.csv", mapping))
    for name, part in splits.items():
        files.append(_write_samples(target / f"{name}_pseudo_labels_k{k}.csv", part, clusters, names, contents, paths))
    progress.update(2, 3, phase="Picture")
    if picture is not None and chosen.visualize_mapping:
        files.append(target / f"cluster_mapping_k{k}.png")
        draw_mapping(
            files[-1],
            result,
            [true[row] for row in voting.tolist()],
            lambda row: picture(int(voting[row])),
            max_clusters=chosen.max_clusters_viz,
            samples_per_cluster=chosen.samples_per_cluster,
        )
    progress.update(3, 3, phase="Picture")
    return Written(result, splits, files)


def _split(
    result: PseudoLabels,
    rows: NDArray[np.int64],
    clusters: NDArray[Any],
    distance: NDArray[np.float32],
    truth: NDArray[np.int32],
) -> SplitLabels:
    labels, confidence = result.label(clusters, distance)
    return SplitLabels(rows, labels, confidence, truth[rows])


def mapping_columns(result: PseudoLabels, train: SplitLabels, clusters: NDArray[Any]) -> dict[str, Any]:
    """Return the columns of cluster_mapping_kN.csv, every cluster a line, empty ones too."""
    judged = train.judged & (clusters >= 0)
    right = judged & (train.labels == train.truth)
    n_clusters = len(result.centers)
    seen = np.bincount(clusters[judged], minlength=n_clusters)
    with np.errstate(invalid="ignore"):
        accuracy = np.bincount(clusters[right], minlength=n_clusters) / seen
    return {
        "cluster_id": np.arange(n_clusters),
        "pseudo_label": _numbers(result.cluster_label),
        "cluster_size": result.cluster_size,
        "cluster_accuracy": accuracy,
        "confidence": np.where(result.cluster_label >= 0, result.cluster_confidence, np.nan),
        "pseudo_label_name": result.names.decode(result.cluster_label),
    }


def _write_mapping(path: Path, mapping: dict[str, Any]) -> Path:
    write_csv(path, mapping)
    return path


def _write_samples(
    path: Path, part: SplitLabels, clusters: NDArray[Any], names: LabelNames, contents: Ids, paths: Sequence[bytes]
) -> Path:
    """Write one split: every sample a line, path and content id last."""
    table = np.array(["0", "1", ""], object)
    right = np.where(part.judged, (part.labels == part.truth).astype(np.int64), 2)
    write_csv(
        path,
        {
            "sample_idx": np.arange(len(part.rows)),
            "cluster_id": clusters[part.rows],
            "pseudo_label": _numbers(part.labels),
            "true_label": _numbers(part.truth),
            "confidence_score": part.confidence,
            "pseudo_label_name": names.decode(part.labels),
            "true_label_name": names.decode(part.truth),
            "is_correct": table[right].tolist(),
            "image_path": [path_text(paths[row]) for row in part.rows.tolist()],
            "content_hash": to_hex(contents[part.rows]),
        },
    )
    return path


def _write_json(
    path: Path,
    result: PseudoLabels,
    splits: dict[str, SplitLabels],
    mapping: dict[str, Any],
    by_person: bool,
    contents: Ids,
) -> Path:
    """Write everything about the clusters."""
    texts = to_hex(contents)
    voters = [[texts[row] for row in rows if row >= 0] for rows in result.voters.tolist()]
    columns = [values.tolist() if isinstance(values, np.ndarray) else values for values in mapping.values()]
    clusters = [
        dict(zip(mapping, values, strict=True)) | {"known_voters": known, "voters": ids}
        for *values, known, ids in zip(*columns, result.known_voters.tolist(), voters, strict=True)
    ]
    write_json(
        path,
        {
            "format": FORMAT,
            "k": result.k,
            "labels_from": "person" if by_person else "truth",
            "label_names": list(result.names.names),
            "n_clusters": len(result.centers),
            "empty_clusters": result.empty_clusters,
            "unlabelled_clusters": result.unlabelled_clusters,
            "cluster_to_label": {str(row["cluster_id"]): row["pseudo_label"] for row in clusters},
            "cluster_to_name": {str(row["cluster_id"]): row["pseudo_label_name"] for row in clusters},
            "accuracy": {name: part.accuracy for name, part in splits.items()},
            "coverage": {name: part.coverage for name, part in splits.items()},
            "clusters": clusters,
        },
    )
    return path


def read_pseudo_labels(path: Path) -> dict[str, Any]:
    """Read pseudo_labels_kN.json back, checked.

    Raises
    ------
    InputError
        A part is missing or is not what it should be: the file was edited or is another one.
    StorageError
        Missing, or not JSON.
    """
    found = read_json(path)
    hint = "It was edited or is another file; compute the pseudo-labels again."
    if not isinstance(found, dict) or not isinstance(found.get("clusters"), list):
        raise InputError(f"{path.name} holds no pseudo-labels.", hint)
    names = found.get("label_names")
    if int(found.get("format", FORMAT)) > FORMAT:
        raise InputError(f"{path.name} was written by a newer Kindred.", "Update Kindred to open it.")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path.name}: label_names must be a list of names.", hint)
    for row in found["clusters"]:
        fault = _fault(row, names)
        if fault:
            raise InputError(f"{path.name}: {fault}.", hint)
    return found


def _fault(row: Any, names: list[str]) -> str:  # noqa: ANN401 - whatever stands in the file
    """Return what is wrong with one cluster of the file, "" when nothing is."""
    if not isinstance(row, dict) or not all(isinstance(row.get(key), int) for key in ("cluster_id", "cluster_size")):
        return "a cluster has no cluster_id or cluster_size"
    label = row.get("pseudo_label")
    if label is None:
        return "" if row.get("pseudo_label_name") is None else f"cluster {row['cluster_id']} has a name but no number"
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(names):
        return f"the pseudo_label of cluster {row['cluster_id']} is {label!r}, which is no label number"
    if row.get("pseudo_label_name") != names[label]:
        return f"the name and number of cluster {row['cluster_id']} disagree"
    return ""


def _numbers(codes: NDArray[Any]) -> NDArray[Any] | list[int | None]:
    """Return codes with None for -1."""
    if not (codes < 0).any():
        return codes
    return [None if code < 0 else code for code in codes.tolist()]
