"""One run out of several, or out of the heads of one: what is written, and what is refused."""

import numpy as np
import pytest

from engine.clustering.registry import find_method
from engine.core.errors import InputError
from engine.core.files import read_json, write_json
from engine.evaluation.agreement import ari
from engine.jobs.tasks.boards import KeepRankRequest, keep_rank
from engine.jobs.tasks.consensus import ConsensusRequest, combine_runs
from engine.jobs.tasks.selection import SweepRequest, sweep
from engine.runs.fit import cluster
from engine.runs.rows import truth_codes
from engine.runs.run import new_folder
from tests.engine.planted import rows_in


def run_of(workspace, rows, method="kmeans", **values):
    settings = find_method(method).settings_class.parse(values)
    return cluster(workspace, rows, method, settings, new_folder(workspace.runs, method))


def combined(workspace, *runs, **values):
    return combine_runs(workspace, ConsensusRequest.parse({"runs": tuple(run.folder.name for run in runs), **values}))


def test_a_run_is_made_that_says_who_voted_and_how_sure_it_is(workspace, tmp_path):
    rows = rows_in(workspace, tmp_path)
    runs = [run_of(workspace, rows, n_clusters=k) for k in (3, 4)] + [run_of(workspace, rows, "spectral", n_clusters=3)]
    made = combined(workspace, *runs, n_clusters=3, title="Together")
    assert made.finished and made.name == "Together" and made.method == "consensus"
    assert ari(truth_codes(rows.truth), made.assignments) == 1
    assert made.results["train"]["ari"] == 1 and made.results["train"]["n_clusters"] == 3
    assert made.config["labels_from"]["runs"] == [run.folder.name for run in runs]
    assert sum(made.config["labels_from"]["weights"]) == pytest.approx(1)
    confidence = made.predictions["confidence"]
    assert 0.5 < confidence.min() and confidence.max() <= 1
    assert made.results["settled_share"] == made.predictions["settled"].mean() > 0.5
    assert (made.folder / "labels.csv").exists()


@pytest.mark.parametrize(
    ("method", "values"),
    [("temi", {"n_epochs": 2, "hidden_dim": 16, "batch_size": 32}), ("turtle", {"n_epochs": 150})],
)
def test_the_heads_of_one_run_vote(workspace, tmp_path, method, values):
    rows = rows_in(workspace, tmp_path)
    run = run_of(workspace, rows, method, n_clusters=3, n_heads=4, device="cpu", **values)
    heads = run.predictions["members"]
    assert heads.shape == (90, run.config["resolved"]["n_heads"]) and heads.shape[1] > 1
    assert any(ari(heads[:, at], run.assignments) == 1 for at in range(heads.shape[1]))
    made = combined(workspace, run)
    assert "head 1" in made.results["notes"][0] and len(made.assignments) == 90


def test_what_cannot_vote_is_refused(workspace, tmp_path):
    rows = rows_in(workspace, tmp_path)
    run, other = run_of(workspace, rows, n_clusters=3), run_of(workspace, rows, n_clusters=4)
    elsewhere = run_of(workspace, rows_in(workspace, tmp_path, name="others", seed=3), n_clusters=3)
    with pytest.raises(InputError, match="at least two runs"):
        combined(workspace)
    with pytest.raises(InputError, match="at least two runs"):
        combined(workspace, run, run)
    with pytest.raises(InputError, match="different data sets"):
        combined(workspace, run, elsewhere)
    with pytest.raises(InputError, match="has 7 clusters"):
        combined(workspace, run, other, n_clusters=7)
    assert {path.name for path in workspace.runs.iterdir()} == {one.folder.name for one in (run, other, elsewhere)}


def test_the_vote_of_a_board_is_kept_as_a_run(workspace, tmp_path):
    rows = rows_in(workspace, tmp_path, noise=1.2)
    settings = {"algorithms": ["kmeans", "spectral", "agglomerative"], "n_clusters": 3, "n_jobs": 1}
    request = {"dataset": rows.dataset.id, "config_key": rows.embedding.config_key, "settings": settings}
    board = tmp_path / "board"
    result = sweep(workspace, SweepRequest.parse(request | {"folder": str(board)}))
    tried = [*result.ranked, *result.unstructured, *result.set_aside]
    (vote,) = [row for row in tried if row.algorithm == "consensus"]
    assert vote.parameters["members"] >= 3 and vote.stability is not None
    assert len(result.why) == 2 and result.why[1].endswith("of the images.")
    if vote.state != "ranked":  # then the summary is made to say so, for what is kept is the point here
        vote_as = result.ranked[0]
        summary = read_json(board / "clustering_summary.json")
        summary["ranked"][0] = vote.as_dict() | {"rank": 1, "state": "ranked", "folder": vote_as.folder}
        write_json(board / "clustering_summary.json", summary)
    rank = vote.rank if vote.state == "ranked" else 1
    run = keep_rank(workspace, KeepRankRequest(board=str(board), rank=rank))
    assert run.method == "consensus" and run.config["settings"] == vote.parameters
    assert "Consensus" in run.name and len(np.unique(run.assignments)) == vote.n_clusters


def test_turtles_from_several_seeds_vote(workspace, tmp_path):
    rows = rows_in(workspace, tmp_path)
    runs = [
        run_of(workspace, rows, "turtle", n_clusters=3, n_epochs=150, random_state=seed, device="cpu")
        for seed in range(3)
    ]
    made = combined(workspace, *runs)
    assert made.config["labels_from"]["runs"] == [run.folder.name for run in runs]
    assert ari(truth_codes(rows.truth), made.assignments) == 1
