"""What a page starts is the request that its controls say: the search keeps the sliders, training the chosen start."""

import json

import pytest

from engine.distillation.settings import DistilSettings
from engine.jobs import job as jobs
from pages.distil import presets
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def cluster_page(workspace, tmp_path, monkeypatch, app):
    """The Cluster page over one kept run; jobs are made and not run."""
    monkeypatch.setattr("engine.jobs.job.start", lambda workspace, folder: (folder / "started").touch())
    _, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    app.run()
    app.session_state["cluster_more"] = "method"
    app.switch_page("pages/cluster/page.py").run()
    return workspace, run, app


def started(workspace, task):
    return next(job for job in jobs.list_jobs(workspace) if job.task == task).config


def press(app, label):
    next(button for button in app.button if label in (button.label, button.key)).click().run()
    assert not app.exception and not app.error


def test_a_search_keeps_what_the_sliders_say(cluster_page):
    workspace, _, app = cluster_page
    app.session_state["method_kmeans_n_clusters"] = 4
    app.run()
    press(app, "Search")
    assert started(workspace, "search")["settings"]["n_clusters"] == 4


def test_a_search_tries_the_settings_values_and_seed_that_were_chosen(cluster_page):
    workspace, _, app = cluster_page
    app.multiselect(key="search_space_kmeans").set_value(["n_clusters", "n_init"]).run()
    app.text_input(key="search_space_kmeans_n_clusters").set_value("2, 3, 4").run()
    app.text_input(key="search_space_kmeans_n_init").set_value("1..4").run()
    app.number_input(key="search_seed_kmeans").set_value(7).run()
    app.number_input(key="search_trials_kmeans").set_value(5).run()
    app.selectbox(key="search_how_kmeans").set_value("grid").run()
    assert any("12 combinations; 5 of them" in caption.value for caption in app.caption)
    press(app, "Search")
    config = started(workspace, "search")
    assert config["space"] == {"n_clusters": "2, 3, 4", "n_init": "1..4"} and config["random_state"] == 7


def test_a_space_that_cannot_be_searched_is_told_and_nothing_starts(cluster_page):
    workspace, _, app = cluster_page
    app.text_input(key="search_space_kmeans_n_clusters").set_value("2..many").run()
    assert any("'many' is not a whole number" in error.value for error in app.error)
    assert not jobs.list_jobs(workspace)
    assert not [button for button in app.button if button.label == "Search"]


def test_a_slider_shows_what_trains_and_is_given_once_it_was_moved(cluster_page):
    workspace, _, app = cluster_page
    app.session_state["method"] = "temi"
    app.run()
    assert app.session_state["method_temi_beta"] == 0.8
    captions = [caption.value for caption in app.caption]
    assert "chosen for your data: 0.8" in captions
    assert any("steps on CPU, about" in caption for caption in captions)
    app.session_state["method_temi_beta"] = 0.6
    app.run()
    assert app.session_state["method_temi_beta"] == 0.6
    press(app, "Start TEMI")
    settings = started(workspace, "cluster")["settings"]
    assert settings["beta"] == 0.6 and "n_heads" not in settings


def test_the_settings_of_a_paper_can_be_chosen_and_left_again(cluster_page):
    _, _, app = cluster_page
    app.session_state["method"] = "cpp"
    app.run()
    app.selectbox(key="method_cpp_published").select("cifar10").run()
    assert app.session_state["method_cpp_eta"] == 0.175
    assert (app.session_state["method_cpp_width"], app.session_state["method_cpp_preset"]) == (4096, "paper")
    press(app, "Back to what suits the data")
    assert (app.session_state["method_cpp_width"], app.session_state["method_cpp_preset"]) == (512, "data")


def test_training_starts_from_the_run_that_was_chosen(cluster_page):
    workspace, run, app = cluster_page
    app.session_state["method"] = "temi"
    app.run()
    app.session_state["method_temi_warm_start"] = "run"
    app.run()
    press(app, "Start TEMI")
    config = started(workspace, "cluster")
    assert (config["start_run"], config["settings"]["warm_start"]) == (str(run.folder), "run")


def test_a_test_part_is_set_aside_and_what_to_cite_can_be_copied(cluster_page):
    workspace, run, app = cluster_page
    app.number_input(key="test_part").set_value(20).run()
    press(app, "Keep this clustering")
    kept = max(workspace.runs.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    config = json.loads((kept / "config.json").read_text())
    assert kept != run.folder and config["test_fraction"] == 0.2
    assert json.loads((kept / "results.json").read_text())["test"] is not None
    assert not app.code
    app.session_state["method"] = "turtle"
    app.run()
    assert any("Let Go of Your Labels" in code.value for code in app.code)
    press(app, "Start TURTLE")
    assert started(workspace, "cluster")["test_fraction"] == 0.2


def test_the_sweep_takes_what_the_command_line_takes(cluster_page):
    workspace, _, app = cluster_page
    app.multiselect(key="sweep_algorithms").set_value(["kmeans", "hdbscan"]).run()
    app.toggle(key="sweep_max_combinations_auto").set_value(False).run()
    app.slider(key="sweep_max_combinations").set_value(12).run()
    app.slider(key="sweep_top_results").set_value(4).run()
    app.toggle(key="sweep_stability").set_value(False).run()
    app.slider(key="sweep_n_jobs").set_value(2).run()
    app.toggle(key="sweep_no_gpu").set_value(True).run()
    press(app, "Find good clusters")
    found = started(workspace, "sweep")["settings"]
    wanted = {"max_combinations": 12, "top_results": 4, "stability": False, "n_jobs": 2, "no_gpu": True}
    assert found["algorithms"] == ["kmeans", "hdbscan"] and wanted.items() <= found.items()


def test_weights_are_offered_only_where_the_ranking_goes_by_them(cluster_page):
    workspace, _, app = cluster_page
    keys = {slider.key for slider in app.slider}
    assert "sweep_top_results" in keys and "sweep_balance_weight" not in keys
    app.selectbox(key="sweep_ranking").select("composite").run()
    app.slider(key="sweep_balance_weight").set_value(0.1).run()
    press(app, "Find good clusters")
    found = started(workspace, "sweep")["settings"]
    assert (found["ranking"], found["balance_weight"]) == ("composite", 0.1)


def test_the_methods_of_a_distillation_are_chosen(cluster_page):
    workspace, _, app = cluster_page
    app.switch_page("pages/distil/page.py").run()
    app.multiselect(key="distil_methods").set_value(["lgm"]).run()
    press(app, "distil_start")
    assert started(workspace, "distil")["settings"]["methods"] == ["lgm"]


def test_a_distillation_says_its_labels_and_how_long_it_takes_before_it_starts(cluster_page, monkeypatch):
    asked = []

    def seconds(wanted):
        asked.extend(wanted)
        for one in wanted:
            preset = DistilSettings.model_validate_json(one[0]).preset
            presets._KNOWN[one] = {"quick": 4.0, "balanced": 31.0, "thorough": 300.0}[preset]

    monkeypatch.setattr("pages.distil.presets.start_measuring", seconds)
    workspace, _, app = cluster_page
    app.switch_page("pages/distil/page.py").run()
    assert any("Labels used: 30 by cluster number." in text.value for text in app.markdown)
    assert next(button for button in app.button if button.key == "distil_start").label == "Distil · about 31 seconds"
    assert {(n, classes) for _, n, _, classes in asked} == {(24, 3)}
    assert len({settings for settings, _, _, _ in asked}) == 3
    app.session_state["_kindred_tiles:distil_presets"]["chosen"] = "quick"
    app.run()
    assert next(button for button in app.button if button.key == "distil_start").label == "Distil · about 4 seconds"
    assert len(asked) == 3, "measured once"
    assert list(app.multiselect(key="distil_methods").value) == ["ridge"]
    press(app, "distil_start")
    assert started(workspace, "distil")["settings"] == {"preset": "quick"}


def test_counting_asks_the_trained_run_in_use_and_shows_its_answer_when_it_is_opened_again(cluster_page):
    workspace, run, app = cluster_page
    app.session_state["cluster_more"] = "count"
    app.run()
    press(app, "How many clusters?")
    assert "run" not in started(workspace, "count")  # k-means says nothing about other numbers
    config = json.loads((run.folder / "config.json").read_text())
    (run.folder / "config.json").write_text(json.dumps(config | {"method": "cpp"}))
    (run.folder / "model.pt").touch()
    app.run()
    item = {"ks": [2, 3, 4], "values": [3.0, 1.0, 2.0], "reference": None, "best": 3, "sentence": "Best at K = 3."}
    found = {"verdict": "About 3 clusters.", "evidence": [item | {"kind": "CPP coding length"}], "splits": []}
    (run.folder / "count.json").write_text(json.dumps(found))
    app.run()
    assert any("About 3 clusters" in text.value for text in app.markdown)
    assert any("CPP coding length: Best at K" in caption.value for caption in app.caption)
    assert any("curve of the trained run" in caption.value for caption in app.caption)
    press(app, "How many clusters?")
    assert started(workspace, "count")["run"] == str(run.folder)
