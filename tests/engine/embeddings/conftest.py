"""Small folders of pictures and a small fast encoder that says what it was given."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from engine.core.progress import SILENT
from engine.core.settings import Settings, setting
from engine.embeddings.encoders import registry as encoders
from engine.embeddings.encoders.registry import EncoderEntry
from engine.images.datasets import add_folder
from engine.images.scan import scan


class TinySettings(Settings):
    """Settings of the test encoder."""

    factor: float = setting(1.0, "Multiplies every number.", ge=0, le=10)


class Tiny:
    """Mean colours of the four quarters of an image; its class attributes steer the tests."""

    side = 8
    dimension = 12
    device = "cpu"
    batch_size = 4
    version = "tiny-1"
    built = 0
    seen = 0

    def __init__(self, settings, *, device="cpu"):
        Tiny.built += 1
        self.settings, self.revision, self.notes = settings, Tiny.version, []

    @staticmethod
    def revision_of(settings, *, progress=SILENT, download=True):
        return Tiny.version

    def encode(self, batch):
        Tiny.seen += len(batch)
        quarters = batch.reshape(len(batch), 2, 4, 2, 4, 3).mean(axis=(2, 4), dtype=np.float32)
        return quarters.reshape(len(batch), 12) / 255 * self.settings.factor


@dataclass
class Recorder:
    """A listener that remembers."""

    said: list = field(default_factory=list)
    updates: list = field(default_factory=list)

    def update(self, done, total, *, phase="", unit="", **metrics):
        self.updates.append((done, total, phase, unit, metrics))

    def say(self, sentence):
        self.said.append(sentence)

    def snapshot(self, labels):
        pass

    def stop_requested(self):
        return False


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def tiny(monkeypatch):
    """The test encoder, registered under the name "tiny"."""
    entry = EncoderEntry("tiny", "Tiny", "For tests.", __name__, "Tiny")
    monkeypatch.setitem(encoders.ENCODERS, "tiny", entry)
    monkeypatch.setattr(Tiny, "built", 0)
    monkeypatch.setattr(Tiny, "seen", 0)
    monkeypatch.setattr(Tiny, "version", "tiny-1")
    monkeypatch.setattr(Tiny, "encode", Tiny.encode)
    return Tiny


def png(pixels):
    """Return the PNG bytes of (h, w, 3) uint8 pixels."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def pictures(tmp_path):
    """A function that writes `count` distinct pictures into a folder, from number `start` on."""
    folder = tmp_path / "photos"
    folder.mkdir()

    def write(count, start=0):
        for number in range(start, start + count):
            pixels = np.random.default_rng(number).integers(0, 255, (12, 16, 3), dtype=np.uint8)
            (folder / f"{number:04d}.png").write_bytes(png(pixels))
        return folder

    return write


@pytest.fixture
def added(workspace, pictures):
    """A function that makes a scanned data set of `count` pictures."""

    def make(count):
        dataset = add_folder(workspace, pictures(count))
        scan(workspace, dataset.id)
        return dataset

    return make
