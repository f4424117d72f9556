"""The command line as a person uses it: `engine(...)` runs a command in this process and returns what it printed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from engine.__main__ import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line on stdout."""
        return self.out.splitlines()[-1]


@pytest.fixture
def engine(workspace, capsys):
    """Run one command on an empty workspace."""

    def run(*words: object) -> Ended:
        capsys.readouterr()
        status = main([str(word) for word in words])
        printed = capsys.readouterr()
        return Ended(status, printed.out, printed.err)

    return run


@pytest.fixture
def refused(engine):
    """Run a command that must end with status 2 and one sentence on stderr; return the sentence."""

    def run(*words: object) -> str:
        ended = engine(*words)
        assert ended.status == 2, ended.err
        assert ended.out == ""
        assert "Traceback" not in ended.err
        return ended.err.strip().splitlines()[-1]

    return run


def blobs(n: int = 120, classes: int = 4, dimension: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, d) float32 points around `classes` far centres, and their classes."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % classes
    centers = rng.normal(size=(classes, dimension)) * 5
    return (centers[truth] + rng.normal(size=(n, dimension))).astype(np.float32), truth


@pytest.fixture
def vectors(tmp_path):
    """A file with 120 labelled vectors of four classes."""
    path = tmp_path / "blobs.npz"
    rows, truth = blobs()
    np.savez(path, vectors=rows, ids=[f"item {at:03d}" for at in range(len(rows))], labels=[f"c{t}" for t in truth])
    return path
