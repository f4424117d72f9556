"""Runs are named by what tells them apart, and a name that a person gave stays."""

import pytest

from engine.runs.run import Run
from pages.shared.run_names import names_of_runs, own_name
from pages.shared.words import figure


def run(folder, title, method="kmeans", clusters=12, created=0.0, **settings):
    from pathlib import Path

    config = {"title": title, "method": method, "settings": settings, "created": created, "dataset": {"name": "pets"}}
    made = Run(Path(folder), config)
    made.__dict__["results"] = {"train": {"n_clusters": clusters}}
    return made


def test_only_what_differs_is_in_a_name():
    runs = [
        run("a", "k-means, pets", reduce="none", random_state=0),
        run("b", "k-means, pets", reduce="pca-50", random_state=1),
        run("c", "k-means, 9 clusters, pets", clusters=9, reduce="none"),
    ]
    assert names_of_runs(runs) == {
        "a": "k-means, 12 clusters, reduce none",
        "b": "k-means, 12 clusters, reduce pca-50",
        "c": "k-means, 9 clusters",
    }


def test_runs_without_a_difference_are_numbered_by_age():
    runs = [run("new", "k-means, pets", created=5.0), run("old", "k-means, pets", created=1.0)]
    assert names_of_runs(runs) == {"old": "k-means, 12 clusters", "new": "k-means, 12 clusters (2)"}


@pytest.mark.parametrize("title", ["mine", "k-means, but better", "שלום, עולם", "狗, 猫"])
def test_a_name_that_a_person_gave_stays(title):
    assert own_name(run("a", title)) == title
    assert names_of_runs([run("a", title)])["a"] == title


def test_a_score_has_at_most_three_digits():
    shown = [figure(value) for value in (0.024578, -0.31, 1.0, 0.9999, 0.0, -0.0001, 12.345, 1.5)]
    assert shown == [".025", "-.31", "1", "1", "0", "0", "12.3", "1.50"]
