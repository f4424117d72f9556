"""A scanned folder of small images with hostile names, clustered and labelled."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.core.workspace import Workspace
from engine.images.datasets import add_folder
from engine.images.scan import scan
from engine.images.tables import ImageTable, load_images
from engine.labels.events import LabelHistory
from engine.labels.state import LabelState
from engine.labels.table import LabelTable, label_table

NAMES = [
    b"a/one.png",
    b"a/two.png",
    b"b/one.png",
    b"=cmd.png",
    "emoji \U0001f431.png".encode(),
    b"new\nline.png",
    b"caf\xe9.png",
    b"copy of one.png",
    b"-dash.png",
]


def png(colour):
    data = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(data, "PNG")
    return data.getvalue()


@dataclass
class Scene:
    """Everything an export is made from."""

    workspace: Workspace
    dataset: str
    folder: Path
    images: ImageTable
    clusters: np.ndarray
    confidence: np.ndarray
    history: LabelHistory

    def state(self) -> LabelState:
        return self.history.state(self.images.contents, self.clusters, run="a")

    def table(self) -> LabelTable:
        return label_table(
            self.workspace, self.dataset, self.images.contents, self.clusters, self.confidence, state=self.state()
        )


@pytest.fixture
def scene(workspace, tmp_path):
    """Eight distinct images, nine files and a broken one; clusters 0, 1 and noise; cluster 0 is called cat."""
    folder = tmp_path / "photos"
    for at, name in enumerate(NAMES):
        path = os.fsencode(folder) + b"/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_bytes(
            png((0, 0, 0) if name in (b"a/one.png", b"copy of one.png") else (9, at, 7))
        )
    (folder / "broken.jpg").write_bytes(b"no image")
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id)
    images = load_images(workspace, dataset.id)
    clusters = np.array([0, 0, 0, 0, 1, 1, 1, -1], np.int32)
    scene = Scene(
        workspace,
        dataset.id,
        folder,
        images,
        clusters,
        np.linspace(0.3, 1, 8).astype(np.float32),
        LabelHistory(workspace, dataset.id),
    )
    scene.history.rename(scene.state(), 0, "cat")
    return scene
