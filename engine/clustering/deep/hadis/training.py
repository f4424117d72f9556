"""What a HaDis training is made of: plan, task and trainer from settings, and the backbone that it leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.clustering.deep.checkpoints import fingerprint
from engine.clustering.deep.hadis.augment import Augmentation
from engine.clustering.deep.hadis.network import HaDisNetwork
from engine.clustering.deep.hadis.settings import HaDisSettings
from engine.clustering.deep.hadis.task import HaDisTask, ImageRows, image_statistics
from engine.clustering.deep.parallel import ProcessGroup
from engine.clustering.deep.plan import ParameterGroup, TrainingPlan
from engine.clustering.deep.presets import steps_per_epoch
from engine.clustering.deep.trainer import Trainer
from engine.core.progress import Progress
from engine.core.vectors import Vectors
from engine.embeddings.encoders.resnet_network import Backbone


def make_plan(settings: HaDisSettings, n: int) -> TrainingPlan:
    """Return the plan of resolved settings: SGD, linear warm-up, cosine, the predictor faster, norms not decayed."""
    steps = steps_per_epoch(n, settings.batch_size)
    rate = settings.learning_rate * settings.batch_size / 256
    fast = rate * settings.predictor_rate
    groups = tuple(
        ParameterGroup(pattern, 0.0, fast if pattern.startswith("predictor") else None)
        for pattern in ("predictor.1.*", "predictor*bias", "projector.1.*", "*norm*", "*bias")
    )
    return TrainingPlan(
        n_epochs=settings.n_epochs,
        batch_size=settings.batch_size,
        learning_rate=rate,
        groups=(
            *groups,
            ParameterGroup("predictor*", settings.weight_decay, fast),
            ParameterGroup("*", settings.weight_decay),
        ),
        optimiser="sgd",
        momentum=settings.momentum,
        warmup_steps=round(settings.warmup_share * settings.n_epochs * steps),
        schedule="cosine",
        checkpoint_every=settings.checkpoint_every,
    )


def plateau(losses: NDArray[np.float32], warmup_steps: int) -> float | None:
    """Return the level from which the loss must fall: its highest, over a twentieth of the steps, after the warm-up.

    During the warm-up alignment alone merges everything and the loss falls for no good; then the prototypes push
    apart, it rises, and only what comes after is learning. None where the training ended in the warm-up.
    """
    width = max(1, len(losses) // 20)
    blocks = [float(losses[i : i + width].mean()) for i in range(warmup_steps, len(losses), width)]
    return max(blocks, default=None)


def make_trainer(
    settings: HaDisSettings,
    images: NDArray[np.uint8],
    train: NDArray[np.int64],
    device: torch.device,
    processes: ProcessGroup,
    progress: Progress,
    checkpoints: Path | None,
) -> tuple[HaDisTask, Trainer]:
    """Build network, task and trainer from resolved settings; resumes where a checkpoint lies."""
    mean, std, gray = image_statistics(images, train)
    augmentation = Augmentation(
        settings.image_size,
        mean,
        std,
        settings.smallest_crop,
        settings.flip,
        settings.colour_jitter,
        settings.grayscale,
        gray,
    )
    network = HaDisNetwork(
        settings.backbone, settings.image_size, hidden=settings.projector_width, outputs=settings.projection_dim
    )
    plan = make_plan(settings, len(train))
    task = HaDisTask(
        network,
        ImageRows(images, device),
        train,
        augmentation,
        settings,
        warmup_steps=plan.warmup_steps,
        processes=processes,
    )
    flat = images.reshape(len(images), -1)
    trainer = Trainer(
        task,
        plan,
        n=len(train),
        method="hadis",
        settings=settings,
        device=device,
        data=fingerprint(flat),
        seed=settings.random_state,
        progress=progress,
        checkpoints=checkpoints,
        agree=(lambda signal: processes.largest(signal, device)) if processes.size > 1 else None,
    )
    if processes.rank:
        trainer.folder = None  # the first process writes for all
    return task, trainer


def backbone_of(task: HaDisTask) -> Backbone:
    """Return the trained target network with all that is needed to use it on new images."""
    model, own = task.model, task.augmentation
    return Backbone(
        task.settings.backbone,
        own.side,
        list(own.mean),
        list(own.std),
        model.target_encoder.eval(),
        model.target_projector.eval(),
        torch.from_numpy(task.centers),
    )


def project(backbone: Backbone, images: NDArray[np.uint8], *, batch: int = 512) -> Vectors:
    """Return (n, outputs) unit-length projections of images, resized to the backbone's side where needed."""
    device = next(backbone.network.parameters()).device
    augmentation = Augmentation(backbone.side, backbone.mean, backbone.std)
    found = []
    with torch.no_grad():
        for start in range(0, len(images), batch):
            block = torch.from_numpy(np.array(images[start : start + batch])).to(device)
            inner = backbone.projector(backbone.network(augmentation.plain(block)))
            found.append(torch.nn.functional.normalize(inner.float(), dim=1).cpu().numpy())
    return np.concatenate(found)
