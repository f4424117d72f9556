"""A planted nuisance leaves the clusters, the classes stay, the old embeddings stay, and new images come along."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score

from engine.core.errors import InputError
from engine.core.ids import pack
from engine.core.vectors import unit
from engine.embeddings.configurations import list_configurations
from engine.embeddings.embed import embed
from engine.embeddings.encoders.registry import find_encoder
from engine.embeddings.nuisance import derived_of, nuisance_directions, without_directions
from engine.embeddings.store import EmbeddingStore
from engine.evaluation.agreement import nmi
from engine.evaluation.explanation import explain
from engine.images.datasets import add_folder
from engine.images.scan import scan
from engine.jobs.tasks.clustering import ClusterRequest, cluster_images
from engine.jobs.tasks.nuisance import RemoveNuisanceRequest, remove_nuisance
from engine.labels.events import LabelHistory
from engine.runs.rows import align, embed_dataset, load_rows
from engine.runs.run import list_runs, open_run
from tests.conftest import shared_data
from tests.engine.images.pictures import noise, write


def clusters_of(vectors, k):
    return KMeans(k, n_init=4, random_state=0).fit_predict(vectors)


def generated(rng, n=600, d=64, classes=6):
    """Unit vectors of some classes, the class of each, and a nuisance that shifts half of them."""
    truth = rng.integers(0, classes, n)
    vectors = rng.normal(size=(classes, d))[truth] * 0.6 + rng.normal(size=(n, d))
    nuisance = rng.integers(0, 2, n)
    return unit(vectors + 6 * nuisance[:, None] * unit(rng.normal(size=d))), truth, nuisance


def check(vectors, truth, nuisance, k):
    before = clusters_of(vectors, k)
    left = without_directions(vectors, nuisance_directions(vectors, nuisance))
    after = clusters_of(left, k)
    assert adjusted_mutual_info_score(nuisance, before) > 0.1, "it was planted"
    assert adjusted_mutual_info_score(nuisance, after) < 0.05
    assert nmi(truth, after) >= nmi(truth, before)


def test_a_planted_nuisance_leaves_the_clusters_and_the_classes_stay(rng):
    check(*generated(rng), 6)


def test_it_leaves_the_vectors_of_real_photographs(rng):
    with np.load(shared_data("clothing_341_mobilenetv2.npz")) as found:
        vectors, truth = unit(found["vectors"]), np.unique(found["labels"], return_inverse=True)[1]
    nuisance = rng.integers(0, 2, len(vectors))
    shift = unit(rng.normal(size=vectors.shape[1]).astype(np.float32))
    check(unit(vectors + 0.8 * nuisance[:, None] * shift), truth, nuisance, 10)


def test_directions_are_orthonormal_and_nothing_else_is_taken(rng):
    vectors, _, nuisance = generated(rng)
    found = nuisance_directions(vectors, nuisance)
    np.testing.assert_allclose(found @ found.T, np.eye(len(found)), atol=1e-5)
    left = without_directions(vectors, found)
    np.testing.assert_allclose(np.linalg.norm(left, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(left @ found.T, 0, atol=1e-5)
    exact = vectors.astype(np.float64) - vectors.astype(np.float64) @ found.T.astype(np.float64) @ found
    np.testing.assert_allclose(left, exact / np.linalg.norm(exact, axis=1, keepdims=True), atol=1e-5)
    unknown = np.where(rng.random(len(vectors)) < 0.3, -1, nuisance)
    partly = nuisance_directions(vectors, unknown)
    assert abs(float(partly[0] @ found[0])) > 0.95, "images of no group change little"
    with pytest.raises(InputError, match="only one group"):
        nuisance_directions(vectors, np.zeros(len(vectors), int))
    with pytest.raises(InputError, match="would leave nothing"):
        nuisance_directions(unit(rng.normal(size=(90, 3))), rng.integers(0, 6, 90))


@pytest.fixture
def framed(workspace, tmp_path):
    """Pictures of three kinds, in half of which black bars lie; clustered into six."""
    rng = np.random.default_rng(0)
    for number in range(60):
        pixels = rng.integers(0, 60, (48, 48, 3), dtype=np.uint8)
        pixels[:: 2 + number % 3] += 120
        if number % 2:
            pixels[:14] = pixels[-14:] = 0
        write(tmp_path / "photos" / f"kind{number % 3}" / f"{number:03d}.png", Image.fromarray(pixels))
    dataset = add_folder(workspace, tmp_path / "photos", truth_from_folders=True)
    scan(workspace, dataset.id)
    rows = embed_dataset(workspace, dataset.id, "descriptor", find_encoder("descriptor").settings_class())
    request = ClusterRequest(
        dataset=dataset.id, config_key=rows.embedding.config_key, settings={"n_clusters": 3}, title="Kinds"
    )
    return dataset, rows, cluster_images(workspace, request)


def test_a_run_without_its_bars_lies_beside_the_old_one(workspace, framed):
    dataset, rows, run = framed
    found = remove_nuisance(workspace, RemoveNuisanceRequest(run=run.folder.name, measure="letterbox bars"))
    assert found.before > 0.3 and found.after < 0.05
    assert found.classes_after >= found.classes_before
    new = open_run(workspace.runs / found.run)
    assert new.config["embedding"]["config_key"] == found.config_key != rows.embedding.config_key
    assert new.method == run.method and "without letterbox bars" in new.name
    assert "Letterbox bars is gone from the clusters" in found.sentence
    known = {item.key: item for item in list_configurations(workspace, dataset.id)}
    assert known[found.config_key].removed == "letterbox bars" and known[found.config_key].state == "complete"
    again = load_rows(workspace, dataset.id, rows.embedding.config_key)
    assert np.array_equal(again.vectors, rows.vectors), "the old vectors stay"
    bars = {"letterbox bars": (np.arange(60) % 2).astype(float)}
    at = np.argsort([path.rpartition(b"/")[2] for path in rows.paths])
    assert not explain(align(new, rows)[0][at], bars, {}).notable
    assert explain(align(run, rows)[0][at], bars, {}).notable
    same = remove_nuisance(workspace, RemoveNuisanceRequest(run=run.folder.name, measure="letterbox bars"))
    assert same.config_key == found.config_key, "asking twice makes no second embeddings"


def test_two_groups_that_a_person_picked_are_told_apart_no_more(workspace, framed):
    dataset, rows, run = framed
    history = LabelHistory(workspace, dataset.id)
    state = history.state(run.contents, run.assignments, run=run.folder.name)
    barred = np.array([int(path[-7:-4]) % 2 == 1 for path in rows.paths])
    history.label(state, np.flatnonzero(barred)[:20], "with bars")
    state = history.state(run.contents, run.assignments, run=run.folder.name)
    history.label(state, np.flatnonzero(~barred)[:20], "without bars")
    found = remove_nuisance(workspace, RemoveNuisanceRequest(run=run.folder.name, groups=("with bars", "without bars")))
    assert found.what == "the difference of with bars and without bars"
    new = open_run(workspace.runs / found.run)
    assert adjusted_mutual_info_score(barred, align(new, rows)[0]) < 0.05


def test_images_that_come_later_come_to_the_new_embeddings_too(workspace, framed, tmp_path):
    dataset, rows, run = framed
    found = remove_nuisance(workspace, RemoveNuisanceRequest(run=run.folder.name, measure="brightness"))
    write(tmp_path / "photos" / "kind0" / "new.png", noise(9))
    scan(workspace, dataset.id)
    now = embed(workspace, dataset.id, "descriptor")
    assert now.config_key == rows.embedding.config_key and len(now) == 61
    (derived,) = derived_of(workspace, rows.embedding.config_key)
    assert derived.folder.name == found.config_key and derived.holds(now.contents).all()
    assert len(EmbeddingStore(workspace.embeddings(found.config_key)).load(pack(now.contents.tobytes()))) == 61


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "Nothing was named"),
        ({"measure": "beauty"}, "There is no measure 'beauty'"),
        ({"groups": ("0",)}, "Two different groups"),
        ({"groups": ("0", "nobody")}, "There is no label or cluster 'nobody'"),
        ({"measure": "brightness", "groups": ("0", "1")}, "Nothing was named"),
    ],
)
def test_what_cannot_be_taken_out_is_said(workspace, framed, values, sentence):
    _, _, run = framed
    with pytest.raises(InputError, match=sentence):
        remove_nuisance(workspace, RemoveNuisanceRequest(run=run.folder.name, **values))
    assert len(list_runs(workspace)) == 1
