"""Images that come later: labels are suggested on Review by one event, a new kind is told, old labels stay."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from engine.images.datasets import add_folder
from engine.images.scan import scan
from engine.jobs.tasks.clustering import ClusterRequest, cluster_images
from engine.jobs.tasks.data import EmbedRequest, embed_images
from engine.jobs.tasks.newcomers import NewImagesRequest, judge_new_images
from engine.labels.events import LabelHistory
from engine.labels.proposals import open_suggestions
from engine.runs.rows import align, load_rows
from tests.engine.images.pictures import write


def state_of(workspace, run):
    rows = load_rows(workspace, run.dataset, run.config["embedding"]["config_key"])
    return LabelHistory(workspace, run.dataset).state(rows.contents, align(run, rows)[0], run=run.folder.name)


@pytest.fixture
def scene(workspace, tmp_path):
    """Striped pictures of two kinds, clustered; `grow` adds pictures of these and of a third kind."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"

    def draw(counts):
        for kind, count in enumerate(counts):
            for _ in range(count):
                pixels = rng.integers(0, 80, (32, 32, 3), dtype=np.uint8)
                if kind < 2:
                    (pixels if kind else pixels.transpose(1, 0, 2))[::4] += 150
                else:
                    pixels[8:24, 8:24] += 150
                write(folder / f"{len(list(folder.glob('*'))):03d}.png", Image.fromarray(pixels))

    folder.mkdir()
    draw((40, 40, 0))
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    rows = embed_images(workspace, EmbedRequest(dataset=dataset.id, encoder="descriptor"))
    request = ClusterRequest(
        dataset=dataset.id, config_key=rows.embedding.config_key, settings={"n_clusters": 2}, title="Two"
    )
    run = cluster_images(workspace, request)

    def grow(counts):
        draw(counts)
        scan(workspace, dataset.id)
        return embed_images(workspace, EmbedRequest(dataset=dataset.id, encoder="descriptor"))

    return run, grow


def test_known_ones_get_suggestions_new_ones_are_a_kind_and_old_labels_stay(workspace, scene):
    run, grow = scene
    request = NewImagesRequest(run=run.folder.name)
    assert judge_new_images(workspace, request).sentences == ["No image came since this clustering was made."]
    history, state = LabelHistory(workspace, run.dataset), state_of(workspace, run)
    first = int(state.cluster[0])
    history.rename(state, first, "cat")
    before = state_of(workspace, run).labels
    grow((10, 10, 12))
    found = judge_new_images(workspace, request)
    assert found.images == 32 and found.kinds == [12] and len(found.members[0]) == 8
    assert found.sentences[0].startswith("32 new images: ") and "12 are of 1 new kind" in found.sentences[0]
    assert found.proposed == found.fitting["cat"] and 7 <= found.proposed <= 10
    state = state_of(workspace, run)
    waiting = open_suggestions(state)
    assert len(waiting) == found.proposed and set(waiting.names) == {"cat"}
    assert (waiting.rows >= 80).all() and (waiting.probability > 0.5).all()
    assert state.labels[:80] == before, "old labels stay"
    again = judge_new_images(workspace, request)
    assert again.proposed == 0 and again.fitting == found.fitting, "nothing is suggested twice"
    history.undo()
    assert not len(open_suggestions(state_of(workspace, run)))


def test_without_propose_nothing_is_written(workspace, scene):
    run, grow = scene
    state = state_of(workspace, run)
    LabelHistory(workspace, run.dataset).rename(state, int(state.cluster[0]), "cat")
    grow((8, 0, 0))
    version = LabelHistory(workspace, run.dataset).version()
    found = judge_new_images(workspace, NewImagesRequest(run=run.folder.name, propose=False))
    assert found.proposed == 0 and found.kinds == [] and sum(found.fitting.values()) >= 6
    assert LabelHistory(workspace, run.dataset).version() == version
