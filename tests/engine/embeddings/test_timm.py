"""Small models of timm with random weights, saved as timm saves them and loaded through the real path."""

import json

import numpy as np
import pytest

from engine.core.errors import InputError, WeightsError
from engine.embeddings.encoders.registry import encoder_for_model
from engine.embeddings.encoders.timm import MODELS, Timm, TimmSettings


def save(folder, architecture, **options):
    """Save a random model with its config, as it lies on the hub."""
    import timm
    import torch
    from timm.models import save_for_hf

    torch.manual_seed(0)
    model = timm.create_model(architecture, **options)
    save_for_hf(model, folder, safe_serialization=True)
    return str(folder)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: save(folder / name, name, num_classes=7) for name in ("test_vit", "test_convnext")}


def build(model, **settings):
    return Timm(TimmSettings(model=model, **settings), device="cpu")


def edit(source, target, change):
    """Copy a saved model and change its config."""
    import shutil

    shutil.copytree(source, target)
    config = json.loads((target / "config.json").read_text())
    change(config)
    (target / "config.json").write_text(json.dumps(config))
    return str(target)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext"])
def test_the_vector_is_the_pooled_features_with_the_models_own_statistics(saved, name, rng):
    import timm
    import torch

    encoder = build(saved[name])
    assert (encoder.side, encoder.dimension, encoder.notes) == (160, 64, [])
    images = rng.integers(0, 255, (3, 160, 160, 3), dtype=np.uint8)
    model = timm.create_model(f"local-dir:{saved[name]}", pretrained=True).eval()
    mean, std = (np.array(model.pretrained_cfg[key]) for key in ("mean", "std"))
    values = torch.tensor(((images / 255 - mean) / std).transpose(0, 3, 1, 2), dtype=torch.float32)
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(values), pre_logits=True).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(encoder.encode(images), expected, atol=1e-4)


def test_hub_files_come_through_the_weights_code(saved, monkeypatch, tmp_path):
    """A name of timm finds its files where a person put them by hand; offline the sentence says which and where."""
    import shutil

    monkeypatch.setenv("KINDRED_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("engine.embeddings.encoders.weights.why_unreachable", lambda: "the hub cannot be reached")
    with pytest.raises(WeightsError, match=r"put model\.safetensors into .*timm--test_vit\.r160_in1k"):
        build("test_vit.r160_in1k")
    shutil.copytree(saved["test_vit"], tmp_path / "timm--test_vit.r160_in1k")
    by_name, by_id, by_folder = (
        build(name) for name in ("test_vit.r160_in1k", "timm/test_vit.r160_in1k", saved["test_vit"])
    )
    image = np.full((1, 160, 160, 3), 77, np.uint8)
    assert np.allclose(by_name.encode(image), by_folder.encode(image), atol=1e-5)
    assert np.allclose(by_id.encode(image), by_folder.encode(image), atol=1e-5)


def test_a_checkpoint_with_a_classifier_of_another_size_gives_the_same_features(saved, tmp_path):
    import timm
    import torch

    model = timm.create_model(f"local-dir:{saved['test_convnext']}", pretrained=True)
    model.reset_classifier(33)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "trained.pth")
    other = build("test_convnext", checkpoint=str(tmp_path / "trained.pth"))
    image = np.full((1, 160, 160, 3), 77, np.uint8)
    assert np.allclose(other.encode(image), build(saved["test_convnext"]).encode(image), atol=1e-5)
    assert other.revision != build(saved["test_convnext"]).revision


def test_a_checkpoint_of_another_model_is_refused(saved, tmp_path):
    import timm
    import torch

    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "resnet.pth")
    with pytest.raises(WeightsError, match="lack .* parameters|cannot be loaded"):
        build("test_convnext", checkpoint=str(tmp_path / "resnet.pth"))
    state = timm.create_model("test_convnext").state_dict()
    state.pop("stages.0.blocks.0.mlp.fc1.weight")
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(WeightsError, match=r"lack 1 parameters, the first is stages\.0"):
        build("test_convnext", checkpoint=str(tmp_path / "less.pth"))
    (tmp_path / "damaged.pth").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        build("test_convnext", checkpoint=str(tmp_path / "damaged.pth"))
    with pytest.raises(WeightsError, match="There is no checkpoint"):
        build("test_convnext", checkpoint=str(tmp_path / "absent.pth"))


def test_a_config_without_mean_takes_imagenets_and_says_so(saved, tmp_path):
    def forget(config):
        del config["pretrained_cfg"]["mean"]

    encoder = build(edit(saved["test_vit"], tmp_path / "plain", forget))
    assert len(encoder.notes) == 1 and "ImageNet's are taken" in encoder.notes[0]


def test_a_config_of_no_timm_model_is_refused(saved, tmp_path):
    folder = edit(saved["test_vit"], tmp_path / "odd", lambda config: config.update(architecture="nothing"))
    with pytest.raises(WeightsError, match="names no architecture of timm"):
        build(folder)


def test_resolutions(saved):
    assert build(saved["test_vit"], resolution=96).encode(np.zeros((1, 96, 96, 3), np.uint8)).shape == (1, 64)
    with pytest.raises(InputError, match="takes images of 160 pixels only, not 100"):
        build(saved["test_vit"], resolution=100)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet1800", "resnet18"),
        ("vit_base_patch16_siglip_224.v2_weblo", "vit_base_patch16_siglip_224.v2_webli"),
        ("convnext_tinny.dinov3_lvd1689m", "convnext_tiny.dinov3_lvd1689m"),
    ],
)
def test_the_nearest_names_are_offered(name, near):
    with pytest.raises(InputError) as caught:
        Timm.revision_of(TimmSettings(model=name))
    assert near in caught.value.hint


def test_weights_that_are_not_on_the_hub_are_said():
    with pytest.raises(WeightsError, match="are not on the hub") as caught:
        Timm.revision_of(TimmSettings(model="vit_huge_patch16_gap_448.in1k_ijepa"))
    assert "https://" in caught.value.hint


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_known_models_are_timms_and_as_large_as_said(model):
    import timm
    import torch

    config = timm.get_pretrained_cfg(model.name)
    assert config.hf_hub_id == f"timm/{model.name}" and config.input_size[-1] == model.side
    with torch.device("meta"):
        network = timm.create_model(model.name, num_classes=0)
        vector = network.eval()(torch.zeros(1, *config.input_size))
    assert vector.shape == (1, model.dimension)
    assert sum(value.numel() for value in network.parameters()) * 4e-6 == pytest.approx(
        model.megabytes, rel=0.05, abs=6
    )


@pytest.mark.parametrize(
    ("model", "encoder"),
    [
        ("convnext_tiny.dinov3_lvd1689m", "timm"),
        ("timm/vit_small_patch16_dinov3.lvd1689m", "timm"),
        ("timm/ViT-B-16-SigLIP2", "clip"),
        ("resnet18.a1_in1k", "timm"),
        ("timm:resnet18", "timm"),
        ("RN50", "clip"),
        ("facebook/dinov2-small", "dino"),
    ],
)
def test_a_models_name_finds_its_encoder(model, encoder):
    assert encoder_for_model(model)[0].name == encoder


def test_a_folder_of_timm_finds_its_encoder(saved):
    assert encoder_for_model(saved["test_vit"])[0].name == "timm"


def test_the_page_looks_for_known_models_where_timm_does():
    import timm

    for model in MODELS:
        config = timm.get_pretrained_cfg(model.name)
        assert (config.hf_hub_id, config.hf_hub_filename) == (f"timm/{model.name}", None)


def test_every_name_that_timm_has_weights_for_can_be_chosen_once():
    names = [model.name for model in Timm.list_models()]
    assert names[: len(MODELS)] == [model.name for model in MODELS]
    assert len(names) == len(set(names)) > 500 and "resnet18.a1_in1k" in names
