"""ResNets and the trained backbone as an encoder: shapes, file round trip, refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from engine.core.errors import InputError, WeightsError
from engine.embeddings.encoders.registry import find_encoder
from engine.embeddings.encoders.resnet import Resnet, ResnetSettings
from engine.embeddings.encoders.resnet_network import (
    Backbone,
    build_resnet,
    load_backbone,
    projection_head,
    save_backbone,
    standardise,
)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    network = build_resnet("resnet_small", 8)
    projector = projection_head(64, 16, 12)
    network(torch.randn(32, 3, 8, 8))  # batch statistics that are not the start's
    own = Backbone(
        "resnet_small", 8, [0.4, 0.5, 0.6], [0.2, 0.3, 0.2], network.eval(), projector.eval(), torch.eye(3, 12)
    )
    path = tmp_path / "backbone.pt"
    save_backbone(path, own)
    return own, path


@pytest.mark.parametrize(
    ("name", "side", "dimension", "millions"), [("resnet18", 32, 512, 11.17), ("resnet34", 32, 512, 21.28)]
)
def test_published_networks_have_their_size(name, side, dimension, millions):
    network = build_resnet(name, side)
    assert network.dimension == dimension
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


def test_small_images_keep_their_size_through_the_stem():
    for side, expected in ((96, 96), (97, 25)):
        network = build_resnet("resnet18", side)
        with torch.no_grad():
            stem = network.pool(network.stem(torch.zeros(1, 3, side, side)))
        assert stem.shape[2] == expected


def test_small_network_is_a_quarter_wide_with_three_stages():
    network = build_resnet("resnet_small", 8)
    assert network.dimension == 64 and network.stem.out_channels == 16
    assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 64)


@pytest.mark.parametrize(("layer", "dimension"), [("backbone", 64), ("projection", 12)])
def test_encoder_gives_what_the_network_gives(saved, rng, layer, dimension):
    own, path = saved
    images = rng.integers(256, size=(7, 8, 8, 3)).astype(np.uint8)
    settings = ResnetSettings(checkpoint=str(path), layer=layer, batch_size=3)
    encoder = find_encoder("hadis").build(settings, device="cpu")
    assert isinstance(encoder, Resnet)
    assert (encoder.side, encoder.dimension, encoder.device) == (8, dimension, "cpu")
    with torch.no_grad():
        x = own.network(standardise(torch.from_numpy(images), own.mean, own.std))
        expected = torch.nn.functional.normalize(own.projector(x) if layer == "projection" else x, dim=1)
    found = encoder.encode(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert encoder.encode(images[:0]).shape == (0, dimension)


def test_encoder_survives_pickling_and_names_its_weights(saved, rng):
    _, path = saved
    encoder = Resnet(ResnetSettings(checkpoint=str(path)), device="cpu")
    images = rng.integers(256, size=(3, 8, 8, 3)).astype(np.uint8)
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(again.encode(images), encoder.encode(images))
    assert len(encoder.revision) == 32 and again.revision == encoder.revision


def test_standardise_uses_each_channels_own_numbers():
    found = standardise(torch.full((1, 2, 2, 3), 255, dtype=torch.uint8), [0.0, 0.5, 1.0], [1.0, 0.5, 2.0])
    assert found[0, :, 0, 0].tolist() == [1.0, 1.0, 0.0]


def test_missing_damaged_and_foreign_files_are_told(saved, tmp_path):
    _, path = saved
    with pytest.raises(WeightsError, match="No trained backbone was named"):
        Resnet(ResnetSettings(), device="cpu")
    with pytest.raises(WeightsError, match="no trained backbone at"):
        load_backbone(tmp_path / "absent.pt")
    cut = tmp_path / "cut.pt"
    cut.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WeightsError, match="damaged"):
        load_backbone(cut)
    other = tmp_path / "other.pt"
    torch.save({"weights": torch.zeros(3)}, other)
    with pytest.raises(WeightsError, match="not a backbone"):
        load_backbone(other)


def test_images_of_another_size_are_refused(saved):
    encoder = Resnet(ResnetSettings(checkpoint=str(saved[1])), device="cpu")
    with pytest.raises(InputError, match="8 x 8"):
        encoder.encode(np.zeros((2, 9, 9, 3), np.uint8))
