"""Review offers what can be labelled now: accepted guesses keep their source, and undo makes the proposals anew."""

from types import SimpleNamespace

import numpy as np
import pytest

from engine.clustering.registry import find_method
from engine.jobs import job as jobs
from engine.jobs.runner import run_job
from engine.labels.events import LabelHistory
from engine.labels.proposals import open_proposals, spread
from engine.runs.fit import cluster as cluster_rows
from engine.runs.rows import graph_of
from engine.runs.run import new_folder
from tests.engine.planted import rows_in
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def clustered(workspace, tmp_path):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    return workspace, rows, run, LabelHistory(workspace, rows.dataset.id)


@pytest.fixture
def held(monkeypatch):
    """Jobs are made and not run."""
    monkeypatch.setattr("engine.jobs.job.start", lambda workspace, folder: (folder / "started").touch())


def accept_button(app):
    return next(button for button in app.button if button.key == "review_accept")


def test_what_the_button_says_is_what_it_labels(clustered, app, held):
    workspace, rows, run, history = clustered

    def now():
        return history.state(rows.contents, run.assignments, run=run.folder.name)

    centres = [int(now().rows(cluster)[0]) for cluster in range(3)]
    history.label(now(), np.array(centres), ["red", "green", "blue"])
    reviewed(app, workspace)
    assert not app.exception
    app.slider(key="review_least").set_value(10).run()

    found = open_proposals(now(), spread(graph_of(workspace, rows), now()))
    sure = found.at_least(0.10)
    assert accept_button(app).label == f"Label {len(sure)} images"
    accept_button(app).click().run()
    assert not app.exception
    state = now()
    assert state.source_counts == {
        "by you": 3,
        "cluster name": 0,
        "accepted guess": len(sure),
        "none": len(rows) - 3 - len(sure),
    }
    history.undo()
    history.label(now(), np.array([centres[0]]), None)
    app.run()
    app.slider(key="review_least").set_value(10).run()
    again = open_proposals(now(), spread(graph_of(workspace, rows), now()))
    assert "red" not in again.names
    assert accept_button(app).label == f"Label {len(again.at_least(0.10))} images", "spread anew without the red one"
    assert not app.exception


def reviewed(app, workspace):
    """Open the review and spread the labels."""
    app.run()
    app.switch_page("pages/label/page.py").run()
    app.session_state["label_view"] = "Review"
    app.run()
    next(button for button in app.button if button.key == "spread").click().run()
    run_job(next(job for job in jobs.list_jobs(workspace) if job.task == "spread").folder)
    return app.run()


def test_where_no_image_is_so_sure_the_reason_is_said_and_no_button_offers_nothing(clustered, app, held):
    workspace, rows, run, history = clustered
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    history.label(state, np.array([int(state.rows(cluster)[0]) for cluster in range(3)]), ["red", "green", "blue"])
    reviewed(app, workspace)
    assert any("not checked yet" in item.value for item in app.caption)
    app.slider(key="review_least").set_value(100).run()
    assert not any(button.key == "review_accept" for button in app.button)
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    found = open_proposals(state, spread(graph_of(workspace, rows), state))
    lower = int(10 * found.probability.max()) * 10
    told = f"No image reaches 100%; {len(found.at_least(lower / 100)):,} reach"
    assert any(told in text.value and f"{lower}%" in text.value for text in app.markdown)


def test_all_agreed_with_at_once_are_guesses_and_a_picked_one_is_by_the_person(clustered, app, held, bench):
    workspace, rows, run, history = clustered
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    history.label(state, np.array([int(state.rows(cluster)[0]) for cluster in range(3)]), ["red", "green", "blue"])
    reviewed(app, workspace)
    bench.ask(app, "review", "agree", (0, 1))
    bench.ask(app, "review", "agree", (0, 27), together=True)
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    assert not app.exception
    assert state.source_counts["by you"] == 4
    assert state.source_counts["accepted guess"] > 10


def test_proposals_are_looked_at_and_agreed_with_by_label(clustered, app, held, bench):
    workspace, rows, run, history = clustered
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    history.label(state, np.array([int(state.rows(cluster)[0]) for cluster in range(3)]), ["red", "green", "blue"])
    reviewed(app, workspace)
    found = {card["title"]: card for card in bench.groups(app, "review")}
    assert "green?" in found and list(found) == sorted(found)
    assert sum(card["size"] for card in found.values()) == 27
    bench.ask(app, "review", "choose", values=[found["green?"]["id"]])
    assert bench["review"]["gallery"]["n"] == found["green?"]["size"]
    assert bench["review"]["groups"]["chosen"] == [found["green?"]["id"]]
    bench.ask(app, "review", "accept", values=[found["green?"]["id"]])
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    assert state.labels.count("green") == 1 + found["green?"]["size"]
    assert state.source_counts["accepted guess"] == found["green?"]["size"]


def test_the_page_says_what_the_chances_were_checked_on(workspace, tmp_path, app, held):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures", 150))
    history = LabelHistory(workspace, rows.dataset.id)
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    for cluster, label in enumerate(["red", "green", "blue"]):
        history.label(state, state.rows(cluster)[:12], label)
        state = history.state(rows.contents, run.assignments, run=run.folder.name)
    reviewed(app, workspace)
    assert not app.exception
    made = spread(graph_of(workspace, rows), state)
    said = f"checked on 36 images that you labelled: each was hidden once, and {made.right} of them were proposed"
    assert any(said in item.value for item in app.caption)
    assert app.slider(key="review_least").value == 90
    sure = open_proposals(state, made).at_least(0.9)
    offers = [button.label for button in app.button if button.key == "review_accept"]
    assert offers == ([f"Label {len(sure)} images"] if len(sure) else [])


def test_a_probable_label_error_is_corrected_or_called_right_by_a_key_and_undo_brings_it_back(
    workspace, tmp_path, app, held, bench
):
    rows = rows_in(workspace, tmp_path)  # vectors around three axes, labelled c0, c1, c2
    settings = find_method("kmeans").settings_class.parse({"n_clusters": 3})
    run = cluster_rows(workspace, rows, "kmeans", settings, new_folder(workspace.runs, "kmeans_planted"))
    history = LabelHistory(workspace, rows.dataset.id)
    said = list(rows.truth)
    said[3], said[10] = "c1", "c2"

    def now():
        return history.state(rows.contents, run.assignments, run=run.folder.name)

    def told(waiting):
        return any(f"90 labels checked, {waiting} to look at" in text.value for text in app.markdown)

    history.label(now(), np.arange(len(rows)), said)
    app.run()
    app.switch_page("pages/label/page.py").run()
    app.session_state["label_view"] = "Review"
    app.session_state["review_origin"] = "Label errors"
    app.run()
    next(button for button in app.button if button.key == "check_labels").click().run()
    run_job(next(job for job in jobs.list_jobs(workspace) if job.task == "label-errors").folder)
    app.run()
    assert not app.exception and told(2)
    shown = bench["review"]["gallery"]
    assert shown["n"] == 2 and {name[:7] for name in shown["badgeNames"][3:]} == {"c1 \u2192 c0", "c2 \u2192 c1"}

    bench.ask(app, "review", "agree", (0, 1))
    (corrected,) = (row for row in (3, 10) if now().label_of(row) == rows.truth[row])
    assert told(1)
    bench.ask(app, "review", "confirm", (1, 2))
    assert sum(now().label_of(row) == said[row] for row in (3, 10)) == 1
    assert now().source_counts["by you"] == 90 and told(0)

    history.undo()
    app.run()
    assert told(1)
    history.undo()
    app.run()
    assert now().label_of(corrected) == said[corrected] and told(2)


def test_all_labels_are_audited_from_a_sample_and_the_bound_is_kept_and_undone(clustered, app, monkeypatch):
    workspace, rows, run, history = clustered

    def now():
        return history.state(rows.contents, run.assignments, run=run.folder.name)

    for cluster in range(3):
        history.rename(now(), cluster, f"kind {cluster}")
    shown = {}

    def seen(key, ids, **told):
        shown.update(ids=ids, **told)
        return SimpleNamespace(selected=np.array([0]), all_seen=True)

    monkeypatch.setattr("pages.label.set_audit.gallery", seen)
    app.session_state["audit_checks"] = 20
    app.session_state["label_view"] = "Review"
    app.session_state["review_origin"] = "Audit of all labels"
    app.run()
    app.switch_page("pages/label/page.py").run()
    assert not app.exception
    assert len(shown["ids"]) == 20 and shown["want_seen"] and shown["badge_names"] == ["kind 0", "kind 1", "kind 2"]
    assert any(
        "20 images of 30 labels" in text.value and "With 1 wrong: at least" in text.value for text in app.markdown
    )
    next(one for one in app.button if one.label == "Keep the answers").click().run()
    assert not app.exception
    state = now()
    assert np.isfinite(state.bound).sum() == 29
    assert history.effective()[0][-1].sentence.startswith("20 of 30 images checked, 1 wrong: at least")
    history.undo()
    assert not now().audited
