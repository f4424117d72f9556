"""Verbs that propose labels: names for clusters, labels spread over neighbours, pseudo-labels by vote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.core.csv import Column, path_text, write_csv
from engine.core.errors import InputError
from engine.core.files import write_json
from engine.core.ids import positions, to_hex
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.workspace import Workspace
from engine.images.thumbnails import thumbnail
from engine.jobs.tasks.requests import RunRequest
from engine.labels.errors import LabelErrors, find_errors, open_errors
from engine.labels.events import LabelHistory
from engine.labels.propagation import PropagationSettings
from engine.labels.proposals import clusters_digest, spread
from engine.labels.pseudo_labels import PseudoLabelSettings
from engine.runs.rows import Rows, align, graph_of, load_rows, rows_of_run
from engine.runs.run import Run, make_parent

if TYPE_CHECKING:
    from engine.export.pseudo_labels import Written
    from engine.labels.naming import NameProposal
    from engine.labels.proposals import Spread
    from engine.labels.state import LabelState


def labels_as_they_stand(workspace: Workspace, run: Run, rows: Rows) -> LabelState:
    """Return the run with the label history over it."""
    labels, _ = align(run, rows)
    return LabelHistory(workspace, rows.dataset.id).state(rows.contents, labels, run=run.folder.name)


class NamesRequest(RunRequest):
    """Propose a name for each cluster of a run, from words."""

    words: str = setting("", "Words to choose from, one a line; common nouns when empty.")


def propose_names(workspace: Workspace, request: NamesRequest, progress: Progress = SILENT) -> list[NameProposal]:
    """Propose names for a run's clusters, as far as its encoder reads words; names.json in the run's folder keeps them.

    Raises
    ------
    InputError
        The embeddings are gone, or their encoder does not read words.
    """
    from engine.embeddings.encoders.registry import TextEncoder, text_encoders
    from engine.embeddings.search import encoder_of
    from engine.labels.naming import common_nouns, name_clusters, parse_vocabulary, prompts

    run = request.opened(workspace)
    rows = rows_of_run(workspace, run)
    state = labels_as_they_stand(workspace, run, rows)
    words = parse_vocabulary(request.words) if request.words.strip() else common_nouns()
    encoder = encoder_of(workspace, str(run.config["embedding"]["config_key"]))
    if not isinstance(encoder, TextEncoder):
        raise InputError("This encoder does not know words.", f"To propose names, embed with {text_encoders()}.")
    sentences = prompts(words)
    parts = []
    for start in range(0, len(sentences), 64):
        parts.append(encoder.encode_text(sentences[start : start + 64]))
        progress.update(min(start + 64, len(sentences)), len(sentences), phase="reading words", unit="words")
    names = name_clusters(rows.vectors, np.concatenate(parts), words, state.cluster, progress=progress)
    proposals = [
        {
            "cluster": item.cluster,
            "images": item.size,
            "word": item.word,
            "score": item.score,
            "reliable": item.reliable,
            "alternates": ", ".join(word for word, _ in item.alternates),
        }
        for item in names
    ]
    made_on = {"version": state.version, "clusters": clusters_digest(state)}
    write_json(run.folder / "names.json", {"proposals": proposals, **made_on})
    return names


def propose_names_summary(names: list[NameProposal]) -> dict[str, Any]:
    """Return how many clusters there are, and how many of their names can be relied on."""
    return {"named": sum(item.reliable for item in names), "clusters": len(names)}


class NameRequest(RunRequest):
    """Name clusters of a run."""

    names: tuple[str, ...] = setting((), "Names such as 3=cat; 3= takes the name away. None only lists the clusters.")


def name_clusters(workspace: Workspace, request: NameRequest, progress: Progress = SILENT) -> LabelState:
    """Name clusters as the Label page does, by one event that can be undone; return the labels as they are then.

    Raises
    ------
    InputError
        No such cluster, a name that is refused, the embeddings are gone.
    """
    run = request.opened(workspace)
    rows = rows_of_run(workspace, run)
    state = labels_as_they_stand(workspace, run, rows)
    names = dict(_named(text, state) for text in request.names)
    history = LabelHistory(workspace, rows.dataset.id)
    given = {cluster: name for cluster, name in names.items() if name is not None}
    if given:
        progress.say(f"{history.name(state, given, source='command line').sentence}.")
    for cluster in names.keys() - given.keys():
        state = labels_as_they_stand(workspace, run, rows)
        progress.say(f"{history.rename(state, cluster, None).sentence}.")
    return labels_as_they_stand(workspace, run, rows)


def _named(text: str, state: LabelState) -> tuple[int, str | None]:
    """Return the cluster and the name that "3=cat" says."""
    number, equals, name = text.partition("=")
    if not equals or not number.strip().isdecimal():
        raise InputError(f"{text!r} names no cluster.", "Write the cluster's number and its name, such as 3=cat.")
    cluster = int(number)
    if state.find(cluster) is None:
        known = ", ".join(str(one.id) for one in state.clusters[:20])
        raise InputError(f"There is no cluster {cluster} with images.", f"There are {known}.")
    return cluster, name.strip() or None


def name_clusters_summary(state: LabelState) -> dict[str, Any]:
    """Return how many clusters there are and how many have a name."""
    return {"clusters": len(state.clusters), "named": sum(item.name is not None for item in state.clusters)}


class SpreadRequest(RunRequest):
    """Spread the labels of a run's images to their neighbours."""

    config_key: str = setting("", "Embeddings whose neighbours are asked; those of the run when empty.")
    settings: PropagationSettings = setting(PropagationSettings(), "How they spread.")
    folder: str = setting("", "Where spread.npz goes; the run's own folder when empty.", runtime=True)


def spread_labels(workspace: Workspace, request: SpreadRequest, progress: Progress = SILENT) -> Spread:
    """Spread the labels that a person gave over the neighbour graph; spread.npz keeps the proposals.

    Raises
    ------
    InputError
        No image has a label, or the embeddings are gone.
    """
    run = request.opened(workspace)
    if request.config_key:
        rows = load_rows(workspace, run.dataset, request.config_key)
    else:
        rows = rows_of_run(workspace, run)
    state = labels_as_they_stand(workspace, run, rows)
    graph = graph_of(workspace, rows, progress=progress)
    result = spread(graph, state, settings=request.settings, progress=progress)
    folder = Path(request.folder or run.folder)
    make_parent(folder)
    result.save(folder / "spread.npz")
    return result


def spread_labels_summary(result: Spread) -> dict[str, Any]:
    """Return how many images had a label, how many were proposed one, and what their chances were checked on."""
    labelled = int(result.given.sum())
    return {
        "labelled": labelled,
        "proposed": int((result.labels >= 0).sum()) - labelled,
        "checked": result.checked,
        "right": result.right,
    }


class LabelErrorsRequest(RunRequest):
    """Find labels of a run's images that are probably wrong."""

    folder: str = setting(
        "", "Where errors.npz and label_errors.csv go; the run's own folder when empty.", runtime=True
    )


def find_label_errors(workspace: Workspace, request: LabelErrorsRequest, progress: Progress = SILENT) -> LabelErrors:
    """Find the labels that classifier and neighbours call wrong; what a person has confirmed is left out.

    errors.npz keeps them for the page, label_errors.csv has one line for each, the most suspicious first.

    Raises
    ------
    InputError
        Fewer than two labels have enough images, or the embeddings are gone.
    """
    run = request.opened(workspace)
    rows = rows_of_run(workspace, run)
    state = labels_as_they_stand(workspace, run, rows)
    found = find_errors(rows.vectors, graph_of(workspace, rows, progress=progress), state, progress=progress)
    waiting = open_errors(state, found, LabelHistory(workspace, rows.dataset.id).effective()[0])
    found = found.take(positions(found.contents, state.contents[waiting.rows]))
    folder = Path(request.folder or run.folder)
    make_parent(folder)
    found.save(folder / "errors.npz")
    at = waiting.rows
    columns: dict[str, Column] = {
        "path": [path_text(rows.paths[row]) for row in at.tolist()],
        "content_id": to_hex(state.contents[at]),
        "label": [state.labels[row] for row in at.tolist()],
        "label_source": [state.sources[row] for row in at.tolist()],
        "proposed": waiting.names,
        "classifier": found.classifier,
        "neighbours": found.neighbours,
        "lead": found.lead,
    }
    write_csv(folder / "label_errors.csv", columns)
    return found


def find_label_errors_summary(result: LabelErrors) -> dict[str, Any]:
    """Return how many labels were judged, how many could not be, and how many are probably wrong."""
    return {"judged": result.judged, "unjudged": result.unjudged, "suspects": len(result)}


class PseudoLabelRequest(RunRequest):
    """Label a run's clusters by the vote of the images nearest to their centres."""

    settings: PseudoLabelSettings = setting(PseudoLabelSettings(), "How they vote, and the picture.")


def pseudo_label(workspace: Workspace, request: PseudoLabelRequest, progress: Progress = SILENT) -> Written:
    """Write the pseudo-label files into the run's folder: a person's labels vote, else the truth.

    Raises
    ------
    InputError
        No label is known at all, or the embeddings are gone.
    """
    from engine.export.pseudo_labels import write_pseudo_labels

    run = request.opened(workspace)
    rows = rows_of_run(workspace, run)
    labels, _ = align(run, rows)
    return write_pseudo_labels(
        run.folder,
        rows.vectors,
        labels,
        contents=rows.contents,
        paths=rows.paths,
        split=rows.split,
        truth=rows.truth,
        given=labels_as_they_stand(workspace, run, rows).given_labels,
        settings=request.settings,
        picture=None if rows.dataset.kind == "vectors" else lambda row: thumbnail(workspace, int(rows.ids[row])),
        progress=progress,
    )


def pseudo_label_summary(written: Written) -> dict[str, Any]:
    """Return the share of images that got a label, by part."""
    return {"coverage": {name: part.coverage for name, part in written.splits.items()}}
