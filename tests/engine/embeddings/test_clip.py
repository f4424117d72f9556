"""Tiny models with random weights, saved in the real formats and loaded through the real path."""

import json
import pickle

import numpy as np
import pytest

from engine.core.errors import InputError, WeightsError
from engine.embeddings.encoders.clip import Clip, ClipSettings
from engine.embeddings.encoders.clip_models import DEFAULTS, MODELS, Place, locate
from engine.embeddings.encoders.registry import ENCODERS
from tests.tiny_clip import MEAN, SMALL, STD, open_clip_model


@pytest.fixture(scope="module")
def open_clip_folder(tmp_path_factory):
    """A folder as the hub's open_clip repositories are."""
    return open_clip_model(tmp_path_factory.mktemp("open-clip"))


@pytest.fixture(scope="module")
def architecture(tmp_path_factory):
    """The same model as a named architecture, with its checkpoint as safetensors."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("architecture")
    wide = SMALL | {"vision_cfg": SMALL["vision_cfg"] | {"width": 48}}
    for name, config in (("kindred-tiny", SMALL), ("kindred-wide", wide)):
        (folder / f"{name}.json").write_text(json.dumps(config))
        open_clip.add_model_config(folder / f"{name}.json")
    torch.manual_seed(1)
    state = {name: value.contiguous() for name, value in open_clip.CLIP(**SMALL).state_dict().items()}
    save_file(state, folder / "tiny.safetensors")
    return folder / "tiny.safetensors"


@pytest.fixture(scope="module")
def hub_folder(tmp_path_factory):
    """A folder as transformers saves a CLIP model, with a tokenizer of a few words."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("transformers")
    words = ["<pad>", "<end>", "<unk>", "a", "photo", "of", "dog", "cat"]
    special = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config=tower | special | {"vocab_size": len(words), "max_position_embeddings": 12},
        vision_config=tower | {"image_size": 64, "patch_size": 16},
        projection_dim=24,
    )
    torch.manual_seed(2)
    transformers.CLIPModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", unk_token="<unk>"
    ).save_pretrained(folder)
    statistics = {"image_mean": MEAN, "image_std": STD}
    (folder / "preprocessor_config.json").write_text(json.dumps(statistics))
    return folder


@pytest.fixture
def images(rng):
    return rng.integers(0, 255, (5, 64, 64, 3), dtype=np.uint8)


def build(**settings):
    return Clip(ClipSettings(**settings), device="cpu")


def pixels_of(images):
    import torch

    values = (images / 255 - np.array(MEAN)) / np.array(STD)
    return torch.tensor(values.transpose(0, 3, 1, 2), dtype=torch.float32)


def unit(values):
    values = values.detach().numpy()
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def test_open_clip_folder_gives_what_open_clip_gives(open_clip_folder, images):
    import open_clip

    encoder = build(model=str(open_clip_folder))
    assert (encoder.side, encoder.dimension, encoder.notes) == (64, 16, [])
    model = open_clip.create_model(f"local-dir:{open_clip_folder}").eval()
    assert np.allclose(encoder.encode(images), unit(model.encode_image(pixels_of(images))), atol=1e-5)
    words = open_clip.get_tokenizer("ViT-B-32")(["a dog", "two cats"])
    assert np.allclose(encoder.encode_text(["a dog", "two cats"]), unit(model.encode_text(words)), atol=1e-5)


def test_hub_folder_gives_what_transformers_gives(hub_folder, images):
    import transformers

    encoder = build(model=str(hub_folder))
    assert (encoder.side, encoder.dimension) == (64, 24)
    model = transformers.CLIPModel.from_pretrained(hub_folder).eval()
    expected = model.get_image_features(pixel_values=pixels_of(images)).pooler_output
    assert np.allclose(encoder.encode(images), unit(expected), atol=1e-5)
    text = encoder.encode_text(["a photo of a dog", "cat"])
    assert text.shape == (2, 24) and np.allclose(np.linalg.norm(text, axis=1), 1, atol=1e-5)
    assert not np.allclose(text[0], text[1])


def test_architecture_with_a_checkpoint_file(architecture, images):
    encoder = build(model="kindred-tiny", pretrained=str(architecture))
    vectors = encoder.encode(images)
    assert vectors.shape == (5, 16) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.revision == Clip.revision_of(encoder.settings, download=False)


def test_an_image_is_the_same_alone_and_in_a_batch(open_clip_folder, images):
    encoder = build(model=str(open_clip_folder))
    alone = np.concatenate([encoder.encode(images[i : i + 1]) for i in range(5)])
    assert np.allclose(encoder.encode(images), alone, atol=1e-5)


def test_vectors_keep_their_length_when_asked(open_clip_folder, images):
    raw = build(model=str(open_clip_folder), normalize=False).encode(images)
    length = np.linalg.norm(raw, axis=1, keepdims=True)
    assert not np.allclose(length, 1, atol=1e-2)
    assert np.allclose(raw / length, build(model=str(open_clip_folder)).encode(images), atol=1e-5)


@pytest.mark.parametrize("kind", ["open_clip_folder", "hub_folder"])
def test_position_embeddings_are_interpolated(kind, request, rng):
    folder = str(request.getfixturevalue(kind))
    encoder = build(model=folder, resolution=96)
    assert encoder.side == 96
    image = rng.integers(0, 255, (1, 3, 3, 3), dtype=np.uint8)
    big, small = (np.repeat(np.repeat(image, side // 3 + 1, 1), side // 3 + 1, 2) for side in (96, 64))
    similarity = encoder.encode(big[:, :96, :96])[0] @ build(model=folder).encode(small[:, :64, :64])[0]
    assert similarity > 0.8, "the same picture at another size is much the same to the model"


def test_a_resolution_that_patches_do_not_divide_is_told(open_clip_folder):
    encoder = build(model=str(open_clip_folder), resolution=100)
    assert encoder.side == 100 and "last 4 rows and columns" in encoder.notes[0]


def test_a_tower_without_position_embeddings_refuses_another_resolution(tmp_path):
    config = SMALL | {"vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"never read")
    with pytest.raises(InputError, match="takes images of 64 pixels only, not 96"):
        build(model=str(tmp_path), resolution=96)


def test_pickling_keeps_the_vectors(open_clip_folder, images):
    encoder = build(model=str(open_clip_folder))
    assert np.array_equal(pickle.loads(pickle.dumps(encoder)).encode(images), encoder.encode(images))


@pytest.mark.parametrize("name", [model.name for model in MODELS])
def test_absent_weights_are_told_in_one_sentence(name, monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("KINDRED_WEIGHTS", str(tmp_path / "weights"))
    with pytest.raises(WeightsError, match=r"put .*safetensors.* \([\d,]+ MB\) into"):
        build(model=name)


def test_the_registry_offers_the_models():
    names = {name: [model.name for model in entry.models] for name, entry in ENCODERS.items()}
    assert names["clip"][:4] == ["ViT-B-32", "ViT-B-16", "ViT-L-14", "ViT-H-14"]
    assert "facebook/dinov2-giant" in names["dino"] and names["descriptor"] == []


def test_default_trainings_are_the_ones_open_clip_publishes():
    import open_clip

    for model, (tag, repository) in DEFAULTS.items():
        assert open_clip.get_pretrained_cfg(model, tag)["hf_hub"].rstrip("/") == repository


def test_another_tag_is_looked_up(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(WeightsError, match="timm/vit_base_patch32_clip_224.openai"):
        locate(Place("ViT-B-32", "openai"), download=False)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model": "NoSuch-1"}, "neither an architecture"),
        ({"model": "ViT-B-32", "pretrained": "no-such-tag"}, "neither a file nor a known training"),
        ({"model": "/no/such/folder"}, "neither a folder"),
    ],
)
def test_unknown_names_are_told(settings, sentence):
    with pytest.raises(WeightsError, match=sentence):
        build(**settings)


def test_a_checkpoint_of_another_architecture_is_told(architecture, tmp_path):
    with pytest.raises(WeightsError, match="cannot be loaded as kindred-wide"):
        build(model="kindred-wide", pretrained=str(architecture))
    (tmp_path / "cut.safetensors").write_bytes(architecture.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="cannot be loaded as kindred-tiny"):
        build(model="kindred-tiny", pretrained=str(tmp_path / "cut.safetensors"))


def test_a_checkpoint_with_code_in_it_is_not_run(architecture, tmp_path):
    class Evil:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    (tmp_path / "evil.bin").write_bytes(pickle.dumps({"state_dict": Evil()}, protocol=2))
    with pytest.raises(WeightsError):
        build(model="kindred-tiny", pretrained=str(tmp_path / "evil.bin"))
    assert not (tmp_path / "ran").exists()


def test_words_without_a_tokenizer_are_refused(hub_folder, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((hub_folder / name).read_bytes())
    with pytest.raises(WeightsError, match="holds no tokenizer"):
        build(model=str(tmp_path)).encode_text(["dog"])


def test_every_training_of_open_clip_can_be_chosen_with_its_size():
    found = {model.name: model for model in Clip.list_models()}
    openai, known = found["ViT-B-32:openai"], found["ViT-B-32"]
    assert openai.megabytes == pytest.approx(known.megabytes, rel=0.01)
    assert found["ViT-L-14:laion2b_s32b_b82k"].megabytes == pytest.approx(found["ViT-L-14"].megabytes, rel=0.01)
    assert found["ViT-H-14:laion2b_s32b_b79k"].megabytes == pytest.approx(found["ViT-H-14"].megabytes, rel=0.01)
    assert openai.dimension == known.dimension
    assert ENCODERS["clip"].settings_for(openai.name).pretrained == "openai"
