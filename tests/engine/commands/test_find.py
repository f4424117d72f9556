"""Finding images in a terminal gives what the page gives: nearest first, examples against left behind."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from tests.seed import coloured_pictures


@pytest.fixture
def folder(tmp_path):
    return coloured_pictures(tmp_path / "pictures", 30)


def found(said, output):
    assert said.status == 0, said.err
    with output.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_picture_finds_itself_and_its_like_first(engine, folder, tmp_path):
    picture = sorted(folder.iterdir())[0]
    rows = found(
        engine("find", "--folder", folder, "--like", picture, "--output", tmp_path / "f.csv"), tmp_path / "f.csv"
    )
    assert rows[0]["path"] == picture.name
    assert float(rows[0]["cosine"]) == pytest.approx(1, abs=1e-3)
    assert len(rows) == 20
    cosines = [float(row["cosine"]) for row in rows]
    assert cosines == sorted(cosines, reverse=True)

    def colour(name):
        return int(np.asarray(Image.open(folder / name).convert("RGB"), float).mean(axis=(0, 1)).argmax())

    assert {colour(row["path"]) for row in rows[:8]} == {colour(picture.name)}


def test_an_example_against_pushes_its_like_behind(engine, folder, tmp_path):
    names = sorted(path for path in folder.iterdir())
    like, unlike = names[0], names[1]
    out = tmp_path / "f.csv"
    words = ("find", "--folder", folder, "--like", like, "--unlike", unlike, "--top", 30, "--output", out)
    order = [row["path"] for row in found(engine(*words), out)]
    assert order.index(like.name) < order.index(unlike.name)
    assert order.index(unlike.name) >= 20


def test_bad_questions_are_one_sentence(refused, folder, tmp_path):
    assert refused("find", "--folder", folder).startswith("There is nothing to look for.")
    assert "at least 1" in refused("find", "--folder", folder, "--like", "x", "--top", 0)
    assert "cannot be read" in refused("find", "--folder", folder, "--like", tmp_path / "none.png")
    assert "does not know words" in refused("find", "--folder", folder, "--words", "a red square")
    (tmp_path / "note.txt").write_text("no picture")
    assert "No picture can be read from" in refused("find", "--folder", folder, "--like", tmp_path / "note.txt")
