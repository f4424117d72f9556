"""Sequential tests beside slow references written from their definitions."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from engine.labels.sequential import all_right, best_page, one_thing


def reference_all_right(right, wrong, page):
    """The integral of p^page over the beta posterior with a uniform prior, as exact fractions."""
    a, b = right + 1, wrong + 1

    def beta(x, y):
        return Fraction(1, (x + y - 1) * comb(x + y - 2, x - 1))

    return beta(a + page, b) / beta(a, b)


@pytest.mark.parametrize("right", [0, 1, 7, 30])
@pytest.mark.parametrize("wrong", [0, 1, 5])
def test_the_chance_that_a_page_is_right_is_the_beta_binomial(right, wrong):
    for page in (1, 2, 12, 60):
        assert all_right(right, wrong, page) == pytest.approx(float(reference_all_right(right, wrong, page)), rel=1e-9)


def test_the_best_page_is_the_best_of_all_pages():
    for right, wrong in ((2, 1), (24, 0), (3, 3), (0, 0)):
        promised = [page * float(reference_all_right(right, wrong, page)) for page in range(1, 61)]
        page, gain = best_page(right, wrong, 60)
        assert gain == pytest.approx(max(promised))
        assert promised[page - 1] == pytest.approx(max(promised))
    assert best_page(2, 1, 0) == (0, 0.0)
    assert best_page(24, 0, 60)[0] > best_page(2, 1, 60)[0]


@pytest.mark.parametrize(("purity", "wanted"), [(0.97, True), (0.85, False)])
def test_both_mistakes_are_as_rare_as_was_asked(purity, wanted):
    rng = np.random.default_rng(0)
    mistaken = 0
    for _ in range(1000):
        right = wrong = 0
        while (verdict := one_thing(right, wrong)) is None:
            drawn = rng.random() < purity
            right, wrong = right + drawn, wrong + (not drawn)
        mistaken += verdict is not wanted
    assert mistaken <= 65  # at most alpha / (1 - alpha) = 53 are expected


def test_nothing_seen_says_nothing():
    assert one_thing(0, 0) is None
    assert one_thing(60, 0) is True
    assert one_thing(0, 60) is False
