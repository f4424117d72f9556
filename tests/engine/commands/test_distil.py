"""Distil from the command line: the images nearest to the small set lie in a folder for each cluster."""

from pathlib import Path

import numpy as np
from PIL import Image

from engine.core.files import content_id, read_json

SHORT = (
    "--images-per-class",
    2,
    "--distill-epochs",
    2,
    "--seeds",
    1,
    "--n-experts",
    2,
    "--expert-epochs",
    3,
    "--match-epochs",
    1,
    "--evaluation-updates",
    50,
)


def test_the_nearest_images_are_copied_into_a_folder_for_each_cluster(engine, refused, tmp_path):
    photos, rng = tmp_path / "photos", np.random.default_rng(0)
    photos.mkdir()
    for at in range(24):
        pixels = rng.integers(0, 40, (16, 16, 3), dtype=np.uint8)
        pixels[..., at % 2] += 200
        Image.fromarray(pixels).save(photos / f"{at:02d}.png")
    ended = engine("run", "--folder", photos, "--num-clusters", 2, "--results-dir", tmp_path / "runs")
    assert ended.status == 0, ended.err
    found = engine("distil", ended.last, *SHORT, "--export-dir", tmp_path / "small")
    assert found.status == 0, found.err
    folder = Path(ended.last) / "distillation"
    with np.load(folder / f"{read_json(folder / 'results.json')['chosen']}.npz") as arrays:
        expected = {
            (f"cluster {label}", bytes(content))
            for label, content in zip(arrays["labels"].tolist(), arrays["nearest_contents"], strict=True)
        }
    written = {
        (path.parent.name, content_id(path.read_bytes()).rstrip(b"\0")) for path in (tmp_path / "small").glob("*/*.png")
    }
    assert written == {(name, content.rstrip(b"\0")) for name, content in expected}
    assert "not empty" in refused("distil", ended.last, *SHORT, "--export-dir", tmp_path / "small")
    assert len(list(photos.iterdir())) == 24


def test_vectors_have_no_images_to_copy(refused, engine, vectors, tmp_path):
    ended = engine("run", "--vectors", vectors, "--num-clusters", 4, "--results-dir", tmp_path)
    assert "no images" in refused("distil", ended.last, *SHORT, "--export-dir", tmp_path / "x")
