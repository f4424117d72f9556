"""Rows bring catalog and embeddings together in one order, and keep their graph and maps."""

import numpy as np
import pytest
from PIL import Image

from engine.core.errors import InputError
from engine.embeddings.encoders.registry import find_encoder
from engine.geometry.projection import ProjectionSettings
from engine.images.datasets import add_folder
from engine.images.decode import PreprocessSettings
from engine.images.scan import scan
from engine.runs.rows import embed_dataset, graph_of, kept_map, load_rows, map_of, rows_of_run, with_spaces
from engine.runs.run import open_run, save_config, save_run
from tests.engine.planted import planted, rows_in


@pytest.fixture
def rows(workspace, tmp_path):
    return rows_in(workspace, tmp_path)


def test_rows_are_in_the_order_of_the_paths_with_their_own_vector_and_truth(rows):
    vectors, codes = planted()
    assert rows.paths == [b"%04d" % at for at in range(90)]
    assert np.allclose(rows.vectors, vectors, atol=4e-3)  # float16 on disk
    assert rows.truth == [f"c{code}" for code in codes]
    assert len(rows.contents) == len(rows) == len(rows.ids) == len(set(rows.ids.tolist()))


def test_rows_are_loaded_again_from_the_cache(rows, workspace):
    again = load_rows(workspace, rows.dataset.id, rows.embedding.config_key)
    assert (again.contents == rows.contents).all()
    assert again.embedding.key == rows.embedding.key
    assert (again.vectors == rows.vectors).all()
    with pytest.raises(InputError, match="cache"):
        load_rows(workspace, rows.dataset.id, "0" * 32)


def test_the_graph_is_made_once(rows, workspace):
    first = graph_of(workspace, rows)
    folder = workspace.neighbors(rows.embedding.key)
    made = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    again = graph_of(workspace, rows)
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == made
    assert (first.indices == again.indices).all()
    assert not (first.indices == np.arange(90)[:, None]).any()  # nobody is its own neighbour


def test_a_map_is_kept_by_its_settings(rows, workspace):
    settings = ProjectionSettings(kind="pca")
    assert kept_map(workspace, rows, settings) is None
    xy = map_of(workspace, rows, settings)
    assert xy.shape == (90, 2)
    kept = kept_map(workspace, rows, settings)
    assert (kept == xy).all()
    assert kept_map(workspace, rows, ProjectionSettings(kind="tsne")) is None


def test_rows_of_a_run_whose_data_are_gone_are_told(rows, workspace, tmp_path):
    run = save_run(
        tmp_path / "run",
        config={"dataset": {"id": "gone"}, "embedding": {"config_key": rows.embedding.config_key}},
        results={},
        contents=rows.contents,
        paths=rows.paths,
        assignments=np.zeros(90, np.int32),
        confidence=np.ones(90, np.float32),
        truth=rows.truth,
        split=rows.split,
    )
    with pytest.raises(InputError, match="gone"):
        rows_of_run(workspace, run)
    save_config(run.folder, {"dataset": {"id": rows.dataset.id}})
    with pytest.raises(InputError, match="embeddings"):
        rows_of_run(workspace, open_run(run.folder))


def test_several_configurations_are_read_in_one_order_and_missing_images_are_counted(workspace, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    settings = find_encoder("descriptor").settings_class()
    rows = embed_dataset(workspace, dataset.id, "descriptor", settings)
    other = PreprocessSettings(mode="center_crop")
    few = embed_dataset(workspace, dataset.id, "descriptor", settings, preprocess=other, only=rows.contents[3:])
    key = few.embedding.config_key
    both, sentence = with_spaces(workspace, rows, [key])
    assert sentence == "9 of 12 images have all 2 embeddings; the other 3 are left out."
    assert (both.contents == rows.contents[3:]).all() and len(both.further) == 1
    assert (both.vectors == rows.vectors[3:]).all() and (both.further[0] == few.vectors).all()
    assert not np.array_equal(both.vectors, both.further[0])
    part = both.take(np.array([4, 1]))
    assert (part.further[0] == few.vectors[[4, 1]]).all()
    with pytest.raises(InputError, match="3 of 12 images lack"):
        with_spaces(workspace, rows, [key], refuse_missing=True)
    with pytest.raises(InputError, match="twice"):
        with_spaces(workspace, rows, [rows.embedding.config_key])
    embed_dataset(workspace, dataset.id, "descriptor", settings, preprocess=other)
    whole, sentence = with_spaces(workspace, rows, [key], refuse_missing=True)
    assert sentence == "12 of 12 images have all 2 embeddings." and whole.embedding == rows.embedding
