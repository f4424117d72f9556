"""An experiment: several embeddings of the same images, swept with one grid and compared.

Flows in: named embedding sets over the same rows. Flows out: a table, a plot and experiment_summary.json. The order
is by measures that mean the same in every space; a silhouette belongs to its space, so it is shown and not ranked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError, KindredError
from engine.core.files import write_json, write_text
from engine.core.labels import compact, encode
from engine.core.palette import category_color
from engine.core.progress import SILENT, Progress
from engine.evaluation.agreement import accuracy, ari, ari_between, nmi
from engine.geometry.neighbors import NeighborGraph, build_graph
from engine.selection.sweep.runner import Sweep
from engine.selection.sweep.settings import SweepSettings

MODELS = ("ViT-B-32", "ViT-L-14", "ViT-H-14")
RESOLUTIONS = (224, 336, 384)
RANKED = ("pair_recall", "pairs_together", "neighbor_agreement", "stability", "balance")


@dataclass(frozen=True)
class EmbeddingCandidate:
    """One embedding set of an experiment.

    Attributes
    ----------
    model, resolution : str, int
        What the person chose.
    load : callable
        Returns the (n, d) embeddings, embedding what is missing; called once, when its turn comes.
    graph : callable, optional
        Returns their cached neighbour graph.
    """

    model: str
    resolution: int
    load: Callable[[], NDArray[np.float32]] = field(repr=False)
    graph: Callable[[], NeighborGraph] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Model and resolution, fit for a folder."""
        return "".join(c if c.isalnum() or c in "-_." else "_" for c in f"{self.model}_{self.resolution}")


@dataclass(frozen=True)
class ExperimentRow:
    """What one configuration reached; None where it cannot be known.

    Attributes
    ----------
    pair_recall : float or None
        Share of validation pairs with one image among the other's `k` nearest.
    pairs_together : float or None
        Share of validation pairs in one cluster of the winner.
    neighbor_agreement : float or None
        Mean share of an image's neighbours, in the spaces of all other configurations, that the winner puts into
        the image's cluster: whether others would see its clusters too.
    stability, balance : float or None
        Of the winner.
    silhouette : float or None
        In its own space; shown, not ranked.
    order : int
        1 is the best mean place over what is ranked; 0 where the configuration failed.
    """

    model: str
    resolution: int
    name: str
    order: int = 0
    reason: str = ""
    winner: str = ""
    n_clusters: int = 0
    pair_recall: float | None = None
    pairs_together: float | None = None
    neighbor_agreement: float | None = None
    stability: float | None = None
    balance: float | None = None
    silhouette: float | None = None
    accuracy: float | None = None
    nmi: float | None = None
    ari: float | None = None
    mean_place: float | None = None


@dataclass(frozen=True)
class ExperimentResult:
    """The table in order, and how far the winners agree with each other (ARI), in the rows' order."""

    folder: Path
    rows: list[ExperimentRow]
    agreement: NDArray[np.float64]


def run_experiments(
    configurations: Sequence[EmbeddingCandidate],
    *,
    output_dir: Path,
    settings: SweepSettings | None = None,
    paths: Sequence[Any] | None = None,
    truth: Sequence[str | None] | None = None,
    validation_pairs: NDArray[np.integer[Any]] | None = None,
    k: int = 10,
    progress: Progress = SILENT,
) -> ExperimentResult:
    """Sweep every configuration with the same grid, compare the winners, write the files.

    Parameters
    ----------
    configurations : sequence of EmbeddingCandidate
        Over the same images in the same order.
    output_dir : Path
        Gets one sweep folder per configuration, experiment_summary.json, experiment_table.csv and
        experiment_plot.html.
    k : int
        Neighbours of recall and agreement.

    Raises
    ------
    InputError
        No configuration, two of the same name, sets of different lengths, or none that worked.

    Notes
    -----
    A configuration that fails (weights absent, a resolution its model refuses) is a row with its reason; the
    others go on. Graphs are kept in memory for the comparison (512 bytes an image), embeddings are not.
    """
    names = [configuration.name for configuration in configurations]
    if not names or len(set(names)) < len(names):
        raise InputError("An experiment needs configurations with different names.", "Choose each model only once.")
    pairs = np.asarray([] if validation_pairs is None else validation_pairs, dtype=np.int64).reshape(-1, 2)
    codes = encode(truth)[0] if truth is not None else None
    rows: list[ExperimentRow] = []
    graphs: dict[str, NeighborGraph] = {}
    labels: dict[str, NDArray[np.int32]] = {}
    for number, configuration in enumerate(configurations):
        progress.update(number, len(names), phase="experiments", unit="configurations")
        row = ExperimentRow(configuration.model, configuration.resolution, configuration.name)
        try:
            row, graphs[row.name], labels[row.name] = _measure(
                configuration, row, Path(output_dir) / row.name, settings, paths, codes, pairs, k, progress
            )
        except KindredError as error:
            progress.say(f"{row.name}: {error}")
            row = replace(row, reason=str(error))
        rows.append(row)
    if len({len(graph) for graph in graphs.values()}) > 1:
        raise InputError("The configurations are over different numbers of images.", "Embed the same sample with each.")
    if not labels:
        raise InputError(f"No configuration worked. {rows[0].name}: {rows[0].reason}")
    rows = [replace(row, neighbor_agreement=_agreement(row.name, labels, graphs, k)) for row in rows]
    rows = in_order(rows)
    worked = [row.name for row in rows if row.name in labels]
    matrix = np.array([[ari_between(labels[a], labels[b]) for b in worked] for a in worked])
    result = ExperimentResult(Path(output_dir), rows, matrix)
    _write(result, worked, k, len(pairs))
    return result


def _measure(
    configuration: EmbeddingCandidate,
    row: ExperimentRow,
    folder: Path,
    settings: SweepSettings | None,
    paths: Sequence[Any] | None,
    codes: NDArray[np.int32] | None,
    pairs: NDArray[np.int64],
    k: int,
    progress: Progress,
) -> tuple[ExperimentRow, NeighborGraph, NDArray[np.int32]]:
    """Sweep one configuration; return its row, the nearest `k` of its graph and the winner's labels."""
    embeddings = configuration.load()
    graph = configuration.graph() if configuration.graph else build_graph(embeddings, progress=progress)
    result = Sweep(settings).run(
        embeddings, output_dir=folder, graph=graph, paths=paths, validation_pairs=pairs, progress=progress
    )
    if result.best is None:
        raise InputError("The sweep found no structure.", "See its summary for the candidates that were tried.")
    labels = result.labels(result.best)
    row = replace(
        row,
        winner=result.best.title,
        n_clusters=result.best.n_clusters,
        pair_recall=pair_recall(graph, pairs, k),
        pairs_together=result.best.pairs_together,
        stability=result.best.stability,
        balance=result.best.balance,
        silhouette=result.best.silhouette,
    )
    if codes is not None and (codes >= 0).any():
        row = replace(row, accuracy=accuracy(codes, labels), nmi=nmi(codes, labels), ari=ari(codes, labels))
    return row, graph.first(max(k, 1)), compact(labels)


def pair_recall(graph: NeighborGraph, pairs: NDArray[np.integer[Any]], k: int) -> float | None:
    """Return the share of (m, 2) pairs with one image among the other's k nearest; None without pairs."""
    if not len(pairs):
        return None
    near = np.asarray(graph.indices[:, :k])
    first, second = np.asarray(pairs).T
    recalled = (near[first] == second[:, None]).any(axis=1) | (near[second] == first[:, None]).any(axis=1)
    return float(recalled.mean())


def label_agreement(graph: NeighborGraph, labels: NDArray[np.integer[Any]], k: int) -> float:
    """Return the mean share of the k nearest neighbours that have an image's own label; noise agrees with nothing."""
    own = np.asarray(labels)[:, None]
    return float(np.mean((np.asarray(labels)[graph.indices[:, :k]] == own) & (own >= 0)))


def _agreement(
    name: str, labels: dict[str, NDArray[np.int32]], graphs: dict[str, NeighborGraph], k: int
) -> float | None:
    if name not in labels:
        return None
    others = [graph for other, graph in graphs.items() if other != name] or [graphs[name]]
    return float(np.mean([label_agreement(graph, labels[name], k) for graph in others]))


def in_order(rows: Sequence[ExperimentRow]) -> list[ExperimentRow]:
    """Order rows by their mean place over the criteria that survive a change of space; failures last."""
    worked = [row for row in rows if not row.reason]
    places: dict[str, list[float]] = {row.name: [] for row in worked}
    for criterion in RANKED:
        values = {row.name: getattr(row, criterion) for row in worked}
        if any(value is None for value in values.values()):
            continue
        for name, value in values.items():
            better = sum(other > value for other in values.values())
            same = sum(other == value for other in values.values())
            places[name].append(better + (same + 1) / 2)
    placed = [replace(row, mean_place=float(np.mean(places[row.name]))) for row in worked]
    placed.sort(key=lambda row: (row.mean_place or 0.0, row.name))
    return [replace(row, order=number) for number, row in enumerate(placed, start=1)] + [r for r in rows if r.reason]


def _write(result: ExperimentResult, worked: list[str], k: int, pairs: int) -> None:
    from engine.core.csv import write_csv

    result.folder.mkdir(parents=True, exist_ok=True)
    records = [asdict(row) for row in result.rows]
    summary = {
        "configurations": records,
        "ranked_on": list(RANKED),
        "k": k,
        "validation_pairs": pairs,
        "agreement": {"names": worked, "ari": result.agreement},
    }
    write_json(result.folder / "experiment_summary.json", summary)
    write_csv(result.folder / "experiment_table.csv", {name: [r[name] for r in records] for name in records[0]})
    figure = experiment_figure(result.rows)
    write_text(result.folder / "experiment_plot.html", figure.to_html(include_plotlyjs=True, full_html=True))


def experiment_figure(rows: Sequence[ExperimentRow]) -> Any:  # noqa: ANN401 - plotly has no types
    """Return grouped bars of what is ranked and known, one group per criterion; the silhouette last and paler."""
    import plotly.graph_objects as go

    figure = go.Figure()
    worked = [row for row in rows if not row.reason]
    shown = [name for name in (*RANKED, "silhouette") if any(getattr(row, name) is not None for row in worked)]
    opacity = [0.35 if name == "silhouette" else 0.95 for name in shown]
    for number, row in enumerate(worked):
        figure.add_bar(
            name=f"{row.order}. {row.name}",
            x=[name.replace("_", " ") for name in shown],
            y=[getattr(row, name) for name in shown],
            marker={"opacity": opacity, "color": category_color(number)},
        )
    figure.update_layout(
        barmode="group",
        title="What survives a change of embedding (silhouette shown, not ranked)",
        yaxis={"range": [min(0, *(row.silhouette or 0 for row in rows)), 1]},
        legend_title="configuration",
    )
    return figure
