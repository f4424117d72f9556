"""A run's config.json tells what was given from what was chosen, and older ones are read as they were meant."""

from __future__ import annotations

from engine.clustering.deep.temi.settings import TEMISettings
from engine.jobs.tasks.clustering import ClusterRequest

WHOLE = TEMISettings(beta=0.6, n_heads=3).model_dump(mode="json")
BASE = {"dataset": "d", "config_key": "k", "method": "temi"}


def test_given_values_come_back_also_where_they_are_the_default():
    config = BASE | {"settings": WHOLE, "given": ["beta", "n_heads"], "format": 1}
    assert ClusterRequest.from_config(config).settings == {"beta": 0.6, "n_heads": 3}


def test_an_older_run_gave_what_is_not_the_default():
    assert ClusterRequest.from_config(BASE | {"settings": WHOLE, "format": 1}).settings == {"n_heads": 3}


def test_a_job_that_has_not_begun_gives_all_that_it_names():
    assert ClusterRequest.from_config(BASE | {"settings": {"beta": 0.6}}).settings == {"beta": 0.6}
