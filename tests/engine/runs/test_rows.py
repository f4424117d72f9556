"""Rows bring catalog and embeddings together in one order, and keep their graph and maps."""

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.geometry.projection import ProjectionSettings
from engine.runs.rows import graph_of, kept_map, load_rows, map_of, rows_of_run
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
