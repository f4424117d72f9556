"""What a page starts is the request that its controls say: the search keeps the sliders, training the chosen start."""

import pytest

from engine.jobs import job as jobs
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def cluster_page(workspace, tmp_path, monkeypatch, app):
    """The Cluster page over one kept run; jobs are made and not run."""
    monkeypatch.setattr("engine.jobs.job.start", lambda workspace, folder: (folder / "started").touch())
    _, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    app.run()
    app.switch_page("pages/cluster/page.py").run()
    return workspace, run, app


def started(workspace, task):
    return next(job for job in jobs.list_jobs(workspace) if job.task == task).config


def press(app, label):
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception and not app.error


def test_a_search_keeps_what_the_sliders_say(cluster_page):
    workspace, _, app = cluster_page
    app.session_state["method_kmeans_n_clusters"] = 4
    app.run()
    press(app, "Search")
    assert started(workspace, "search")["settings"]["n_clusters"] == 4


def test_training_starts_from_the_run_that_was_chosen(cluster_page):
    workspace, run, app = cluster_page
    app.session_state["method"] = "temi"
    app.run()
    app.session_state["method_temi_warm_start"] = "run"
    app.run()
    press(app, "Start TEMI")
    config = started(workspace, "cluster")
    assert (config["start_run"], config["settings"]["warm_start"]) == (str(run.folder), "run")
