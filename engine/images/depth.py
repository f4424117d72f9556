"""Pictures of more than 8 bits a channel: reading them exactly, and showing them between two values.

Which value is black and which is white is asked of the whole data set, never of one picture: a camera of 12 bits
writes files of 16, a scan in floating point has no top at all, and one hot pixel says nothing about the rest.
The range of a kind of depth is the 0.1 and the 99.9 percentile of the pixels of its images.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

Range = tuple[float, float]
Ranges = Mapping[str, Range]

PERCENTILES = (0.001, 0.999)
_SAMPLE = 1024  # values that stand for one image: its quantiles, so that large images weigh as much as small ones
_MOST_SAMPLED = 1 << 16  # pixels of an image that its quantiles are taken from
_BLOCK = 1 << 22  # values turned to 8 bits at once
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BITS, _PHOTOMETRIC, _ORIENTATION, _PLANAR, _FORMAT, _PROFILE, _NO_DATA = 258, 262, 274, 284, 339, 34675, 42113
_EXACT = re.compile(r"(RGB|RGBA|RGBX);16[BLN]")
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if np.little_endian else "L"}
_TOPS = (255.0, 4095.0, 65535.0, 4294967295.0)


@dataclass(frozen=True)
class Deep:
    """The exact values of a picture of more than 8 bits.

    Attributes
    ----------
    values : (h, w) or (h, w, 3) array of numbers
        As the file has them; NaN, in floating point only, is no value.
    alpha : (h, w) uint8 or None
        How opaque each pixel is.
    inverted : bool
        The least value is white.
    depth : str
        The kind of depth, such as "16-bit grey"; images of one kind share a range. Empty for 8 bits.
    note : str
        What is left out of, or unusual about, its numbers.
    """

    values: NDArray[Any]
    alpha: NDArray[np.uint8] | None
    inverted: bool
    depth: str
    note: str = ""


def depth_of(image: Image.Image) -> str:
    """Return the kind of depth of an opened picture, from its header; empty where 8 bits hold it."""
    if image.mode.startswith("I;16"):
        return "16-bit grey"
    if image.mode == "F":
        return "float grey"
    if image.mode == "I":
        tags = getattr(image, "tag_v2", {})
        signed = tags.get(_FORMAT, (1,))[0] == 2
        return _kind("i" if signed else "u", int(tags.get(_BITS, (32,))[0]), False)
    if image.format == "PNG" and ";16" in _raw_mode(image):
        return "16-bit grey" if _raw_mode(image).startswith("LA") else "16-bit colour"
    if image.format == "TIFF" and image.mode in ("RGB", "RGBA"):
        bits = max(image.tag_v2.get(_BITS, (8,)))  # type: ignore[attr-defined]
        return f"{bits}-bit colour" if bits > 8 else ""
    if image.format == "TIFF" and image.mode == "L" and image.tag_v2.get(_FORMAT, (1,))[0] == 2:  # type: ignore[attr-defined]
        return "signed 8-bit grey"
    return ""


def _kind(letter: str, bits: int, colour: bool) -> str:
    number = "float" if letter == "f" else f"signed {bits}-bit" if letter == "i" else f"{bits}-bit"
    return f"{number} {'colour' if colour else 'grey'}"


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", ())
    args = tiles[0].args if tiles else ""
    return str(args if isinstance(args, str) or not args else args[0])


def read_deep(data: bytes, format: str, depth: str) -> Deep:
    """Return the exact values of a picture whose header says that it is deep.

    Pillow keeps only the upper byte of colours of 16 bits. Decoding such a file again with the bytes of each value
    the other way round gives the lower one, for every compression that Pillow reads.

    Raises
    ------
    Exception
        Whatever a decoder raises for a damaged file.
    """
    image = Image.open(io.BytesIO(data), formats=(format,))
    info, tags = image.info, getattr(image, "tag_v2", {})
    raw = _raw_mode(image)
    if depth == "signed 8-bit grey":
        return read_tiff(data)[0]
    if image.mode not in ("RGB", "RGBA"):
        image.load()
        values = np.asarray(image)
        if depth == "32-bit grey":
            values = values.view(np.uint32)
    elif raw == "LA;16B":
        _set_raw_mode(image, "RGBA")  # the four bytes of a pixel, as they are
        four = np.asarray(image).astype(np.uint16)
        return Deep(four[..., 0] << 8 | four[..., 1], four[..., 2].astype(np.uint8), False, depth)
    elif _EXACT.fullmatch(raw) and tags.get(_PLANAR, 1) == 1:
        low_bytes = Image.open(io.BytesIO(data), formats=(format,))
        _set_raw_mode(low_bytes, raw[:-1] + _OTHER_BYTE[raw[-1]])
        values = np.asarray(image).astype(np.uint16) << 8 | np.asarray(low_bytes)
    else:
        return read_tiff(data)[0]
    alpha = None
    if values.ndim == 3 and values.shape[2] == 4:
        values, alpha = values[..., :3], (values[..., 3] >> 8).astype(np.uint8)
    elif "transparency" in info and values.dtype == np.uint16:
        same = values == np.array(info["transparency"])
        alpha = np.where(same.all(axis=2) if same.ndim == 3 else same, 0, 255).astype(np.uint8)
    return Deep(_without(values, tags.get(_NO_DATA)), alpha, tags.get(_PHOTOMETRIC, 1) == 0, depth)


def _set_raw_mode(image: ImageFile.ImageFile, raw: str) -> None:
    image.tile = [
        tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:]))  # type: ignore[index]
        for tile in image.tile
    ]


def _without(values: NDArray[Any], missing: object) -> NDArray[Any]:
    """Return floating-point values with NaN where the file says that there is no value (GDAL's tag)."""
    try:
        number = float(str(missing).rstrip("\0 "))
    except ValueError:
        return values
    return np.where(values == values.dtype.type(number), np.nan, values) if values.dtype.kind == "f" else values


def is_tiff(data: bytes) -> bool:
    """Whether the bytes begin as a TIFF does."""
    return data.startswith(_TIFF)


def read_tiff(data: bytes, check_size: Callable[[int, int], None] | None = None) -> tuple[Deep, int, bytes]:
    """Return the values of a TIFF of a kind that Pillow does not read, its orientation and its colour profile.

    Raises
    ------
    ValueError
        One sentence on what cannot be read about it.
    Exception
        Whatever tifffile raises for a damaged file.
    """
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
        if check_size is not None:
            check_size(width, height)
        dtype = page.dtype
        if dtype is None or dtype.kind not in "buif" or page.imagedepth > 1:
            raise ValueError("The TIFF holds numbers that are no picture, such as complex ones or a volume.")
        if samples > 4:
            raise ValueError(f"The TIFF has {samples} channels; only grey and colour pictures can be shown.")
        if any(at + size > len(data) for at, size in zip(page.dataoffsets, page.databytecounts, strict=True)):
            raise ValueError("The file is cut short: the rest of the picture is missing.")
        try:
            found = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            name = getattr(page.compression, "name", page.compression)
            raise ValueError(
                f"A TIFF of this kind compressed by {name} cannot be read; save it with deflate or uncompressed."
            ) from error
        values = found.reshape(samples, height, width) if page.planarconfig == 2 else found
        values = np.moveaxis(values, 0, -1) if page.planarconfig == 2 else values.reshape(height, width, samples)
        tags = page.tags
        deep = _deep(values, tuple(int(kind) for kind in page.extrasamples), tags.valueof(_NO_DATA))
        inverted = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        orientation, profile = tags.valueof(_ORIENTATION), tags.valueof(_PROFILE)
        note = tiff_note(samples, page.extrasamples, page.bitspersample if dtype.kind == "f" else 0)
    return (
        Deep(deep.values, deep.alpha, inverted, deep.depth, note),
        orientation if isinstance(orientation, int) else 1,
        profile if isinstance(profile, bytes) else b"",
    )


def tiff_note(samples: int, extra: Sequence[int], float_bits: int) -> str:
    """Say what a TIFF holds beside what is shown of it.

    Parameters
    ----------
    samples : int
        Channels.
    extra : sequence of int
        What the channels after the colours mean, as the tag says; 1 and 2 are opacity.
    float_bits : int
        Bits of each number where they are floating-point; 0 else.
    """
    told = []
    if samples == 2 and not set(extra[:1]) & {1, 2}:
        told.append("The TIFF has 2 channels; the first is shown in grey.")
    if samples == 4 and len(extra) == 1 and not set(extra) & {1, 2}:
        told.append("The TIFF has 4 channels; the first three are shown as colours.")
    if float_bits == 64:
        told.append("The TIFF holds 64-bit floating-point numbers.")
    return " ".join(told)


def _deep(values: NDArray[Any], extra: tuple[int, ...], missing: object) -> Deep:
    """Return (h, w, 1 to 4) values as grey or colour; the extra channel is opacity (TIFF's 1 and 2) or left out."""
    if values.dtype.kind == "b":
        values = values.astype(np.uint8) * np.uint8(255)
    colours = 3 if values.shape[2] - len(extra) >= 3 or (values.shape[2] >= 3 and not extra) else 1
    alpha = None
    if extra and extra[0] in (1, 2) and values.shape[2] > colours:
        whole = 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)
        share = np.nan_to_num(np.clip(values[..., colours].astype(np.float64) / whole, 0, 1))
        alpha = (share * 255 + 0.5).astype(np.uint8)
        if extra[0] == 1:  # already weighted by opacity
            plain = values[..., :colours] / np.maximum(share, 1 / 255)[..., None]
            values = (
                plain.astype(values.dtype)
                if values.dtype.kind == "f"
                else np.minimum(plain, whole).astype(values.dtype)
            )
    kind = values.dtype.kind
    depth = "" if values.dtype == np.uint8 else _kind(kind, values.dtype.itemsize * 8, colours == 3)
    chosen = values[..., :3] if colours == 3 else values[..., 0]
    return Deep(_without(chosen, missing), alpha, False, depth)


def sample(deep: Deep) -> NDArray[np.float64]:
    """Return the quantiles that stand for a picture's values, (1024,), ascending; (0,) where it has no value."""
    height, width = deep.values.shape[:2]
    step = max(1, int(np.ceil((height * width / _MOST_SAMPLED) ** 0.5)))
    values = deep.values[::step, ::step].astype(np.float64).ravel()
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return values
    return values[((np.arange(_SAMPLE) + 0.5) / _SAMPLE * len(values)).astype(np.int64)]


def range_of(samples: Sequence[NDArray[np.float64]], *, floating: bool) -> Range | None:
    """Return the values to show as black and as white for images of one kind; None where there is no value at all.

    Parameters
    ----------
    samples : list of (m,) float64
        What `sample` gives for each image; their order does not matter.
    floating : bool
        The values are floating-point numbers, whose usual top is 1.
    """
    values = np.concatenate(samples) if samples else np.empty(0)
    if not len(values):
        return None
    low, high = np.quantile(values, PERCENTILES, method="inverted_cdf").tolist()
    if low == high:  # nearly all of one value
        low, high = float(values.min()), float(values.max())
    if low == high:
        tops = (1.0, *_TOPS) if floating else _TOPS
        low, high = min(0.0, low), next((top for top in tops if high <= top), high)
    return low, high


def own_range(deep: Deep) -> Range:
    """Return the range of a single picture that belongs to no data set."""
    return range_of([sample(deep)], floating=deep.values.dtype.kind == "f") or (0.0, 1.0)


def to_8_bits(deep: Deep, shown: Range) -> Image.Image:
    """Return the picture as "L", "LA", "RGB" or "RGBA", black at the low end of `shown` and white at the high end.

    What has no value (NaN) is black.
    """
    values = deep.values
    if deep.depth == "":
        levels = np.ascontiguousarray(values)
        levels = 255 - levels if deep.inverted else levels
    elif values.dtype.kind == "u" and values.dtype.itemsize == 2:  # of either byte order
        levels = _levels(np.arange(1 << 16), shown, deep.inverted)[values]
    else:
        levels = np.empty(values.shape, np.uint8)
        rows = max(1, _BLOCK // max(1, values[0].size))
        for start in range(0, len(values), rows):
            levels[start : start + rows] = _levels(values[start : start + rows], shown, deep.inverted)
    picture = Image.fromarray(levels)
    if deep.alpha is not None:
        picture.putalpha(Image.fromarray(deep.alpha))
    return picture


def _levels(values: NDArray[Any], shown: Range, inverted: bool) -> NDArray[np.uint8]:
    low, high = shown
    with np.errstate(all="ignore"):
        share = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1)
    share = 1 - share if inverted else share
    return (np.nan_to_num(share, nan=0.0) * 255 + 0.5).astype(np.uint8)
