"""The nearest rows by inner product on a GPU, by torch: half-precision products, then the best ones again in float32.

A row among the k best lies in one of the k groups of columns whose largest value is highest, so only those groups are
looked into. What half precision could confuse is settled by ranking somewhat more than k candidates in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.core.device import free_memory
from engine.core.vectors import Vectors

if TYPE_CHECKING:
    import torch

_GROUP = 64  # columns whose largest value stands for them
_TILE = 65_536  # rows of the base that are multiplied at once; a multiple of the group
_QUERIES = 4096  # queries at once
_RANKED = 512  # queries whose candidates are ranked at once
_SHARE = 0.6  # of the free memory may be taken by the base


class DeviceSearch:
    """Finds the k unit rows most similar to unit queries, exactly up to the rounding of float32.

    The base stays on the device where it fits, in half precision alone or with its float32 rows; else its tiles are
    read from the array, which may be a memory map, for each block of queries.

    Parameters
    ----------
    base : (n, d) float32
        Unit rows.
    device : str
        Of torch: "cuda", "cuda:1", "mps", or "cpu" for tests.
    half : bool
        Multiply in half precision first; False multiplies in float32, so that ranking again changes nothing.
    memory : int, optional
        Bytes that the base may take on the device; 60% of what is free when left out.
    """

    def __init__(self, base: Vectors, device: str, *, half: bool = True, memory: int | None = None) -> None:
        import torch

        self.base, self.device = base, torch.device(device)
        self.kind = torch.float16 if half else torch.float32
        room = int(_SHARE * free_memory(device)) if memory is None else memory
        cells = int(base.shape[0]) * int(base.shape[1])
        width = 2 if half else 4
        self.parts = [slice(first, min(first + _TILE, len(base))) for first in range(0, len(base), _TILE)]
        self._tiles = [self._tile(rows) for rows in self.parts] if cells * width <= room else None
        self._whole = self._read(slice(0, len(base))) if cells * (width + 4) <= room else None

    def __call__(self, queries: Vectors, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return (m, k) rows and cosines in falling order, equal ones in the order of the rows.

        Parameters
        ----------
        queries : (m, d) float32
            Unit rows.
        k : int
            At most the number of base rows.
        """
        rows = np.empty((len(queries), k), np.int64)
        values = np.empty((len(queries), k), np.float32)
        for first in range(0, len(queries), _QUERIES):
            part = slice(first, min(first + _QUERIES, len(queries)))
            asked = self._send(queries[part])
            found = self._candidates(asked, min(k + max(32, k // 2), len(self.base)))
            for begin in range(0, len(found), _RANKED):
                some = slice(begin, begin + _RANKED)
                at, value = self._ranked(asked[some], found[some], k)
                place = slice(first + begin, first + begin + len(at))
                rows[place], values[place] = at.cpu().numpy(), value.cpu().numpy()
        return rows, values

    def _candidates(self, asked: torch.Tensor, wanted: int) -> torch.Tensor:
        """Return (m, wanted) rows with the largest products."""
        import torch

        small = asked.to(self.kind)
        best: torch.Tensor | None = None
        where: torch.Tensor | None = None
        for number, part in enumerate(self.parts):
            tile = self._tiles[number] if self._tiles is not None else self._tile(part)
            value, at = _top(small @ tile.T, min(wanted, part.stop - part.start))
            at = at + part.start
            if best is not None and where is not None:
                value, at = torch.cat([best, value], dim=1), torch.cat([where, at], dim=1)
                value, kept = value.topk(min(wanted, value.shape[1]), dim=1)
                at = at.gather(1, kept)
            best, where = value, at
        assert where is not None
        return where

    def _ranked(self, asked: torch.Tensor, found: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the k best of some candidates by their products in float32."""
        import torch

        found = found.sort(dim=1).values  # equal products stay in the order of the rows
        if self._whole is not None:
            rows = self._whole[found]
        else:
            rows = self._send(self.base[found.cpu().numpy().reshape(-1)]).view(*found.shape, -1)
        products = torch.bmm(rows, asked[:, :, None])[:, :, 0]
        values, order = products.sort(dim=1, descending=True, stable=True)
        return found.gather(1, order[:, :k]), values[:, :k]

    def _tile(self, rows: slice) -> torch.Tensor:
        return self._read(rows).to(self.kind)

    def _read(self, rows: slice) -> torch.Tensor:
        return self._send(self.base[rows])

    def _send(self, rows: NDArray[Any]) -> torch.Tensor:
        import torch

        return torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32)).to(self.device)


def _top(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the k largest of each row of (m, t), and their columns."""
    import torch

    count = scores.shape[1]
    groups = -(-count // _GROUP)
    if groups <= k:
        found: tuple[torch.Tensor, torch.Tensor] = scores.topk(k, dim=1)
        return found
    if groups * _GROUP != count:
        scores = torch.nn.functional.pad(scores, (0, groups * _GROUP - count), value=float("-inf"))
    grouped = scores.view(len(scores), groups, _GROUP)
    chosen = grouped.amax(dim=2).topk(k, dim=1).indices
    within = grouped.gather(1, chosen[:, :, None].expand(-1, -1, _GROUP)).reshape(len(scores), -1)
    values, places = within.topk(k, dim=1)
    columns = chosen.gather(1, places // _GROUP) * _GROUP + places % _GROUP
    return values, columns
