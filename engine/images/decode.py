"""From encoded bytes to upright 8-bit RGB: every format, orientation, colour mode and bit depth.

The one decoder of Kindred: the scan, thumbnails, encoders and previews all come here. JPEGs are decoded
at the smallest scale that still covers what is asked for (libjpeg's DCT scaling), which is most of the
speed and lets photographs of 200 million pixels through. Whatever is wrong with a file becomes an
`ImageError` of one sentence. Colours are turned into sRGB, and values of more than 8 bits are shown in the range of
the data set (`engine.images.depth`).
"""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from pydantic import field_validator

from engine.core.errors import KindredError
from engine.core.settings import Settings, setting
from engine.images.colour import NONE as NO_PROFILE
from engine.images.colour import Profile, profile_for, to_srgb
from engine.images.depth import (
    Deep,
    Range,
    Ranges,
    depth_of,
    is_tiff,
    own_range,
    read_deep,
    read_tiff,
    sample,
    to_8_bits,
)
from engine.images.fingerprint import GAP, TURNS, hash_of_reduced, picture_hash, reduction, values_hash
from engine.images.headers import bands_of, is_raw, is_raw_tiff, parts_of
from engine.images.kinds import HEAD, is_tga, kind_of, reads_raw
from engine.images.traces import said_by

ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.MAX_IMAGE_PIXELS = None  # `_finish` draws the line at what is really decoded, not at what a JPEG could be

MAX_PIXELS = 179_000_000  # about where Pillow's own warning of a decompression bomb becomes an error
DECODER = "pillow-draft-2"  # part of every embedding key: changes whenever decoded pixels change
FORMATS: tuple[str, ...] = (  # MPO opens as JPEG
    *("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "QOI", "PCX"),
)
_NAMES = {"MPO": "jpeg", "DIB": "bmp", "HEIF": "heic", "JPEG2000": "jp2"}
_DAMAGED = "The picture is damaged at its beginning, or of a kind that cannot be decoded."
_GREY = ("1", "L", "LA", "La")
_ORIENTATION = 0x0112
_SAYS_ORIENTATION = {"exif", "xmp"}  # what of a JPEG Pillow reads it from
RESAMPLE = Image.Resampling.BICUBIC
Colour = tuple[int, int, int]
Target = Callable[[int, int], tuple[int, int]]
WHITE: Colour = (255, 255, 255)


class ImageError(KindredError):
    """A file is no image that can be decoded; `reason` is one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnmeasuredDepth(Exception):  # noqa: N818 - no fault of the file: the data set's range comes first
    """The picture has more than 8 bits and no range is known for its kind of depth yet."""

    def __init__(self, depth: str) -> None:
        super().__init__(depth)
        self.depth = depth


class PreprocessSettings(Settings):
    """How an image of any shape becomes the square that an encoder takes."""

    mode: Literal["letterbox", "resize", "center_crop"] = setting(
        "letterbox", "Letterbox keeps the whole image and pads it; resize distorts it; center_crop cuts the ends off."
    )
    fill: str = setting(
        "#7c7468", "Colour of the padding and behind transparent pixels; the default is the mean of photographs."
    )

    @field_validator("fill")
    @classmethod
    def _colour(cls, value: str) -> str:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            raise ValueError("A colour is # and six hex digits, such as #7c7468")
        return value.lower()

    @property
    def rgb(self) -> Colour:
        """The fill as three values from 0 to 255."""
        return int(self.fill[1:3], 16), int(self.fill[3:5], 16), int(self.fill[5:7], 16)


@dataclass(frozen=True)
class Decoded:
    """An upright RGB picture, maybe reduced, with what the file said about itself.

    Attributes
    ----------
    image : PIL.Image.Image
        RGB.
    width, height : int
        Pixels of the original, upright.
    format : str
        "jpeg", "png", "webp", "bmp", "gif", "tiff", "heic", "avif", "jp2", "jxl", "ppm", "tga", "ico", "qoi", "pcx" or
        "raw".
    depth : str
        The kind of depth, such as "16-bit grey"; empty for 8 bits.
    note : str
        What is odd about the file, such as further pages; mostly empty.
    orientation : int
        EXIF's, 1 to 8.
    hashes : tuple of bytes
        The hash of the upright pixels where it was asked for, then those of the picture turned and flipped.
    said : dict
        What the file says of its making (`engine.images.traces.said_by`).
    """

    image: Image.Image
    width: int
    height: int
    format: str
    depth: str = ""
    note: str = ""
    orientation: int = 1
    hashes: tuple[bytes, ...] = ()
    said: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Wish:
    """What is to come out: the size for an original size, the ground, a cut square, the ranges of the data set."""

    target: Target
    background: Colour
    ranges: Ranges
    crop: bool = False
    wait: bool = False
    measured: list[Deep] | None = None
    max_pixels: int | None = MAX_PIXELS
    hashed: int = 0

    def shown(self, depth: str, deep: Deep) -> Range:
        """Return the range of the data set, or the picture's own where it is alone."""
        if self.measured is not None:
            self.measured.append(deep)
            return 0.0, 1.0
        return self.ranges.get(depth) or own_range(deep)

    def check(self, depth: str) -> None:
        """Stop before a pixel is decoded where the range has to be measured first."""
        if self.wait and depth and depth not in self.ranges:
            raise UnmeasuredDepth(depth)

    def check_size(self, width: int, height: int) -> None:
        """Refuse a picture that would take too much memory."""
        if self.max_pixels is not None and width * height > self.max_pixels:
            raise ImageError(
                f"The image claims {width} x {height} pixels, more than the limit of "
                f"{self.max_pixels / 1e6:,.6g} megapixels; raise max megapixels to open it."
            )

    def hashes(self, hash_as: Callable[[int], bytes], orientation: int) -> tuple[bytes, ...]:
        """Return the hash of the upright picture, and those of all other ways to turn it, as far as asked for."""
        others = (other for other in (1, *TURNS) if other != orientation)
        turned = others if self.hashed > 1 else ()
        return tuple(hash_as(one) for one in (orientation, *turned)) if self.hashed else ()


def decode_square(
    data: bytes,
    side: int,
    settings: PreprocessSettings | None = None,
    *,
    ranges: Ranges | None = None,
    max_pixels: int | None = MAX_PIXELS,
    into: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Return the image as a (side, side, 3) uint8 RGB square.

    Parameters
    ----------
    ranges : mapping, optional
        The data set's range of values for each kind of depth (`engine.images.ranges.load_ranges`); a deep image of
        another kind, or of no data set, is shown in its own percentiles.
    max_pixels : int or None
        The most pixels to decode; None where a scan has let the image through already.
    into : (side, side, 3) uint8, optional
        Where the square is written, such as its place in a batch; a new array when absent.

    Raises
    ------
    ImageError
        The bytes are no readable image.
    """
    settings = settings or PreprocessSettings()
    known = ranges or {}
    if settings.mode in ("resize", "center_crop"):
        crop = settings.mode == "center_crop"
        wish = _Wish(lambda width, height: (side, side), settings.rgb, known, crop=crop, max_pixels=max_pixels)
        image = _decode(data, wish).image
        square = np.empty((side, side, 3), np.uint8) if into is None else into
        square[:] = np.asarray(image)
        return square
    wish = _Wish(lambda width, height: _fit(width, height, side), settings.rgb, known, max_pixels=max_pixels)
    image = _decode(data, wish).image
    square = np.empty((side, side, 3), np.uint8) if into is None else into
    square[:] = _ground(side, settings.rgb)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    square[top : top + image.height, left : left + image.width] = np.asarray(image)
    return square


@lru_cache(maxsize=8)
def _ground(side: int, colour: Colour) -> NDArray[np.uint8]:
    """Return a square of one colour: to copy one takes a fiftieth of the time that filling one does."""
    return np.full((side, side, 3), colour, np.uint8)


def decode_rgb(
    data: bytes,
    max_side: int | None = None,
    *,
    background: Colour = WHITE,
    ranges: Ranges | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Image.Image:
    """Return the upright RGB image, its longer side reduced to at most `max_side` pixels.

    Raises
    ------
    ImageError
        The bytes are no readable image.
    """
    return decode(data, max_side, background=background, ranges=ranges, max_pixels=max_pixels).image


def decode(
    data: bytes,
    max_side: int | None = None,
    *,
    background: Colour = WHITE,
    ranges: Ranges | None = None,
    wait: bool = False,
    max_pixels: int | None = MAX_PIXELS,
    hashed: Literal[0, 1, 8] = 0,
) -> Decoded:
    """Return the image as `decode_rgb` does, with its original size and format.

    Parameters
    ----------
    hashed : 0, 1 or 8
        1 asks for the hash of the upright pixels, 8 also for those of the picture turned and flipped in each way; only
        with a `max_side` of `fingerprint.SIDE`.

    Raises
    ------
    ImageError
        The bytes are no readable image.
    UnmeasuredDepth
        Only with `wait`: it is deeper than 8 bits and `ranges` does not have its kind; no pixel was decoded.
    """

    def target(width: int, height: int) -> tuple[int, int]:
        small = max_side is None or max(width, height) <= max_side
        return (width, height) if small else _fit(width, height, max_side or 1)

    return _decode(data, _Wish(target, background, ranges or {}, wait=wait, max_pixels=max_pixels, hashed=hashed))


def sample_of(data: bytes, *, max_pixels: int | None = MAX_PIXELS) -> tuple[NDArray[np.float64], bool]:
    """Return the quantiles that stand for the values of a deep image (`depth.sample`), and whether it is floating.

    Raises
    ------
    ImageError
        The bytes are no readable image.
    """
    found: list[Deep] = []
    _decode(data, _Wish(lambda width, height: (1, 1), WHITE, {}, measured=found, max_pixels=max_pixels))
    return (sample(found[0]), found[0].values.dtype.kind == "f") if found else (np.empty(0), False)


def _fit(width: int, height: int, side: int) -> tuple[int, int]:
    """Return the largest size of the same shape inside the square, at least one pixel each way."""
    longer = max(width, height)
    return max(1, round(width * side / longer)), max(1, round(height * side / longer))


def _decode(data: bytes, wish: _Wish) -> Decoded:
    """Open, check, decode, resize, flatten and turn upright; every failure is an `ImageError`."""
    if not data:
        raise ImageError("The file is empty.")
    try:
        if kind_of(data[:HEAD]) == "raw":
            return _finish_raw(data, wish)
        try:
            opened = _open(data)
        except UnidentifiedImageError:
            if not is_tiff(data):
                raise
            return _finish_raw(data, wish) if is_raw_tiff(data) else _finish_tiff(data, wish)
        with opened as image:
            return _finish_raw(data, wish) if is_raw(image) else _finish(image, data, wish)
    except (ImageError, UnmeasuredDepth):
        raise
    except Exception as error:  # a damaged file makes a decoder raise anything
        raise ImageError(_reason(error, data)) from error


def _open(data: bytes) -> Image.Image:
    kind = kind_of(data[:HEAD])
    formats: tuple[str, ...] = FORMATS
    if data[4:8] == b"ftyp" and data[8:12] not in (b"avif", b"avis"):
        _heif()
        formats = ("HEIF",)
    elif kind == "jxl":
        _jxl()
        formats = ("JXL",)
    elif not kind and is_tga(data):
        formats = (*FORMATS, "TGA")
    return Image.open(io.BytesIO(data), formats=formats)


@cache
def _heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


@cache
def _jxl() -> None:
    try:
        import pillow_jxl  # noqa: F401 - it registers itself
    except ImportError as error:
        raise ImageError("Reading JPEG XL needs the package pillow-jxl-plugin.") from error


def _finish_raw(data: bytes, wish: _Wish) -> Decoded:
    """Develop a raw photograph as LibRaw does by default, in the camera's white balance."""
    if not reads_raw():
        raise ImageError("Reading raw photographs needs the package rawpy.")
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            sizes = raw.sizes
            turned = sizes.flip in (5, 6)
            width, height = (sizes.height, sizes.width) if turned else (sizes.width, sizes.height)
            wish.check_size(width, height)
            wanted = wish.target(width, height)
            small = min(width, height) > 1 and max(wanted[0] / width, wanted[1] / height) <= 0.5
            values = raw.postprocess(use_camera_wb=True, half_size=small)
    except ImageError:
        raise
    except Exception as error:  # a damaged file makes LibRaw raise anything
        raise ImageError("The raw photograph is damaged, or of a camera that LibRaw does not know.") from error
    return _shape(Image.fromarray(values), wish, 1, (width, height), "raw", "", NO_PROFILE)


def _finish(image: Image.Image, data: bytes, wish: _Wish) -> Decoded:
    depth = depth_of(image)
    wish.check(depth)
    orientation = 1 if image.format == "TIFF" else _orientation(image)  # TIFF turns itself while loading
    turned = orientation >= 5
    width, height = (image.height, image.width) if turned else image.size
    wanted = wish.target(width, height)
    if image.format in ("JPEG", "MPO"):
        needed = max(wanted[0] / width, wanted[1] / height)
        least = (math.ceil(image.width * needed), math.ceil(image.height * needed)) if wish.crop else wanted
        image.draft("RGB", (least[1], least[0]) if turned and not wish.crop else least)
    wish.check_size(image.width, image.height)
    name, parts = image.format or "", " ".join(filter(None, (parts_of(image), bands_of(image))))
    said = said_by(image) if wish.hashed else {}  # the scan asks, once
    deep = read_deep(data, name, depth) if depth else None
    if deep is not None:
        picture = to_8_bits(deep, wish.shown(depth, deep))
    else:
        image.load()
        picture = image
    profile = profile_for(picture, image.info.get("icc_profile"), grey=picture.mode in _GREY)
    size, kind = (width, height), _NAMES.get(name, name.lower())
    return replace(_shape(picture, wish, orientation, size, kind, depth, profile, deep, parts), said=said)


def _finish_tiff(data: bytes, wish: _Wish) -> Decoded:
    """Decode a TIFF of a kind that Pillow does not know, such as floating-point colours."""
    try:
        deep, orientation, profile = read_tiff(data, wish.check_size)
    except ImageError:
        raise
    except ValueError as error:
        raise ImageError(str(error) if str(error).endswith(".") else _DAMAGED) from error
    except Exception as error:
        raise ImageError(_DAMAGED) from error
    wish.check(deep.depth)
    picture = to_8_bits(deep, wish.shown(deep.depth, deep) if deep.depth else (0, 255))
    size = picture.size[::-1] if orientation >= 5 else picture.size
    meaning = profile_for(picture, profile, grey=picture.mode in _GREY)
    return _shape(
        picture, wish, orientation, size, "tiff", deep.depth, meaning, deep if deep.depth else None, deep.note
    )


def _shape(
    image: Image.Image,
    wish: _Wish,
    orientation: int,
    original: tuple[int, int],
    name: str,
    depth: str,
    profile: Profile,
    deep: Deep | None = None,
    parts: str = "",
) -> Decoded:
    """Return the loaded picture in the wished size, in sRGB, flat and upright."""
    width, height = original
    wanted = wish.target(width, height)
    picture = image if profile.mode == "CMYK" else _to_rgb(image)
    size = (wanted[1], wanted[0]) if orientation >= 5 else wanted
    whole, meaning = picture, f"{profile.key} {deep.inverted}" if deep is not None else profile.key
    hashes: tuple[bytes, ...] = ()
    box: tuple[float, float, float, float] | None = None
    if deep is not None:
        hashes = wish.hashes(lambda turn: values_hash(deep.values, deep.alpha, turn, meaning), orientation)
    elif (
        wish.hashed == 1 and orientation == 1 and whole.mode == "RGB"
    ):  # the usual case shares its first step with the thumbnail
        across, down = reduction(*whole.size)
        picture = whole.reduce((across, down)) if (across, down) != (1, 1) else whole
        box = (0, 0, whole.width / across, whole.height / down)
        hashes = (hash_of_reduced(picture, whole.size, meaning),)
    else:
        hashes = wish.hashes(lambda turn: picture_hash(whole, turn, meaning), orientation)
    if wish.crop:
        edge = min(picture.size)
        left, top = (picture.width - edge) / 2, (picture.height - edge) / 2
        picture = picture.resize(size, RESAMPLE, box=(left, top, left + edge, top + edge), reducing_gap=GAP)
    elif picture.size != size:
        picture = picture.resize(size, RESAMPLE, box=box, reducing_gap=None if box else GAP)
    picture = to_srgb(picture, profile)
    if picture.mode == "RGBA":
        flat = Image.new("RGB", picture.size, wish.background)
        flat.paste(picture, mask=picture.getchannel("A"))
        picture = flat
    if orientation in TURNS:
        picture = picture.transpose(TURNS[orientation])
    note = " ".join(sentence for sentence in (parts, profile.note) if sentence)
    return Decoded(picture, width, height, name, depth, note, orientation, hashes)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where the tag is absent or damaged."""
    if image.format in ("JPEG", "MPO") and not _SAYS_ORIENTATION & image.info.keys():
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except (ValueError, SyntaxError, KeyError, TypeError, struct.error, EOFError, OSError):
        return 1
    return value if value in TURNS else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture as RGB, or as RGBA where something shows through."""
    if image.mode in ("RGB", "RGBA"):
        return image
    if image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode == "LAB":
        from PIL import ImageCms

        return ImageCms.profileToProfile(
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        ) or image.convert("RGB")
    return image.convert("RGB")


def _reason(error: Exception, data: bytes) -> str:
    """Return what a decoder raised as one sentence."""
    text = " ".join(str(error).split())[:120]
    if isinstance(error, UnidentifiedImageError):
        if kind_of(data[:HEAD]) or data[4:8] == b"ftyp" or data.startswith((b"BM", b"RIFF", b"GIF8", b"\x89PNG")):
            return _DAMAGED
        return "Not an image: the file is named like one but holds something else."
    if isinstance(error, MemoryError):
        return "The image does not fit into memory."
    if kind_of(data[:HEAD]) == "jxl":  # whose decoder says only that something went wrong
        return "The picture is damaged or cut short."
    cut = ("truncated", "unexpected end", "end of file", "broken data stream", "not enough data", "cut short", "eof")
    short = data.startswith(b"RIFF") and len(data) < 8 + int.from_bytes(data[4:8], "little")
    if short or isinstance(error, EOFError) or any(word in text.lower() for word in cut):
        return "The file is cut short: the rest of the picture is missing."
    return f"The picture is damaged and cannot be decoded ({text.rstrip('.') or type(error).__name__})."
