"""The chance of a label that spread is what it says, on the labels that a person gave."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from engine.geometry.neighbors import build_graph
from engine.labels.calibration import FEWEST, calibrate, fit
from engine.labels.propagation import propagate


def slow_loss(slope, intercept, margin, right):
    """The penalised loss of Platt's curve, one example after the other in float64."""
    hits, misses = sum(right), len(right) - sum(right)
    total = 0.5 * slope**2
    for lead, hit in zip(margin, right, strict=True):
        inside = min(max(float(lead), 0.005), 0.995)
        chance = 1 / (1 + np.exp(-(slope * np.log(inside / (1 - inside)) + intercept)))
        target = (hits + 1) / (hits + 2) if hit else 1 / (misses + 2)
        total -= target * np.log(chance) + (1 - target) * np.log(1 - chance)
    return total


def test_the_curve_is_the_best_of_its_kind():
    rng = np.random.default_rng(0)
    margin = rng.random(200)
    right = rng.random(200) < 0.4 + 0.6 * margin
    curve = fit(margin, right)
    best = slow_loss(curve.slope, curve.intercept, margin, right)
    others = [
        slow_loss(curve.slope + a, curve.intercept + b, margin, right)
        for a in (-0.02, 0, 0.02)
        for b in (-0.02, 0, 0.02)
        if (a, b) != (0, 0)
    ]
    assert best < min(others)
    assert (curve.checked, curve.right) == (200, int(right.sum()))


def test_a_longer_lead_never_lowers_the_chance_and_luck_is_not_certainty():
    margin = np.linspace(0, 1, FEWEST)
    backwards = fit(margin, margin < 0.5)
    assert (np.diff(backwards(np.linspace(0, 1, 50))) >= 0).all()
    assert np.allclose(backwards(margin), 0.5, atol=0.05)
    assert 0.9 < fit(margin, np.ones(FEWEST, bool))(np.array([0.5]))[0] < 1
    assert fit(margin[1:], np.ones(FEWEST - 1, bool)) is None


@pytest.mark.parametrize("labelled", [60, 150])
def test_chances_on_digits_are_what_comes_out_right(labelled):
    pixels, truth = load_digits(return_X_y=True)
    vectors = pixels / np.linalg.norm(pixels, axis=1, keepdims=True)
    graph = build_graph(vectors.astype(np.float32))
    labels = np.full(len(truth), -1)
    picked = np.random.default_rng(1).choice(len(truth), labelled, replace=False)
    labels[picked] = truth[picked]
    found = propagate(graph, labels)
    rest = ~found.given & (found.labels >= 0)
    chance = calibrate(graph, labels, presumed=np.full(len(truth), -1))(found.margin[rest])
    right = (found.labels == truth)[rest]
    assert abs(chance.mean() - right.mean()) < 0.06
    assert abs(found.confidence[rest].mean() - right.mean()) > 0.3, "the share of the walks is no chance"
    sure = chance >= 0.9
    assert sure.mean() > 0.4
    assert right[sure].mean() > 0.93


def test_too_few_labels_are_not_judged():
    pixels, truth = load_digits(return_X_y=True)
    graph = build_graph((pixels / np.linalg.norm(pixels, axis=1, keepdims=True)).astype(np.float32))
    labels = np.full(len(truth), -1)
    labels[: FEWEST - 1] = truth[: FEWEST - 1]
    assert calibrate(graph, labels, presumed=np.full(len(truth), -1)) is None
