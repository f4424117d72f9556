"""What jobs run: each function reads its folder's config, works, and returns a small JSON result (see tasks.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.files import save_arrays, write_json
from engine.core.progress import Progress
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import find_encoder
from engine.evaluation.scores import scores
from engine.geometry.projection import ProjectionSettings
from engine.images.decode import PreprocessSettings
from engine.images.sampling import kept_sample
from engine.images.scan import scan
from engine.jobs.products import distil_run, export_run, pseudo_label_run
from engine.labels.events import LabelHistory
from engine.labels.pseudo_labels import PseudoLabelSettings
from engine.runs import run as runs
from engine.runs.fit import cluster, settings_of, write_labels
from engine.runs.rows import (
    Rows,
    align,
    embed_dataset,
    graph_of,
    load_rows,
    map_of,
    rows_of_run,
    truth_codes,
    with_test_fraction,
)

LIVE_SCORES = ("silhouette", "balance", "n_clusters", "largest_share", "accuracy", "nmi", "ari")


def scan_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Scan a data set; the report is written beside the job."""
    report = scan(workspace, config["dataset"]["id"], progress=progress)
    return {"files": report.files, "readable": report.readable, "failed": len(report.failed)}


def embed_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Embed a data set, or the person's sample of it, with one configuration."""
    encoder = find_encoder(config["encoder"])
    sample = kept_sample(workspace, config["dataset"]["id"])
    rows = embed_dataset(
        workspace,
        config["dataset"]["id"],
        encoder.name,
        encoder.settings_class.parse(config.get("settings", {})),
        preprocess=PreprocessSettings.parse(config.get("preprocess", {})),
        device=config.get("device", "auto"),
        progress=progress,
        force=bool(config.get("force", False)),
        only=None if sample is None else sample.contents,
    )
    if len(rows) == 0:
        raise InputError("None of the images could be read, so nothing was embedded.", "See the list on Images.")
    graph_of(workspace, rows, progress=progress)
    return {"config_key": rows.embedding.config_key, "images": len(rows)}


def graph_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Find the neighbours of one configuration's embeddings."""
    rows = load_rows(workspace, config["dataset"]["id"], config["config_key"])
    return {"images": len(graph_of(workspace, rows, progress=progress))}


def map_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Compute a 2-D map of one configuration's embeddings."""
    rows = load_rows(workspace, config["dataset"]["id"], config["config_key"])
    map_of(workspace, rows, ProjectionSettings.parse(config.get("settings", {})), progress=progress)
    return {"images": len(rows)}


def cluster_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Cluster one configuration's embeddings into this run folder."""
    rows = load_rows(workspace, config["dataset"]["id"], config["config_key"])
    if config.get("test_fraction"):
        rows = with_test_fraction(rows, float(config["test_fraction"]))
    listen_with_scores(progress, rows)
    run = cluster(
        workspace,
        rows,
        config["method"],
        settings_of(config),
        folder,
        title=config.get("title", ""),
        config=config,
        progress=progress,
    )
    write_labels(run, rows, workspace)
    return {"run": folder.name, "n_clusters": run.results["train"]["n_clusters"]}


def listen_with_scores(progress: Progress, rows: Rows) -> None:
    """Let a job's listener score snapshots of the rows that a method is fitted on, against truth where it is known.

    A score also holds the cluster sizes in falling order; it is empty where a method left out images.
    """
    if not hasattr(progress, "score"):
        return
    train = np.array([part != "test" for part in rows.split], dtype=bool)
    truth = truth_codes(rows.truth)

    def score(labels: NDArray[np.int32]) -> dict[str, Any]:
        if len(labels) not in (len(rows), train.sum()):
            return {}
        part = slice(None) if len(labels) == len(rows) else train
        found = scores(rows.vectors[part], labels, None if truth is None else truth[part])
        sizes = np.sort(np.bincount(labels[labels >= 0]))[::-1]
        return {name: found[name] for name in LIVE_SCORES if found[name] is not None} | {"sizes": sizes.tolist()}

    progress.score = score


def distil_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Distil a run; the result lies in the run's own folder."""
    from engine.distillation.settings import DistilSettings

    run = runs.open_run(Path(config["run"]))
    return distil_run(workspace, run, DistilSettings.parse(config.get("settings", {})), progress=progress)


def analysis_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Analyse a run; analysis.json lies in the run's own folder."""
    from engine.runs.analysis import kept_analysis

    run = runs.open_run(Path(config["run"]))
    return {"images": kept_analysis(run, rows_of_run(workspace, run))["images"]}


def pseudo_label_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Make the pseudo-labels of a run; the files lie in the run's own folder."""
    settings = PseudoLabelSettings.parse(config.get("settings", {}))
    written = pseudo_label_run(workspace, runs.open_run(Path(config["run"])), settings, progress=progress)
    return {"coverage": {name: part.coverage for name, part in written.splits.items()}}


def sweep_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Sweep one configuration's embeddings; the board lies in the job's folder.

    The pairs that the person named weigh in the ranking, and the surroundings of the target images are reported.
    """
    from engine.core.csv import path_text
    from engine.selection.sweep.runner import Sweep
    from engine.selection.sweep.settings import SweepSettings

    sample = kept_sample(workspace, config["dataset"]["id"])
    rows = load_rows(workspace, config["dataset"]["id"], config["config_key"])
    result = Sweep(SweepSettings.parse(config.get("settings", {}))).run(
        rows.vectors,
        output_dir=folder,
        graph=graph_of(workspace, rows, progress=progress),
        paths=[path_text(path) for path in rows.paths],
        progress=progress,
        validation_pairs=None if sample is None else sample.pair_rows(rows.contents),
        target=None if sample is None else sample.target_rows(rows.contents).tolist(),
    )
    return {"ranked": len(result.ranked), "best": result.best.title if result.best else None}


def count_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Weigh the evidence for the number of clusters; count.json lies in the job's folder."""
    from dataclasses import asdict

    from engine.selection.count.count import cluster_count

    rows = load_rows(workspace, config["dataset"]["id"], config["config_key"])
    found = cluster_count(rows.vectors, progress=progress)
    write_json(folder / "count.json", asdict(found))
    return {"n_clusters": found.n_clusters, "verdict": found.verdict}


def search_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Search a method's settings; the study and trials.json lie in the job's folder."""
    from engine.selection.search.search import HyperparameterSearch

    rows = load_rows(workspace, config["dataset"]["id"], config["config_key"])
    metric = config.get("metric", "silhouette")
    truth = None if metric == "silhouette" else truth_codes(rows.truth)
    if metric != "silhouette" and truth is None:
        raise InputError(f"The metric {metric} needs known classes, and there are none.", "Search by silhouette.")
    search = HyperparameterSearch(config["method"], metric=metric, folder=folder).search(
        rows.vectors,
        truth,
        method=config.get("how", "random"),
        n_trials=int(config.get("trials", 20)),
        n_epochs=int(config.get("epochs", 50)),
        neighbors=graph_of(workspace, rows, progress=progress),
        progress=progress,
    )
    found = {
        "metric": metric,
        "best_score": search.best_score_,
        "best_params": search.best_params_,
        "best_settings": search.best_settings_.model_dump(mode="json"),
        "trials": search.trials_,
        "importances": search.importances(),
    }
    write_json(folder / "trials.json", found)
    return {"best_score": search.best_score_, "best_params": search.best_params_}


def export_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Export a run of the library."""
    from engine.export.settings import ExportSettings

    settings = ExportSettings.parse(config["settings"])
    report = export_run(
        workspace, runs.open_run(Path(config["run"])), settings, Path(config["target"]), progress=progress
    )
    return {"target": str(report.target), "written": report.written, "failed": report.failed[:200]}


def names_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Propose names for a run's clusters from CLIP's words; names.json lies in the job's folder."""
    from engine.embeddings.search import encoder_of
    from engine.labels.naming import common_nouns, name_clusters, parse_vocabulary, prompts

    run = runs.open_run(Path(config["run"]))
    rows = rows_of_run(workspace, run)
    labels, _ = align(run, rows)
    state = LabelHistory(workspace, rows.dataset.id).state(rows.contents, labels, run=run.folder.name)
    words = parse_vocabulary(config["words"]) if str(config.get("words", "")).strip() else common_nouns()
    encoder: Any = encoder_of(workspace, str(run.config["embedding"]["config_key"]))
    sentences = prompts(words)
    parts = []
    for start in range(0, len(sentences), 64):
        parts.append(encoder.encode_text(sentences[start : start + 64]))
        progress.update(start, len(sentences), phase="reading words", unit="words")
    found = name_clusters(rows.vectors, np.concatenate(parts), words, state.cluster, progress=progress)
    proposals = [
        {
            "cluster": item.cluster,
            "images": item.size,
            "word": item.word,
            "score": item.score,
            "reliable": item.reliable,
            "alternates": ", ".join(word for word, _ in item.alternates),
        }
        for item in found
    ]
    write_json(folder / "names.json", {"proposals": proposals})
    return {"named": sum(item.reliable for item in found), "clusters": len(found)}


def spread_task(workspace: Workspace, folder: Path, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Spread a run's labels over the neighbour graph; spread.npz lies in the job's folder."""
    from engine.labels.propagation import propagate

    run = runs.open_run(Path(config["run"]))
    rows = load_rows(workspace, config["dataset"]["id"], config["config_key"])
    labels, _ = align(run, rows)
    state = LabelHistory(workspace, rows.dataset.id).state(rows.contents, labels, run=run.folder.name)
    found = propagate(graph_of(workspace, rows, progress=progress), state.given, progress=progress)
    save_arrays(
        folder / "spread.npz",
        contents=rows.contents,
        labels=found.labels,
        confidence=found.confidence,
        margin=found.margin,
        names=np.array(state.label_names),
    )
    return {"labelled": int(found.given.sum()), "proposed": len(found.queue())}
