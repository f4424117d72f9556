"""The cluster colours stay apart for people who see colours differently, and from both grounds of the theme."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from engine.core import palette

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def linear(color: str) -> np.ndarray:
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Björn Ottosson's OKLab of linear RGB."""
    to_lms = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(to_lab) @ np.cbrt(np.array(to_lms) @ np.clip(rgb, 0, 1))


@pytest.mark.parametrize("sight", SIGHT)
def test_any_two_categories_are_told_apart(sight):
    seen = [oklab(np.array(SIGHT[sight]) @ linear(color)) for color in palette.CATEGORIES]
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert nearest > 0.06  # three times what is just noticeable in OKLab (0.02)


@pytest.mark.parametrize("ground", ["#FBFBFA", "#131417"])
def test_every_category_is_seen_on_both_grounds(ground):
    ground_lab = oklab(linear(ground))
    assert min(np.linalg.norm(oklab(linear(color)) - ground_lab) for color in palette.CATEGORIES) > 0.15


def test_twenty_colours_repeat_and_noise_is_grey():
    assert len(set(palette.CATEGORIES)) == 20
    assert palette.category_color(23) == palette.CATEGORIES[3]
    assert palette.category_color(-1) == palette.NOISE
    assert np.ptp(linear(palette.NOISE)) < 0.08


def test_the_ramp_grows_lighter_steadily():
    lightness = [oklab(linear(color))[0] for color in palette.RAMP]
    assert all(a < b for a, b in itertools.pairwise(lightness))
