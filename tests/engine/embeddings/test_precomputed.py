import numpy as np
import pytest

from engine.core.errors import InputError
from engine.embeddings.configurations import list_configurations
from engine.embeddings.embed import embed, load_set
from engine.embeddings.encoders.precomputed import PrecomputedSettings
from engine.images.datasets import add_vectors
from engine.images.tables import load_images


@pytest.fixture
def vectors(rng):
    return rng.normal(size=(20, 5)).astype(np.float32)


@pytest.fixture
def saved(tmp_path):
    def save(name="vectors.npz", **arrays):
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return save


def test_a_data_set_of_vectors_is_its_own_encoder(workspace, vectors, saved):
    names = np.array([f"item {20 - number}" for number in range(20)])
    dataset = add_vectors(workspace, saved(vectors=vectors, ids=names))
    found = embed(workspace, dataset.id, "precomputed")
    by_name = dict(zip(names.tolist(), vectors, strict=True))
    expected = np.stack([by_name[path.decode()] for path in load_images(workspace, dataset.id).paths])
    assert np.allclose(found.vectors, expected, rtol=1e-3, atol=1e-3)
    assert load_set(workspace, dataset.id, found.config_key).key == found.key
    assert list_configurations(workspace, dataset.id)[0].state == "complete"
    with pytest.raises(InputError, match="holds vectors, not images"):
        embed(workspace, dataset.id, "descriptor")


@pytest.mark.parametrize("scale", [1e-7, 1e9])
def test_vectors_that_half_precision_cannot_hold_are_kept_in_single(workspace, vectors, saved, scale):
    dataset = add_vectors(workspace, saved(vectors=vectors * np.float32(scale)))
    found = embed(workspace, dataset.id, "precomputed").vectors
    assert np.allclose(np.sort(found[:, 0]), np.sort(vectors[:, 0] * scale), rtol=1e-6)


def test_vectors_are_matched_to_images_by_path_name_or_content(workspace, added, vectors, saved):
    dataset = added(3)
    hexes = load_images(workspace, dataset.id).contents.tobytes().hex()
    ids = np.array(["0002.png", hexes[:32], "0001.png"])
    settings = PrecomputedSettings(file=str(saved(vectors=vectors[:3], ids=ids)))
    found = embed(workspace, dataset.id, "precomputed", settings)
    assert np.allclose(found.vectors, vectors[[1, 2, 0]], atol=2e-3)


def test_ids_that_match_only_partly_are_counted(workspace, added, vectors, saved, recorder):
    dataset = added(4)
    ids = np.array(["0001.png", "elsewhere.png", "0003.png"])
    settings = PrecomputedSettings(file=str(saved(vectors=vectors[:3], ids=ids)))
    found = embed(workspace, dataset.id, "precomputed", settings, progress=recorder)
    assert found.rows.tolist() == [1, 3]
    assert "1 of 3 vectors have ids that match no image" in recorder.said[0]
    assert "2 of 4 images have no vector" in recorder.said[1]


def test_ids_that_match_nothing_and_missing_ids_are_refused(workspace, added, vectors, saved):
    dataset = added(2)
    strangers = PrecomputedSettings(file=str(saved("a.npz", vectors=vectors[:2], ids=np.array(["x", "y"]))))
    with pytest.raises(InputError, match="None of the 2 ids matches an image; the first id is 'x'"):
        embed(workspace, dataset.id, "precomputed", strangers)
    nameless = PrecomputedSettings(file=str(saved("b.npz", vectors=vectors[:2])))
    with pytest.raises(InputError, match="no ids"):
        embed(workspace, dataset.id, "precomputed", nameless)
    with pytest.raises(InputError, match="No vector file was chosen"):
        embed(workspace, dataset.id, "precomputed")
    with pytest.raises(InputError, match="is not there"):
        embed(workspace, dataset.id, "precomputed", PrecomputedSettings(file="/no/such/file.npz"))


def test_nan_is_refused_with_its_row(workspace, added, vectors, saved):
    vectors[7, 2] = np.nan
    settings = PrecomputedSettings(file=str(saved(vectors=vectors, ids=np.arange(20).astype(str))))
    with pytest.raises(InputError, match="row 7"):
        embed(workspace, added(1).id, "precomputed", settings)


def test_moving_the_file_embeds_nothing_and_changing_it_is_another_configuration(workspace, added, vectors, saved):
    dataset = added(2)
    ids = np.array(["0000.png", "0001.png"])
    first = embed(
        workspace,
        dataset.id,
        "precomputed",
        PrecomputedSettings(file=str(saved("one.npz", vectors=vectors[:2], ids=ids))),
    )
    moved = saved("two.npz", vectors=vectors[:2], ids=ids)
    assert embed(workspace, dataset.id, "precomputed", PrecomputedSettings(file=str(moved))).key == first.key
    changed = saved("three.npz", vectors=vectors[2:4], ids=ids)
    assert embed(workspace, dataset.id, "precomputed", PrecomputedSettings(file=str(changed))).key != first.key
