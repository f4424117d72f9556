"""From encoded bytes to upright 8-bit RGB: every format, orientation, colour mode and bit depth.

The one decoder of Kindred: the scan, thumbnails, encoders and previews all come here. JPEGs are decoded
at the smallest scale that still covers what is asked for (libjpeg's DCT scaling), which is most of the
speed and lets photographs of 200 million pixels through. Whatever is wrong with a file becomes an
`ImageError` of one sentence. Colour profiles are not applied.
"""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from pydantic import field_validator

from engine.core.errors import KindredError
from engine.core.settings import Settings, setting

ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.MAX_IMAGE_PIXELS = None  # `_finish` draws the line at what is really decoded, not at what a JPEG could be

MAX_PIXELS = 89_478_485  # Pillow's own line between a large picture and a decompression bomb
DECODER = "pillow-draft-1"  # part of every embedding key: changes whenever decoded pixels change
FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF")  # MPO opens as JPEG
_NAMES = {"MPO": "jpeg", "DIB": "bmp", "HEIF": "heic"}
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*", b"GIF8", b"BM", b"RIFF")
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
RESAMPLE = Image.Resampling.BICUBIC
Colour = tuple[int, int, int]
Target = Callable[[int, int], tuple[int, int]]
WHITE: Colour = (255, 255, 255)


class ImageError(KindredError):
    """A file is no image that can be decoded; `reason` is one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


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
        "jpeg", "png", "webp", "bmp", "gif", "tiff", "heic" or "avif".
    """

    image: Image.Image
    width: int
    height: int
    format: str


def decode_square(data: bytes, side: int, settings: PreprocessSettings | None = None) -> NDArray[np.uint8]:
    """Return the image as a (side, side, 3) uint8 RGB square.

    Raises
    ------
    ImageError
        The bytes are no readable image.
    """
    settings = settings or PreprocessSettings()
    if settings.mode == "resize":
        return np.array(_decode(data, lambda width, height: (side, side), settings.rgb).image)
    if settings.mode == "center_crop":
        return np.array(_decode(data, lambda width, height: (side, side), settings.rgb, crop=True).image)
    image = _decode(data, lambda width, height: _fit(width, height, side), settings.rgb).image
    square = np.empty((side, side, 3), np.uint8)
    square[:] = settings.rgb
    left, top = (side - image.width) // 2, (side - image.height) // 2
    square[top : top + image.height, left : left + image.width] = np.asarray(image)
    return square


def decode_rgb(data: bytes, max_side: int | None = None, *, background: Colour = WHITE) -> Image.Image:
    """Return the upright RGB image, its longer side reduced to at most `max_side` pixels.

    Raises
    ------
    ImageError
        The bytes are no readable image.
    """
    return decode(data, max_side, background=background).image


def decode(data: bytes, max_side: int | None = None, *, background: Colour = WHITE) -> Decoded:
    """Return the image as `decode_rgb` does, with its original size and format."""

    def target(width: int, height: int) -> tuple[int, int]:
        small = max_side is None or max(width, height) <= max_side
        return (width, height) if small else _fit(width, height, max_side or 1)

    return _decode(data, target, background)


def _fit(width: int, height: int, side: int) -> tuple[int, int]:
    """Return the largest size of the same shape inside the square, at least one pixel each way."""
    longer = max(width, height)
    return max(1, round(width * side / longer)), max(1, round(height * side / longer))


def _decode(data: bytes, target: Target, background: Colour, *, crop: bool = False) -> Decoded:
    """Open, check, decode, resize, flatten and turn upright; every failure is an `ImageError`."""
    if not data:
        raise ImageError("The file is empty.")
    try:
        with _open(data) as image:
            return _finish(image, target, background, crop)
    except ImageError:
        raise
    except Exception as error:  # a damaged file makes a decoder raise anything
        raise ImageError(_reason(error, data)) from error


def _open(data: bytes) -> Image.Image:
    formats: tuple[str, ...] = FORMATS
    if data[4:8] == b"ftyp" and data[8:12] not in (b"avif", b"avis"):
        _heif()
        formats = ("HEIF",)
    return Image.open(io.BytesIO(data), formats=formats)


@cache
def _heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


def _finish(image: Image.Image, target: Target, background: Colour, crop: bool) -> Decoded:
    orientation = 1 if image.format == "TIFF" else _orientation(image)  # TIFF turns itself while loading
    turned = orientation >= 5
    width, height = (image.height, image.width) if turned else image.size
    wanted = target(width, height)
    if image.format in ("JPEG", "MPO"):
        needed = max(wanted[0] / width, wanted[1] / height)
        least = (math.ceil(image.width * needed), math.ceil(image.height * needed)) if crop else wanted
        image.draft("RGB", (least[1], least[0]) if turned and not crop else least)
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(
            f"The image claims {width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million to decode; it is "
            "not opened."
        )
    image.load()
    picture = _to_rgb(image)
    size = (wanted[1], wanted[0]) if turned else wanted
    if crop:
        edge = min(picture.size)
        left, top = (picture.width - edge) / 2, (picture.height - edge) / 2
        picture = picture.resize(size, RESAMPLE, box=(left, top, left + edge, top + edge), reducing_gap=3.0)
    elif picture.size != size:
        picture = picture.resize(size, RESAMPLE, reducing_gap=3.0)
    if picture.mode == "RGBA":
        flat = Image.new("RGB", picture.size, background)
        flat.paste(picture, mask=picture.getchannel("A"))
        picture = flat
    if orientation in _TURNS:
        picture = picture.transpose(_TURNS[orientation])
    name = image.format or ""
    return Decoded(picture, width, height, _NAMES.get(name, name.lower()))


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where the tag is absent or damaged."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except (ValueError, SyntaxError, KeyError, TypeError, struct.error, EOFError, OSError):
        return 1
    return value if value in _TURNS else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture as RGB, or as RGBA where something shows through."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image)
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


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Return a grey picture of 16 or 32 bits as 8 bits: white is the top of the least depth that holds its values."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    low, high = min(0.0, float(values.min())), float(values.max())
    depths = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 4095.0, 65535.0)
    high = next((top for top in depths if high <= top), high)
    return Image.fromarray(((values - low) * (255.0 / (high - low)) + 0.5).astype(np.uint8))


def _reason(error: Exception, data: bytes) -> str:
    """Return what a decoder raised as one sentence."""
    text = str(error)
    if isinstance(error, UnidentifiedImageError):
        if data.startswith(_BEGINNINGS) or data[4:8] == b"ftyp":
            return "The picture is damaged at its beginning, or of a kind that cannot be decoded."
        return "Not an image: the file is named like one but holds something else."
    if isinstance(error, MemoryError):
        return "The image does not fit into memory."
    cut = ("truncated", "unexpected end", "end of file", "broken data stream", "not enough data", "cut short", "eof")
    short = data.startswith(b"RIFF") and len(data) < 8 + int.from_bytes(data[4:8], "little")
    if short or isinstance(error, EOFError) or any(word in text.lower() for word in cut):
        return "The file is cut short: the rest of the picture is missing."
    return f"The picture is damaged and cannot be decoded ({text or type(error).__name__})."
