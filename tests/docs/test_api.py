"""docs/api.md is run as it stands, on a small folder of pictures in three shapes."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def class_folders(folder: Path, each: int = 20) -> None:
    """Write noisy grey pictures of discs, of flat and of upright stripes, one folder for each."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    for name in ("discs", "flat", "upright"):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            shift = rng.integers(0, 8)
            disc = (x - 28 - shift) ** 2 + (y - 32) ** 2 < 400
            shape = {"discs": disc, "flat": (y + shift) % 16 < 8, "upright": (x + shift) % 16 < 8}[name]
            pixels = rng.integers(0, 40, (64, 64), dtype=np.uint8) + 180 * shape.astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02d}.png")


def test_every_example_of_the_page_gives_what_it_says(workspace, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "photos")
    found = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert found.failed == 0, capsys.readouterr().out
    assert found.attempted > 30


def test_the_page_has_each_use_that_people_ask_for():
    text = PAGE.read_text(encoding="utf-8")
    for words in ("## Embed", ".fit(", ".predict(", "space=space", "pseudo_label(", "read_csv(", "coding_curve("):
        assert words in text
