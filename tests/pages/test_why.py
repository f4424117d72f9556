"""What explains clusters stands on Compare; what came after a clustering stands on Images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from engine.embeddings.encoders.registry import find_encoder
from engine.images.scan import scan
from engine.jobs import job as jobs
from engine.jobs.runner import run_job
from engine.runs.rows import embed_dataset
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def scene(workspace, tmp_path):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures", 60))
    return workspace, rows, run, tmp_path / "pictures"


def words(app):
    return " ".join(str(item.value) for kind in ("markdown", "caption") for item in getattr(app, kind))


def open_page(app, name):
    app.run()
    app.switch_page(f"pages/{name}/page.py")
    return app.run()


def finished(workspace, task, monkeypatch, app, key):
    """Press a button that starts a job, do its work here, and draw the page again."""
    monkeypatch.setattr("engine.jobs.job.start", lambda workspace, folder: (folder / "started").write_text("0"))
    app.button(key=key).click().run()
    (job,) = [job for job in jobs.list_jobs(workspace) if job.task == task]
    assert run_job(job.folder) == 0, jobs.status(job.folder).detail
    return app.run()


def test_compare_says_what_explains_the_clusters_and_takes_it_out(scene, app, monkeypatch):
    workspace, rows, run, _ = scene
    app = open_page(app, "compare")
    assert "Why these clusters" in words(app) and not app.exception
    (table,) = [frame.value for frame in app.dataframe if "explains" in frame.value]
    assert "dominant colour" in table["measure"].tolist()
    app.selectbox(key=f"why_measure_{run.folder.name}").set_value("brightness").run()
    app = finished(workspace, "remove-nuisance", monkeypatch, app, "why_remove")
    assert "Brightness is gone from the clusters" in words(app).replace("\\", "") and not app.exception
    assert any("Before and after side by side" in link.label for link in app.get("page_link"))


def test_images_says_what_came_since_the_clustering(scene, app, monkeypatch):
    workspace, rows, run, folder = scene
    scan(workspace, rows.dataset.id)
    app = open_page(app, "images")
    assert "No image came since the clustering" in words(app) and not app.exception
    rng = np.random.default_rng(9)
    for number in range(8):
        pixels = np.tile(rng.integers(0, 255, (1, 32, 3), dtype=np.uint8), (32, 1, 1))
        Image.fromarray(pixels).save(folder / f"new{number}.png")
    scan(workspace, rows.dataset.id)
    app = app.run()
    assert "8 images came since the clustering" in words(app)
    assert any(link.label == "Embed them first" for link in app.get("page_link"))
    embed_dataset(workspace, rows.dataset.id, "descriptor", find_encoder("descriptor").settings_class())
    app = finished(workspace, "new-images", monkeypatch, app.run(), "newcomers")
    assert "8 new images" in words(app).replace("\\", "") and not app.exception
