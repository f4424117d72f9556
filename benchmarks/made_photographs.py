"""Images like photographs in six kinds that share colours, textures and corners, the same bytes at every call."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Color = tuple[int, ...]
WIDE, HIGH = 320, 240
HUES = {"bricks": 15, "cloth": 160, "fruit": 20, "hills": 110, "leaves": 85, "pebbles": 30}  # of 256
KINDS = tuple(HUES)


def write_photographs(folder: Path, each: int = 50) -> Path:
    """Write `each` JPEGs of every kind into class folders."""
    for kind in KINDS:
        (folder / kind).mkdir(parents=True)
        for number in range(each):
            _photograph(kind, number).save(folder / kind / f"{number:03d}.jpg", quality=88)
    return folder


def _photograph(kind: str, number: int) -> Image.Image:
    """Draw a kind; half of the images have another kind in a corner, and light, blur and noise differ."""
    rng = np.random.default_rng([KINDS.index(kind), number])
    picture = _drawn(kind, rng)
    if number % 2 == 0:
        mask = Image.new("L", picture.size, 0)
        left = int(WIDE * rng.uniform(0.4, 0.6)) if number % 4 else -60
        top = int(HIGH * rng.uniform(0.2, 0.45))
        ImageDraw.Draw(mask).ellipse([left, top, left + 260, top + 240], fill=235)
        picture.paste(_drawn(KINDS[int(rng.integers(len(KINDS)))], rng), mask=mask.filter(ImageFilter.GaussianBlur(6)))
    picture = picture.rotate(float(rng.normal(0, 6)), Image.Resampling.BICUBIC, fillcolor=(90, 90, 90))
    picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 2.5))))
    pixels = np.asarray(picture, np.float64)
    across, down = np.meshgrid(np.linspace(-1, 1, WIDE), np.linspace(-1, 1, HIGH))
    light = 1 + 0.3 * (rng.normal() * across + rng.normal() * down).clip(-1.5, 1.5)
    pixels = pixels * light[..., None] * rng.uniform(0.6, 1.15) + rng.normal(0, rng.uniform(3, 18), pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _drawn(kind: str, rng: np.random.Generator) -> Image.Image:
    """Draw a kind in its colours or, as often, in those of any kind."""
    hue = HUES[kind] if rng.random() < 0.5 else HUES[KINDS[int(rng.integers(len(KINDS)))]]
    picture = Image.new("RGB", (WIDE, HIGH), _color(rng, hue, saturation=50 if kind == "pebbles" else 120))
    _DRAWERS[kind](ImageDraw.Draw(picture), rng, hue)
    return picture


def _color(rng: np.random.Generator, hue: float, spread: float = 35, saturation: float = 120) -> Color:
    """Return RGB near a hue (0..255)."""
    parts = np.array([rng.normal(hue, spread) % 256, rng.normal(saturation, 40), rng.normal(150, 40)])
    pixel = Image.new("HSV", (1, 1), tuple(parts.clip(0, 255).astype(int).tolist())).convert("RGB").getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


def _shade(color: Color, by: float) -> Color:
    return tuple(int(np.clip(part + by, 0, 255)) for part in color)


def _bricks(draw: ImageDraw.ImageDraw, rng: np.random.Generator, hue: int) -> None:
    tall = int(rng.integers(14, 34))
    long = int(tall * rng.uniform(1.8, 2.8))
    for row, top in enumerate(range(0, HIGH, tall)):
        for left in range(-long + (row % 2) * long // 2, WIDE, long):
            draw.rectangle([left + 2, top + 2, left + long - 1, top + tall - 1], fill=_color(rng, hue, 8))


def _cloth(draw: ImageDraw.ImageDraw, rng: np.random.Generator, hue: int) -> None:
    colors = [_color(rng, hue, 60) for _ in range(3)]
    step, fold = int(rng.integers(8, 26)), rng.uniform(4, 16)
    for number, left in enumerate(range(-40, WIDE + 40, step)):
        path = [(left + fold * math.sin(down / 35 + number / 4), down) for down in range(0, HIGH + 8, 8)]
        draw.line(path, fill=colors[number % 3], width=step // 2)


def _fruit(draw: ImageDraw.ImageDraw, rng: np.random.Generator, hue: int) -> None:
    draw.rectangle([0, int(HIGH * 0.6), WIDE, HIGH], fill=_color(rng, 25, 20, 70))
    for _ in range(int(rng.integers(1, 5))):
        radius, x, y = rng.uniform(28, 65), rng.uniform(50, WIDE - 50), rng.uniform(70, HIGH - 50)
        color = _color(rng, hue, 40, 190)
        for part in np.linspace(1, 0.1, 12):
            size, shift = radius * part, (1 - part) * radius * 0.3
            box = [x - size - shift, y - size - shift, x + size - shift, y + size - shift]
            draw.ellipse(box, fill=_shade(color, (1 - part) * 70))


def _hills(draw: ImageDraw.ImageDraw, rng: np.random.Generator, hue: int) -> None:
    sky = _color(rng, 145, 15, 90)
    for row in range(HIGH):
        draw.line([0, row, WIDE, row], fill=_shade(sky, 60 * row / HIGH))
    for layer in range(3):
        phase, height = rng.uniform(0, 6), HIGH * (0.45 + 0.16 * layer)
        ridge = [
            (x, height + 22 * math.sin(x / 60 + phase) + 8 * math.sin(x / 17 + phase)) for x in range(0, WIDE + 4, 4)
        ]
        draw.polygon([*ridge, (WIDE, HIGH), (0, HIGH)], fill=_color(rng, hue - 15 * layer, 20))


def _leaves(draw: ImageDraw.ImageDraw, rng: np.random.Generator, hue: int) -> None:
    for _ in range(int(rng.integers(90, 220))):
        start, length, turn = rng.uniform(-10, (WIDE, HIGH)), rng.uniform(14, 44), rng.uniform(0, 2 * math.pi)
        ahead = length * np.array([math.cos(turn), math.sin(turn)])
        aside = 0.22 * ahead[::-1] * (-1, 1)
        corners = (start, start + ahead / 2 + aside, start + ahead, start + ahead / 2 - aside)
        draw.polygon([(float(a), float(b)) for a, b in corners], fill=_color(rng, hue, 20))


def _pebbles(draw: ImageDraw.ImageDraw, rng: np.random.Generator, hue: int) -> None:
    for _ in range(int(rng.integers(90, 220))):
        x, y, length = rng.uniform(-10, WIDE), rng.uniform(-10, HIGH), rng.uniform(14, 44)
        box = [x, y, x + length, y + length * rng.uniform(0.6, 1)]
        draw.ellipse(box, fill=_color(rng, hue, 20, 50), outline=(60, 55, 50))


_DRAWERS = {
    "bricks": _bricks,
    "cloth": _cloth,
    "fruit": _fruit,
    "hills": _hills,
    "leaves": _leaves,
    "pebbles": _pebbles,
}
