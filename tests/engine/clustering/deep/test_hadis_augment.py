"""Augmentation: crops against Pillow's and torchvision's, hue against torchvision, draws that stay in bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as reference

from engine.clustering.deep.hadis.augment import (
    Augmentation,
    blend,
    luminance,
    random_boxes,
    resize,
    shift_hue,
)

PLAIN = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


@pytest.fixture
def images(rng):
    return torch.from_numpy(rng.integers(256, size=(5, 20, 20, 3)).astype(np.uint8))


def test_crops_resize_as_torchvision_does(images):
    boxes = torch.tensor([[0, 0, 20, 20], [3, 5, 7, 9], [10, 2, 10, 13], [19, 19, 1, 1], [1, 2, 18, 16]])
    flips = torch.tensor([False, True, False, False, True])
    found = resize(images, boxes, 8, flips)
    for i, (top, left, height, width) in enumerate(boxes.tolist()):
        x = images[i].permute(2, 0, 1).float()[None] / 255
        expected = reference.resized_crop(x, top, left, height, width, [8, 8], antialias=True)
        expected = expected.flip(3) if flips[i] else expected
        torch.testing.assert_close(found[i : i + 1], expected, atol=2e-4, rtol=0)


def test_boxes_stay_inside_and_are_distributed_as_torchvisions():
    boxes = random_boxes(4000, 32, 32, 0.08, torch.Generator().manual_seed(0))
    top, left, height, width = boxes.T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 32).all() and (left + width <= 32).all() and (height >= 1).all()
    share = (height * width) / 1024
    assert 0.07 < float(share.min()) < 0.12 and float(share.max()) > 0.9
    assert float((width / height).max()) < 1.5
    torch.manual_seed(0)
    blank = torch.zeros(1, 32, 32)
    drawn = [RandomResizedCrop.get_params(blank, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)]
    expected = torch.tensor(drawn).float()
    for mine, theirs in zip(boxes.float().T, expected.T, strict=True):
        assert float(mine.mean()) == pytest.approx(float(theirs.mean()), abs=0.6)
        assert float(mine.std()) == pytest.approx(float(theirs.std()), abs=0.6)


def test_an_image_smaller_than_its_view_is_enlarged():
    boxes = random_boxes(50, 2, 2, 0.08, torch.Generator().manual_seed(0))
    assert (boxes[:, 2:] >= 1).all()
    own = Augmentation(16, **PLAIN)
    views = own.views(torch.full((50, 2, 2, 3), 128, dtype=torch.uint8), torch.Generator().manual_seed(0))
    assert views.shape == (50, 3, 16, 16) and torch.isfinite(views).all()


def test_hue_equals_torchvision(rng):
    x = torch.from_numpy(rng.random((6, 3, 5, 5)).astype(np.float32))
    x[0] = 0.3  # no colour at all
    amounts = torch.tensor([0.1, -0.1, 0.37, 0.0, 0.5, -0.25])
    for i in range(6):
        expected = reference.adjust_hue(x[i], float(amounts[i]))
        torch.testing.assert_close(shift_hue(x[i : i + 1], amounts[i : i + 1])[0], expected, atol=1e-5, rtol=0)


def test_saturation_and_contrast_equal_torchvision(rng):
    x = torch.from_numpy(rng.random((1, 3, 6, 6)).astype(np.float32))
    amount = torch.tensor(0.3).view(1, 1, 1, 1)
    torch.testing.assert_close(blend(x, luminance(x), amount), reference.adjust_saturation(x, 1.3), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        blend(x, luminance(x).mean(dim=(2, 3), keepdim=True), amount),
        reference.adjust_contrast(x, 1.3),
        atol=1e-3,
        rtol=0,
    )


def test_plain_images_are_only_standardised(images):
    found = Augmentation(20, **PLAIN).plain(images)
    torch.testing.assert_close(found, (images.permute(0, 3, 1, 2) / 255 - 0.5) / 0.25)
    assert Augmentation(10, **PLAIN).plain(images).shape == (5, 3, 10, 10)


def test_views_follow_their_generator(images):
    own = Augmentation(12, **PLAIN)
    one, two = (own.views(images, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, own.views(images, torch.Generator().manual_seed(8)))


def test_grayscale_probability():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(256, size=(400, 6, 6, 3)).astype(np.uint8))
    own = Augmentation(6, [0, 0, 0], [1, 1, 1], jitter=0, grayscale=0.2)
    views = own.views(images, torch.Generator().manual_seed(0))
    gray = (views[:, 0] == views[:, 1]).flatten(1).all(dim=1)
    assert float(gray.float().mean()) == pytest.approx(0.2, abs=0.06)


def test_images_without_colour_keep_equal_channels():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(256, size=(9, 6, 6, 1)).astype(np.uint8)).expand(9, 6, 6, 3)
    views = Augmentation(6, [0.5] * 3, [0.5] * 3, gray=True).views(images, torch.Generator().manual_seed(0))
    torch.testing.assert_close(views[:, 0], views[:, 2], atol=1e-6, rtol=0)
