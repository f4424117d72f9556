"""HaDis: online and target network, and its three losses as pure functions.

Source: Zhang and Huang, "Deep Clustering with Diffused Sampling and Hardness-aware Self-distillation",
arXiv:2401.14038, on ProPos (Huang et al., TPAMI 2022). Inputs of the losses are float32, (b, d).
"""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.embeddings.encoders.resnet_network import build_resnet, projection_head

HSD_TEMPERATURE = 0.5


class HaDisNetwork(nn.Module):
    """Encoder, projector and predictor, with a target copy of the first two that follows by moving average.

    Parameters
    ----------
    backbone : str
        Key of resnet_network.ARCHITECTURES.
    side : int
        Pixels of a view.
    hidden, outputs : int
        Width of projector and predictor, length of a projection; the paper has 4096 and 256.
    """

    def __init__(self, backbone: str, side: int, *, hidden: int = 4096, outputs: int = 256) -> None:
        super().__init__()
        self.encoder = build_resnet(backbone, side)
        self.projector = projection_head(self.encoder.dimension, hidden, outputs)
        self.predictor = projection_head(outputs, hidden, outputs)
        for layer in (self.predictor[0], self.predictor[3]):
            nn.init.normal_(layer.weight, std=0.01)  # type: ignore[arg-type]
        self.target_encoder = copy.deepcopy(self.encoder).requires_grad_(False)
        self.target_projector = copy.deepcopy(self.projector).requires_grad_(False)

    def online(self, views: Tensor) -> Tensor:
        """Return (b, outputs) projections with gradient, not normalised."""
        found: Tensor = self.projector(self.encoder(views))
        return found

    @torch.no_grad()
    def target(self, views: Tensor) -> Tensor:
        """Return (b, outputs) float32 unit-length projections of the target."""
        return F.normalize(self.target_projector(self.target_encoder(views)).float(), dim=1)

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """Move the target: target = momentum x target + (1 - momentum) x online. Its batch statistics are its own."""
        mine: list[Tensor] = [*self.target_encoder.parameters(), *self.target_projector.parameters()]
        theirs: list[Tensor] = [*self.encoder.parameters(), *self.projector.parameters()]
        torch._foreach_lerp_(mine, theirs, 1 - momentum)


def target_momentum(published: float, step: int, total: int, *, to_one: bool, ramp: bool) -> float:
    """Return the target's momentum at `step` of `total`.

    Parameters
    ----------
    published : float
        The paper's 0.996.
    to_one : bool
        Rise to 1 along a cosine (CIFAR-20).
    ramp : bool
        At most (1 + step) / (10 + step), so that a short run's target leaves its random start.
    """
    value = 1 - (1 - published) * (math.cos(math.pi * step / max(total, 1)) + 1) / 2 if to_one else published
    return min(value, (1 + step) / (10 + step)) if ramp else value


def dsa(predicted: Tensor, target: Tensor) -> Tensor:
    """Diffused sampling alignment: -2 mean cos(g(q + noise), k).

    Parameters
    ----------
    predicted, target : (b, d)
        Predictions of the diffused sample (any length); unit-length target projections.
    """
    return -2 * (F.normalize(predicted, dim=1) * target).sum(dim=1).mean()


def hsd(predicted: Tensor, target: Tensor) -> Tensor:
    """Hardness-aware self-distillation between the hardest positive and negative of each row.

    Row j is a negative of i when |t_i - t_j| > |t_i - s_i|, else a positive. A row with no negative
    contributes its positive term alone.

    Parameters
    ----------
    predicted, target : (b, d)
        As for `dsa`.
    """
    student = F.normalize(predicted, dim=1)
    among = (2 - 2 * target @ target.T).clamp_min(1e-12).sqrt()
    across = (2 - 2 * target @ student.T).clamp_min(1e-12).sqrt()
    own = across.diagonal()[:, None].detach()
    negative = among > own
    apart = across.detach()
    hardest_negative = apart.masked_fill(~negative, torch.inf).argmin(dim=1, keepdim=True)
    hardest_positive = apart.masked_fill(negative, -torch.inf).argmax(dim=1, keepdim=True)
    far, near = across.gather(1, hardest_positive)[:, 0], across.gather(1, hardest_negative)[:, 0]
    weight_near = (among.gather(1, hardest_negative)[:, 0] - near.detach()).clamp_min(0) * negative.any(dim=1)
    weight_far = (far.detach() - among.gather(1, hardest_positive)[:, 0]).clamp_min(0)
    return F.softplus((weight_far * far - weight_near * near) / HSD_TEMPERATURE).mean()


def pcl(online: Tensor, target: Tensor, labels: Tensor, n_clusters: int, *, temperature: float = 0.5) -> Tensor:
    """Prototypical contrast of batch centres; clusters absent from the batch take no part.

    Parameters
    ----------
    online : (b, d)
        Projections of the online network, any length.
    target : (b, d)
        Unit-length target projections.
    labels : (b,) int64
        Pseudo-labels 0..n_clusters-1.
    """
    member = F.one_hot(labels, n_clusters).to(online.dtype)
    present = member.sum(dim=0) > 0
    mu = F.normalize(member.T @ F.normalize(online, dim=1), dim=1)
    nu = F.normalize(member.T @ target, dim=1)
    agree = (mu * nu).sum(dim=1) / temperature
    others = (mu @ mu.T / temperature).masked_fill(~present[None, :], -torch.inf)
    itself = torch.eye(n_clusters, dtype=torch.bool, device=online.device)
    logits = torch.where(itself, agree[:, None].expand(-1, n_clusters), others)
    each = torch.logsumexp(logits, dim=1) - agree
    return (each * present).sum() / present.sum()
