"""New images beside clusters: a held-out class is a new kind, images of known classes are not."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.core.vectors import unit
from engine.evaluation.novelty import judge_new
from tests.conftest import shared_data


@pytest.fixture
def classes(rng):
    """Unit vectors of five classes and the class of each."""
    truth = np.repeat(np.arange(5), 60)
    return unit(rng.normal(size=(5, 24))[truth] + rng.normal(size=(300, 24)) * 0.4), truth


def test_a_held_out_class_is_one_new_kind_and_known_ones_fit(classes):
    vectors, truth = classes
    known = (truth < 4) & (np.arange(300) % 3 > 0)
    found = judge_new(vectors[known], truth[known], vectors[~known])
    held, right = truth[~known] == 4, truth[~known]
    assert found.kinds == 1 and np.mean(found.kind[held] == 0) > 0.9
    assert (found.kind[~held] < 0).all()
    fits = found.cluster[~held] >= 0
    assert fits.mean() > 0.8 and (found.cluster[~held][fits] == right[~held][fits]).all()
    assert (found.share[~held][fits] > 0.5).all() and (found.share[held] == 0).all()
    assert found.alone == np.count_nonzero((found.cluster < 0) & (found.kind < 0))


def test_two_held_out_classes_are_two_kinds_the_larger_first(classes):
    vectors, truth = classes
    known = (truth < 3) & (np.arange(300) % 3 > 0)
    new = ~known & ((truth != 4) | (np.arange(300) % 2 == 0))
    found = judge_new(vectors[known], truth[known], vectors[new])
    assert found.kinds == 2
    assert np.mean(found.kind[truth[new] == 3] == 0) > 0.9 and np.mean(found.kind[truth[new] == 4] == 1) > 0.9


def test_images_of_known_classes_alone_make_no_kind(rng):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 4, 300)
        vectors = unit(rng.normal(size=(4, 24))[truth] + rng.normal(size=(300, 24)))
        found = judge_new(vectors[:200], truth[:200], vectors[200:])
        assert found.kinds == 0
        assert np.mean(found.cluster >= 0) > 0.75


def test_a_class_of_photographs_that_was_held_out_is_found():
    with np.load(shared_data("sign_digits_mobilenetv2.npz")) as given:
        vectors, truth = unit(given["vectors"]), np.unique(given["labels"], return_inverse=True)[1]
    known = (truth != 0) & (np.random.default_rng(0).random(len(truth)) < 0.7)
    found = judge_new(vectors[known], truth[known], vectors[~known])
    held = truth[~known] == 0
    assert np.mean(found.kind[held] >= 0) > 0.8
    assert np.mean(found.kind[~held] >= 0) < 0.01


def test_a_cluster_whose_new_members_lie_aside_drifts_and_the_others_do_not(classes, rng):
    vectors, truth = classes
    known = np.arange(300) % 3 > 0
    new, right = vectors[~known].copy(), truth[~known]
    aside = unit(rng.normal(size=24).astype(np.float32))
    new[right == 2] = unit(new[right == 2] + 0.15 * aside)
    found = judge_new(vectors[known], truth[known], new)
    drifting = [one.cluster for one in found.drift if one.drifts]
    assert drifting == [2] and found.drift[0].cluster == 2


def test_nothing_new_and_nothing_known(classes):
    vectors, truth = classes
    found = judge_new(vectors, truth, vectors[:0])
    assert (found.kinds, found.alone, found.drift) == (0, 0, ())
    one = judge_new(vectors, truth, vectors[:1])
    assert one.cluster.tolist() == [0]
    assert judge_new(vectors[:1], truth[:1], vectors[1:3]).kinds == 0
    with pytest.raises(InputError, match="No image is in a cluster"):
        judge_new(vectors, np.full(300, -1), vectors[:3])
