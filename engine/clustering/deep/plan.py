"""What a deep method hands the trainer: a `Task` (network, loss, labels) and a `Plan` of resolved numbers.

Also the small rules that both obey: learning-rate schedule, teacher momentum, optimiser groups by name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.core.device import choose_device, threads
from engine.core.progress import Progress

if TYPE_CHECKING:
    from engine.clustering.deep.trainer import Trainer

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Group:
    """Optimiser settings of the parameters whose name matches a glob; the first matching group wins.

    `learning_rate` None means the plan's; it is scaled by the schedule like the plan's.
    """

    pattern: str
    weight_decay: float = 0.0
    learning_rate: float | None = None


@dataclass(frozen=True)
class Plan:
    """How to train: resolved numbers, no presets.

    Attributes
    ----------
    n_epochs, batch_size : int
        An epoch is n // batch_size full batches of a fresh shuffle.
    learning_rate : float
        Of groups that name none.
    groups : tuple of Group
        Every trainable parameter must match one.
    optimiser : "adamw" | "adam" | "sgd"
        With `betas` or `momentum`.
    warmup_steps : int
        Linear from 0 to the full rate.
    schedule : "constant" | "cosine"
        After the warm-up; cosine ends at `final_factor` of the rate.
    clip : float, optional
        Largest gradient norm.
    ema : float, optional
        Teacher momentum; at step t it is min(ema, (1 + t) / (10 + t)). None: no teacher.
    ema_warmup : bool
        Off: the full momentum from the first step, for a teacher that a warm start already made good.
    checkpoint_every : int
        Epochs between checkpoints (rounded up so that a run of many short epochs writes about ten).
    accumulate : int
        Parts into which a batch is split from the beginning.
    """

    n_epochs: int
    batch_size: int
    learning_rate: float
    groups: tuple[Group, ...] = (Group("*"),)
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    warmup_steps: int = 0
    schedule: Literal["constant", "cosine"] = "constant"
    final_factor: float = 0.0
    clip: float | None = None
    ema: float | None = None
    ema_warmup: bool = True
    checkpoint_every: int = 20
    accumulate: int = 1


class Task:
    """What a method gives the trainer; override `loss` and, where it means something, the rest.

    Attributes
    ----------
    model : nn.Module
        The trained network. Buffers that a loss updates belong into it, so that they are checkpointed.
    """

    model: nn.Module

    def loss(self, rows: Tensor, run: Trainer) -> Terms:
        """Return scalar terms of one batch of (b,) int64 row numbers; "loss" is minimised."""
        raise NotImplementedError

    def labels(self, run: Trainer) -> NDArray[np.int32] | None:
        """Return the (n,) clustering as it stands, for snapshots; None when there is none yet."""
        return None

    def before_step(self, run: Trainer) -> None:
        """Run before each optimiser step (copy a head, freeze a part)."""

    def adjust_gradients(self, run: Trainer) -> None:
        """Run between backward and the optimiser step."""

    def state(self) -> dict[str, Any]:
        """Return further tensors and plain values for the checkpoint."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""


@dataclass
class Outcome:
    """What `Trainer.train` did.

    Attributes
    ----------
    steps : int
        Optimiser steps of the whole run, resumed ones included.
    stopped : bool
        The person asked to stop early.
    losses : (steps,) float32
        The loss of each step.
    seconds : float
        Wall time of this call.
    notes : list of str
        Sentences worth reading.
    """

    steps: int
    stopped: bool
    losses: NDArray[np.float32]
    seconds: float
    notes: list[str] = field(default_factory=list)


def training_device(wanted: str, progress: Progress, notes: list[str]) -> torch.device:
    """Resolve the device; where "auto" finds no GPU, say so aloud and in `notes`."""
    device = torch.device(choose_device(wanted))
    if wanted == "auto" and device.type == "cpu":
        sentence = f"No GPU was found: training runs on the CPU with {threads()} threads."
        progress.say(sentence)
        notes.append(sentence)
    return device


def rate_factor(plan: Plan, step: int, total: int) -> float:
    """Return the learning rate at `step` (from 0) of `total`, as a share of the full rate."""
    if step < plan.warmup_steps:
        return (step + 1) / plan.warmup_steps
    if plan.schedule == "constant":
        return 1.0
    done = (step - plan.warmup_steps) / max(1, total - plan.warmup_steps)
    return plan.final_factor + (1 - plan.final_factor) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def ema_momentum(published: float, step: int) -> float:
    """Return the teacher's momentum at `step`: min(published, (1 + step) / (10 + step))."""
    return min(published, (1 + step) / (10 + step))


def make_optimiser(model: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """Build the optimiser with its parameter groups selected by name.

    Raises
    ------
    ValueError
        A trainable parameter matches no group.
    """
    chosen: list[list[nn.Parameter]] = [[] for _ in plan.groups]
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        match = next((i for i, group in enumerate(plan.groups) if fnmatchcase(name, group.pattern)), None)
        if match is None:
            raise ValueError(f"no optimiser group matches the parameter {name}")
        chosen[match].append(parameter)
    groups = [
        {"params": parameters, "lr": rate, "base": rate, "weight_decay": group.weight_decay}
        for group, parameters in zip(plan.groups, chosen, strict=True)
        if parameters
        for rate in [plan.learning_rate if group.learning_rate is None else group.learning_rate]
    ]
    if plan.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=plan.learning_rate, momentum=plan.momentum)
    kind = torch.optim.AdamW if plan.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=plan.learning_rate, betas=plan.betas, fused=True)


def out_of_memory(error: RuntimeError) -> bool:
    """Return whether `error` says that the device's memory ran out."""
    words = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in words or "out of memory" in words


def human_time(seconds: float) -> str:
    """Return "40 seconds" or "3 minutes"."""
    return f"{max(round(seconds), 1)} seconds" if seconds < 100 else f"{round(seconds / 60)} minutes"
