"""The shared trainer: a method brings a `TrainingTask` (network, loss, labels), the trainer does the rest.

Batches, optimiser, schedule, teacher, memory that runs out, NaN, checkpoints, resume and reports are the same for
every deep method. Rows of a table flow in by number; a trained network and the losses flow out. Torch is imported
here, so import this module inside `fit`.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.clustering.deep.checkpoints import (
    comparable,
    generator_states,
    load_newest,
    restore_generators,
    save_checkpoint,
)
from engine.clustering.deep.data import BatchOrder
from engine.clustering.deep.forecast import human_time
from engine.clustering.deep.plan import TrainingPlan, ema_momentum, make_optimiser, rate_factor
from engine.core.device import choose_device, threads
from engine.core.errors import Interrupted, StorageError, TrainingError
from engine.core.processes import NotedSignal, noting_signals
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings

Terms = dict[str, Tensor]
FLUSH_ON_GPU = 10
SNAPSHOTS = 20
# Seconds of training that are lost at most where a machine goes down.
SAVE_SECONDS = 120.0


class TrainingTask:
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

    def starting_loss(self, run: Trainer) -> float | None:
        """Return the loss of a network that has learned nothing; None leaves "did not train" to the first steps."""
        return run.loss_of_first_batch()

    def before_step(self, run: Trainer) -> None:
        """Run before each optimiser step (copy a head, freeze a part)."""

    def finished(self, run: Trainer) -> str | None:
        """Return a sentence when training ends before the plan's last step; asked before each step."""
        return None

    def adjust_gradients(self, run: Trainer) -> None:
        """Run between backward and the optimiser step."""

    def state(self) -> dict[str, Any]:
        """Return further tensors and plain values for the checkpoint."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""


@dataclass
class TrainingResult:
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


class Trainer:
    """Trains a task by a plan; resumes from the newest checkpoint in `checkpoints` when there is one.

    Parameters
    ----------
    task : TrainingTask
        Network, loss, labels. Its model is moved to `device`.
    plan : TrainingPlan
        Resolved numbers.
    n : int
        Rows of the training table.
    method : str
        The method's name, kept in the checkpoint.
    settings : Settings
        The resolved settings; a checkpoint with others is refused.
    device : torch.device
        See `training_device`.
    data : str
        `fingerprint(embeddings)`; a checkpoint of another table is refused.
    progress : Progress
        Told of losses, the time left, snapshots.
    checkpoints : Path, optional
        Folder to save to and resume from.
    agree : function, optional
        Of the signal that this process got, or 0: returns the one that all processes which train together act on.

    Attributes
    ----------
    model, teacher : nn.Module
        The student on the device; its EMA in evaluation mode without gradient, or None.
    step, steps_per_epoch, total_steps : int
        Optimiser steps done; steps of an epoch; steps of the whole run.
    rng, generator : numpy Generator, torch Generator (CPU)
        The run's own random draws, checkpointed.
    resumed : bool
        A checkpoint was loaded.
    starting_loss : float or None
        What `measure_start` saw.
    start : dict of str to tensor, or None
        The state of the network that gives labels, as the warm start left it; see `keep_start`.

    Raises
    ------
    CheckpointError
        A checkpoint of another configuration, or only damaged ones.
    """

    def __init__(
        self,
        task: TrainingTask,
        plan: TrainingPlan,
        *,
        n: int,
        method: str,
        settings: Settings,
        device: torch.device,
        data: str = "",
        seed: int = 0,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
        agree: Callable[[int], int] | None = None,
    ) -> None:
        self.task, self.plan, self.device = task, plan, device
        self.method, self.settings, self.data = method, comparable(settings), data
        self.defaults = comparable(type(settings)())
        self.progress, self.folder, self.agree = progress, checkpoints, agree
        self.model = task.model.to(device)
        self.teacher = self._frozen_copy() if plan.ema is not None else None
        self.optimiser = make_optimiser(self.model, plan)
        self.order = BatchOrder(n, plan.batch_size, seed)
        self.rng = np.random.default_rng([seed, 1])
        self.generator = torch.Generator().manual_seed(seed)
        self.steps_per_epoch = self.order.steps_per_epoch
        self.total_steps = plan.n_epochs * self.steps_per_epoch
        self.step = 0
        self.parts = plan.accumulate
        self.losses: list[float] = []
        self.notes: list[str] = []
        self.starting_loss: float | None = None
        self.start: dict[str, Tensor] | None = None
        self._waiting: list[Terms] = []
        self._buffers: list[Tensor] | None = None
        self._snapshot_seconds = 0.0
        self._estimated = False
        self.resumed = self._resume()

    @property
    def epoch(self) -> int:
        """Epochs completed."""
        return self.step // self.steps_per_epoch

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the mixed-precision context of this device: bfloat16 on a GPU that has it, else nothing."""
        if self.device.type == "cuda" and torch.cuda.is_bf16_supported():
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return nullcontext()

    def reset_teacher(self) -> None:
        """Make the teacher an exact copy of the student (after a warm start)."""
        if self.teacher is not None:
            self.teacher.load_state_dict(self.model.state_dict())

    def measure_start(self) -> None:
        """Keep the task's `starting_loss`, unless a checkpoint brought it; call it before a warm start.

        So "did not train" is judged against where nothing was learned.
        """
        if self.starting_loss is None:
            self.starting_loss = self.task.starting_loss(self)

    def keep_start(self) -> None:
        """Keep a copy of the network that gives labels as it stands, for a training that makes it worse."""
        state = (self.teacher or self.model).state_dict()
        self.start = {name: value.detach().cpu().clone() for name, value in state.items()}

    def loss_of_first_batch(self) -> float:
        """Return the loss of the first rows as the network stands; no state of the run changes."""
        states = generator_states(self.device, self.rng, self.generator)
        buffers = [buffer.clone() for buffer in self.model.buffers()]
        self.model.train()
        with torch.no_grad():
            rows = torch.arange(self.order.n)[: self.order.batch_size]
            loss = float(self.task.loss(rows, self)["loss"])
            for buffer, before in zip(self.model.buffers(), buffers, strict=True):
                buffer.copy_(before)
        restore_generators(states, self.device, self.rng, self.generator)
        return loss

    def train(self) -> TrainingResult:
        """Train until the plan's end or until the person asks to stop.

        A checkpoint is written after so many epochs, every `SAVE_SECONDS`, at the end, and before Ctrl-C, a cancelled
        job or SIGTERM ends the training.

        Raises
        ------
        Interrupted
            The process was asked to end; the last step is saved where there is a folder for it.
        TrainingError
            A term became NaN or infinite (named; the last good checkpoint stays), or memory does not
            suffice for the smallest batch.
        """
        if self.folder is None and self.agree is None:
            return self._train(NotedSignal())
        with noting_signals() as asked:
            return self._train(asked)

    def _train(self, asked: NotedSignal) -> TrainingResult:
        began, first = time.monotonic(), self.step
        spacing = max(1, self.total_steps // SNAPSHOTS)
        every = self._checkpoint_spacing()
        saved, saved_at, stopped, ending = self.step, began, False, 0
        self.model.train()
        while self.step < self.total_steps:
            ending = self.agree(asked.number) if self.agree is not None else asked.number
            if ending:
                break
            if self.progress.stop_requested():
                stopped = True
                self._tell(f"Stopped early at step {self.step:,} of {self.total_steps:,}, as asked.")
                break
            if ended := self.task.finished(self):
                self._tell(ended)
                break
            self._waiting.append(self._one_step())
            self.step += 1
            if self.device.type == "cpu" or len(self._waiting) >= FLUSH_ON_GPU or self.step == self.total_steps:
                self._flush(began, first)
            if self.step % spacing == 0:
                self._snapshot(began)
            if self.step % every == 0 or time.monotonic() - saved_at >= SAVE_SECONDS:
                self._flush(began, first)
                saved, saved_at = self._save(), time.monotonic()
        self._flush(began, first)
        if saved != self.step:
            self._save()
        if ending:
            self.progress.say(f"Interrupted at step {self.step:,} of {self.total_steps:,}; what was trained is saved.")
            raise Interrupted(ending)
        return TrainingResult(
            self.step, stopped, np.asarray(self.losses, dtype=np.float32), time.monotonic() - began, list(self.notes)
        )

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluate without gradient and without touching any random state of the run."""
        states = generator_states(self.device, self.rng, self.generator)
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.model.train(training)
            restore_generators(states, self.device, self.rng, self.generator)

    def _one_step(self) -> Terms:
        rows = self.order.next()
        self.task.before_step(self)
        factor = rate_factor(self.plan, self.step, self.total_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * factor
        terms = self._backward(rows)
        self.task.adjust_gradients(self)
        if self.plan.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip)
        self.optimiser.step()
        self._update_teacher()
        return terms

    def _backward(self, rows: Tensor) -> Terms:
        """Accumulate the batch's gradient; where memory runs out, halve the parts and say so."""
        buffers = list(self.model.buffers())
        if self._buffers is None:
            self._buffers = [torch.empty_like(buffer) for buffer in buffers]
        if buffers:
            torch._foreach_copy_(self._buffers, buffers)
        while True:
            self.optimiser.zero_grad(set_to_none=True)
            try:
                return self._accumulate(rows)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                if len(rows) // (2 * self.parts) < 2:
                    raise TrainingError(
                        "The device's memory does not suffice for the smallest batch.",
                        "Choose a smaller network, or train on the CPU.",
                    ) from error
            if buffers:
                torch._foreach_copy_(buffers, self._buffers)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            self.parts *= 2
            self._tell(
                f"Memory ran out: each batch of {len(rows):,} is now computed in {self.parts} parts "
                "whose gradients are added."
            )

    def _accumulate(self, rows: Tensor) -> Terms:
        total: Terms = {}
        for part in torch.chunk(rows, self.parts):
            share = len(part) / len(rows)
            terms = self.task.loss(part, self)
            (terms["loss"] * share).backward()  # type: ignore[no-untyped-call]
            for name, value in terms.items():
                total[name] = total.get(name, 0.0) + value.detach() * share
        return total

    @torch.no_grad()
    def _update_teacher(self) -> None:
        if self.teacher is None or self.plan.ema is None:
            return
        keep = ema_momentum(self.plan.ema, self.step) if self.plan.ema_warmup else self.plan.ema
        torch._foreach_lerp_(list(self.teacher.parameters()), list(self.model.parameters()), 1 - keep)
        if mine := list(self.teacher.buffers()):
            torch._foreach_copy_(mine, list(self.model.buffers()))

    def _flush(self, began: float, first: int) -> None:
        """Read the waiting terms from the device, stop at a NaN, report."""
        if not self._waiting:
            return
        names = list(self._waiting[0])
        values = torch.stack([torch.stack([terms[name].float() for name in names]) for terms in self._waiting])
        table = values.cpu().numpy()
        start = self.step - len(self._waiting)
        self._waiting = []
        bad = ~np.isfinite(table)
        if bad.any():
            row = int(np.flatnonzero(bad.any(axis=1))[0])
            blamed = [name for name, wrong in zip(names, bad[row], strict=True) if wrong]
            term = next((name for name in blamed if name != "loss"), "loss")
            kept = "The last good checkpoint is kept; " if self.folder is not None else ""
            raise TrainingError(
                f"Training stopped at step {start + row + 1:,}: the term {term!r} became "
                f"{'NaN' if np.isnan(table[row, names.index(term)]) else 'infinite'}.",
                f"{kept}lower the learning rate and train again.",
            )
        self.losses += table[:, names.index("loss")].tolist()
        elapsed, done = time.monotonic() - began, self.step - first
        left = elapsed / max(done, 1) * (self.total_steps - self.step)
        if not self._estimated and done >= 10 and elapsed > 2:
            self._estimated = True
            self.progress.say(f"About {human_time(left)} left for {self.total_steps:,} steps on {self.device.type}.")
        metrics = dict(zip(names, table.mean(axis=0).tolist(), strict=True))
        self.progress.update(
            self.step,
            self.total_steps,
            phase="training",
            unit="steps",
            seconds_left=left,
            learning_rate=self.optimiser.param_groups[0]["lr"],
            **metrics,
        )

    def _snapshot(self, began: float) -> None:
        """Show the labels, unless nobody listens or looking would cost a tenth of the training."""
        elapsed = time.monotonic() - began
        if self.progress is SILENT or (elapsed > 5 and self._snapshot_seconds > elapsed / 10):
            return
        with self.evaluating():
            labels = self.task.labels(self)
        if labels is not None:
            self.progress.snapshot(labels)
        self._snapshot_seconds += time.monotonic() - began - elapsed

    def _checkpoint_spacing(self) -> int:
        """Return steps between checkpoints: whole multiples of `checkpoint_every` epochs, about ten a run at most."""
        block = self.plan.checkpoint_every * self.steps_per_epoch
        return block * max(1, math.ceil(self.total_steps / (10 * block)) if self.steps_per_epoch < 20 else 1)

    def _save(self) -> int:
        """Write a checkpoint; a full disk is told and training goes on."""
        if self.folder is None:
            return self.step
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.model.parameters()):
            raise TrainingError(
                f"Training stopped at step {self.step:,}: a weight became NaN.",
                "The last good checkpoint is kept; lower the learning rate and train again.",
            )
        try:
            save_checkpoint(
                self.folder,
                self.epoch,
                self._payload(),
                optimiser=self.optimiser.state_dict(),
                step=self.step if self.step % self.steps_per_epoch else None,
            )
        except StorageError as error:
            self._tell(f"{error} Training goes on without this checkpoint.")
        return self.step

    def _payload(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "settings": json.dumps(self.settings),
            "data": self.data,
            "device": self.device.type,
            "step": self.step,
            "parts": self.parts,
            "model": self.model.state_dict(),
            "teacher": None if self.teacher is None else self.teacher.state_dict(),
            "order": self.order.state(),
            "rng": generator_states(self.device, self.rng, self.generator),
            "losses": torch.tensor(self.losses),
            "starting_loss": self.starting_loss,
            "start": self.start,
            "task": self.task.state(),
        }

    def _resume(self) -> bool:
        if self.folder is None or not self.folder.is_dir():
            return False
        loaded, told = load_newest(
            self.folder, method=self.method, settings=self.settings, data=self.data, defaults=self.defaults
        )
        for sentence in told:
            self._tell(sentence)
        if loaded is None:
            return False
        self.model.load_state_dict(loaded["model"])
        if self.teacher is not None:
            self.teacher.load_state_dict(loaded["teacher"])
        if loaded["optimiser"] is not None:
            self.optimiser.load_state_dict(loaded["optimiser"])
        self.order.load(loaded["order"])
        restore_generators(loaded["rng"], self.device, self.rng, self.generator)
        self.task.load_state(loaded["task"])
        self.step, self.parts = int(loaded["step"]), int(loaded["parts"])
        self.losses = loaded["losses"].tolist()
        self.starting_loss = loaded["starting_loss"]
        self.start = loaded.get("start")
        other = "" if loaded["device"] == self.device.type else f", made on {loaded['device']}: not bit for bit"
        self._tell(f"Resumed at step {self.step:,} of {self.total_steps:,}{other}.")
        return True

    def _frozen_copy(self) -> nn.Module:
        return copy.deepcopy(self.model).eval().requires_grad_(False)

    def _tell(self, sentence: str) -> None:
        self.progress.say(sentence)
        self.notes.append(sentence)


@contextmanager
def cast_once(network: nn.Module) -> Iterator[None]:
    """Let autocast keep the half-precision weights of a frozen network, as it does of one that has gradients.

    For a network that is asked several times within one autocast and without gradients: else its weights are cast anew
    each time.
    """
    frozen = [parameter for parameter in network.parameters() if not parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def training_device(wanted: str, progress: Progress, notes: list[str]) -> torch.device:
    """Resolve the device; where "auto" finds no GPU, say so aloud and in `notes`."""
    device = torch.device(choose_device(wanted))
    if wanted == "auto" and device.type == "cpu":
        sentence = f"No GPU was found: training runs on the CPU with {threads()} threads."
        progress.say(sentence)
        notes.append(sentence)
    return device


def out_of_memory(error: RuntimeError) -> bool:
    """Return whether `error` says that the device's memory ran out."""
    words = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in words or "out of memory" in words
