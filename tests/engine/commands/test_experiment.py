"""`experiment`: each resolution is a configuration, all see the same images."""

import numpy as np
import pytest
from PIL import Image

from engine.jobs.tasks import experiments


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for kind in ("a", "b"):
        (folder / kind).mkdir(parents=True)
        for at in range(8):
            pixels = np.random.default_rng(at).integers(0, 99, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels + (100 if kind == "a" else 0)).save(folder / kind / f"{at}.png")
    return folder


class Seen(Exception):
    """Carries what the comparison was given; it has tests of its own."""


def test_all_configurations_see_the_same_sample_with_its_pairs(engine, photos, tmp_path, monkeypatch):
    def stop(configurations, **options):
        raise Seen(configurations, options)

    monkeypatch.setattr(experiments, "run_experiments", stop)
    (tmp_path / "pairs.csv").write_text("a/0.png,a/1.png\n")
    with pytest.raises(Seen) as seen:
        engine(
            "experiment",
            "--folder",
            photos,
            "--truth-from-folders",
            "--models",
            "descriptor",
            "ViT-B-32:openai",
            "--resolutions",
            224,
            336,
            "--sample-count",
            10,
            "--validation-pairs",
            tmp_path / "pairs.csv",
            "--output-dir",
            tmp_path / "OUT",
        )
    configurations, options = seen.value.args
    assert [one.name for one in configurations] == ["descriptor_0", "ViT-B-32_openai_224", "ViT-B-32_openai_336"]
    names = [path.decode() for path in options["paths"]]
    assert 10 <= len(names) <= 12
    vectors = configurations[0].load()
    assert len(vectors) == len(configurations[0].graph()) == len(names)
    assert options["truth"] == [name[0] for name in names]
    assert [[names[row] for row in pair] for pair in options["validation_pairs"]] == [["a/0.png", "a/1.png"]]
    assert (tmp_path / "OUT" / "sample.json").exists()


def test_experiments_refuse_vectors_and_impossible_resolutions(refused, vectors, photos):
    assert "images" in refused("experiment", "--vectors", vectors)
    assert "resolution" in refused("experiment", "--folder", photos, "--resolutions", 5)
    assert "--resolutions" in refused("experiment", "--folder", photos, "--resolutions", "big")
