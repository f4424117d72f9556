"""How to train, in resolved numbers: epochs, optimiser groups by name, learning-rate schedule, teacher momentum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import nn


@dataclass(frozen=True)
class ParameterGroup:
    """Optimiser settings of the parameters whose name matches a glob; the first matching group wins.

    `learning_rate` None means the plan's; it is scaled by the schedule like the plan's.
    """

    pattern: str
    weight_decay: float = 0.0
    learning_rate: float | None = None


@dataclass(frozen=True)
class TrainingPlan:
    """How to train: resolved numbers, no presets.

    Attributes
    ----------
    n_epochs, batch_size : int
        An epoch is n // batch_size full batches of a fresh shuffle.
    learning_rate : float
        Of groups that name none.
    groups : tuple of ParameterGroup
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
    groups: tuple[ParameterGroup, ...] = (ParameterGroup("*"),)
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


def rate_factor(plan: TrainingPlan, step: int, total: int) -> float:
    """Return the learning rate at `step` (from 0) of `total`, as a share of the full rate.

    A function of the step alone, so a checkpoint keeps nothing of it. torch's SequentialLR counts steps in a state of
    its own that checkpoints written before lack, and its rates differ in the last bits: a resumed run would not
    equal an uninterrupted one.
    """
    if step < plan.warmup_steps:
        return (step + 1) / plan.warmup_steps
    if plan.schedule == "constant":
        return 1.0
    done = (step - plan.warmup_steps) / max(1, total - plan.warmup_steps)
    return plan.final_factor + (1 - plan.final_factor) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def ema_momentum(published: float, step: int) -> float:
    """Return the teacher's momentum at `step`: min(published, (1 + step) / (10 + step)).

    It rises with the step, and a teacher is saved under its own parameter names; torch's AveragedModel fixes its
    averaging when it is built, and prefixes the names.
    """
    return min(published, (1 + step) / (10 + step))


def make_optimiser(model: nn.Module, plan: TrainingPlan) -> torch.optim.Optimizer:
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
