"""Filters over what is known of each image: written in the address, honoured by gallery and map, kept by name."""

import numpy as np
import pytest

from engine.images.measures import load_measures
from engine.labels.events import LabelHistory
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def clustered(workspace, tmp_path):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"), with_map=True)
    return workspace, rows, run, LabelHistory(workspace, rows.dataset.id)


def explore(app, **parameters):
    app.run()
    app.switch_page("pages/explore/page.py")
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()


def shown(app):
    return list(app.session_state["_kindred_gallery:explore"]["seen"].values())[-1].tolist()


def test_a_number_is_filtered_by_its_range(clustered, app, bench):
    workspace, rows, _, _ = clustered
    values = load_measures(workspace, rows.dataset.id).numbers["brightness"][rows.embedding.rows]
    low, high = np.quantile(values, [0.2, 0.6])
    explore(app)
    (column,) = [column for column in bench["explore"]["filters"]["columns"] if column["name"] == "brightness"]
    assert (column["low"], column["high"]) == (pytest.approx(values.min()), pytest.approx(values.max()))
    assert sum(column["bins"]) == len(rows)
    bench.ask(app, "explore", "where", text=f"brightness:{low}..{high}")
    wanted = rows.ids[(values >= low) & (values <= high)]
    assert sorted(shown(app)) == sorted(wanted.tolist()) and 0 < len(wanted) < len(rows)
    assert "brightness" in app.query_params["where"]
    packed = app.session_state["_kindred_channel:explore_map:highlight"]["bytes"]
    assert sum(bin(byte).count("1") for byte in packed[-8:]) == len(wanted), "the map dims the others"


def test_words_and_names_are_filtered_together_with_the_choice_of_clusters(clustered, app, bench):
    _, rows, run, history = clustered
    state = history.state(rows.contents, run.assignments, run=run.folder.name)
    history.label(state, state.rows(0)[:3], "a; b|c: 50%")
    name = rows.paths[int(state.rows(0)[1])].decode()
    explore(app, cluster="0")
    (column,) = [column for column in bench["explore"]["filters"]["columns"] if column["name"] == "label"]
    assert column["choices"] == [["a; b|c: 50%", 3]]
    bench.ask(app, "explore", "where", text="label:=a%3B%20b%7Cc%3A%2050%25")
    assert sorted(shown(app)) == sorted(rows.ids[state.rows(0)[:3]].tolist())
    bench.ask(app, "explore", "where", text=f"label:=a%3B%20b%7Cc%3A%2050%25;path:~{name.upper()}")
    assert shown(app) == [int(rows.ids[state.rows(0)[1]])]


@pytest.mark.parametrize("where", ["brightness:high..low", "nothing:1..2", ";;:", "path:", "brightness", "label:=gone"])
def test_a_filter_that_cannot_be_read_hides_nothing(clustered, app, bench, where):
    explore(app, where=where)
    assert not app.exception and not app.error
    assert bench["explore"]["gallery"]["n"] == 30


def test_a_view_is_kept_by_name_and_brings_back_what_was_looked_at(clustered, app, bench):
    explore(app)
    bench.ask(app, "explore", "choose", values=[1])
    bench.ask(app, "explore", "where", text="brightness:0..1")
    bench.ask(app, "explore", "color", text="brightness")
    bench.ask(app, "explore", "keep_view", text="<b>mine</b>")
    assert bench["explore"]["filters"]["views"] == ["<b>mine</b>"]
    for action, told in (("where", {"text": ""}), ("color", {"text": "cluster"}), ("choose", {"values": []})):
        bench.ask(app, "explore", action, **told)
    assert bench["explore"]["gallery"]["n"] == 30
    bench.ask(app, "explore", "view", text="<b>mine</b>")
    assert bench["explore"]["groups"]["chosen"] == [1]
    assert bench["explore"]["map"]["colorLabel"] == "brightness"
    assert app.query_params["where"] == "brightness:0..1"
    bench.ask(app, "explore", "forget_view", text="<b>mine</b>")
    assert bench["explore"]["filters"]["views"] == []
