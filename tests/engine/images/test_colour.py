"""What a profile says about colours is heeded; a damaged one is told; sRGB costs nothing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms

from engine.images.colour import DAMAGED, NONE, UNFIT, profile_for
from engine.images.decode import decode, decode_square
from tests.engine.images.pictures import encoded
from tests.engine.images.profiles import (
    ADOBE,
    P3,
    SRGB,
    cmyk_profile,
    expected_srgb,
    grey_profile,
    matrix_profile,
)

STEPS = np.array([0, 40, 90, 140, 200, 255], np.uint8)
COLOURS = np.stack(np.meshgrid(STEPS, STEPS, STEPS), axis=-1).reshape(18, 12, 3)
OPTIONS = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}


def patches(colours, edge=16):
    return Image.fromarray(np.repeat(np.repeat(colours, edge, 0), edge, 1))


def middles(image, edge=16):
    return np.asarray(image, float)[edge // 2 :: edge, edge // 2 :: edge]


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize(("primaries", "gamma"), [(ADOBE, 2.19921875), (P3, 2.2), (SRGB, 1.8)])
def test_rgb_profiles_become_srgb(format, primaries, gamma):
    profile = matrix_profile(primaries, gamma)
    data = encoded(patches(COLOURS), format, icc_profile=profile, **OPTIONS.get(format, {}))
    found = decode(data)
    error = np.abs(middles(found.image) - expected_srgb(COLOURS, primaries, gamma))
    assert found.note == ""
    assert error.mean() < (1.5 if format == "JPEG" else 0.7)
    untouched = np.abs(COLOURS - expected_srgb(COLOURS, primaries, gamma)).mean()
    assert error.mean() < untouched / 4


def test_opacity_is_kept_and_the_ground_is_not_converted():
    profile = matrix_profile(ADOBE, 2.2)
    image = Image.new("RGBA", (8, 8), (100, 200, 100, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 8))
    found = np.asarray(decode(encoded(image, "PNG", icc_profile=profile), background=(10, 200, 10)).image)
    assert found[0, 0].tolist() == [10, 200, 10]
    assert np.abs(found[0, 7] - expected_srgb([100, 200, 100], ADOBE, 2.2)).max() <= 2


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG"])
def test_grey_profiles(format):
    ramp = np.tile(STEPS, (6, 1))
    found = middles(decode(encoded(patches(ramp), format, icc_profile=grey_profile(1.0))).image)[..., 0]
    light = ramp / 255
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(found - expected).max() <= 3


@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_cmyk_profiles(format):
    inks = np.random.default_rng(1).choice(STEPS, (6, 8, 4)).astype(np.uint8)
    image = Image.fromarray(np.repeat(np.repeat(inks, 16, 0), 16, 1), mode="CMYK")
    data = encoded(image, format, icc_profile=cmyk_profile(), **OPTIONS.get(format, {}))
    share = inks / 255
    expected = 255 * (1 - share[..., :3]) * (1 - share[..., 3:])
    assert np.abs(middles(decode(data).image) - expected).mean() < 3
    assert decode_square(data, 32).shape == (32, 32, 3)


def test_srgb_itself_is_left_alone():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert profile_for(Image.new("RGB", (1, 1)), profile, grey=False) is NONE
    data = encoded(patches(COLOURS), "PNG", icc_profile=profile)
    assert (middles(decode(data).image) == COLOURS).all()
    assert (middles(decode(encoded(patches(COLOURS), "PNG")).image) == COLOURS).all()


@pytest.mark.parametrize("profile", [b"no profile", matrix_profile(ADOBE, 2.2)[:200], bytes(500)])
def test_a_damaged_profile_is_noted_and_read_as_srgb(profile):
    found = decode(encoded(patches(COLOURS), "PNG", icc_profile=profile))
    assert found.note == DAMAGED
    assert (middles(found.image) == COLOURS).all()


def test_a_profile_of_another_kind_of_picture_is_noted():
    found = decode(encoded(patches(COLOURS), "PNG", icc_profile=cmyk_profile()))
    assert found.note == UNFIT
    assert (middles(found.image) == COLOURS).all()


def test_a_palette_and_a_grey_picture_with_a_profile_of_colours():
    profile = matrix_profile(ADOBE, 2.2)
    palette = Image.new("RGB", (8, 8), (30, 200, 60)).convert("P", palette=Image.Palette.ADAPTIVE)
    found = np.asarray(decode(encoded(palette, "PNG", icc_profile=profile)).image)[0, 0]
    assert np.abs(found - expected_srgb([30, 200, 60], ADOBE, 2.2)).max() <= 2
    grey = np.asarray(decode(encoded(Image.new("L", (8, 8), 100), "PNG", icc_profile=profile)).image)[0, 0]
    assert np.abs(grey - expected_srgb([100] * 3, ADOBE, 2.2)).max() <= 2
