"""Images as one array: order, broken files skipped and listed, memory map, nothing readable."""

from __future__ import annotations

import numpy as np
import pytest

import engine.clustering.image_stack as image_stack
from engine.clustering.hadis import HaDis, HaDisSettings
from engine.clustering.image_stack import stack_images, stack_of_contents
from engine.errors import InputError
from engine.ids import to_bytes
from engine.images.arrays import bmp
from engine.images.decode import decode_square
from tests.engine.clustering.test_hadis import TOY, Stopper, shapes


def files(count: int, broken=()) -> list[bytes]:
    return [b"no picture" if i in broken else bmp(picture) for i, picture in enumerate(shapes(count))]


def test_broken_files_are_skipped_and_listed():
    data, listener = files(600, {0, 255, 300, 599}), Stopper()
    stack = stack_images(600, lambda row: decode_square(data[row], 8), 8, progress=listener)
    assert [row for row, _ in stack.failures] == [0, 255, 300, 599]
    assert all(reason for _, reason in stack.failures)
    assert stack.rows.tolist() == [i for i in range(600) if i not in {0, 255, 300, 599}]
    np.testing.assert_array_equal(stack.images, shapes(600)[stack.rows])
    assert "4 of 600 images" in listener.said[0]


def test_training_goes_on_without_the_broken_and_gives_them_no_label():
    data = files(40, {7, 20})
    stack = stack_images(40, lambda row: decode_square(data[row], 8), 8)
    model = HaDis(HaDisSettings(**(TOY | {"n_epochs": 1}))).fit(stack.images)
    labels = stack.labels(model.labels_)
    assert len(labels) == 40 and np.flatnonzero(labels < 0).tolist() == [7, 20]
    assert stack.spread(model.confidence_, missing=0)[7] == 0


def test_large_sets_are_memory_mapped(monkeypatch, tmp_path):
    monkeypatch.setattr(image_stack, "IN_MEMORY_BYTES", 100)
    data = files(30, {3})
    stack = stack_images(30, lambda row: decode_square(data[row], 8), 8, file=tmp_path / "images.npy")
    assert isinstance(stack.images, np.memmap)
    np.testing.assert_array_equal(stack.images, shapes(30)[stack.rows])
    assert [p.name for p in tmp_path.iterdir()] == ["images.npy"]


def test_nothing_readable_is_said():
    with pytest.raises(InputError, match="None of the images"):
        stack_images(2, lambda row: decode_square(b"", 8), 8)


def test_images_of_a_data_set_by_content(workspace, tmp_path):
    from engine.images.datasets import add_folder, load_images
    from engine.images.scan import scan

    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, data in enumerate(files(12)):
        (folder / f"{i:02}.bmp").write_bytes(data)
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    table = load_images(workspace, dataset.id)
    stack = stack_of_contents(workspace, to_bytes(table.contents), 8)
    np.testing.assert_array_equal(stack.images, shapes(12))
