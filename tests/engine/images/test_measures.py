"""What is known of each image beside its vector."""

import os

import numpy as np

from engine.images.datasets import add_folder
from engine.images.measures import DAY, load_measures
from engine.images.scan import scan
from engine.images.tables import load_images
from tests.seed import coloured_pictures


def test_size_date_and_folder_are_those_of_the_files(workspace, tmp_path):
    folder = coloured_pictures(tmp_path / "pictures", 6)
    inside = folder / "a" / "b"
    inside.mkdir(parents=True)
    first, *others = sorted(folder.glob("*.*"))
    first.rename(inside / first.name)
    for at, path in enumerate(others):
        os.utime(path, (DAY * (100 + at), DAY * (100 + at)))
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    table, found = load_images(workspace, dataset.id), load_measures(workspace, dataset.id)
    names = [path.decode() for path in table.paths]
    assert found.folders.tolist() == ["a/b" if name.startswith("a/") else "" for name in names]
    for name, day, size in zip(names, found.numbers["changed"], found.numbers["file size"], strict=True):
        stat = (folder / name).stat()
        assert np.isclose(day, stat.st_mtime / DAY) and np.isclose(size, stat.st_size / 1e3)
    assert "megapixels" not in found.numbers, "they all have the same number of pixels"
