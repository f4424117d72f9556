"""Compare: each view draws real runs, says the next step where there is nothing, and shows names as text."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.clustering.registry import find_method
from engine.export.pseudo_labels import read_pseudo_labels
from engine.jobs import job as jobs
from engine.jobs.runner import run_job
from engine.labels.events import LabelHistory
from engine.runs.fit import cluster
from engine.runs.rows import load_rows
from engine.runs.run import list_runs, new_folder, update_config
from pages.compare import charts
from pages.compare.charts import short
from pages.shared.metrics import METRICS, told
from tests.engine.planted import rows_in
from tests.pages.conftest import facts
from tests.seed import clustered_pictures, coloured_pictures

HOSTILE = '<b onload="x">*one*</b> 🐍 $y$ ' + "long " * 60


def again(workspace, rows, n_clusters, title=""):
    settings = find_method("kmeans").settings_class.parse({"n_clusters": n_clusters})
    folder = new_folder(workspace.runs, f"kmeans_{n_clusters}")
    return cluster(workspace, rows, "kmeans", settings, folder, title=title)


@pytest.fixture
def pictures(workspace, tmp_path):
    """Thirty pictures without truth, clustered twice, the second time under a hostile name."""
    rows, first = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"), with_map=True)
    return workspace, rows, [first, again(workspace, rows, 5, HOSTILE)]


@pytest.fixture
def vectors(workspace, tmp_path):
    """Ninety vectors with truth, clustered twice."""
    rows = rows_in(workspace, tmp_path)
    return workspace, rows, [again(workspace, rows, 3), again(workspace, rows, 4)]


def compare(app, view="Analyse"):
    app.run()
    app.switch_page("pages/compare/page.py")
    app.session_state["view"] = view
    return app.run()


def texts(app):
    return [str(item.value) for kind in ("markdown", "caption", "info") for item in getattr(app, kind)]


@pytest.mark.parametrize("view", ["Analyse", "Two side by side", "Consensus", "Experiments"])
@pytest.mark.parametrize("data", ["pictures", "vectors"])
def test_every_view_draws(data, view, app, request):
    request.getfixturevalue(data)
    compare(app, view)
    assert not app.exception
    assert not app.error


def test_figures_are_those_of_the_run_and_unknown_ones_are_not_shown(vectors, pictures, app):
    workspace, rows, runs = vectors
    app.query_params["data"] = rows.dataset.id
    compare(app)
    train = runs[1].results["train"]
    found = facts(app)
    assert found["accuracy"] == told("accuracy", train["accuracy"])
    assert found["random labels"] == told("random_accuracy", train["random_accuracy"])
    assert found["silhouette"] == told("silhouette", train["silhouette"])
    app.query_params["data"] = pictures[1].dataset.id
    app.query_params.pop("run", None)
    compare(app)
    assert "accuracy" not in facts(app)
    assert any("No truth is known" in text for text in texts(app))


def test_a_run_elsewhere_is_opened_by_its_folder(vectors, tmp_path, app):
    workspace, rows, _ = vectors
    (tmp_path / "out").mkdir()
    settings = find_method("kmeans").settings_class.parse({"n_clusters": 7})
    run = cluster(workspace, rows, "kmeans", settings, tmp_path / "out")
    compare(app)
    app.text_input(key="analyse_folder").set_value(str(run.folder)).run()
    assert not app.exception
    assert facts(app)["clusters"] == "7"
    config = json.loads((run.folder / "config.json").read_text())
    (run.folder / "config.json").write_text(json.dumps(config | {"format": 99}))
    app.run()
    assert "newer Kindred" in app.error[0].value
    app.text_input(key="analyse_folder").set_value(str(tmp_path / "nowhere")).run()
    assert "holds no run" in app.error[0].value


def test_a_run_whose_images_are_not_here_is_analysed_without_pictures(vectors, app):
    _, _, runs = vectors
    update_config(runs[0], embedding={"config_key": "0" * 32, "key": "0"})
    compare(app)
    app.text_input(key="analyse_folder").set_value(str(runs[0].folder)).run()
    assert not app.exception
    assert "accuracy" in facts(app)
    assert "silhouette" not in facts(app)
    assert any("not in this workspace" in text for text in texts(app))


def press(app, label):
    next(button for button in app.button if button.label == label).click().run()


def finish(workspace, task):
    """Run the newest job of a kind here and now."""
    job = next(job for job in jobs.list_jobs(workspace) if job.task == task)
    run_job(job.folder)
    return jobs.status(job.folder)


@pytest.fixture
def held(monkeypatch):
    """Jobs are made but wait until the test runs them."""

    def start(workspace, folder):
        (folder / "started").touch()

    monkeypatch.setattr("engine.jobs.job.start", start)


def test_pseudo_labels_are_made_from_what_a_person_named(pictures, held, app):
    workspace, rows, runs = pictures
    compare(app)
    assert not any(button.label == "Make pseudo-labels" for button in app.button)
    assert any("No image has a label yet" in text for text in texts(app))
    history = LabelHistory(workspace, rows.dataset.id)
    history.rename(history.state(rows.contents, runs[1].assignments, run=runs[1].folder.name), 0, HOSTILE[:200])
    app.run()
    press(app, "Make pseudo-labels")
    assert finish(workspace, "pseudo-label").state == "done"
    app.run()
    assert not app.exception
    made = read_pseudo_labels(runs[1].folder / "pseudo_labels" / "pseudo_labels_k10.json")
    assert made["labels_from"] == "person"
    assert facts(app)["labelled"] == f"{made['coverage']['train']:.1%}"
    assert (runs[1].folder / "pseudo_labels" / "cluster_mapping_k10.png").exists()


def test_an_experiment_is_a_job_whose_table_is_shown(pictures, held, app):
    workspace, rows, _ = pictures
    compare(app, "Experiments")
    press(app, "Compare models")
    config = next(job for job in jobs.list_jobs(workspace) if job.task == "experiment").folder / "config.json"
    quick = {"algorithms": ["kmeans"], "max_combinations": 2, "stability": False}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"settings": quick}))
    job = finish(workspace, "experiment")
    assert (job.state, job.result["best"]) == ("done", "photo_224")
    app.run()
    assert not app.exception
    assert (Path(job.result["folder"]) / "experiment_summary.json").exists()
    assert app.dataframe[0].value["model"].tolist() == ["photo"]
    (Path(job.result["folder"]) / "experiment_summary.json").write_text('{"configurations": [1]}')
    app.run()
    assert not app.exception
    assert "cannot be read" in app.error[0].value


def test_consensus_counts_what_the_runs_dispute(vectors, app):
    compare(app, "Consensus")
    found = facts(app)
    assert found["settled"].endswith("%")
    assert int(found["contested"]) == round(90 * (1 - float(found["settled"][:-1]) / 100))


def test_one_button_makes_one_run_of_all(vectors, app):
    workspace, _, runs = vectors
    compare(app, "Consensus")
    next(button for button in app.button if button.label == "Make one run of all").click().run()
    assert not app.exception
    (made,) = [run for run in list_runs(workspace) if run.method == "consensus"]
    assert set(made.config["labels_from"]["runs"]) == {run.folder.name for run in runs}
    assert made.predictions["settled"].dtype == bool and made.predictions["confidence"].max() <= 1
    assert "vote" in made.results["notes"][0]


def test_one_run_is_no_consensus(workspace, tmp_path, app):
    rows = rows_in(workspace, tmp_path)
    again(workspace, rows, 3)
    compare(app, "Consensus")
    assert any("at least two runs" in text for text in texts(app))
    compare(app, "Two side by side")
    assert any("keep another one" in text for text in texts(app))


def test_runs_made_on_fewer_images_can_be_compared(vectors, app):
    workspace, rows, _ = vectors
    whole = load_rows(workspace, rows.dataset.id, rows.embedding.config_key)
    assert len(whole) == 90
    found = again(workspace, whole, 3)
    arrays = {name: values[:40] for name, values in found.predictions.items()}
    np.savez(found.folder / "predictions.npz", **arrays)
    for view in ("Two side by side", "Consensus", "Analyse"):
        compare(app, view)
        assert not app.exception, view
        assert not app.error, view


def test_figures_are_written_with_their_units_and_unknown_ones_are_empty():
    assert (told("accuracy", 0.5), told("n_clusters", 1234), told("nmi", None)) == ("50.0%", "1,234", "")
    assert all(metric.meaning for metric in METRICS.values())


def test_names_beside_an_axis_are_short_and_plain():
    assert short("<b>x</b>") == "&lt;b&gt;x&lt;/b&gt;"
    assert len(short("x" * 100)) == 22


def test_what_takes_long_is_made_by_a_job_once(vectors, held, monkeypatch, app):
    workspace, _, runs = vectors
    monkeypatch.setattr("pages.compare.analysis_view._AT_ONCE", 10)
    monkeypatch.setattr("pages.compare.consensus_view._AT_ONCE", 10)
    compare(app, "Consensus")
    compare(app, "Consensus")
    assert [job.task for job in jobs.list_jobs(workspace)] == ["graph"]
    assert not facts(app)
    assert finish(workspace, "graph").state == "done"
    compare(app, "Consensus")
    assert "settled" in facts(app)
    compare(app, "Analyse")
    assert not facts(app)
    assert finish(workspace, "analyse").state == "done"
    compare(app, "Analyse")
    assert "accuracy" in facts(app)
    assert (runs[1].folder / "analysis.json").exists()


@pytest.mark.parametrize("edited", ["[]", '{"train": null}', "{"])
def test_a_run_whose_results_were_edited_is_listed_and_told(vectors, edited, app):
    _, _, runs = vectors
    (runs[0].folder / "results.json").write_text(edited)
    for view in ("Analyse", "Consensus"):
        compare(app, view)
        assert not app.exception
    compare(app, "Two side by side")
    assert not app.exception
    assert "results.json" in app.error[0].value.replace("\\", "")


def test_a_cluster_that_the_other_run_sets_aside_is_left_out_of_the_table(vectors, app):
    _, _, runs = vectors
    arrays = dict(runs[0].predictions)
    arrays["assignments"] = np.where(runs[1].assignments == 3, -1, arrays["assignments"]).astype(np.int32)
    np.savez(runs[0].folder / "predictions.npz", **arrays)
    compare(app, "Two side by side")
    assert not app.exception
    assert "ARI of the two" in facts(app)


def test_a_cell_is_coloured_by_its_share_of_the_whole_cluster(monkeypatch):
    drawn = []
    monkeypatch.setattr(charts, "draw", lambda figure, alt, *, height: drawn.append(figure))
    charts.heat_map(np.array([[3, 0], [1, 1]]), np.array([6, 2]), ["<b>x</b>", "y"], ["a", "b"], "class", "cluster")
    cells = drawn[0].data[0]
    assert np.asarray(cells.z).tolist() == [[0.5, 0.0], [0.5, 0.5]]
    assert cells.hovertext[0][0] == "a / &lt;b&gt;x&lt;/b&gt;: 3 images (50%)"
    assert cells.text[0] == ["3", ""]


def test_two_runs_are_told_apart_by_a_sentence_before_any_table(vectors, app):
    workspace, rows, runs = vectors
    compare(app, "Two side by side")
    said = next(text for text in texts(app) if "of the images are sorted alike" in text)
    assert said.split("**")[1] in ("Nearly the same.", "Much alike.", "Partly alike.", "Different.")
    scores = [run.results["train"]["silhouette"] for run in runs]
    if abs(scores[0] - scores[1]) >= 0.01:
        best = int(scores[1] > scores[0])
        assert f"{(3, 4)[best]} clusters is" in said.replace("\\", "") and "tighter" in said


def test_a_clustering_that_found_nothing_is_given_no_figures_and_the_way_back(pictures, app):
    workspace, rows, _ = pictures
    settings = find_method("dbscan").settings_class.parse({"eps": 1e-6, "min_samples": 20})
    run = cluster(workspace, rows, "dbscan", settings, new_folder(workspace.runs, "dbscan_nothing"))
    app.query_params["run"] = run.folder.name
    shown = facts(compare(app))
    assert shown["noise"] == "100.0%" and not {"silhouette", "balance", "composite"} & set(shown)
    app.switch_page("pages/label/page.py").run()
    assert not app.exception
    assert "Cluster" in {button.label for button in app.button if (button.key or "").startswith("first_")}
