"""What a finished run can still be asked: the number of clusters by a trained CPP, a word for each cluster by CLIP."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.runs.run import open_run
from tests.engine.commands.conftest import blobs
from tests.seed import coloured_pictures
from tests.tiny_clip import open_clip_model

CPP = ("--method", "cpp", "--width", 32, "--feature-dim", 16, "--batch-size", 120, "--device", "cpu")
FEW = ("--smallest", 2, "--largest", 9, "--repeats", 2)


@pytest.fixture
def six(tmp_path):
    """A file of 240 vectors in six groups, without truth."""
    np.save(tmp_path / "six.npy", blobs(240, classes=6)[0])
    return tmp_path / "six.npy"


def evidence(folder):
    """Return the evidence of count.json by its kind, and the whole."""
    found = json.loads((folder / "count.json").read_text())
    return {item["kind"]: item for item in found["evidence"]}, found


def test_a_cpp_that_was_told_no_number_finds_the_six_groups(engine, six):
    run = Path(engine("run", "--vectors", six, *CPP, "--warm-start", "none", "--num-clusters", 3).last)
    ended = engine("count", "--run", run, *FEW)
    assert (ended.status, ended.last) == (0, str(run / "count.json")), ended.err
    curve, found = evidence(run)[0]["CPP coding length"], evidence(run)[1]
    assert curve["ks"] == list(range(2, 10))
    assert (curve["best"], curve["clear"], found["run"], found["images"]) == (6, True, run.name, 240)
    assert found["n_clusters"] == 6 and "CPP coding length" in found["verdict"]
    assert f"{6:>7} clusters  {min(curve['values']):10.3f}  <-" in ended.err
    (run / "model.pt").unlink()
    assert "Run the method again" in engine("count", "--run", run.name).err


def test_counting_by_a_run_is_refused_where_it_says_nothing(engine, refused, six):
    plain = engine("run", "--vectors", six, "--num-clusters", 3).last
    assert "k-means" in refused("count", "--run", plain) and "CPP" in refused("count", "--run", plain)
    assert "a run knows its data" in refused("count", "--run", plain, "--vectors", six)


@pytest.fixture
def by_clip(engine, tmp_path):
    """The folder of a small CLIP, and of a run of coloured pictures that it embedded."""
    model = open_clip_model(tmp_path / "clip")
    words = ("--encoder", "clip", "--encoder-model", model, "--device", "cpu", "--num-clusters", 3)
    ended = engine("run", "--folder", coloured_pictures(tmp_path / "pictures"), *words)
    assert ended.status == 0, ended.err
    return model, Path(ended.last)


def votes_of(model, run, words):
    """Return each cluster's summed votes for each word, straight from open_clip: (clusters, words)."""
    import open_clip
    import torch
    from PIL import Image

    network, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{model}")
    network.eval()
    read = open_clip.get_tokenizer(f"local-dir:{model}")
    pictures = [Image.open(run.parents[2].parent / "pictures" / name) for name in open_run(run).predictions["paths"]]
    with torch.no_grad():
        images = network.encode_image(torch.stack([prepare(picture) for picture in pictures]), normalize=True)
        texts = network.encode_text(read([f"a photo of a {word}" for word in words]), normalize=True)
    votes = torch.softmax(100 * images @ texts.T, dim=1).numpy()
    votes[votes < np.sort(votes, axis=1)[:, [-5]]] = 0
    labels = open_run(run).assignments
    return np.stack([votes[labels == cluster].mean(axis=0) for cluster in range(3)])


def test_a_cluster_gets_the_word_with_the_most_votes_of_its_images(engine, by_clip, tmp_path):
    model, run = by_clip
    words = ["apple", "meadow", "ocean", "brick", "leaf", "sky", "rose", "frog", "whale"]
    (tmp_path / "words.txt").write_text("\n".join(words))
    ended = engine("name-clusters", run, "--vocabulary", tmp_path / "words.txt")
    assert (ended.status, ended.last) == (0, str(run / "names.json")), ended.err
    found = json.loads((run / "names.json").read_text())["proposals"]
    votes = votes_of(model, run, words)
    for item in found:
        mine = votes[item["cluster"]]
        assert item["word"] == words[int(mine.argmax())]
        assert item["score"] == pytest.approx(mine.max(), abs=0.01)
        assert item["word"] in ended.err and len(item["alternates"].split(", ")) == 3


def test_naming_says_what_is_wrong_with_the_vocabulary_or_the_encoder(engine, refused, by_clip, six, tmp_path):
    _, run = by_clip
    assert "cannot be read" in refused("name-clusters", run, "--vocabulary", tmp_path / "none.txt")
    (tmp_path / "one.txt").write_text("apple")
    assert "at least two" in refused("name-clusters", run, "--vocabulary", tmp_path / "one.txt")
    plain = engine("run", "--vectors", six, "--num-clusters", 3).last
    assert "words cannot be turned" in refused("name-clusters", plain)


def test_detailed_prints_every_class_and_cluster_of_train_and_test(engine, vectors):
    run = engine("run", "--vectors", vectors, "--test-fraction", 0.25).last
    plain, whole = engine("analyze", run), engine("analyze", run, "--detailed")
    assert "each class" not in plain.err
    lines = whole.err.splitlines()
    results = json.loads((Path(run) / "results.json").read_text())
    assert results["test"] is not None
    total = 0
    for part in ("train", "test"):
        at = lines.index(f"{part}, each class: images, its cluster, share of its images there")
        assert [line.split()[0] for line in lines[at + 1 : at + 5]] == ["c0", "c1", "c2", "c3"]
        total += sum(int(line.split()[1]) for line in lines[at + 1 : at + 5])
        assert all(line.endswith("100.0%") for line in lines[at + 1 : at + 5])
        at = lines.index(f"{part}, each cluster: images, its most frequent class, share of that class")
        assert sorted(line.split()[3] for line in lines[at + 1 : at + 5]) == ["c0", "c1", "c2", "c3"]
    assert total == 120
