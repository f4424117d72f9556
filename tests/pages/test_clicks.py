"""No click is lost: a message of a component that ends the page's run early leaves each click with its one effect."""

import base64
import os
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime.scriptrunner import RerunData, RerunException, get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests

from engine.images.sampling import kept_sample
from engine.jobs import job as jobs
from engine.labels.events import LabelHistory
from pages.shared import actions
from pages.shared.state import settle
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def clustered(workspace, tmp_path):
    """Thirty pictures in three clusters of ten, with what is known of their labels."""
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    return workspace, rows, run, LabelHistory(workspace, rows.dataset.id)


@pytest.fixture
def message(monkeypatch):
    """Call it: in the next run a component's message arrives before the page has drawn anything."""
    coming = []
    tell = actions.tell

    def interrupted():
        if coming:
            coming.pop()
            context = get_script_run_ctx()
            states = context.session_state.get_widget_states()
            kept = [state for state in states if state.WhichOneof("value") != "trigger_value"]
            context.script_requests.request_rerun(
                RerunData(
                    query_string=context.query_string,
                    widget_states=WidgetStates(widgets=kept),
                    page_script_hash=context.page_script_hash,
                )
            )
        tell()

    monkeypatch.setattr(actions, "tell", interrupted)
    return lambda: coming.append(True)


@pytest.fixture
def held(monkeypatch):
    """Jobs are made and not run."""
    monkeypatch.setattr("engine.jobs.job.start", lambda workspace, folder: (folder / "started").touch())


def find(app, label):
    return next(button for button in app.button if button.label == label or button.key == label)


def opened(app, path):
    app.run()
    return app.switch_page(f"pages/{path}/page.py").run()


@pytest.mark.parametrize(
    ("action", "told", "kind"),
    [
        ("merge", {}, "merge"),
        ("merge_twin", {"id": 0, "value": 1}, "merge"),
        ("merge_groups", {"values": [0, 1], "text": "both"}, "merge"),
        ("different", {"id": 0, "value": 1}, "apart"),
        ("take", {"id": 0, "values": [11, 12]}, "move"),
        ("reject", {}, "reject"),
        ("confirm", {}, "confirm"),
        ("move", {"value": 1}, "move"),
        ("lock", {}, "lock"),
        ("label_as", {"text": "cat"}, "label"),
        ("unlabel", {}, "label"),
        ("split", {"value": 2}, "split"),
        ("split_off", {}, "split"),
        ("name", {"id": 0, "text": "red"}, "rename"),
    ],
)
def test_what_is_asked_for_on_label_is_one_event_although_a_message_arrives(
    clustered, app, message, bench, action, told, kind
):
    history = clustered[3]
    opened(app, "label")
    if action == "unlabel":
        bench.ask(app, "label", "label_as", (2, 5), text="cat")
    before = len(history.events())
    message()
    bench.ask(app, "label", action, (2, 5), **told)
    assert not app.exception
    assert [event.kind for event in history.events()][before:] == [kind]
    app.run()
    assert [event.kind for event in history.events()][before:] == [kind]


def test_a_late_message_does_not_lead_back_to_the_cluster_before(clustered, app, bench):
    opened(app, "label")
    late = app._tree.get_widget_states()
    bench.ask(app, "label", "choose", values=[2])
    bench.ask(app, "label", "filter", text="none")
    app._run(late)
    assert not app.exception
    assert app.session_state["current_cluster"] == "2"
    assert app.session_state["current_source"] == "none"


def test_what_is_not_wanted_now_stays_off_the_list_in_this_window(clustered, app, bench):
    def moves():
        return [(move["kind"], move["cluster"]) for move in bench["label"]["inspector"]["next"]["moves"]]

    opened(app, "label")
    first = bench["label"]["inspector"]["next"]["moves"][0]
    about = {"text": f"{first['kind']} {first['label']}", "id": first["cluster"], "value": first["other"]}
    bench.ask(app, "label", "not_now", **about)
    assert not app.exception and moves() and (first["kind"], first["cluster"]) not in moves()
    app.run()
    assert (first["kind"], first["cluster"]) not in moves()
    assert not clustered[3].events()


def test_a_name_that_was_undone_leaves_its_key(clustered, app, bench):
    opened(app, "label")
    bench.ask(app, "label", "label_as", (2, 5), text="cat")
    bench.ask(app, "label", "label_as", (5, 6), text="dog")
    app.run()
    assert bench["label"]["gallery"]["chips"] == ["cat", "dog"]
    bench.ask(app, "label", "undo")
    app.run()
    assert bench["label"]["gallery"]["chips"] == ["cat"]
    bench.ask(app, "label", "redo")
    app.run()
    assert bench["label"]["gallery"]["chips"] == ["cat", "dog"]


def test_an_audit_and_the_way_back_are_not_lost(clustered, app, message, bench):
    history = clustered[3]
    opened(app, "label")
    message()
    bench.ask(app, "label", "audit_start")
    audit = bench["label"]["inspector"]["audit"]
    assert audit["open"] and audit["sample"] == 13 and not audit["seen"]
    bench.ask(app, "label", "audit_keep")
    assert not history.events(), "the last image was not on the screen yet"
    seen = {"v": list(app.session_state["_kindred_gallery:label"]["seen"])[-1]}
    message()
    event = {"t": 1000, "action": "audit_keep", "selection": bench.said(app, "label")}
    app.session_state["label"] = {"seen": seen, "event": [event]}
    app.run()
    assert [event.kind for event in history.events()] == ["audit"]
    assert not bench["label"]["inspector"]["audit"]["open"]
    message()
    bench.time = count(2000)
    bench.ask(app, "label", "jump_back", value=bench["label"]["inspector"]["history"][0]["before"])
    assert not app.exception
    assert not history.effective()[0]


def test_each_of_many_clicks_counts_once_and_in_order(clustered, app, message, bench):
    history = clustered[3]
    opened(app, "label")
    for label in ("different", "Undo", "Redo", "merge", "Undo"):
        message()
        if label in ("Undo", "Redo"):
            find(app, label).click().run()
        else:
            twin = bench["label"]["inspector"]["twin"]
            bench.ask(app, "label", label, id=0, value=twin["id"])
    assert not app.exception
    assert [event.kind for event in history.events()] == ["apart", "undo", "redo", "merge", "undo"]
    assert [event.kind for event in history.effective()[0]] == ["apart"]


def test_a_sample_is_taken_although_a_message_arrives(clustered, app, message):
    workspace, rows, _, _ = clustered
    app.run()
    message()
    find(app, "Take this sample").click().run()
    assert not app.exception
    assert kept_sample(workspace, rows.dataset.id) is not None


@pytest.mark.parametrize(
    ("path", "label", "task"),
    [
        ("images", "Read again", "scan"),
        ("embed", "Embed again", "embed"),
        ("cluster", "Find good clusters", "sweep"),
        ("cluster", "How many clusters?", "count"),
        ("distil", "distil_start", "distil"),
    ],
)
def test_a_job_is_started_once_although_a_message_arrives(clustered, app, message, held, path, label, task):
    workspace = clustered[0]
    app.session_state["cluster_more"] = "count"
    opened(app, path)
    message()
    find(app, label).click().run()
    app.run()
    assert not app.exception
    assert [job.task for job in jobs.list_jobs(workspace) if job.task == task] == [task]


def test_an_export_is_started_with_what_stands_in_its_field(clustered, app, message, held, tmp_path):
    workspace = clustered[0]
    app.session_state["export_format"] = "folders"
    opened(app, "export")
    app.text_input(key="export_target").set_value(str(tmp_path / "out"))
    message()
    find(app, "Write").click().run()
    assert not app.exception
    (job,) = [job for job in jobs.list_jobs(workspace) if job.task == "export"]
    assert job.config["target"] == str(tmp_path / "out")


def test_a_press_whose_button_is_gone_is_forgotten(clustered, app):
    app.run()
    app.session_state["presses"] = {"press_Forget it that never was"}
    app.run()
    assert app.session_state["presses"] == set()


def test_more_like_these_leads_from_label_to_explore(clustered, app, message, bench):
    opened(app, "label")
    message()
    bench.ask(app, "label", "more_like", (2, 5))
    assert not app.exception
    assert app.title[0].value == "Explore"
    assert bench["explore"]["gallery"]["heading"] == "like 3 selected images, nearest first"


def test_examples_for_and_against_refine_what_is_shown(clustered, app, bench):
    _, rows, _, _ = clustered
    opened(app, "explore")
    bench.ask(app, "explore", "more_like", (2, 3))

    def shown():
        ids = list(app.session_state["_kindred_gallery:explore"]["seen"].values())[-1]
        return ids.tolist()

    first = shown()
    assert bench["explore"]["gallery"]["heading"] == "like 1 selected image, nearest first"
    unwanted = first[1]
    bench.ask(app, "explore", "less_like", (1, 2))
    assert bench["explore"]["gallery"]["heading"] == "like 1 image, unlike 1 image, nearest first"
    assert unwanted not in shown()
    vectors = rows.vectors / np.linalg.norm(rows.vectors, axis=1, keepdims=True)
    liked, away = (vectors[np.flatnonzero(rows.ids == one)[0]] for one in (first[0], unwanted))
    wanted = np.argsort(-(vectors @ (liked - 0.5 * away)), kind="stable")
    assert shown()[:5] == [one for one in rows.ids[wanted].tolist() if one != unwanted][:5]
    bench.ask(app, "explore", "show_all")
    assert bench["explore"]["gallery"]["heading"] == "All images"


def test_a_pasted_picture_is_looked_for(clustered, app, bench):
    _, rows, _, _ = clustered
    opened(app, "explore")
    picture = (rows.dataset.path / os.fsdecode(rows.paths[4])).read_bytes()
    bench.ask(app, "explore", "picture", text=base64.b64encode(picture).decode())
    app.run()
    assert bench["explore"]["gallery"]["heading"] == "most like your picture, nearest first"
    assert list(app.session_state["_kindred_gallery:explore"]["seen"].values())[-1][0] == rows.ids[4]
    for rubbish in ("", "not base64!", base64.b64encode(b"no picture").decode()):
        bench.ask(app, "explore", "picture", text=rubbish)
        app.run()
        assert not app.exception


def test_a_click_is_carried_out_although_the_next_message_is_there_already(monkeypatch):
    """As it is where a message comes between the end of one run and the beginning of the next."""
    from streamlit.runtime.state.safe_session_state import SafeSessionState
    from streamlit.runtime.state.session_state import SessionState

    from pages.runs import keep_messages_whole

    seen = []
    monkeypatch.setattr(SafeSessionState, "on_script_will_rerun", SafeSessionState.on_script_will_rerun)
    monkeypatch.setattr(SessionState, "on_script_will_rerun", lambda self, states, **options: seen.append(states))

    def next_message():
        raise RerunException(RerunData())

    clicked = WidgetStates()
    with pytest.raises(RerunException):
        SafeSessionState(SessionState(), next_message).on_script_will_rerun(clicked)
    assert seen == [], "Streamlit still loses it: without that, pages/runs.py can do without it"
    keep_messages_whole()
    SafeSessionState(SessionState(), next_message).on_script_will_rerun(clicked)
    assert seen == [clicked]


def _widget(name, value, trigger=False):
    return WidgetState(id=name, **({"trigger_value": value} if trigger else {"string_value": value}))


def test_the_newer_of_two_messages_wins_and_no_click_is_lost_while_the_session_is_looked_into(monkeypatch):
    requests = ScriptRequests()
    monkeypatch.setattr("pages.shared.state.get_script_run_ctx", lambda: SimpleNamespace(script_requests=requests))

    def message(address, *widgets):
        requests.request_rerun(RerunData(query_string=address, widget_states=WidgetStates(widgets=widgets)))

    def look():
        """As the session does at each look: Streamlit takes a message off its queue and ends the run."""
        if (request := requests.on_scriptrunner_yield()) is not None:
            raise RerunException(request.rerun_data)

    def step():
        looks.append(look())
        message("cluster=2", _widget("name", "new"), _widget("other", True, trigger=True))
        looks.append(settle(look))
        return "found"

    looks = []
    message("cluster=1", _widget("name", "old"), _widget("undo", True, trigger=True))
    assert settle(step) == "found"
    assert looks == [None, None], "done once, and to its end"
    data = requests.on_scriptrunner_yield().rerun_data
    assert data.query_string == "cluster=2"
    states = {state.id: state for state in data.widget_states.widgets}
    assert states["name"].string_value == "new"
    assert states["undo"].trigger_value and states["other"].trigger_value
    assert requests.on_scriptrunner_yield() is None


def test_a_step_that_fails_leaves_the_next_message_to_be_heard(monkeypatch):
    requests = ScriptRequests()
    monkeypatch.setattr("pages.shared.state.get_script_run_ctx", lambda: SimpleNamespace(script_requests=requests))
    requests.request_rerun(RerunData())
    with pytest.raises(ZeroDivisionError):
        settle(lambda: 1 / 0)
    assert requests.on_scriptrunner_yield() is not None
