"""Feeding a deep method: embeddings by row number from memory or a memory map, normalised, and batch order.

Features that fit stay on the device; larger ones are read from the map batch by batch. The order of
the batches has its own generator, so that a resumed run goes on with exactly the batches that were left.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.clustering.deep.presets import Scaling, steps_per_epoch
from engine.geometry.projection import fit_pca

ON_DEVICE_BYTES = 2 << 30
CHUNK = 16_384


class Normaliser:
    """An input normalisation, learned once from the training rows and applied alike at prediction.

    Parameters
    ----------
    kind : str
        "none"; "l2": rows to length one; "standardise": z-score of each column; "centre": unit rows, less
        their mean, to length one again; "principal": unit rows on their leading principal axes, to length
        sqrt(number of axes).
    n_components : int
        Axes of "principal"; fewer where the rows have fewer.

    Attributes
    ----------
    columns : int
        Length of the rows it was fitted to; 0 before `fit`.
    """

    def __init__(self, kind: Scaling, n_components: int = 128) -> None:
        self.kind: Scaling = kind
        self.n_components = n_components
        self.columns = 0
        self.axes = torch.zeros(0)
        self.mean = torch.zeros(1)
        self.scale = torch.ones(1)

    def fit(self, embeddings: NDArray[Any]) -> Normaliser:
        """Learn mean and scale in one pass over (n, d) rows, in float64."""
        self.columns = embeddings.shape[1]
        if self.kind in ("none", "l2"):
            return self
        if self.kind == "principal":
            pca = fit_pca(embeddings, self.n_components, normalise=True)
            self.mean, self.axes = torch.from_numpy(pca.mean), torch.from_numpy(pca.axes)
            return self
        total = np.zeros(embeddings.shape[1])
        squares = np.zeros(embeddings.shape[1])
        for start in range(0, len(embeddings), CHUNK):
            block = np.asarray(embeddings[start : start + CHUNK], dtype=np.float64)
            if self.kind == "centre":
                block = block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-12)
            total += block.sum(axis=0)
            squares += np.square(block).sum(axis=0)
        mean = total / len(embeddings)
        deviation = np.sqrt(np.maximum(squares / len(embeddings) - mean**2, 0.0))
        self.mean = torch.from_numpy(mean.astype(np.float32))
        if self.kind == "standardise":
            deviation[deviation < 1e-6 * max(float(deviation.max()), 1e-12)] = 1.0
            self.scale = torch.from_numpy(deviation.astype(np.float32))
        return self

    def __call__(self, rows: Tensor) -> Tensor:
        """Normalise (b, d) float32 rows."""
        if self.kind == "principal":
            rows = (torch.nn.functional.normalize(rows, dim=1) - self.mean.to(rows.device)) @ self.axes.T.to(
                rows.device
            )
            return torch.nn.functional.normalize(rows, dim=1) * rows.shape[1] ** 0.5
        if self.kind in ("l2", "centre"):
            rows = torch.nn.functional.normalize(rows, dim=1)
        if self.kind in ("standardise", "centre"):
            rows = (rows - self.mean.to(rows.device)) / self.scale.to(rows.device)
        return torch.nn.functional.normalize(rows, dim=1) if self.kind == "centre" else rows

    def width(self, dimension: int) -> int:
        """Return the columns that leave, given `dimension` columns."""
        return len(self.axes) if self.kind == "principal" else dimension

    def state(self) -> dict[str, Any]:
        """Return what `load` needs."""
        return {
            "kind": self.kind,
            "columns": self.columns,
            "mean": self.mean,
            "scale": self.scale,
            "axes": self.axes,
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> Normaliser:
        """Rebuild from `state()`."""
        found = cls(state["kind"])
        found.columns = state["columns"]
        found.mean, found.scale, found.axes = state["mean"], state["scale"], state["axes"]
        return found


class Features:
    """(n, d) embeddings by row number, on a device and normalised.

    Parameters
    ----------
    embeddings : (n, d) float32
        An array or a memory map.
    device : torch.device
        Where batches go; the whole table lives there when it takes at most `ON_DEVICE_BYTES`.
    normaliser : Normaliser, optional
        Applied to every row that leaves.
    """

    def __init__(self, embeddings: NDArray[Any], device: torch.device, normaliser: Normaliser | None = None) -> None:
        self.device = device
        self.normaliser = normaliser or Normaliser("none")
        self.shape = (len(embeddings), self.normaliser.width(embeddings.shape[1]))
        self._rows: NDArray[Any] | None = embeddings
        self._table: Tensor | None = None
        if self.shape[0] * self.shape[1] * 4 <= ON_DEVICE_BYTES:
            table = torch.empty(self.shape, dtype=torch.float32, device=device)
            for start in range(0, len(embeddings), CHUNK):
                table[start : start + CHUNK] = self._normalised(embeddings[start : start + CHUNK])
            self._table, self._rows = table, None

    def _normalised(self, rows: NDArray[Any]) -> Tensor:
        copied = torch.from_numpy(np.array(rows, dtype=np.float32))
        return self.normaliser(copied.to(self.device))

    def __len__(self) -> int:
        return int(self.shape[0])

    @property
    def dimension(self) -> int:
        """Columns that leave."""
        return int(self.shape[1])

    @property
    def whole(self) -> Tensor | None:
        """All rows, (n, d) float32 on the device; None where they are read from the map batch by batch."""
        return self._table

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Return (len(rows), d) float32 on the device; `rows` is a (b,) int64 tensor on any device."""
        if self._table is not None:
            return self._table[rows.to(self.device)]
        assert self._rows is not None
        index = rows.cpu().numpy()
        order = np.argsort(index, kind="stable")
        gathered = np.empty((len(index), self._rows.shape[1]), dtype=np.float32)
        gathered[order] = self._rows[index[order]]
        return self._normalised(gathered)


class BatchOrder:
    """Which rows each step sees: a fresh shuffle for every epoch, from a generator of its own.

    `state()` and `load()` make it continue anywhere in an epoch.
    """

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        self.n = n
        self.batch_size = min(batch_size, n)
        self.steps_per_epoch = steps_per_epoch(n, self.batch_size)
        self.position = 0
        self._rng = np.random.default_rng([seed, 0xBA7C4])
        self._before = json.dumps(self._rng.bit_generator.state)
        self._order = self._rng.permutation(n)

    def next(self) -> Tensor:
        """Return the next batch's (b,) int64 row numbers, on the CPU."""
        if self.position == self.steps_per_epoch:
            self._before = json.dumps(self._rng.bit_generator.state)
            self._order = self._rng.permutation(self.n)
            self.position = 0
        start = self.position * self.batch_size
        self.position += 1
        return torch.from_numpy(self._order[start : start + self.batch_size])

    def state(self) -> dict[str, Any]:
        """Return the generator before this epoch's shuffle and the position in it."""
        return {"rng": self._before, "position": self.position}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        self._rng.bit_generator.state = json.loads(state["rng"])
        self._before = state["rng"]
        self._order = self._rng.permutation(self.n)
        self.position = int(state["position"])
