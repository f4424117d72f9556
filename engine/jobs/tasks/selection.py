"""Verbs that choose without truth: the sweep, the number of clusters and the search for a method's settings.

All of them see the training rows only, so that a test part stays unseen until a clustering is measured on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from engine.clustering.registry import METHODS, find_method
from engine.core.errors import InputError
from engine.core.files import content_id, read_json, save_array, write_json
from engine.core.ids import pack, positions
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.core.workspace import Workspace
from engine.embeddings.embed import EmbeddingSet
from engine.images.datasets import Dataset
from engine.images.pixels import natural_side, read_pixels
from engine.images.sampling import Names, Sample, SampleSettings, draw_sample, in_sample
from engine.images.vectors import read_vectors
from engine.jobs.tasks.clustering import settings_for
from engine.jobs.tasks.requests import EmbeddedRequest, SampledRequest, named_run, row_names, training_rows
from engine.runs.rows import Rows, graph_of, truth_codes
from engine.runs.run import Run, make_parent
from engine.selection.count.count import ClusterCount, ClusterCountSettings, cluster_count
from engine.selection.count.curves import k_grid
from engine.selection.search.space import parse_space
from engine.selection.sweep.report import SweepResult
from engine.selection.sweep.runner import Sweep
from engine.selection.sweep.settings import SweepSettings

if TYPE_CHECKING:
    from engine.selection.search.search import HyperparameterSearch

LEAST_IMAGES = 10


class SweepRequest(SampledRequest):
    """Find good clusters without knowing any parameter: of embedded images, or of vectors in a file."""

    dataset: str = setting("", "Id of the data set; none for files.")
    config_key: str = setting("", "Which embeddings: the configuration's key.")
    embeddings: str = setting("", "embeddings.npy, (n, d), instead of a data set.")
    image_paths: str = setting("", "image_paths.json, a list of n paths.")
    settings: SweepSettings = setting(SweepSettings(), "What is tried and how it is ranked.")
    folder: str = setting("", "Where the ranked clusterings go; the library when empty.", runtime=True)

    @model_validator(mode="after")
    def _one_source(self) -> SweepRequest:
        if bool(self.embeddings) == bool(self.dataset and self.config_key):
            raise ValueError("name the data once: embeddings of a data set, or a file of vectors")
        return self


def sweep(workspace: Workspace, request: SweepRequest, progress: Progress = SILENT) -> SweepResult:
    """Try many clusterings of the training rows, rank them and keep the best with their files.

    Pairs that the person named weigh in the ranking, and the surroundings of the images to watch are reported.

    Raises
    ------
    InputError
        Fewer than 10 images, an image that is named ambiguously, files that do not fit together.
    """
    if request.embeddings:
        rows, sample = _rows_of_files(request)
    else:
        sample = request.chosen_sample(workspace) or draw_sample(workspace, request.dataset, SampleSettings())
        rows = training_rows(workspace, request.dataset, request.config_key, sample.contents)
    if len(rows) < LEAST_IMAGES <= sample.total:
        raise InputError(
            f"The sample holds {len(rows)} of {sample.total:,} images; a sweep needs at least {LEAST_IMAGES}.",
            "Take a larger sample.",
        )
    for sentence in sample.warnings:
        progress.say(sentence)
    folder = Path(request.folder or workspace.library / "sweeps" / f"{rows.dataset.id}_{request.settings.tried}")
    make_parent(folder)
    sample.save(folder / "sample.json")
    save_array(folder / "contents.npy", rows.contents)
    source = {} if request.embeddings else {"dataset": request.dataset, "config_key": request.config_key}
    cached = not request.embeddings and len(rows) > 9
    return Sweep(request.settings).run(
        rows.vectors,
        output_dir=folder,
        graph=graph_of(workspace, rows, progress=progress) if cached else None,
        paths=row_names(rows),
        progress=progress,
        validation_pairs=sample.pair_rows(rows.contents),
        target=sample.target_rows(rows.contents).tolist(),
        source=source,
    )


def sweep_summary(result: SweepResult) -> dict[str, Any]:
    """Return how many candidates were ranked, and the best."""
    return {"ranked": len(result.ranked), "best": result.best.title if result.best else None}


def _rows_of_files(request: SweepRequest) -> tuple[Rows, Sample]:
    """Return the sampled rows of embeddings.npy, named by image_paths.json; nothing of them enters the catalog."""
    path = Path(request.embeddings)
    file = read_vectors(path)
    names = file.ids or [str(row) for row in range(len(file.vectors))]
    if request.image_paths:
        names = read_json(Path(request.image_paths))
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise InputError(
                f"{Path(request.image_paths).name} is not a list of paths.", 'Give JSON like ["a.jpg", ...].'
            )
    if len(names) != len(file.vectors):
        raise InputError(f"There are {len(names):,} paths for {len(file.vectors):,} embeddings.", "Give one for each.")
    encoded = [name.encode("utf-8", "surrogatepass") for name in names]
    sample = _sample_of_names(path.stem, encoded, request)
    contents = pack(content_id(name) for name in encoded)
    kept = np.flatnonzero(np.isin(contents, sample.contents))
    truth = file.labels or [None] * len(names)
    rows = Rows(
        dataset=Dataset(path.stem, path.stem, "vectors", str(path).encode(), {}, None),
        embedding=EmbeddingSet(path.stem, path.stem, contents[kept], file.vectors[kept], kept),
        ids=kept,
        paths=[encoded[row] for row in kept.tolist()],
        truth=[truth[row] for row in kept.tolist()],
        split=[""] * len(kept),
        width=np.zeros(len(kept), np.int32),
        height=np.zeros(len(kept), np.int32),
    )
    return rows, sample


def _sample_of_names(title: str, names: list[bytes], request: SampledRequest) -> Sample:
    """Draw a sample of rows that are known by name only, with the images to watch and both ends of each pair in it."""
    known = {name: content_id(name) for name in names}
    finder, warnings = Names(known), list[str]()
    ends = [(finder.find(a, warnings), finder.find(b, warnings)) for a, b in request.validation_pairs]
    pairs = [(first, second) for first, second in ends if first is not None and second is not None]
    targets = [one for name in request.target_image if (one := finder.find(name, warnings)) is not None]
    contents = pack(known[name] for name in names)
    settings = request.sample or SampleSettings()
    mask = in_sample(contents, settings)
    mask[positions(contents, pack([*targets, *(end for pair in pairs for end in pair)]))] = True
    return Sample(title, settings, len(names), contents[mask], targets, pairs, list(dict.fromkeys(warnings)))


class CountRequest(EmbeddedRequest):
    """Weigh the evidence for the number of clusters."""

    run: str = setting(
        "", "A finished run of a method that needs no number of clusters to train (CPP): its curve is evidence, too."
    )
    settings: ClusterCountSettings = setting(ClusterCountSettings(), "Which numbers are tried.")
    folder: str = setting(
        "", "Where count.json goes, beside a copy in the run's folder; the library when empty.", runtime=True
    )


def count_clusters(workspace: Workspace, request: CountRequest, progress: Progress = SILENT) -> ClusterCount:
    """Weigh the evidence for the number of clusters on the training rows; count.json keeps it, in the run's folder too.

    Raises
    ------
    InputError
        Too few images; a run of other data, of a method that draws no curve, or without its model.
    """
    rows = training_rows(workspace, request.dataset, request.config_key)
    run = named_run(workspace, request.run) if request.run else None
    curve, start = (None, None) if run is None else _curve_of(run, request, len(rows), progress)
    result = cluster_count(rows.vectors, settings=request.settings, cpp_curve=curve, cpp_start=start, progress=progress)
    kept = workspace.library / "counts" / rows.dataset.id if run is None else run.folder
    folder = Path(request.folder or kept)
    make_parent(folder)
    found = asdict(result) | {"run": "" if run is None else run.folder.name, "images": len(rows)}
    write_json(folder / "count.json", found)
    if run is not None and folder.resolve() != run.folder.resolve():
        write_json(run.folder / "count.json", found)
    return result


def _curve_of(
    run: Run, request: CountRequest, n: int, progress: Progress
) -> tuple[tuple[NDArray[np.int64], NDArray[np.float64]], int | None]:
    """Return a trained model's coding length over the numbers that are tried, and the number that it started from."""
    method = find_method(run.method)
    if not method.counts_after_training:
        able = ", ".join(entry.title for entry in METHODS.values() if entry.counts_after_training)
        raise InputError(
            f"{run.folder.name} is a run of {method.title}, which says nothing about other numbers of clusters.",
            f"Name a run of {able}, or leave the run out.",
        )
    if (run.dataset, run.config.get("embedding", {}).get("config_key")) != (request.dataset, request.config_key):
        raise InputError(f"{run.folder.name} was made on other embeddings.", "Count on those, or leave the run out.")
    path = run.folder / "model.pt"
    if not path.exists():
        raise InputError(f"{run.folder.name} did not keep its trained model.", "Run the method again; it is kept now.")
    estimator: Any = method.estimator_class
    model = estimator.load(path)
    progress.say(f"The curve of {run.name} is drawn from its trained network.")
    ks = k_grid(request.settings.smallest, request.settings.largest, min(n, 2 * len(model.codes_)))
    curve = model.coding_curve(ks, progress=progress)
    cold = model.resolved_.model_dump()["warm_start"] == "none"
    return (curve.ks, curve.lengths), None if cold else model.resolved_.model_dump()["n_clusters"]


def count_clusters_summary(result: ClusterCount) -> dict[str, Any]:
    """Return the answer, as a number and in words."""
    return {"n_clusters": result.n_clusters, "verdict": result.verdict}


class SearchRequest(EmbeddedRequest):
    """Search the settings of a clustering method."""

    method: str = setting("kmeans", "The clustering method.")
    settings: dict[str, Any] = setting({}, "What every trial starts from.")
    how: Literal["random", "grid", "bayesian"] = setting("random", "How the trials are chosen.", aliases=("method",))
    trials: int = setting(20, "How many settings are tried, at most.")
    epochs: int = setting(50, "Epochs of a deep method's trials.", label="Epochs each")
    space: dict[str, str] = setting(
        {}, 'What is searched: setting -> a range "2..20" or choices "none, pca-32"; the method\'s own when empty.'
    )
    metric: Literal["accuracy", "nmi", "ari", "silhouette"] | None = setting(
        None, "What is best; accuracy where the truth is known and silhouette elsewhere when empty."
    )
    random_state: int = setting(0, "Seed of the draws.", ge=0, le=2**31 - 1)
    folder: str = setting("", "The search's folder; a search in it goes on. The library when empty.", runtime=True)

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.trials < 1 or self.epochs < 1:
            raise ValueError("a search needs at least one trial, and a trial at least one epoch")
        return self

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read the request; older ones by silhouette started every trial from the method's defaults."""
        if "settings" not in config and config.get("metric") == "silhouette":
            defaults = find_method(str(config.get("method"))).settings_class().model_dump(mode="json")
            config = dict(config) | {"settings": defaults}
        return super().from_config(config)


def search_settings(workspace: Workspace, request: SearchRequest, progress: Progress = SILENT) -> HyperparameterSearch:
    """Search the method's settings on the training rows; best_hyperparameters.json and trials.json keep it.

    Raises
    ------
    InputError
        A metric that needs truth without any, a setting out of bounds.
    CheckpointError
        The folder holds a search of other data or settings.
    """
    from engine.selection.search.search import HyperparameterSearch

    rows = training_rows(workspace, request.dataset, request.config_key)
    folder = Path(request.folder or workspace.library / "searches" / f"{request.method}_{rows.dataset.id}")
    make_parent(folder)
    settings = settings_for(request.method, request.settings, rows)
    search = HyperparameterSearch(
        request.method, metric=request.metric, settings=settings, folder=folder, random_state=request.random_state
    )
    method = find_method(request.method)
    fitted_on, data = _input_of(workspace, rows, request.method, settings, progress)
    graph = None
    if method.takes != "images" and method.build(settings).wants_graph:
        graph = graph_of(workspace, fitted_on, progress=progress)
    search.search(
        data,
        None if request.metric == "silhouette" else truth_codes(fitted_on.truth),
        vectors=fitted_on.vectors,
        space=parse_space(type(settings), request.space) or None,
        method=request.how,
        n_trials=request.trials,
        n_epochs=request.epochs,
        neighbors=graph,
        progress=progress,
    )
    known = read_json(folder / "best_hyperparameters.json")
    write_json(
        folder / "trials.json",
        {
            "metric": known["metric"],
            "combinations": search.combinations_,
            "best_score": search.best_score_,
            "best_params": search.best_params_,
            "best_settings": search.best_settings_.given(),
            "trials": search.trials_,
            "importances": search.importances(),
        },
    )
    return search


def search_settings_summary(search: HyperparameterSearch) -> dict[str, Any]:
    """Return the best score and what reached it."""
    return {"best_score": search.best_score_, "best_params": search.best_params_}


def _input_of(
    workspace: Workspace, rows: Rows, method: str, settings: Settings, progress: Progress
) -> tuple[Rows, NDArray[Any]]:
    """Return what the method takes, embeddings (n, d) or images (n, side, side, 3), with the rows that they are of."""
    entry = find_method(method)
    if entry.takes != "images":
        return rows, rows.vectors
    if rows.dataset.kind == "vectors":
        raise InputError("This method needs images; the data set holds vectors only.", "Choose another method.")
    side = entry.image_side(settings) or natural_side(rows.width, rows.height)
    pixels = read_pixels(workspace, rows.dataset, rows.paths, rows.contents, side, progress=progress)
    return (rows if len(pixels.rows) == len(rows) else rows.take(pixels.rows)), pixels.images
