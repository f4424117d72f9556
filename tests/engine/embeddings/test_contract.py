"""What every encoder of the registry promises; a new one is tested by its entry alone."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from engine.core.errors import InputError, WeightsError
from engine.core.settings import controls
from engine.embeddings.encoders.registry import (
    ENCODERS,
    TextEncoder,
    encoder_for_model,
    encoder_of_vectors,
    expand_grid,
    find_encoder,
    model_names,
)

ALL = pytest.mark.parametrize("entry", list(ENCODERS.values()), ids=list(ENCODERS))


def built_in():
    return [pytest.param(entry, id=name) for name, entry in ENCODERS.items() if entry.needs == "nothing"]


@pytest.fixture
def nothing_here(monkeypatch, tmp_path):
    """No network, and no weights on this machine but those that packages bring."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("KINDRED_WEIGHTS", str(tmp_path / "weights"))


@ALL
def test_an_entry_says_what_it_is_good_for_in_a_sentence(entry):
    assert entry.name == entry.name.lower() and entry.title
    assert entry.sentence.endswith(".") and "\n" not in entry.sentence
    assert find_encoder(entry.name) is entry


@ALL
def test_capabilities_are_those_of_the_class(entry):
    assert entry.reads_text == hasattr(entry.encoder_class, "encode_text")
    assert entry.any_model == hasattr(entry.encoder_class, "reads_model")
    assert not entry.models or "model" in entry.settings_class.model_fields
    assert not entry.pretrained or entry.takes == "images"


@ALL
def test_settings_have_one_key_whichever_way_they_are_made(entry):
    settings = entry.settings_class()
    again = entry.settings_class.parse(json.loads(settings.model_dump_json()))
    assert again == settings and again.key() == settings.key()
    assert all(control.help.endswith(".") for control in controls(entry.settings_class))


@ALL
def test_known_models_lead_back_to_their_encoder(entry):
    names = [model.name for model in entry.models]
    assert len(set(names)) == len(names)
    for name in names:
        found, settings = encoder_for_model(name)
        assert found is entry and settings.model == name
    assert encoder_for_model(entry.name)[0] is entry


@pytest.mark.parametrize("entry", built_in())
def test_what_needs_nothing_encodes_offline(entry, nothing_here, rng):
    encoder = entry.build(entry.settings_class(), device="cpu")
    images = rng.integers(0, 256, (5, encoder.side, encoder.side, 3), dtype=np.uint8)
    images[0] = 0
    vectors = encoder.encode(images)
    assert vectors.shape == (5, encoder.dimension) and vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert encoder.revision == entry.revision(entry.settings_class(), download=False)
    assert encoder.batch_size >= 1 and isinstance(encoder.notes, list)
    assert isinstance(encoder, TextEncoder) == entry.reads_text
    alone = np.concatenate([encoder.encode(images[row : row + 1]) for row in range(5)])
    np.testing.assert_allclose(alone, vectors, atol=1e-4)
    again = pickle.loads(pickle.dumps(encoder))
    assert getattr(again, "device", "cpu") == "cpu"
    np.testing.assert_allclose(again.encode(images), vectors, atol=1e-6)


def test_a_pickled_encoder_goes_to_the_device_it_was_on(monkeypatch):
    from engine.core import device
    from engine.embeddings.encoders.vision import VisionEncoder

    monkeypatch.setattr(device, "gpus", lambda: ("cuda",))
    kept = pickle.dumps(VisionEncoder(device="cuda:1"))
    assert pickle.loads(kept).device == "cuda:1"
    monkeypatch.setattr(device, "gpus", tuple)
    with pytest.raises(InputError, match="'cuda:1' is not available here"):
        pickle.loads(kept)


@ALL
def test_what_needs_a_file_says_which(entry, nothing_here):
    if entry.needs == "nothing":
        assert entry.revision(entry.settings_class(), download=False)
        return
    with pytest.raises((WeightsError, InputError)) as caught:
        entry.revision(entry.settings_class())
    told = f"{caught.value.sentence} {caught.value.hint}"
    assert any(name in told for name in (".safetensors", ".pt", ".pth", ".npy"))


def test_one_encoder_is_for_vectors():
    assert encoder_of_vectors().takes == "vectors"


@pytest.mark.parametrize(
    ("model", "encoder", "values"),
    [
        ("ViT-B-32", "clip", {"model": "ViT-B-32", "pretrained": ""}),
        ("ViT-B-32:openai", "clip", {"model": "ViT-B-32", "pretrained": "openai"}),
        ("openai/clip-vit-base-patch16", "clip", {"model": "openai/clip-vit-base-patch16", "pretrained": ""}),
        ("google/siglip2-base-patch16-224", "clip", {"model": "google/siglip2-base-patch16-224"}),
        ("hf-hub:laion/CLIP-ViT-B-32", "clip", {"model": "hf-hub:laion/CLIP-ViT-B-32", "pretrained": ""}),
        ("facebook/dinov2-with-registers-small", "dino", {"model": "facebook/dinov2-with-registers-small"}),
        ("dino:google/vit-base-patch16-224", "dino", {"model": "google/vit-base-patch16-224"}),
        ("clip:someone/words-and-pictures", "clip", {"model": "someone/words-and-pictures"}),
    ],
)
def test_a_models_name_finds_its_encoder(nothing_here, model, encoder, values):
    entry, settings = encoder_for_model(model, 224)
    assert entry.name == encoder
    assert settings.resolution == 224
    assert {name: getattr(settings, name) for name in values} == values


@pytest.mark.parametrize(
    ("name", "config", "encoder"),
    [
        ("config.json", {"model_type": "vit"}, "dino"),
        ("config.json", {"model_type": "siglip", "vision_config": {}}, "clip"),
        ("open_clip_config.json", {"model_cfg": {}}, "clip"),
    ],
)
def test_a_folder_finds_its_encoder_by_its_config(tmp_path, name, config, encoder):
    (tmp_path / name).write_text(json.dumps(config))
    entry, settings = encoder_for_model(str(tmp_path))
    assert entry.name == encoder and settings.model == str(tmp_path)


def test_a_model_that_nobody_can_place_is_asked_about(nothing_here):
    with pytest.raises(InputError, match="Cannot tell which encoder reads the model 'someone/thing'") as caught:
        encoder_for_model("someone/thing")
    assert "clip:someone/thing or dino:someone/thing" in caught.value.hint
    with pytest.raises(InputError, match="resolution"):
        encoder_for_model("ViT-B-32", 5)


def test_every_model_has_every_resolution_but_the_descriptor_has_one():
    found = expand_grid(["descriptor", "ViT-B-32", "descriptor"], [224, 336])
    assert [one[:3] for one in found] == [
        ("descriptor", 0, "descriptor"),
        ("ViT-B-32", 224, "clip"),
        ("ViT-B-32", 336, "clip"),
    ]


def test_a_page_offers_every_encoder_that_needs_no_file_of_the_persons():
    names = model_names()
    assert len(set(names)) == len(names)
    assert {encoder_for_model(name)[0].name for name in names} == {
        name for name, entry in ENCODERS.items() if entry.takes == "images" and entry.needs != "file"
    }
