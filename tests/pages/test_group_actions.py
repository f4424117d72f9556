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


def drawn(app, bench):
    """Draw a lasso around all points of the map; returns how many are selected by it, and whether together."""
    bench.draw(app, "explore", EVERYWHERE)
    command = bench["explore"]["gallery"]["command"]
    return command["r"], command["g"]


@pytest.mark.parametrize(("action", "kind"), [("reject", "reject"), ("unlabel", "label")])
def test_a_lasso_leaves_what_the_person_labelled(clustered, app, now, bench, action, kind):
    history = clustered[2]
    history.rename(now(), 0, "group")
    history.label(now(), np.arange(3), "mine")
    assert drawn(opened(app, "explore"), bench) == ([0, 30], True)
    bench.ask(app, "explore", action, (0, 30), together=True)
    assert not app.exception
    assert history.events()[-1].kind == kind
    assert now().labels[:3] == ["mine"] * 3
    assert now().source_counts["by you"] == 3


def test_a_lasso_changes_what_the_person_labelled_where_that_is_wanted(clustered, app, now, bench):
    history = clustered[2]
    history.label(now(), np.arange(3), "mine")
    drawn(opened(app, "explore"), bench)
    bench.ask(app, "explore", "label_as", (0, 30), together=True, also=True, text="mine")
    assert now().source_counts == {"by you": 3, "cluster name": 27, "accepted guess": 0, "none": 0}
    bench.ask(app, "explore", "reject", (0, 30), together=True, also=True)
    assert now().source_counts["none"] == 30


def test_a_drawing_is_selected_once_and_not_again_over_what_the_person_selects(clustered, app, bench):
    drawn(opened(app, "explore"), bench)
    before = bench["explore"]["gallery"]["command"]["nonce"]
    bench.ask(app, "explore", "filter", text="none")
    assert (bench["explore"]["gallery"]["command"] or {"nonce": before})["nonce"] == before


@pytest.mark.parametrize("together", [True, False])
def test_a_key_on_all_of_a_filter_is_for_a_group_and_on_picked_images_for_each(clustered, app, now, bench, together):
    history = clustered[2]
    rows = now().rows(0)
    history.label(now(), rows[:1], "mine")
    history.label(now(), rows[1:2], "other")
    opened(app, "label", cluster="0")
    bench.ask(app, "label", "label", (0, len(rows)), together=together, key="1")
    assert not app.exception
    found = now()
    assert found.labels[rows[1]] == ("other" if together else "mine")
    assert found.source_counts["by you"] == (2 if together else len(rows))


def test_the_choice_to_include_yours_holds_for_keys_and_for_no_picked_image(clustered, app, now, bench):
    history = clustered[2]
    rows = now().rows(0)
    history.label(now(), rows[:1], "mine")
    history.label(now(), rows[1:2], "other")
    opened(app, "label", cluster="0")
    bench.ask(app, "label", "label", (0, len(rows)), together=True, also=True, key="1")
    assert set(np.array(now().labels)[rows]) == {"mine"}


def test_naming_a_cluster_takes_yours_along_only_where_that_is_wanted(clustered, app, now, bench):
    rows = now().rows(0)
    clustered[2].label(now(), rows[:2], "mine")
    opened(app, "label", cluster="0")
    assert bench["label"]["inspector"]["yours"] == 2
    bench.ask(app, "label", "name", id=0, text="group")
    assert now().labels[rows[0]] == "mine"
    assert now().labels[rows[-1]] == "group"
    bench.ask(app, "label", "name", id=0, text="all", also=True)
    assert {now().labels[row] for row in rows} == {"all"}


def test_grow_does_not_offer_what_the_person_called_otherwise(clustered, app, now, bench):
    history = clustered[2]
    others = np.concatenate([now().rows(1), now().rows(2)])
    history.rename(now(), 0, "group")
    history.label(now(), others[:-2], "mine")
    history.label(now(), others[-2:-1], "group")
    opened(app, "label", cluster="0")
    assert len(bench["label"]["inspector"]["grow"]) == 2


def test_grow_with_one_image_left_outside_is_no_failure(clustered, app, now, bench):
    history = clustered[2]
    history.merge(now(), [0, 1, 2], into=0)
    history.reject(now(), now().rows(0)[:1])
    opened(app, "label", cluster="0")
    assert not app.error
    assert len(bench["label"]["inspector"]["grow"]) == 1
