"""Each quality orders pictures as the eye does, and the formulas equal slow ones in float64."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from engine.images.quality import measure
from tests.engine.images.pictures import noise, quarters


def test_formulas_against_float64():
    image = noise(5, 48, 40)
    found = measure(image)
    luma = np.asarray(image.convert("L"), np.float64) / 255
    padded = np.pad(luma, 1, mode="edge")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * luma
    share = np.bincount((luma * 255).round().astype(int).ravel(), minlength=256) / luma.size
    rgb = np.asarray(image, np.float64) / 255
    rg, yb = rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
    expected = {
        "brightness": luma.mean(),
        "contrast": luma.std(),
        "sharpness": laplacian.var(),
        "entropy": -sum(p * np.log2(p) for p in share if p),
        "colourfulness": np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()),
    }
    assert found == pytest.approx(expected, rel=1e-3)


def test_a_flat_picture_is_zero_in_everything_but_brightness():
    assert measure(Image.new("RGB", (20, 20), (255, 255, 255))) == {
        "brightness": 1.0,
        "contrast": 0.0,
        "sharpness": 0.0,
        "entropy": 0.0,
        "colourfulness": 0.0,
    }
    assert measure(Image.new("RGB", (1, 1)))["brightness"] == 0.0


def test_blur_darkness_and_grey_are_seen():
    image = quarters(128, 96)
    assert measure(image.filter(ImageFilter.GaussianBlur(4)))["sharpness"] < measure(image)["sharpness"] / 20
    assert measure(image.point(lambda value: value // 4))["brightness"] < measure(image)["brightness"] / 3
    assert measure(image.convert("L").convert("RGB"))["colourfulness"] == 0.0
    assert measure(image)["colourfulness"] > 0.4
