"""Page and command line cannot disagree: every verb, run as a job and as a command, leaves the same arrays.

The data have a test part: 40 pictures for training and 20 for the test. Each verb of the registry has a case here.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from engine.__main__ import main
from engine.core.files import read_json
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import find_encoder
from engine.images.datasets import add_benchmark, add_folder
from engine.images.scan import scan
from engine.images.tables import files_of
from engine.jobs.job import create, status
from engine.jobs.runner import run_job
from engine.jobs.tasks.clustering import ClusterRequest, cluster_images
from engine.jobs.tasks.registry import VERBS
from engine.jobs.tasks.selection import SweepRequest, sweep
from engine.labels.events import LabelHistory
from engine.labels.state import LabelState
from engine.runs.rows import Rows, align, embed_dataset, load_rows
from engine.runs.run import list_runs, open_run
from pages.shared.tasks import request_config

SWEEP = {"algorithms": ["kmeans"], "max_combinations": 2, "stability": False, "target_cluster_size": 10, "n_jobs": 1}
SWEEP_FLAGS = (
    "--algorithms",
    "kmeans",
    "--max-combinations",
    2,
    "--target-cluster-size",
    10,
    "--n-jobs",
    1,
    "--no-stability",
)
DISTIL = {
    "images_per_class": 2,
    "distill_epochs": 2,
    "seeds": 1,
    "n_experts": 2,
    "expert_epochs": 3,
    "match_epochs": 1,
    "evaluation_updates": 50,
    "device": "cpu",
}


@dataclass(frozen=True)
class Scene:
    """A scanned, embedded and clustered folder with its class folders as truth, inside train/ and test/."""

    workspace: Workspace
    photos: Path
    rows: Rows
    run: Path

    @property
    def config_key(self) -> str:
        """The embeddings' key."""
        return self.rows.embedding.config_key


@pytest.fixture
def scene(workspace, tmp_path) -> Scene:
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 20)):
        for number in range(count):
            kind = number % 2
            pixels = rng.integers(0, 60, (24, 24, 3), dtype=np.uint8)
            pixels[..., kind] += 150
            folder = tmp_path / "photos" / part / ("red", "green")[kind]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    dataset = add_folder(workspace, tmp_path / "photos", truth_from_folders=True)
    scan(workspace, dataset.id)
    rows = embed_dataset(workspace, dataset.id, "descriptor", find_encoder("descriptor").settings_class())
    assert (len(rows.train), len(rows.test)) == (40, 20)
    request = ClusterRequest(
        dataset=dataset.id, config_key=rows.embedding.config_key, settings={"n_clusters": 2}, title="Colours"
    )
    run = cluster_images(workspace, request)
    state = LabelHistory(workspace, dataset.id).state(run.contents, run.assignments, run=run.folder.name)
    LabelHistory(workspace, dataset.id).label(state, np.arange(3), "seen")
    return Scene(workspace, tmp_path / "photos", rows, run.folder)


@dataclass(frozen=True)
class Case:
    """One verb both ways.

    Attributes
    ----------
    command : function of the scene
        The words of the command line.
    values : function of the scene
        What the page gives `start_job`.
    look : function of (scene, folder)
        The arrays and figures that the verb left. `folder` is the job's own, or the place the command printed.
    """

    command: Callable[[Scene], tuple[object, ...]]
    values: Callable[[Scene], dict[str, Any]]
    look: Callable[[Scene, Path], dict[str, Any]]


def of_data(scene: Scene) -> tuple[object, ...]:
    return ("--folder", scene.photos, "--truth-from-folders")


def of_vectors(scene: Scene) -> tuple[object, ...]:
    return (*of_data(scene), "--encoder", "descriptor")


def embedded(scene: Scene) -> dict[str, Any]:
    return {"config_key": scene.config_key}


def of_run(scene: Scene) -> dict[str, Any]:
    return {"run": str(scene.run)}


def arrays_of(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def folder_of(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def catalog(scene: Scene, folder: Path) -> dict[str, Any]:
    return {"files": [(file.path, file.content) for file in files_of(scene.workspace, scene.rows.dataset.id)]}


def vectors(scene: Scene, folder: Path) -> dict[str, Any]:
    rows = load_rows(scene.workspace, scene.rows.dataset.id, scene.config_key)
    return {"vectors": np.asarray(rows.vectors), "contents": rows.contents}


def graph(scene: Scene, folder: Path) -> dict[str, Any]:
    kept = scene.workspace.neighbors(scene.rows.embedding.key)
    found = {name: np.load(kept / f"{name}.npy") for name in ("indices", "similarities")}
    shutil.rmtree(kept)
    return found


def doubled(scene: Scene, folder: Path) -> dict[str, Any]:
    kept = folder_of(folder)
    found = arrays_of(kept / "duplicates.npz")
    return {name: values for name, values in found.items() if name != "listed"} | {
        "list": (kept / "duplicates.csv").read_text()
    }


def drawn(scene: Scene, folder: Path) -> dict[str, Any]:
    (kept,) = scene.workspace.projection("x").parent.glob("*/xy.npy")
    found = {"xy": np.load(kept)}
    shutil.rmtree(kept.parent)
    return found


def clustered(scene: Scene, folder: Path) -> dict[str, Any]:
    results = read_json(folder / "results.json")
    table = pd.read_csv(folder / "labels.csv").to_dict("list")
    return arrays_of(folder / "predictions.npz") | {"train": results["train"], "test": results["test"]} | table


def swept(scene: Scene, folder: Path) -> dict[str, Any]:
    summary = read_json(folder / "clustering_summary.json")
    assert summary["n_images"] == 40
    tables = {path.parent.name: pd.read_csv(path).to_dict("list") for path in folder.glob("rank_*/assignments.csv")}
    kept = ("algorithm", "parameters", "composite", "n_clusters")
    return tables | {"ranked": [{name: row[name] for name in kept} for row in summary["ranked"]]}


def counted(scene: Scene, folder: Path) -> dict[str, Any]:
    found = read_json(folder_of(folder) / "count.json")
    assert found["rows"] == 40
    return found


def searched(scene: Scene, folder: Path) -> dict[str, Any]:
    found = read_json(folder_of(folder) / "trials.json")
    trials = [{name: value for name, value in trial.items() if name != "seconds"} for trial in found["trials"]]
    assert found["best_settings"]["max_iter"] == 7  # what the person set is where every trial starts
    return {"best": found["best_settings"], "trials": trials}


def compared(scene: Scene, folder: Path) -> dict[str, Any]:
    summary = read_json(sorted(folder.rglob("experiment_summary.json"))[-1])
    return {"configurations": summary["configurations"], "agreement": summary["agreement"]}


def compared_by_job(scene: Scene, folder: Path) -> dict[str, Any]:
    if (folder / "outcome.json").exists():
        folder = Path(read_json(folder / "outcome.json")["result"]["folder"])
    return compared(scene, folder)


def named(scene: Scene, folder: Path) -> dict[str, Any]:
    found = read_json(scene.run / "names.json")
    (scene.run / "names.json").unlink()
    return found


def spread(scene: Scene, folder: Path) -> dict[str, Any]:
    return arrays_of(folder_of(folder) / "spread.npz")


def two_labels(scene: Scene) -> dict[str, Any]:
    """Label every image by its truth but for two, and return the run."""
    state, truth = _labels(scene), list(scene.rows.truth)
    truth[0], truth[30] = truth[30], truth[0]
    LabelHistory(scene.workspace, scene.rows.dataset.id).label(state, np.arange(len(truth)), truth)
    return of_run(scene)


def _labels(scene: Scene) -> LabelState:
    run, history = open_run(scene.run), LabelHistory(scene.workspace, scene.rows.dataset.id)
    return history.state(scene.rows.contents, align(run, scene.rows)[0], run=run.folder.name)


def suspected(scene: Scene, folder: Path) -> dict[str, Any]:
    kept = folder_of(folder)
    return arrays_of(kept / "errors.npz") | {"list": (kept / "label_errors.csv").read_text()}


def simulated(scene: Scene, folder: Path) -> dict[str, Any]:
    return read_json(folder_of(folder) / "simulation.json")


def grouped(scene: Scene) -> dict[str, Any]:
    """Name both clusters, so that there are labels that nobody gave one by one."""
    for cluster in (0, 1):
        LabelHistory(scene.workspace, scene.rows.dataset.id).rename(_labels(scene), cluster, f"kind {cluster}")
    return of_run(scene) | {"checks": 10}


def reported(scene: Scene, folder: Path) -> dict[str, Any]:
    found = (scene.run / "label_quality.html").read_text()
    assert "kind 0" in found
    return {"report": found.rpartition("Made by Kindred")[0]}


def drawn_checks(scene: Scene, folder: Path) -> dict[str, Any]:
    found = (scene.run / "audit.csv").read_text()
    assert len(found.splitlines()) == 11
    (scene.run / "audit.csv").unlink()
    return {"list": found}


def voted(scene: Scene, folder: Path) -> dict[str, Any]:
    kept = scene.run / "pseudo_labels"
    found: dict[str, Any] = {path.name: path.read_text() for path in kept.glob("*.csv")}
    assert {"train_pseudo_labels_k3.csv", "test_pseudo_labels_k3.csv"} <= found.keys()
    shutil.rmtree(kept)
    return found


def analysed(scene: Scene, folder: Path) -> dict[str, Any]:
    found = read_json(scene.run / "analysis.json")
    (scene.run / "analysis.json").unlink()
    return found


def explained(scene: Scene, folder: Path) -> dict[str, Any]:
    found = read_json(scene.run / "explanation.json")
    assert found["images"] == 60 and len(found["clusters"]) == 2
    assert "folder" not in [reason["measure"] for reason in found["run"]], "the folders are the truth"
    (scene.run / "explanation.json").unlink()
    return found


def removed(scene: Scene, folder: Path) -> dict[str, Any]:
    if (folder / "outcome.json").exists():
        folder = scene.workspace.runs / read_json(folder / "outcome.json")["result"]["run"]
    assert read_json(folder / "config.json")["embedding"]["config_key"] != scene.config_key
    return clustered(scene, folder)


def compared_with_new(scene: Scene, folder: Path) -> dict[str, Any]:
    if (folder / "outcome.json").exists():
        found = read_json(folder / "outcome.json")["result"]
        assert found["sentences"] == ["No image came since this clustering was made."]
    return catalog(scene, folder)


def distilled(scene: Scene, folder: Path) -> dict[str, Any]:
    kept = scene.run / "distillation"
    results = read_json(kept / "results.json")
    assert (results["images"]["train"], results["images"]["test"]) == (40, 20)
    found = {path.stem: arrays_of(path) for path in kept.glob("*.npz")}
    shutil.rmtree(kept)
    return found | {"images": results["images"]}


def exported(scene: Scene, folder: Path) -> dict[str, Any]:
    target = scene.run / "exports" / "labels.csv"
    found = {"labels": target.read_text()}
    target.unlink()
    return found


def board(scene: Scene) -> Path:
    """Return the folder of a sweep's board, made when it is first asked for."""
    folder = scene.photos.parent / "board"
    if not folder.exists():
        sweep(
            scene.workspace,
            SweepRequest.parse(
                {"dataset": scene.rows.dataset.id, **embedded(scene), "settings": SWEEP, "folder": str(folder)}
            ),
        )
    return folder


def label_list(scene: Scene) -> Path:
    """Return a list of labels for three of the pictures."""
    path = scene.photos.parent / "list.csv"
    path.write_text("file,label\n00.png,sky\ntrain/red/02.png,sea\ntest/red/04.png,sea\n")
    return path


def labelled(scene: Scene, folder: Path) -> dict[str, Any]:
    """Return the labels as they stand, then take the step back so that the other way meets the same."""
    run, history = open_run(scene.run), LabelHistory(scene.workspace, scene.rows.dataset.id)
    state = history.state(run.contents, run.assignments, run=run.folder.name)
    history.undo()
    names = [cluster.name for cluster in state.clusters]
    return {"labels": [str(label) for label in state.labels], "names": [str(name) for name in names]}


def kept_of_board(scene: Scene, folder: Path) -> dict[str, Any]:
    if (folder / "outcome.json").exists():
        folder = scene.workspace.runs / read_json(folder / "outcome.json")["result"]["run"]
    kept = arrays_of(folder / "predictions.npz")
    shown = np.load(next(board(scene).glob("rank_01_*/cluster_labels.npy")))
    assert np.array_equal(kept["assignments"][kept["split"] == "train"], shown)
    return clustered(scene, folder)


def other_run(scene: Scene) -> Path:
    """Return the folder of a second run, in three clusters; made when it is first asked for."""
    found = [path for path in scene.workspace.runs.iterdir() if path.name.startswith("gaussian")]
    if found:
        return found[0]
    values = {"method": "gaussian_mixture", "settings": {"n_clusters": 3}}
    return cluster_images(
        scene.workspace, ClusterRequest(dataset=scene.rows.dataset.id, **embedded(scene), **values)
    ).folder


def combined(scene: Scene, folder: Path) -> dict[str, Any]:
    if (folder / "outcome.json").exists():
        folder = scene.workspace.runs / read_json(folder / "outcome.json")["result"]["run"]
    config = read_json(folder / "config.json")
    assert config["labels_from"]["runs"] == [scene.run.name, other_run(scene).name]
    return clustered(scene, folder)


def prepared(scene: Scene, folder: Path) -> dict[str, Any]:
    (run,) = list_runs(scene.workspace, add_benchmark(scene.workspace, "digits").id)
    return {"labels": run.assignments, "maps": len(list((scene.workspace.cache / "projections").iterdir()))}


CASES: dict[str, Case] = {
    "scan": Case(lambda s: ("scan", *of_data(s)), lambda s: {}, catalog),
    "samples": Case(
        lambda s: ("samples", "digits", "--workspace", s.workspace.root), lambda s: {"sets": ["digits"]}, prepared
    ),
    "embed": Case(
        lambda s: ("embed", *of_vectors(s), "--force"), lambda s: {"encoder": "descriptor", "force": True}, vectors
    ),
    "graph": Case(lambda s: ("graph", *of_vectors(s)), embedded, graph),
    "duplicates": Case(
        lambda s: ("duplicates", *of_vectors(s), "--level", "similar", "--similarity", 0.9),
        lambda s: embedded(s) | {"level": "similar", "similarity": 0.9},
        doubled,
    ),
    "map": Case(
        lambda s: ("project", *of_vectors(s), "--kind", "pca"),
        lambda s: embedded(s) | {"settings": {"kind": "pca"}},
        drawn,
    ),
    "cluster": Case(
        lambda s: ("cluster", *of_vectors(s), "--method", "gaussian_mixture", "--n-clusters", 3),
        lambda s: embedded(s) | {"method": "gaussian_mixture", "settings": {"n_clusters": 3}},
        clustered,
    ),
    "sweep": Case(
        lambda s: ("sweep", *of_vectors(s), *SWEEP_FLAGS), lambda s: embedded(s) | {"settings": SWEEP}, swept
    ),
    "keep-rank": Case(lambda s: ("keep-rank", board(s)), lambda s: {"board": str(board(s)), "rank": 1}, kept_of_board),
    "consensus": Case(
        lambda s: ("consensus", "--runs", s.run.name, other_run(s).name),
        lambda s: {"runs": [s.run.name, other_run(s).name]},
        combined,
    ),
    "count": Case(
        lambda s: ("count", *of_vectors(s), "--largest", 5, "--repeats", 2),
        lambda s: embedded(s) | {"settings": {"largest": 5, "repeats": 2}},
        counted,
    ),
    "search": Case(
        lambda s: ("search", *of_vectors(s), "--search-trials", 3, "--search-metric", "ari", "--max-iter", 7),
        lambda s: (
            embedded(s)
            | {"method": "kmeans", "settings": {"max_iter": 7}, "trials": 3, "metric": "ari", "how": "random"}
        ),
        searched,
    ),
    "experiment": Case(
        lambda s: ("experiment", *of_data(s), "--models", "descriptor", "--resolutions", 224, *SWEEP_FLAGS),
        lambda s: {"models": ["descriptor"], "resolutions": [224], "settings": SWEEP},
        compared_by_job,
    ),
    "name-clusters": Case(lambda s: ("name-clusters", s.run), of_run, named),
    "name": Case(
        lambda s: ("name", s.run, "0=pet", "1=="), lambda s: of_run(s) | {"names": ["0=pet", "1=="]}, labelled
    ),
    "import-labels": Case(
        lambda s: ("import-labels", label_list(s), "--run", s.run),
        lambda s: {"labels": str(label_list(s))},
        labelled,
    ),
    "spread": Case(lambda s: ("spread", s.run), lambda s: of_run(s) | embedded(s), spread),
    "label-errors": Case(lambda s: ("label-errors", s.run), two_labels, suspected),
    "simulate": Case(lambda s: ("simulate", s.run), of_run, simulated),
    "quality-report": Case(lambda s: ("quality-report", s.run), lambda s: {"run": grouped(s)["run"]}, reported),
    "audit": Case(lambda s: ("audit", s.run, "--checks", 10), grouped, drawn_checks),
    "pseudo-label": Case(
        lambda s: ("pseudo-label", s.run, "--k-samples", 3),
        lambda s: of_run(s) | {"settings": {"k_samples": 3}},
        voted,
    ),
    "analyse": Case(lambda s: ("analyze", s.run), of_run, analysed),
    "explain": Case(lambda s: ("explain", s.run), of_run, explained),
    "remove-nuisance": Case(
        lambda s: ("remove-nuisance", s.run, "--measure", "brightness"),
        lambda s: of_run(s) | {"measure": "brightness"},
        removed,
    ),
    "new-images": Case(lambda s: ("new-images", s.run), of_run, compared_with_new),
    "distil": Case(
        lambda s: (
            "distil",
            s.run,
            *(word for name, value in DISTIL.items() for word in (f"--{name.replace('_', '-')}", value)),
        ),
        lambda s: of_run(s) | {"settings": DISTIL},
        distilled,
    ),
    "export": Case(
        lambda s: ("export", s.run, "--split"), lambda s: of_run(s) | {"settings": {"split": True}}, exported
    ),
}


class Reader:
    """An encoder that reads words; the same word always gives the same vector."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    def encode_text(self, texts: list[str]) -> np.ndarray:
        """Return one vector per text, from its letters."""
        seeds = [sum(text.encode()) for text in texts]
        return np.stack([np.random.default_rng(seed).normal(size=self.dimension) for seed in seeds]).astype(np.float32)


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_leaves_the_same_as_a_job_and_as_a_command(scene, name, capsys, monkeypatch):
    assert name in CASES, f"the verb {name} has no case here: say how it is run and what it leaves"
    monkeypatch.setattr("engine.embeddings.search.encoder_of", lambda *_, **__: Reader(scene.rows.vectors.shape[1]))
    case = CASES[name]
    config = request_config(name, scene.rows.dataset, **case.values(scene))
    folder = create(scene.workspace.jobs, name, "From the page", config)
    assert run_job(folder) == 0, status(folder).detail
    by_job = case.look(scene, folder)
    capsys.readouterr()
    assert main([str(word) for word in case.command(scene)]) == 0, capsys.readouterr().err
    by_command = case.look(scene, Path(capsys.readouterr().out.splitlines()[-1]))
    same(by_job, by_command)


def same(first: Any, second: Any, at: str = "") -> None:  # noqa: ANN401 - arrays, figures, texts
    """Compare what two ways left, array for array."""
    if isinstance(first, dict):
        assert first.keys() == second.keys(), at
        for name in first:
            same(first[name], second[name], f"{at}/{name}")
    elif isinstance(first, list):
        assert len(first) == len(second), at
        for place, (one, other) in enumerate(zip(first, second, strict=True)):
            same(one, other, f"{at}[{place}]")
    else:
        np.testing.assert_array_equal(np.asarray(first), np.asarray(second), err_msg=at)


def test_a_start_run_is_where_a_deep_method_starts(scene):
    kept = open_run(scene.run)
    words = ["--method", "temi", "--n-clusters", 2, "--n-epochs", 1, "--n-heads", 1, "--device", "cpu"]
    command = ["run", *of_vectors(scene), *words, "--start-run", kept.folder]
    assert main([str(word) for word in command]) == 0
    newest = max(scene.workspace.runs.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    config = read_json(newest / "config.json")
    assert (config["start_run"], config["settings"]["warm_start"]) == (str(kept.folder), "run")


def test_a_start_run_is_refused_where_nothing_starts_from_it(scene, capsys):
    command = ["run", *of_vectors(scene), "--method", "kmeans", "--start-run", scene.run]
    assert main([str(word) for word in command]) == 2
    assert "k-means does not start from another clustering." in capsys.readouterr().err
