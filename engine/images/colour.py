"""Colour profiles: what a file says its numbers mean, turned into sRGB, which everything else expects.

A transform is built once per profile and kept; one that changes nothing, as for the many files whose profile is
sRGB itself, is left out.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

DAMAGED = "The colour profile is damaged; the colours are taken for sRGB."
UNFIT = "The colour profile does not fit the picture; the colours are taken for sRGB."
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_SAME = 2  # of 255: profiles that all mean sRGB differ by rounding


@dataclass(frozen=True)
class Profile:
    """What a colour profile does to a picture.

    Attributes
    ----------
    mode : str
        "RGB", "L" or "CMYK": what it takes; empty where nothing is to be done.
    transform : ImageCms.ImageCmsTransform or None
        From `mode` to sRGB.
    note : str
        One sentence where the profile could not be used.
    key : str
        Names what it does; empty where nothing is to be done.
    """

    mode: str = ""
    transform: ImageCms.ImageCmsTransform | None = None
    note: str = ""
    key: str = ""


NONE = Profile()


def profile_for(image: Image.Image, profile: bytes | None, *, grey: bool) -> Profile:
    """Return what the profile in a file means for its picture.

    Parameters
    ----------
    image : PIL.Image.Image
        As it was opened.
    profile : bytes or None
        The ICC profile.
    grey : bool
        The picture has no colours.
    """
    if not profile or image.mode == "LAB":
        return NONE
    found = _read(bytes(profile))
    fits = {"": True, "RGB": image.mode != "CMYK", "L": grey, "CMYK": image.mode == "CMYK"}
    return found if fits[found.mode] else Profile(note=UNFIT)


@lru_cache(maxsize=32)
def _read(profile: bytes) -> Profile:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES.get(opened.profile.xcolor_space.strip(), "")
        if not mode:
            return Profile(note=UNFIT)
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):
        return Profile(note=DAMAGED)
    key = hashlib.blake2b(profile, digest_size=16).hexdigest()
    return NONE if _changes_nothing(mode, transform) else Profile(mode, transform, key=key)


def _changes_nothing(mode: str, transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a grid of colours comes out as it went in."""
    if mode == "CMYK":
        return False
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    if mode == "L":
        image = Image.fromarray(steps[None])
    else:
        image = Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3))
    before = np.asarray(image.convert("RGB"), np.int16)
    return int(np.abs(np.asarray(_apply(image, transform), np.int16) - before).max()) <= _SAME


def to_srgb(picture: Image.Image, profile: Profile) -> Image.Image:
    """Return an RGB, RGBA or CMYK picture in sRGB, its opacity kept."""
    if profile.transform is None:
        return picture
    if profile.mode == "CMYK":
        return _apply(picture, profile.transform)
    flat = picture.getchannel("R") if profile.mode == "L" else picture.convert("RGB")
    result = _apply(flat, profile.transform)
    if picture.mode == "RGBA":
        result.putalpha(picture.getchannel("A"))
    return result


def _apply(picture: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    return ImageCms.applyTransform(picture, transform) or picture
