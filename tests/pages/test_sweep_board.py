"""The board of a sweep on Cluster: what it says of its winner, and that using a rank keeps what was shown."""

import numpy as np
import pytest

from engine.core.files import read_json, write_json
from engine.evaluation.verdict import verdict_of
from engine.jobs.job import create, status
from engine.jobs.runner import run_job
from engine.runs.run import list_runs
from engine.selection.sweep.report import load_sweep
from pages.shared.tasks import request_config
from tests.seed import clustered_pictures, coloured_pictures

SETTINGS = {"algorithms": ["gaussian_mixture"], "max_combinations": 3, "n_jobs": 1}


@pytest.fixture
def board(workspace, tmp_path):
    """The folder of a finished sweep of thirty pictures."""
    rows, _ = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    values = {"config_key": rows.embedding.config_key, "settings": SETTINGS}
    folder = create(workspace.jobs, "sweep", "Swept", request_config("sweep", rows.dataset, **values))
    assert run_job(folder) == 0, status(folder).detail
    (folder / "started").touch()
    return folder


def cluster_page(app):
    app.run()
    return app.switch_page("pages/cluster/page.py").run()


def test_use_rank_1_keeps_the_labels_and_scores_of_the_board(workspace, app, board):
    before = {run.folder.name for run in list_runs(workspace)}
    cluster_page(app)
    told = [one.value for one in app.markdown if "ranking score" in one.value]
    assert len(told) == 1 and "silhouette" in told[0]
    next(button for button in app.button if button.key == "use_rank").click().run()
    assert not app.exception
    cluster_page(app)
    again = [one.value for one in app.markdown if "ranking score" in one.value]
    assert [one[one.index(":gray[") :] for one in again] == [told[0][told[0].index(":gray[") :]], "the same figures"
    (made,) = [run for run in list_runs(workspace) if run.folder.name not in before]
    result = load_sweep(board)
    assert np.array_equal(made.assignments, result.labels(result.best))
    assert made.results["train"]["silhouette"] == result.best.silhouette
    assert verdict_of(made.results) == result.best.verdict


def test_the_time_of_a_sweep_is_in_the_address(app, board):
    app.run()
    app.switch_page("pages/cluster/page.py")
    app.query_params["time"] = "1m"
    app.run()
    assert app.session_state["sweep_time"] == "1m" and app.query_params["time"] == "1m"
    app.session_state["sweep_time"] = "30m"
    app.run()
    assert app.query_params["time"] == "30m"
    app.session_state["sweep_time"] = "5m"
    app.run()
    assert "time" not in app.query_params and not app.exception


@pytest.mark.parametrize("word", ["good", "usable with checking", "weak"])
def test_the_board_says_what_its_winner_is_worth_and_offers_the_next_step(app, board, word):
    path = board / "clustering_summary.json"
    verdict = {"word": word, "sentence": "so it is.", "next_step": "Do this."}
    write_json(path, read_json(path) | {"verdict": verdict, "other_number": 7})
    cluster_page(app)
    assert not app.exception
    assert any(f"[**{word.capitalize()}:**] so it is" in one.value for one in app.markdown)
    way = next(button for button in app.button if button.key == f"verdict_{word}") if word == "weak" else None
    assert way is None or way.help == "Do this."
    assert any("No clear number of groups" in one.value and "7 clusters" in one.value for one in app.caption)
    assert any(button.label == "Try another encoder" for button in app.button) == (word == "weak")
