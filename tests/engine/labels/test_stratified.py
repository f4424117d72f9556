"""The stratified bound holds: in simulated audits, against enumeration, and at its edges; plans add up."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.labels.audit import purity_bound
from engine.labels.stratified import draw_checks, most_wrong, plan_checks

# Sizes of the parts, wrong images in each, checks of each.
SCENES = {
    "even, 90%": ([400, 300, 300], [40, 30, 30], [48, 36, 36]),
    "even, one bad part": ([400, 300, 300], [0, 0, 60], [48, 36, 36]),
    "even, 99%": ([2000, 1000, 500, 500], [20, 10, 5, 5], [100, 50, 25, 25]),
    "uneven, 95%": ([900, 100], [40, 10], [60, 60]),
    "uneven, errors where few are checked": ([900, 100], [50, 0], [20, 80]),
    "uneven, errors where many are checked": ([900, 100], [0, 50], [20, 80]),
    "tiny parts": ([3, 5, 2, 7, 200, 1], [1, 0, 2, 1, 10, 0], [1, 2, 1, 2, 60, 1]),
    "tiny parts only": ([3, 4, 5, 6], [1, 1, 1, 1], [1, 2, 3, 3]),
    "one part": ([300], [30], [50]),
    "fifty parts": ([20] * 50, [0, 1, 2, 0, 2] * 10, [3] * 50),
    "twelve parts, uneven": ([20, 40] * 6, [2, 1] * 6, [6, 2] * 6),
    "all wrong in a part": ([50, 50], [50, 0], [8, 24]),
}


@pytest.mark.parametrize("name", SCENES)
def test_the_bound_holds_in_at_least_95_of_100_simulated_audits(name):
    sizes, bad, checks = (np.array(values) for values in SCENES[name])
    rng = np.random.default_rng(1)
    drawn = rng.hypergeometric(bad, sizes - bad, checks, size=(1000, len(sizes)))
    outcomes, times = np.unique(drawn, axis=0, return_counts=True)
    held = np.array([most_wrong(sizes, checks, found) >= bad.sum() for found in outcomes])
    assert (held * times).sum() >= 950


def test_the_bound_holds_for_every_way_in_which_wrong_images_can_lie():
    """All outcomes with their exact chances, for every distribution over two uneven parts."""
    sizes, checks = np.array([8, 12]), np.array([5, 3])
    bounds = {found: most_wrong(sizes, checks, np.array(found)) for found in itertools.product(range(6), range(4))}
    for bad in itertools.product(range(9), range(13)):
        missed = 0.0
        for found, bound in bounds.items():
            chance = math.prod(
                math.comb(b, f) * math.comb(n - b, k - f) / math.comb(n, k)
                for n, k, b, f in zip(sizes.tolist(), checks.tolist(), bad, found, strict=True)
                if f <= k
            )
            missed += chance * (bound < sum(bad))
        assert missed <= 0.05 + 1e-12, bad


def test_one_open_part_is_the_audit_of_a_cluster():
    bound = purity_bound(50, 2, population=300)
    assert most_wrong([300], [50], [2]) == round((1 - bound) * 300)
    assert most_wrong([300, 20], [50, 20], [2, 3]) == round((1 - bound) * 300) + 3, "a part looked at whole is known"


def test_nothing_found_in_uneven_parts_is_exact():
    """The chance to find nothing is largest where all wrong images lie in the part with the fewest checks."""
    sizes, checks = np.array([1000, 1000]), np.array([30, 60])
    found = most_wrong(sizes, checks, np.zeros(2, int))
    best = max(
        a + b
        for a in range(0, 1001)
        for b in (0, *range(1, 40))
        if 30 * math.log1p(-a / 1000 if a < 1000 else -0.999999) + 60 * math.log1p(-b / 1000) > math.log(0.05)
    )
    assert abs(found - best) <= 1


@pytest.mark.parametrize(
    ("sizes", "checked", "wrong", "most"),
    [
        ([10, 10], [0, 0], [0, 0], 20),
        ([10, 10], [10, 10], [1, 0], 1),
        ([10, 10], [10, 0], [0, 0], 10),
        ([10, 10], [5, 5], [5, 5], 20),
    ],
)
def test_edges(sizes, checked, wrong, most):
    assert most_wrong(np.array(sizes), np.array(checked), np.array(wrong)) == most


def test_more_found_never_proves_more(rng):
    sizes, checks = np.array([900, 100, 30]), np.array([40, 50, 10])
    for _ in range(30):
        found = rng.integers(0, checks // 4 + 1)
        worse = found + (np.arange(3) == rng.integers(3))
        assert most_wrong(sizes, checks, worse) >= most_wrong(sizes, checks, found)


@pytest.mark.parametrize(
    ("sizes", "checked", "wrong"), [([5], [6], [0]), ([5], [2], [3]), ([5], [2], [-1]), ([0], [0], [0]), ([], [], [])]
)
def test_impossible_counts_are_refused(sizes, checked, wrong):
    with pytest.raises(InputError):
        most_wrong(np.array(sizes, int), np.array(checked, int), np.array(wrong, int))


def test_plans_add_up_and_keep_within_the_parts(rng):
    for _ in range(50):
        sizes = rng.integers(0, 60, rng.integers(1, 30))
        sizes[0] += 1
        budget = int(rng.integers(1, sizes.sum() + 20))
        k = np.minimum(rng.integers(0, 5, len(sizes)), sizes)
        plan = plan_checks(sizes, budget, checked=k, wrong=rng.integers(0, k + 1))
        assert plan.sum() == min(budget, sizes.sum()) and (plan <= sizes).all() and (plan >= 0).all()
        assert (plan[sizes > 0] >= 1).all() or budget < np.count_nonzero(sizes)
        rows = draw_checks(np.repeat(np.arange(len(sizes)), sizes), plan)
        parts = np.repeat(np.arange(len(sizes)), sizes)[rows]
        assert len(np.unique(rows)) == len(rows)
        assert np.array_equal(np.bincount(parts, minlength=len(sizes)), plan)


def test_a_part_that_is_known_to_be_bad_gets_more_checks_where_that_proves_more():
    sizes = np.array([500, 500])
    plan = plan_checks(sizes, 300, checked=np.array([40, 40]), wrong=np.array([0, 20]))
    assert plan[1] >= plan[0]
    assert plan_checks(sizes, 100).tolist() == [50, 50]
    with pytest.raises(InputError):
        plan_checks(sizes, 0)
