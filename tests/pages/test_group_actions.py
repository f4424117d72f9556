"""What is done to a group keeps the labels that the person gave, says so, and offers to change them too."""

import numpy as np
import pytest

from engine.labels.events import LabelHistory
from tests.seed import clustered_pictures, coloured_pictures

EVERYWHERE = [-1e3, -1e3, 1e3, -1e3, 1e3, 1e3, -1e3, 1e3]


@pytest.fixture
def clustered(workspace, tmp_path):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"), with_map=True)
    return rows, run, LabelHistory(workspace, rows.dataset.id)


@pytest.fixture
def now(clustered):
    rows, run, history = clustered
    return lambda: history.state(rows.contents, run.assignments, run=run.folder.name)


def opened(app, path, **parameters):
    app.run()
    app.switch_page(f"pages/{path}/page.py")
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()


def draw(app):
    """Draw a lasso around all points of the map, with a key that was pressed on it if there is one."""
    version = app.session_state["_kindred_map:explore_map"]["version"]
    regions = [{"kind": "lasso", "op": "new", "polygon": EVERYWHERE}]
    app.session_state["explore_map"] = {"regions": {"v": version, "c": 0, "t": 1, "regions": regions}}
    return app.run()


def select(app, gallery, places, *, together, key=""):
    """Select images in a gallery; with `key` it is pressed on them."""
    version = list(app.session_state[f"_kindred_gallery:{gallery}"]["seen"])[-1]
    said = {"v": version, "c": 9, "t": 1, "g": together, "k": "ranges", "r": [*places]}
    event = [{"t": 5, "action": "label" if key.isdigit() else "agree", "key": key, "selection": said}]
    app.session_state[gallery] = {"selection": said} | ({"event": event} if key else {})
    return app.run()


def words(app):
    return [text.value for text in app.markdown]


@pytest.mark.parametrize(("label", "kind"), [("Set aside", "reject"), ("Remove label", "label")])
def test_a_lasso_leaves_what_the_person_labelled(clustered, app, now, label, kind):
    history = clustered[2]
    history.rename(now(), 0, "group")
    history.label(now(), np.arange(3), "mine")
    draw(opened(app, "explore"))
    assert "**30 images selected**" in words(app)
    assert "3 of them labelled by you keep their label" in words(app)
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    assert history.events()[-1].kind == kind
    assert now().labels[:3] == ["mine"] * 3
    assert now().source_counts["by you"] == 3


def test_a_lasso_changes_what_the_person_labelled_where_that_is_wanted(clustered, app, now):
    history = clustered[2]
    history.label(now(), np.arange(3), "mine")
    draw(opened(app, "explore"))
    app.checkbox(key="explore_bar_yours").check().run()
    app.selectbox(key=f"explore_bar_label_{now().version}").set_value("mine").run()
    assert now().source_counts == {"by you": 3, "cluster name": 27, "accepted guess": 0, "none": 0}
    app.checkbox(key="explore_bar_yours").check().run()
    next(button for button in app.button if button.label == "Set aside").click().run()
    assert now().source_counts["none"] == 30


@pytest.mark.parametrize("together", [True, False])
def test_a_key_on_all_of_a_filter_is_for_a_group_and_on_picked_images_for_each(clustered, app, now, together):
    history = clustered[2]
    rows = now().rows(0)
    history.label(now(), rows[:1], "mine")
    history.label(now(), rows[1:2], "other")
    opened(app, "label", cluster="0")
    select(app, "label_gallery", (0, len(rows)), together=together, key="1")
    assert not app.exception
    found = now()
    assert found.labels[rows[1]] == ("other" if together else "mine")
    assert found.source_counts["by you"] == (2 if together else len(rows))


def test_the_choice_to_include_yours_holds_for_keys_too(clustered, app, now):
    history = clustered[2]
    rows = now().rows(0)
    history.label(now(), rows[:1], "mine")
    history.label(now(), rows[1:2], "other")
    opened(app, "label", cluster="0")
    select(app, "label_gallery", (0, len(rows)), together=True)
    app.checkbox(key="label_bar_yours").check()
    select(app, "label_gallery", (0, len(rows)), together=True, key="1")
    assert set(np.array(now().labels)[rows]) == {"mine"}


def test_the_choice_is_absent_where_the_person_labelled_nothing(clustered, app, now):
    opened(app, "label", cluster="0")
    assert not app.checkbox
    clustered[2].label(now(), now().rows(0)[:1], "mine")
    app.run()
    assert [box.label for box in app.checkbox] == ["Change them too"]
    assert "1 of them labelled by you keeps its label" in words(app)


def test_naming_a_cluster_takes_yours_along_only_where_that_is_wanted(clustered, app, now):
    rows = now().rows(0)
    clustered[2].label(now(), rows[:2], "mine")
    opened(app, "label", cluster="0")
    named = {"t": 1, "action": "name", "id": 0, "text": "group"}
    app.session_state["label_name"] = {"event": [named]}
    app.run()
    assert now().labels[rows[0]] == "mine"


def test_grow_does_not_offer_what_the_person_called_otherwise(clustered, app, now):
    history = clustered[2]
    others = np.concatenate([now().rows(1), now().rows(2)])
    history.rename(now(), 0, "group")
    history.label(now(), others[:-2], "mine")
    history.label(now(), others[-2:-1], "group")
    opened(app, "label", cluster="0")
    assert any(button.label == "Take 2 images" for button in app.button)


def test_grow_with_one_image_left_outside_is_no_failure(clustered, app, now):
    history = clustered[2]
    history.merge(now(), [0, 1, 2], into=0)
    history.reject(now(), now().rows(0)[:1])
    opened(app, "label", cluster="0")
    assert not app.error
    assert any(button.label == "Take 1 image" for button in app.button)
