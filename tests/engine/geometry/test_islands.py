"""Islands of a map come together: shapes and directions stay, nothing overlaps, one island stays as it is."""

from __future__ import annotations

import time

import numpy as np
import pytest

from engine.geometry.islands import draw_together


def islands(count=8, spread=40.0, seed=0):
    """Return a map of small islands far from one another, and the island of each image."""
    rng = np.random.default_rng(seed)
    angles = 2 * np.pi * np.arange(count) / count
    centers = spread * np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.4, 1, (count, 1))
    owner = np.repeat(np.arange(count), 30)
    return (centers[owner] + rng.normal(0, 0.4, (len(owner), 2))).astype(np.float32), owner


def middles(layout, owner):
    return np.stack([layout[owner == one].mean(axis=0) for one in range(owner.max() + 1)])


@pytest.mark.parametrize("seed", range(4))
def test_the_empty_space_closes_and_every_island_keeps_its_shape(seed):
    layout, owner = islands(seed=seed)
    drawn = draw_together(layout)
    assert np.ptp(drawn, axis=0).max() < 0.5 * np.ptp(layout, axis=0).max()
    for one in range(owner.max() + 1):
        shift = drawn[owner == one] - layout[owner == one]
        assert np.allclose(shift, shift[0], atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_no_two_islands_overlap_and_directions_stay(seed):
    layout, owner = islands(seed=seed)
    drawn = draw_together(layout)
    low = np.stack([drawn[owner == one].min(axis=0) for one in range(8)])
    high = np.stack([drawn[owner == one].max(axis=0) for one in range(8)])
    for one in range(8):
        for other in range(one):
            assert (low[one] > high[other]).any() or (low[other] > high[one]).any()
    # An island that moved towards the middle of the map lies on the line it lay on.
    middle = np.average((middles(layout, owner)), axis=0)
    before, after = middles(layout, owner) - middle, middles(drawn, owner) - middle
    far = np.linalg.norm(after, axis=1) > 3
    cosine = (before * after).sum(axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    assert far.any() and (cosine[far] > 0.9).all()


def test_one_island_and_what_has_no_extent_stay_as_they_are():
    for count in (100, 2000, 30_000):
        cloud = np.random.default_rng(1).uniform(size=(count, 2)).astype(np.float32)
        assert draw_together(cloud) is cloud
    for few in (np.zeros((0, 2), np.float32), np.zeros((1, 2), np.float32), np.zeros((50, 2), np.float32)):
        assert draw_together(few) is few


def test_single_images_far_off_go_with_the_nearest_island():
    layout, owner = islands()
    alone = layout[-1] + np.float32([9, 0])
    drawn = draw_together(np.vstack([layout, alone[None]]))
    assert np.allclose(drawn[-1] - drawn[-2], [9, 0], atol=1e-4)
    assert np.ptp(drawn, axis=0).max() < np.ptp(layout, axis=0).max()


def test_a_million_images_take_seconds():
    rng = np.random.default_rng(3)
    owner = rng.integers(0, 50, 1_000_000)
    layout = (rng.uniform(-100, 100, (50, 2))[owner] + rng.normal(0, 1, (1_000_000, 2))).astype(np.float32)
    began = time.process_time()
    drawn = draw_together(layout)
    assert time.process_time() - began < 20
    assert np.ptp(drawn, axis=0).max() < np.ptp(layout, axis=0).max()
