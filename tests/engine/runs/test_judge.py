"""The verdict of an ordinary run: as a sweep would say, with what is missing said, on screen and command line alike."""

import json

import numpy as np
import pytest

from engine.clustering.registry import find_method
from engine.core.vectors import unit
from engine.jobs.tasks.results import AnalyseRequest, analyse
from engine.runs.judge import judge, judge_run, kept_verdict
from engine.runs.run import open_run
from tests.seed import clustered_pictures, coloured_pictures


def planted(rng, noise, groups=6, count=600):
    centers = rng.normal(size=(groups, 32))
    truth = np.arange(count) % groups
    return unit((centers[truth] + noise * rng.normal(size=(count, 32))).astype(np.float32)), truth.astype(np.int32)


def judged(points, labels, name="kmeans", **settings):
    method = find_method(name)
    return judge(points, labels, method, method.settings_class.parse(settings))


def fitted(points, name="kmeans", **settings):
    method = find_method(name)
    estimator = method.build(method.settings_class.parse(settings)).fit(points)
    return judged(points, estimator.labels_, name, **settings)


def test_groups_that_are_there_are_good_and_no_groups_are_weak(rng):
    points, _ = planted(rng, 0.4)
    good = fitted(points, n_clusters=6)
    assert good.verdict.word == "good" and good.two_kinds == () and good.images == 600
    assert min(good.stability, good.generalisation, good.agreement) > 0.95
    nothing = unit(rng.normal(size=(600, 32)).astype(np.float32))
    assert fitted(nothing, n_clusters=6).verdict.word == "weak"


def test_merged_groups_are_good_and_named(rng):
    points, truth = planted(rng, 0.4)
    found = judged(points, np.where(truth < 4, truth, 4).astype(np.int32), n_clusters=5)
    assert found.two_kinds == (4,) and "1 of 5 clusters looks like two kinds: 4." in found.verdict.sentence


def test_what_would_train_for_long_says_so_and_is_still_weak_where_others_disagree(rng):
    points, truth = planted(rng, 0.4)
    found = judged(points, truth, "temi", n_clusters=6)
    assert found.stability is None and found.verdict.word == "not judged"
    assert "TEMI would train twice more" in found.verdict.sentence
    shuffled = judged(points, rng.permutation(truth), "temi", n_clusters=6)
    assert shuffled.verdict.word == "weak"


@pytest.mark.parametrize("labels", [np.zeros(100, np.int32), np.full(100, -1, np.int32), np.arange(12) % 2])
def test_one_group_or_few_images_are_not_judged(labels, rng):
    found = judged(rng.normal(size=(len(labels), 8)).astype(np.float32), labels.astype(np.int32), n_clusters=2)
    assert found.verdict.word == "not judged"


def test_the_same_clustering_is_judged_the_same_twice(rng):
    points, truth = planted(rng, 1.0)
    assert judged(points, truth, n_clusters=6) == judged(points, truth, n_clusters=6)


def test_a_run_holds_its_verdict_and_an_older_one_gets_it_when_it_is_analysed(workspace, tmp_path):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures", 60))
    found = kept_verdict(run)
    assert found is not None and run.results["judged_images"] == 60
    results = json.loads((run.folder / "results.json").read_text())
    for name in ("verdict", "stability", "generalisation", "agreement", "two_kinds", "judged_images"):
        del results[name]
    (run.folder / "results.json").write_text(json.dumps(results))
    old = open_run(run.folder)
    assert kept_verdict(old) is None
    assert analyse(workspace, AnalyseRequest(run=str(run.folder)))["verdict"] == found.as_dict()
    assert kept_verdict(old) == found == judge_run(old, rows)
