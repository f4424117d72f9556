"""Tiny models with random weights, saved by transformers and loaded through the real path."""

import json
import pickle

import numpy as np
import pytest

from engine.core.errors import InputError, WeightsError
from engine.embeddings.encoders.dino import MODELS, Dino, DinoSettings

TOWER = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def save(folder, name):
    """Save a tiny model of one kind."""
    import torch
    import transformers as hub

    torch.manual_seed(0)
    makers = {
        "dinov2": lambda: hub.Dinov2Model(hub.Dinov2Config(**TOWER, image_size=56, patch_size=14)),
        "dinov3": lambda: hub.DINOv3ViTModel(
            hub.DINOv3ViTConfig(**TOWER, intermediate_size=64, image_size=64, patch_size=16)
        ),
        "dinov3-convnext": lambda: hub.DINOv3ConvNextModel(
            hub.DINOv3ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
        ),
        "vit": lambda: hub.ViTModel(hub.ViTConfig(**TOWER, intermediate_size=64, image_size=64, patch_size=16)),
        "resnet": lambda: hub.ResNetModel(
            hub.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1])
        ),
        "swin": lambda: hub.SwinModel(
            hub.SwinConfig(image_size=64, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4)
        ),
        "text": lambda: hub.BertModel(hub.BertConfig(**TOWER, intermediate_size=64, vocab_size=50)),
    }
    makers[name]().save_pretrained(folder / name)
    return str(folder / name)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    known = {}
    return lambda name: known.setdefault(name, None) or known.update({name: save(folder, name)}) or known[name]


def build(model, **settings):
    return Dino(DinoSettings(model=model, **settings), device="cpu")


@pytest.fixture
def images(rng):
    return rng.integers(0, 255, (4, 224, 224, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["dinov2", "dinov3", "dinov3-convnext"])
def test_the_vector_is_the_class_token(saved, name, images):
    import torch
    import transformers

    encoder = build(saved(name))
    assert (encoder.side, encoder.dimension, encoder.notes) == (224, 32, [])
    values = ((images / 255 - IMAGENET_MEAN) / IMAGENET_STD).transpose(0, 3, 1, 2)
    model = transformers.AutoModel.from_pretrained(saved(name)).eval()
    with torch.no_grad():
        expected = model(pixel_values=torch.tensor(values, dtype=torch.float32)).last_hidden_state[:, 0].numpy()
    found = encoder.encode(images)
    assert found.dtype == np.float32
    assert np.allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-4)


def test_mean_and_deviation_come_from_the_model_when_it_has_its_own(saved, images, tmp_path):
    import shutil

    own = tmp_path / "own"
    shutil.copytree(saved("dinov2"), own)
    before = build(str(own))
    (own / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}))
    after = build(str(own))
    assert not np.allclose(before.encode(images), after.encode(images), atol=1e-3)
    assert before.revision != after.revision


def test_any_resolution_for_dino_and_interpolation_for_a_plain_vit(saved):
    assert build(saved("dinov2"), resolution=70).side == 70
    assert "last 6 rows" in build(saved("dinov2"), resolution=90).notes[0]
    assert build(saved("dinov3"), resolution=96).side == 96
    assert build(saved("vit")).side == 64, "a model that knows one size is given that size"
    assert build(saved("vit"), resolution=96).side == 96


def test_a_model_that_cannot_interpolate_refuses_with_the_reason(saved, monkeypatch):
    from engine.embeddings.encoders import dino

    monkeypatch.setattr(dino, "_takes_option", lambda model: False)
    with pytest.raises(InputError, match="takes images of 64 pixels only, not 96: its position embeddings cannot"):
        build(saved("vit"), resolution=96)


@pytest.mark.parametrize(
    ("name", "sentence"), [("resnet", "no class token"), ("swin", "no class token"), ("text", "no image model")]
)
def test_models_without_a_class_token_are_refused(saved, name, sentence):
    with pytest.raises(WeightsError, match=sentence):
        build(saved(name))


def test_pickling_keeps_the_vectors(saved, images):
    encoder = build(saved("dinov2"))
    assert np.array_equal(pickle.loads(pickle.dumps(encoder)).encode(images), encoder.encode(images))


def test_incomplete_and_damaged_weights_are_told(saved, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "lacking"
    shutil.copytree(saved("dinov2"), folder)
    state = load_file(folder / "model.safetensors")
    del state["layernorm.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="lack 1 parameters, the first is layernorm.weight"):
        build(str(folder))
    (folder / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        build(str(folder))
    shutil.copy(f"{saved('vit')}/model.safetensors", folder)
    with pytest.raises(WeightsError, match="cannot be loaded"):
        build(str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="holds no model.safetensors"):
        build(str(folder))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_absent_weights_name_file_size_and_place(model, monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("KINDRED_WEIGHTS", str(tmp_path / "weights"))
    with pytest.raises(WeightsError) as caught:
        build(model.name)
    assert f"model.safetensors ({model.megabytes:,} MB) into {tmp_path}" in caught.value.sentence


def test_settings_and_revision_need_no_torch(saved):
    import subprocess
    import sys

    code = (
        "import sys; from engine.embeddings.encoders.registry import find_encoder\n"
        f"e = find_encoder('dino'); e.revision(e.settings_class(model={saved('dinov2')!r}))\n"
        "find_encoder('clip').settings_class(); find_encoder('descriptor').settings_class()\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
