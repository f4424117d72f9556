import numpy as np
import pytest

from engine.embeddings.encoders import descriptor
from engine.embeddings.encoders.descriptor import Descriptor, DescriptorSettings
from engine.images.decode import decode_square
from engine.images.sets.registry import find_benchmark
from engine.images.sources import FolderSource
from tests.conftest import shared_data


@pytest.fixture
def images(rng):
    coarse = rng.integers(0, 255, (6, 8, 8, 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, axis=1).repeat(8, axis=2))


def nearest_accuracy(source, count):
    """Leave-one-out 1-NN accuracy on every n-th image, so that about `count` are left."""
    entries = list(source.entries())
    entries = entries[:: max(1, len(entries) // count)]
    squares = np.stack([decode_square(source.read(entry.name), descriptor.SIDE) for entry in entries])
    vectors = Descriptor().encode(squares)
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -np.inf)
    truth = np.array([entry.truth for entry in entries])
    return float((truth[similar.argmax(axis=1)] == truth).mean())


def test_vectors_have_length_one_and_the_dimension_that_is_said(images):
    vectors = Descriptor().encode(images)
    assert vectors.shape == (6, Descriptor.dimension) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_an_image_is_the_same_alone_and_in_a_batch(images):
    encoder = Descriptor()
    alone = np.concatenate([encoder.encode(images[i : i + 1]) for i in range(len(images))])
    assert np.allclose(encoder.encode(images), alone, atol=1e-6)


def test_an_even_image_gives_a_finite_vector():
    even = np.full((2, 64, 64, 3), [[[[0]]], [[[200]]]], dtype=np.uint8)
    assert np.isfinite(Descriptor().encode(even)).all()


def test_brightness_leaves_the_shape_alone(images):
    dark = images // 2
    grey, dim = (batch.astype(np.float32) @ descriptor._LUMA for batch in (images, dark))
    a, b = descriptor._shape(grey), descriptor._shape(dim)
    similar = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert similar.min() > 0.98


def test_weights_decide_what_counts(images):
    recoloured = images[..., ::-1]
    blind = Descriptor(DescriptorSettings(colour_weight=0, texture_weight=0))
    seeing = Descriptor(DescriptorSettings(colour_weight=2, texture_weight=0))
    similar = [(encoder.encode(images) * encoder.encode(recoloured)).sum(axis=1).mean() for encoder in (blind, seeing)]
    assert similar[0] > similar[1] + 0.1


def test_texture_histograms_count_every_pixel_once(images):
    histograms = descriptor._texture(images.astype(np.float32) @ descriptor._LUMA) ** 2
    assert np.allclose(histograms.reshape(6, 16, 10).sum(axis=2), 1, atol=1e-5)


def test_nearest_neighbours_of_digits_are_the_same_digit():
    assert nearest_accuracy(find_benchmark("digits").build(None), 400) > 0.95


@pytest.mark.parametrize(("name", "count", "least"), [("clothing_341", 341, 0.47), ("sign_digits", 500, 0.5)])
def test_nearest_neighbours_of_photographs(name, count, least):
    folder = shared_data(name)
    assert nearest_accuracy(FolderSource(folder, truth_from_folders=True), count) > least
