"""Two sample sets that need no download: pictures made by this code, and pieces of the photographs of scikit-image.

Both give the same bytes at every call. The made pictures are Kindred's own and given to the
public domain (CC0); the photographs come with the packages scikit-image and scikit-learn, which name their licences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from engine.core.progress import SILENT, Progress
from engine.images.arrays import bmp
from engine.images.sources import Entry, ReadError

_WIDE, _HIGH = 240, 180
_EACH = 25
Color = tuple[int, int, int]
Random = np.random.Generator


class _Drawn:
    """A source whose images are worked out when they are read."""

    def __init__(self, names: dict[bytes, str]) -> None:
        self.problems: list[tuple[bytes, str]] = []
        self._truth = names

    def prepare(self, progress: Progress = SILENT) -> None:
        """Nothing to do: the images are made as they are read."""

    def entries(self) -> Iterable[Entry]:
        """List the images; they take no bytes on disk."""
        for name, truth in self._truth.items():
            yield Entry(name, 0, 0, truth=truth)

    def read(self, name: bytes) -> bytes:
        """Return one image as a bitmap."""
        if name not in self._truth:
            raise ReadError("There is no such picture.")
        return bmp(np.asarray(self.picture(name)))

    def picture(self, name: bytes) -> Image.Image:
        """Return one image."""
        raise NotImplementedError


class MadePictures(_Drawn):
    """200 pictures of eight kinds, drawn by this module; each kind varies in colour, light and composition."""

    def __init__(self) -> None:
        super().__init__({f"{kind}/{number:02d}.bmp".encode(): kind for kind in KINDS for number in range(_EACH)})

    def picture(self, name: bytes) -> Image.Image:
        """Draw one picture; its name is the seed."""
        kind, _, number = name.decode().removesuffix(".bmp").partition("/")
        random = np.random.default_rng([list(KINDS).index(kind), int(number)])
        picture = KINDS[kind](random)
        pixels = np.asarray(picture, np.float64) * random.uniform(0.85, 1.1)
        pixels += random.normal(0, random.uniform(1, 5), (*pixels.shape[:2], 1))
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


class PhotographPieces(_Drawn):
    """Sixteen pieces of each of twelve photographs that scikit-image and scikit-learn bring along."""

    PHOTOGRAPHS = (
        *(("skimage", name) for name in ("astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png")),
        *(
            ("skimage", name)
            for name in ("gravel.png", "hubble_deep_field.jpg", "moon.png", "retina.jpg", "rocket.jpg")
        ),
        *(("sklearn", name) for name in ("china.jpg", "flower.jpg")),
    )
    _SIDE = 4

    def __init__(self) -> None:
        self._place = {name.partition(".")[0]: (package, name) for package, name in self.PHOTOGRAPHS}
        pieces = range(self._SIDE**2)
        super().__init__({f"{name}/{piece:02d}.bmp".encode(): name for name in self._place for piece in pieces})

    def picture(self, name: bytes) -> Image.Image:
        """Cut one piece out of its photograph."""
        photograph, _, number = name.decode().removesuffix(".bmp").partition("/")
        row, column = divmod(int(number), self._SIDE)
        package, file = self._place[photograph]
        whole = _whole(package, file)
        wide, high = whole.width // self._SIDE, whole.height // self._SIDE
        piece = whole.crop((column * wide, row * high, (column + 1) * wide, (row + 1) * high))
        piece.thumbnail((_WIDE, _WIDE))
        return piece


@lru_cache(maxsize=1)  # the pieces of one photograph are asked for one after the other
def _whole(package: str, file: str) -> Image.Image:
    with Image.open(_folder(package) / file) as opened:
        return opened.convert("RGB")


def _folder(package: str) -> Path:
    if package == "skimage":
        import skimage.data

        return Path(skimage.data.__file__).parent
    import sklearn.datasets

    return Path(sklearn.datasets.__file__).parent / "images"


def _color(random: Random, hue: float, saturation: float, value: float, spread: float = 6.0) -> Color:
    """Return RGB near a hue in degrees, saturation and value in 0..1."""
    import colorsys

    hue = (random.normal(hue, spread) % 360) / 360
    red, green, blue = colorsys.hsv_to_rgb(
        hue, float(np.clip(random.normal(saturation, 0.06), 0, 1)), float(np.clip(random.normal(value, 0.05), 0, 1))
    )
    return int(255 * red), int(255 * green), int(255 * blue)


def _sky(top: Color, bottom: Color) -> Image.Image:
    share = np.linspace(0, 1, _HIGH)[:, None, None]
    pixels = (1 - share) * np.array(top) + share * np.array(bottom)
    return Image.fromarray(np.broadcast_to(pixels, (_HIGH, _WIDE, 3)).astype(np.uint8))


def _ridge(random: Random, height: float, rough: float) -> list[tuple[float, float]]:
    """Return a mountain line by sums of waves, closed along the bottom edge."""
    across = np.arange(0, _WIDE + 3, 3)
    line = np.full(len(across), float(height))
    for octave in range(1, 7):
        line += rough / octave**1.3 * np.sin(across * octave / random.uniform(30, 60) + random.uniform(0, 6.3))
    return [*zip(across.tolist(), line.tolist(), strict=True), (_WIDE, _HIGH), (0, _HIGH)]


def _mountains(random: Random) -> Image.Image:
    hue = random.choice([20, 210, 265])
    picture = _sky(_color(random, hue, 0.4, 0.75), _color(random, hue + 20, 0.2, 0.97))
    draw = ImageDraw.Draw(picture)
    for layer in range(4):
        draw.polygon(
            _ridge(random, 75 + 26 * layer, 26 - 4 * layer),
            fill=_color(random, hue, 0.25 + 0.1 * layer, 0.72 - 0.16 * layer),
        )
    return picture.filter(ImageFilter.GaussianBlur(0.6))


def _sea(random: Random) -> Image.Image:
    evening = random.random() < 0.5
    picture = _sky(_color(random, 25 if evening else 205, 0.5, 0.9), _color(random, 45 if evening else 200, 0.25, 0.98))
    draw = ImageDraw.Draw(picture)
    horizon, sun = int(random.uniform(70, 105)), random.uniform(40, _WIDE - 40)
    size = random.uniform(9, 18)
    draw.ellipse([sun - size, horizon - 2 * size, sun + size, horizon], fill=(255, 244, 214))
    water = _color(random, 205, 0.55, 0.5)
    for row in range(horizon, _HIGH):
        near = (row - horizon) / (_HIGH - horizon)
        shade = tuple(int(part * (1.25 - 0.5 * near)) for part in water)
        draw.line([0, row, _WIDE, row], fill=shade)
        for _ in range(3):
            left = random.normal(sun, 10 + 60 * near) if random.random() < 0.6 else random.uniform(0, _WIDE)
            draw.line(
                [left, row, left + 4 + 16 * near, row], fill=tuple(min(255, int(part * 1.6) + 30) for part in shade)
            )
    return picture.filter(ImageFilter.GaussianBlur(0.5))


def _flowers(random: Random) -> Image.Image:
    picture = Image.new("RGB", (_WIDE, _HIGH), _color(random, 115, 0.5, 0.3))
    draw = ImageDraw.Draw(picture)
    for _ in range(170):
        x, y, long = random.uniform(0, _WIDE), random.uniform(0, _HIGH), random.uniform(10, 40)
        draw.line(
            [x, y, x + random.normal(0, 8), y + long],
            fill=_color(random, 110, 0.55, random.uniform(0.25, 0.55)),
            width=2,
        )
    picture = picture.filter(ImageFilter.GaussianBlur(1.2))
    draw = ImageDraw.Draw(picture)
    hue, petals = random.choice([0, 45, 285, 330, 215]), int(random.integers(5, 12))
    for _ in range(int(random.integers(4, 14))):
        x, y, size = random.uniform(10, _WIDE - 10), random.uniform(10, _HIGH - 10), random.uniform(10, 30)
        color, turn = _color(random, hue, 0.65, 0.92), random.uniform(0, 6.3)
        for petal in range(petals):
            angle = turn + petal * 2 * math.pi / petals
            px, py, width = x + size * 0.62 * math.cos(angle), y + size * 0.62 * math.sin(angle), size * 0.42
            draw.ellipse([px - width, py - width, px + width, py + width], fill=color)
        draw.ellipse(
            [x - size * 0.33, y - size * 0.33, x + size * 0.33, y + size * 0.33], fill=_color(random, 48, 0.8, 0.85)
        )
    return picture.filter(ImageFilter.GaussianBlur(0.7))


def _night(random: Random) -> Image.Image:
    picture = _sky(_color(random, 235, 0.7, 0.12), _color(random, 270, 0.5, 0.3))
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        x, y = random.uniform(0, _WIDE), random.uniform(0, 70)
        draw.point([x, y], fill=(230, 230, 240))
    left = -5.0
    while left < _WIDE:
        wide, top = random.uniform(16, 40), random.uniform(40, 130)
        draw.rectangle([left, top, left + wide, _HIGH], fill=_color(random, 235, 0.4, random.uniform(0.06, 0.16)))
        for x in np.arange(left + 4, left + wide - 5, 7):
            for y in np.arange(top + 5, _HIGH - 4, 9):
                if random.random() < 0.4:
                    draw.rectangle([x, y, x + 3, y + 4], fill=_color(random, 42, 0.55, random.uniform(0.6, 1)))
        left += wide + random.uniform(0, 4)
    return picture


def _planets(random: Random) -> Image.Image:
    picture = Image.new("RGB", (_WIDE, _HIGH), (6, 6, 12))
    draw = ImageDraw.Draw(picture)
    for _ in range(160):
        shade = int(random.uniform(60, 255))
        draw.point([random.uniform(0, _WIDE), random.uniform(0, _HIGH)], fill=(shade, shade, shade))
    down, across = np.mgrid[0:_HIGH, 0:_WIDE]
    x, y, radius = random.uniform(70, 170), random.uniform(60, 120), random.uniform(32, 62)
    inside = np.sqrt((across - x) ** 2 + (down - y) ** 2) / radius
    bands = (
        0.5
        + 0.3 * np.sin((down - y) / radius * random.uniform(5, 14) + 0.4 * np.sin(across / 17))
        + 0.1 * random.random()
    )
    light = np.clip(1.15 - np.hypot(across - x + radius / 2, down - y + radius / 2) / (1.7 * radius), 0.05, 1)
    one, other = (np.array(_color(random, hue, 0.45, 0.9)) for hue in (random.choice([25, 200, 300]), 35))
    body = (bands[..., None] * one + (1 - bands[..., None]) * other) * light[..., None]
    pixels = np.where((inside < 1)[..., None], body, np.asarray(picture))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.4))


def _forest(random: Random) -> Image.Image:
    hue = random.choice([95, 130, 35])
    picture = _sky(_color(random, 190, 0.15, 0.9), _color(random, hue, 0.2, 0.8))
    draw = ImageDraw.Draw(picture)
    for layer in range(3):
        for _ in range(9):
            x, foot, tall = (
                random.uniform(-10, _WIDE + 10),
                120 + 28 * layer + random.uniform(-6, 8),
                random.uniform(50, 95),
            )
            color = _color(random, hue, 0.35 + 0.12 * layer, 0.55 - 0.14 * layer)
            draw.rectangle([x - 2, foot - 8, x + 2, foot + 6], fill=_color(random, 28, 0.5, 0.25))
            for step in range(4):
                low, wide = foot - step * tall / 5, (tall / 3.2) * (1 - step / 5)
                draw.polygon([(x - wide, low), (x + wide, low), (x, low - tall / 2.4)], fill=color)
    return picture.filter(ImageFilter.GaussianBlur(0.6))


def _balloons(random: Random) -> Image.Image:
    picture = _sky(_color(random, 212, 0.5, 0.85), _color(random, 205, 0.15, 0.97))
    draw = ImageDraw.Draw(picture)
    draw.polygon(_ridge(random, 160, 6), fill=_color(random, 100, 0.35, 0.5))
    for _ in range(int(random.integers(1, 6))):
        x, y, size = random.uniform(25, _WIDE - 25), random.uniform(25, 110), random.uniform(12, 34)
        colors = [_color(random, random.uniform(0, 360), 0.75, 0.9) for _ in range(2)]
        for stripe in range(7):
            wide = size * math.cos(stripe * math.pi / 14)
            draw.ellipse([x - wide, y - size, x + wide, y + size], fill=colors[stripe % 2])
        draw.polygon(
            [(x - size * 0.55, y + size * 0.8), (x + size * 0.55, y + size * 0.8), (x, y + size * 1.5)], fill=colors[0]
        )
        draw.rectangle([x - size / 7, y + size * 1.5, x + size / 7, y + size * 1.75], fill=(96, 66, 40))
    return picture.filter(ImageFilter.GaussianBlur(0.5))


def _dunes(random: Random) -> Image.Image:
    hue = random.choice([28, 38, 12])
    picture = _sky(_color(random, 210, 0.45, 0.8), _color(random, hue, 0.15, 0.97))
    draw = ImageDraw.Draw(picture)
    for layer in range(5):
        height, swing, phase = 70 + 24 * layer, random.uniform(8, 22), random.uniform(0, 6.3)
        line = [(x, height + swing * math.sin(x / random.uniform(58, 62) + phase)) for x in range(0, _WIDE + 4, 4)]
        draw.polygon([*line, (_WIDE, _HIGH), (0, _HIGH)], fill=_color(random, hue, 0.5, 0.92 - 0.11 * layer))
    pixels = np.asarray(picture, np.float64)
    waves: NDArray[np.float64] = np.sin(np.mgrid[0:_HIGH, 0:_WIDE][0] * 1.3 + 3 * np.sin(np.arange(_WIDE) / 15))
    pixels[80:] += 5 * waves[80:, :, None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))


KINDS: dict[str, Callable[[Random], Image.Image]] = {
    "balloons": _balloons,
    "dunes": _dunes,
    "flowers": _flowers,
    "forest": _forest,
    "mountains": _mountains,
    "night city": _night,
    "planets": _planets,
    "sea": _sea,
}


def made_pictures(data_root: Path | None = None) -> MadePictures:
    """Open the made pictures; they lie nowhere."""
    return MadePictures()


def photograph_pieces(data_root: Path | None = None) -> PhotographPieces:
    """Open the pieces of photographs; they lie in the packages."""
    return PhotographPieces()
