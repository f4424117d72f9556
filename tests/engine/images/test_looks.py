"""Looks: what re-encoding, resizing and a small cut leave alike, and what another photograph does not."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import convolve

from benchmarks.made_photographs import KINDS, _photograph
from engine.images.looks import _CUTS, ALIKE, SIDE, _matrices, alike, look_hash, look_of, roughly_alike
from engine.images.thumbnails import encode_thumbnail


@pytest.fixture(scope="module")
def photographs():
    return [_photograph(kind, number) for kind in KINDS for number in range(6)]


def looks(pictures):
    return np.stack([look_of(encode_thumbnail(picture)) for picture in pictures])


def jpeg(picture, quality):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cut(picture, share):
    width, height = picture.size
    left, top = round(width * share / 2), round(height * share / 2)
    return picture.crop((left, top, width - (round(width * share) - left), height - (round(height * share) - top)))


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: jpeg(picture, 40),
        lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
        lambda picture: cut(picture, 0.05),
        lambda picture: jpeg(cut(picture, 0.05).resize((picture.width // 2, picture.height // 2)), 40),
    ],
    ids=["JPEG 40", "half", "5% cut off", "all three"],
)
def test_the_same_picture_in_another_file_is_alike(photographs, change):
    found = alike(looks(photographs), looks([change(picture) for picture in photographs]))
    assert np.mean(found >= ALIKE) >= 0.95


def test_other_photographs_of_the_same_kind_are_not(photographs):
    own = looks(photographs)
    one, other = np.triu_indices(len(own), 1)
    kind = np.arange(len(own)) // 6
    same_kind = kind[one] == kind[other]
    assert alike(own[one[same_kind]], own[other[same_kind]]).max() < ALIKE


def test_it_does_not_matter_which_comes_first(photographs):
    own = looks(photographs[:12])
    changed = looks([cut(picture, 0.08) for picture in photographs[:12]])
    np.testing.assert_allclose(alike(own, changed), alike(changed, own), atol=1e-5)


def test_the_likeness_is_that_of_the_definition(photographs):
    """A slow reference in float64: every cut of one against the other whole, both ways, and the detail there."""
    first, second = looks(photographs[:1])[0], looks([cut(photographs[0], 0.1)])[0]
    pieces = _matrices().astype(np.float64)

    def every(a, b):
        whole = pieces[0] @ a @ pieces[0].T
        cuts = [pieces[v] @ b @ pieces[u].T for v in range(len(_CUTS)) for u in range(len(_CUTS))]
        return [(np.corrcoef(whole.ravel(), piece.ravel())[0, 1], whole, piece) for piece in cuts]

    a, b = first.astype(np.float64), second.astype(np.float64)
    value, whole, piece = max([*every(a, b), *every(b, a)], key=lambda found: found[0])
    detail = [convolve(part, [[0, -1, 0], [-1, 4, -1], [0, -1, 0]])[1:-1, 1:-1].ravel() for part in (whole, piece)]
    wanted = min(value, np.corrcoef(*detail)[0, 1] + 0.17)
    assert value >= ALIKE and min(np.sqrt(np.mean(part**2)) for part in detail) > 6
    assert alike(first[None], second[None])[0] == pytest.approx(wanted, abs=1e-4)


def test_the_rough_comparison_keeps_what_is_alike(photographs):
    both = np.concatenate([looks(photographs), looks([cut(picture, 0.05) for picture in photographs])])
    one, other = np.triu_indices(len(both), 1)
    fine = alike(both[one], both[other]) >= ALIKE
    rough = roughly_alike(both, one, other)
    assert fine.sum() >= 0.9 * len(photographs) and rough[fine].all() and rough.mean() < 0.5


def test_areas_are_kept_by_every_cut():
    assert np.allclose(_matrices().sum(axis=2), 1)


def test_flat_pictures_are_alike_only_where_they_have_the_same_grey():
    grey = np.full((3, SIDE, SIDE), 100, np.uint8)
    grey[1], grey[2] = 101, 200
    assert alike(grey[[0, 0]], grey[[1, 2]]).tolist() == [1, -1]


def test_hashes_change_little_with_the_file_and_much_with_the_picture(photographs):
    own = look_hash(looks(photographs))
    again = look_hash(looks([jpeg(picture, 40) for picture in photographs]))
    changed = np.unpackbits(own ^ again, axis=1).sum(axis=1)
    others = np.unpackbits(own ^ np.roll(own, 1, axis=0), axis=1).sum(axis=1)
    assert changed.max() <= 8 < np.median(others)
