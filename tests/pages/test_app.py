"""Wiring of the screens: every page draws on an empty and on a full workspace; errors and labels come through."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from engine.core.files import write_json
from engine.core.ids import to_bytes
from engine.images.datasets import add_folder, find_dataset, list_datasets
from engine.images.sampling import kept_sample
from engine.images.sets.registry import SAMPLES
from engine.images.tables import files_of
from engine.jobs import job as jobs
from engine.labels.audit import purity_bound
from engine.labels.events import LabelHistory
from pages.registry import SCREENS
from pages.shared.state import escape
from pages.shared.words import count, duration, size
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def clustered(workspace, tmp_path):
    """A folder of 30 pictures in three colours, embedded and clustered."""
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures <i>of"))
    return workspace, rows, run


@pytest.mark.parametrize("path", [screen.path for screen in SCREENS])
def test_every_page_says_what_to_do_on_an_empty_workspace(app, path):
    app.run()
    if path != "images":
        app.switch_page(f"pages/{path}/page.py").run()
    assert not app.exception
    assert app.title[0].value in {screen.title for screen in SCREENS}
    if path == "images":
        assert {"Made pictures", "Pieces of photographs", "Digits"} <= {button.label for button in app.button}
    else:
        assert any(str(button.key).startswith("first_") for button in app.button)


@pytest.mark.parametrize("path", [screen.path for screen in SCREENS])
def test_every_page_draws_a_clustered_folder(clustered, app, path):
    app.run()
    if path != "images":
        app.switch_page(f"pages/{path}/page.py").run()
    assert not app.exception
    assert not app.error


def test_tables_of_the_first_page_are_drawn_when_they_are_opened(clustered, app):
    app.run()
    assert not app.dataframe
    app.session_state["images_formats"] = True
    app.run()
    assert not app.exception
    assert [list(table.value) for table in app.dataframe] == [["format", "images"], ["pixels", "width", "height"]]


def started(monkeypatch):
    """Let no job run; returns the configurations of those that would."""
    found = []
    monkeypatch.setattr("engine.jobs.job.start", lambda _, folder: found.append(jobs.status(folder).config))
    return found


def test_one_click_leads_to_a_sample_set_which_is_made_ready(app, workspace, monkeypatch):
    configs = started(monkeypatch)
    app.run()
    assert configs == [], "tests turn the background off"
    next(button for button in app.button if button.label == "Digits").click().run()
    assert [item.name for item in list_datasets(workspace)] == ["Digits"]
    assert not app.exception
    assert app.title[0].value == "Explore"
    assert [(config["task"], config["sets"]) for config in configs] == [("samples", ["digits"])]


def test_sample_sets_are_made_ready_once_and_only_where_nothing_is_known(app, workspace, monkeypatch, tmp_path):
    configs = started(monkeypatch)
    monkeypatch.setenv("KINDRED_SAMPLES", "on")
    monkeypatch.setattr("engine.jobs.job.list_jobs", lambda _: [])
    app.run()
    assert [(config["sets"], config["quietly"]) for config in configs] == [(list(SAMPLES), True)]
    add_folder(workspace, coloured_pictures(tmp_path / "own", 2))
    app.session_state["adding"] = True
    app.run()
    assert len(configs) == 1


def test_a_folder_that_is_not_there_is_told_in_one_sentence(app, tmp_path):
    app.run()
    app.text_input(key="new_path").set_value(str(tmp_path / "nowhere"))
    next(button for button in app.button if button.label == "Read this folder").click().run()
    assert not app.exception
    assert "nowhere" in app.error[0].value.replace("\\", "")
    assert "Traceback" not in app.error[0].value


def test_an_empty_folder_is_told_once_and_leaves_no_data_set(app, workspace, tmp_path):
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    app.run()
    app.text_input(key="new_path").set_value(str(tmp_path / "empty"))
    next(button for button in app.button if button.label == "Read this folder").click().run()
    assert not app.exception
    assert len(app.error) == 1 and app.error[0].value.startswith("There is no image in")
    assert list_datasets(workspace) == []


def test_what_nobody_foresaw_is_told_in_one_sentence_with_the_detail_folded(app, monkeypatch):
    def broken(workspace):
        raise ZeroDivisionError("inside <b>a page</b>")

    monkeypatch.setattr("pages.shared.state.list_datasets", broken)
    app.run()
    assert not app.exception
    assert app.error[0].value.startswith("Kindred itself failed here")
    assert "ZeroDivisionError: inside <b>a page</b>" in app.code[0].value


def test_a_sample_and_a_pair_are_chosen_by_clicking(clustered, app):
    workspace, rows, _ = clustered
    app.run()
    app.session_state["all_images"] = {
        "selection": {
            "v": f"{rows.dataset.id}-{find_dataset(workspace, rows.dataset.id).scanned}-30-path",
            "c": 0,
            "t": 1,
            "k": "ranges",
            "r": [4, 6],
        }
    }
    app.run()
    next(button for button in app.button if button.label == "These belong together").click().run()
    assert not app.exception
    sample = kept_sample(workspace, rows.dataset.id)
    assert sample.pair_rows(rows.contents).tolist() == [[4, 5]]
    assert len(sample) == 30
    next(button for button in app.button if button.label == "Work on all images").click().run()
    assert kept_sample(workspace, rows.dataset.id) is None


def test_undo_on_the_label_page_takes_back_the_whole_action(clustered, app):
    workspace, rows, run = clustered
    history = LabelHistory(workspace, rows.dataset.id)
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    history.rename(state, 0, "=danger <b>")
    app.run()
    app.switch_page("pages/label/page.py").run()
    undo = next(button for button in app.button if button.label == "Undo")
    assert not undo.disabled
    undo.click().run()
    assert not app.exception
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    assert not any(state.labels)


def test_the_map_is_coloured_by_what_was_measured_on_each_image(clustered, app, bench, monkeypatch):
    from pages.explore import coloring

    workspace, rows, _ = clustered
    seen = {}

    def listen(board, by):
        seen[by] = coloring_of(board, by)
        return seen[by]

    coloring_of = coloring.colors_of
    monkeypatch.setattr(coloring, "colors_of", listen)
    app.run()
    app.switch_page("pages/explore/page.py").run()
    assert ("brightness", "brightness") in bench["explore"]["map"]["colorings"]
    bench.ask(app, "explore", "color", text="brightness")
    assert bench["explore"]["map"]["colorLabel"] == app.query_params["color"] == "brightness"
    assert not app.exception and not app.error
    values, legend, _ = seen["brightness"]
    measured = {file.content: file.quality["brightness"] for file in files_of(workspace, rows.dataset.id)}
    assert values.tolist() == pytest.approx([measured[content] for content in to_bytes(rows.contents)])
    assert legend == [] and len(np.unique(values)) > 1


def test_an_audit_counts_what_is_selected_and_keeps_the_exact_bound(clustered, app, bench):
    workspace, rows, run = clustered
    app.run()
    app.switch_page("pages/label/page.py").run()
    bench.ask(app, "label", "audit_start")
    version = list(app.session_state["_kindred_gallery:label"]["seen"])[-1]
    event = {"t": 100, "action": "audit_keep", "selection": bench.said(app, "label", (0, 2))}
    app.session_state["label"] = {"event": [event]}
    app.run()
    assert bench["label"]["inspector"]["audit"]["open"], "the last image was not on the screen yet"
    app.session_state["label"] = {"seen": {"v": version}}
    app.run()
    audit = bench["label"]["inspector"]["audit"]
    history = LabelHistory(workspace, rows.dataset.id)
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    largest = max(state.clusters, key=lambda cluster: cluster.size)
    bound = purity_bound(largest.size, 2, population=largest.size)
    assert audit["seen"] and audit["bounds"][2] == pytest.approx(bound, abs=1e-4)
    app.session_state["label"] = {"seen": {"v": version}, "event": [event | {"t": 200}]}
    app.run()
    assert not app.exception
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    bounds = state.bound[state.rows(largest.id)]
    assert len(bounds) == largest.size - 2, "the two wrong ones are set aside"
    assert bounds == pytest.approx(1 - (round((1 - bound) * largest.size) - 2) / (largest.size - 2))


def steps(app):
    """The sidebar's links as they are read."""
    return {link.proto.label.split(" :")[0]: link.proto.label for link in app.sidebar.get("page_link")}


def test_each_step_shows_its_own_figure_and_no_tick(clustered, app):
    workspace, rows, run = clustered
    app.run()
    found = steps(app)
    assert found == {
        "Images": "Images :gray[30]",
        "Embed": "Embed :gray[Descriptor]",
        "Cluster": "Cluster :gray[3 clusters found]",
        **{title: title for title in ("Explore", "Label", "Compare", "Export", "Distil")},
    }
    history = LabelHistory(workspace, rows.dataset.id)
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    history.label(state, state.rows(0)[:2], "red")
    app.run()
    assert steps(app)["Label"] == "Label :gray[1 step]"
    app.switch_page("pages/label/page.py").run()
    app.run()
    found = steps(app)
    assert found["Label"] == "Label :gray[2 images by you]"
    assert found["Export"] == "Export :gray[0 images audited]"


def test_failed_jobs_of_another_data_set_are_not_shown(clustered, app):
    workspace, rows, _ = clustered
    for dataset, title in ((rows.dataset.id, "Own job"), ("elsewhere-1", "Job of another set")):
        folder = jobs.create(workspace.jobs, "scan", title, {"dataset": {"id": dataset}})
        (folder / "started").touch()
        write_json(folder / "outcome.json", {"state": "failed", "sentence": "It failed."})
    app.run()
    told = [text.value for text in app.sidebar.caption]
    assert escape("Own job: It failed.") in told and "another set" not in " ".join(told)


def test_a_failed_job_is_told_until_it_is_dismissed_or_repeated(clustered, app):
    workspace, rows, _ = clustered

    def end(title, state, created):
        config = {"dataset": {"id": rows.dataset.id}, "created": created}
        folder = jobs.create(workspace.jobs, "scan", title, config)
        (folder / "started").touch()
        write_json(folder / "outcome.json", {"state": state, "sentence": "The disk is full."})

    def told():
        return [text.value for text in app.sidebar.caption if ": The disk is full" in text.value.replace("\\", "")]

    now = time.time()
    end("First", "failed", now - 300)
    app.run()
    assert told() == [escape("First: The disk is full.")]
    end("Second", "done", now - 200)
    app.run()
    assert told() == [], "it was repeated"
    end("Third", "failed", now - 100)
    app.run()
    next(button for button in app.button if button.key and button.key.startswith("dismiss_")).click().run()
    assert told() == []
    (third,) = [job for job in jobs.list_jobs(workspace) if job.title == "Third"]
    assert jobs.is_dismissed(third.folder), "so that another session does not tell it again"


def test_a_phase_that_is_through_says_what_comes_after(clustered, app, monkeypatch):
    from pages.shared.job_view import ended

    workspace, rows, _ = clustered
    folder = jobs.create(workspace.jobs, "scan", "Reading", {"dataset": {"id": rows.dataset.id}})
    (folder / "started").touch()
    with jobs.holding(folder / "lock", timeout=5):
        lines = [{"at": at, "phase": "candidates", "done": at, "total": 24, "unit": "candidates"} for at in (1, 24)]
        (folder / "progress.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        assert ended(jobs.status(folder))
        app.run()
        shown = [bar.text for bar in app.get("progress")]
    assert any("24 of 24 candidates" in text and "writing the result" in text for text in shown)
    assert not any("left" in text for text in shown)


def test_the_history_goes_back_without_an_end(clustered, app, bench):
    workspace, rows, run = clustered
    history = LabelHistory(workspace, rows.dataset.id)
    for number in range(70):
        history.rename(history.state(rows.contents, run.assignments, run=run.folder.name), 0, f"name {number}")
    app.run()
    app.switch_page("pages/label/page.py").run()
    shown = [len(bench["label"]["inspector"]["history"])]
    for _ in range(2):
        bench.ask(app, "label", "older")
        shown.append(len(bench["label"]["inspector"]["history"]))
    assert shown == [30, 60, 70] and bench["label"]["inspector"]["steps"] == 70


def test_an_undone_action_is_told_without_offering_undo(clustered, app):
    workspace, rows, run = clustered
    history = LabelHistory(workspace, rows.dataset.id)
    history.rename(history.state(rows.contents, run.assignments, run=run.folder.name), 0, "red")
    app.run()
    app.switch_page("pages/label/page.py").run()
    next(button for button in app.button if button.label == "Undo").click().run()
    assert [toast.value.startswith("Undone") and "Ctrl" not in toast.value for toast in app.toast] == [True]


def test_what_was_set_aside_is_listed_as_unsorted(clustered, app, bench):
    workspace, rows, run = clustered
    history = LabelHistory(workspace, rows.dataset.id)
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    history.reject(state, state.rows(1)[:4])
    app.run()
    app.switch_page("pages/explore/page.py").run()
    last = bench.groups(app, "explore")[-1]
    assert (last["title"], last["size"], last["id"]) == ("Unsorted", 4, -1)
    app.query_params["cluster"] = "-1"
    app.run()
    assert not app.exception and not app.error
    assert bench["explore"]["gallery"]["n"] == 4


def test_the_first_screen_imports_neither_torch_nor_umap(workspace):
    script = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "at = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "assert not at.exception\n"
        "names = ('torch', 'umap', 'transformers', 'open_clip', 'sklearn', 'hdbscan')\n"
        "print('heavy:', [name for name in names if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "heavy: []" in done.stdout, done.stdout + done.stderr[-2000:]


def test_names_of_files_never_become_formatting():
    assert escape("<b>*x*</b> $y$ :material/home:") == r"\<b\>\*x\*\</b\> \$y\$ \:material/home\:"
    assert escape("two\nlines") == "two lines"


def test_numbers_are_words_with_units():
    assert (count(1, "image"), count(12480, "image")) == ("1 image", "12,480 images")
    assert (duration(None), duration(1), duration(45), duration(240)) == (
        "",
        "a moment",
        "about 45 seconds",
        "about 4 minutes",
    )
    assert (size(512), size(1_400_000)) == ("512 bytes", "1.4 MB")
