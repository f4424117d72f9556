"""Data parallel training under `torchrun`: each process takes its share of a batch, gradients are averaged.

Without `torchrun` everything here is the identity, so the same code trains on one device.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from engine.core.device import best_device
from engine.core.progress import SILENT, Progress


class ProcessGroup:
    """The processes that train together.

    Attributes
    ----------
    rank, size : int
        This process's number and how many there are; 0 of 1 without `torchrun`.
    """

    def __init__(self) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", "1")) if dist.is_available() else 1
        self._opened = self.size > 1 and not dist.is_initialized()
        if self._opened:
            backend = "cpu:gloo,cuda:nccl" if best_device() == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=timedelta(hours=12))  # others wait while the first one embeds
        self.rank = dist.get_rank() if self.size > 1 else 0

    def device(self, chosen: torch.device) -> torch.device:
        """Return this process's own GPU where "cuda" was chosen."""
        if self.size > 1 and chosen.type == "cuda":
            chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(chosen)
        return chosen

    def share(self, rows: Tensor) -> Tensor:
        """Return this process's part of a batch."""
        return rows if self.size == 1 else torch.tensor_split(rows, self.size)[self.rank]

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Make every process's gradients the mean of all, in one message."""
        if self.size == 1:
            return
        slopes = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([slope.flatten() for slope in slopes])
        dist.all_reduce(flat)
        flat /= self.size
        for slope, new in zip(slopes, flat.split([s.numel() for s in slopes]), strict=True):  # type: ignore[no-untyped-call]
            slope.copy_(new.view_as(slope))

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Make floating tensors (batch statistics) the mean of all processes'."""
        if self.size == 1:
            return
        for tensor in tensors:
            if tensor.is_floating_point():
                dist.all_reduce(tensor)
                tensor /= self.size

    def gather(self, own: NDArray[np.float32], counts: list[int], device: torch.device) -> NDArray[np.float32]:
        """Return all processes' rows one after another; `counts` rows of each."""
        if self.size == 1:
            return own
        width = max(counts)
        padded = torch.zeros(width, own.shape[1], device=device)
        padded[: len(own)] = torch.from_numpy(own).to(device)
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return np.concatenate([part[:count].cpu().numpy() for part, count in zip(parts, counts, strict=True)])

    def from_first(self, values: NDArray[np.int32], device: torch.device) -> NDArray[np.int32]:
        """Return the first process's integers."""
        if self.size == 1:
            return values
        sent = torch.from_numpy(values).to(device)
        dist.broadcast(sent, 0)
        return sent.cpu().numpy()

    def text_from_first(self, text: str) -> str:
        """Return the first process's text; the others wait for it here."""
        sent = [text]
        if self.size > 1:
            dist.broadcast_object_list(sent, 0, device=torch.device("cpu"))
        return sent[0]

    def any_of(self, value: bool, device: torch.device) -> bool:
        """Return whether the first process says yes."""
        if self.size == 1:
            return value
        flag = torch.tensor([int(value)], device=device)
        dist.broadcast(flag, 0)
        return bool(flag.item())

    def largest(self, value: int, device: torch.device) -> int:
        """Return the largest of all processes' numbers."""
        if self.size == 1:
            return value
        sent = torch.tensor([value], device=device)
        dist.all_reduce(sent, dist.ReduceOp.MAX)
        return int(sent.item())

    def close(self) -> None:
        """Leave the group, if this object formed it."""
        if self._opened:
            dist.destroy_process_group()


class GroupProgress:
    """Only the first process speaks; a wish to stop reaches all of them in the same step."""

    def __init__(self, progress: Progress, processes: ProcessGroup, device: torch.device) -> None:
        self._progress = progress if processes.rank == 0 else SILENT
        self._processes, self._device = processes, device

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        """Pass on."""
        self._progress.update(done, total, phase=phase, unit=unit, **metrics)

    def say(self, sentence: str) -> None:
        """Pass on."""
        self._progress.say(sentence)

    def snapshot(self, labels: NDArray[np.int32]) -> None:
        """Pass on."""
        self._progress.snapshot(labels)

    def stop_requested(self) -> bool:
        """Return the first process's answer."""
        return self._processes.any_of(self._progress.stop_requested(), self._device)
