"""The four-term head: a batch-normalised projection and a bias-free classifier, trained by four terms.

Conditional entropy makes each image sure, the symmetric cross-entropy makes two noisy views agree, the
entropy of the batch mean keeps clusters in use, and a small distance term keeps the projections together.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

CONDITIONAL, AGREEMENT, BALANCE, DISTANCE = 1.0, 2.0, 1.5, 0.1


class FourTermNetwork(nn.Module):
    """Linear-BN-ReLU-Linear-BN-ReLU-Linear-BN, L2, bias-free Linear to K.

    Linear layers before a batch norm have no bias.
    """

    def __init__(self, *, n_in: int, n_hidden: int, n_projection: int, n_clusters: int) -> None:
        super().__init__()
        self.projection = nn.Sequential(
            nn.Linear(n_in, n_hidden, bias=False),
            nn.BatchNorm1d(n_hidden),
            nn.ReLU(),
            nn.Linear(n_hidden, n_hidden, bias=False),
            nn.BatchNorm1d(n_hidden),
            nn.ReLU(),
            nn.Linear(n_hidden, n_projection, bias=False),
            nn.BatchNorm1d(n_projection),
        )
        self.classifier = nn.Linear(n_projection, n_clusters, bias=False)

    def project(self, x: Tensor) -> Tensor:
        """Map (b, n_in) to unit (b, n_projection)."""
        return functional.normalize(self.projection(x), dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (z, logits before the temperature)."""
        z = self.project(x)
        return z, self.classifier(z)


def four_terms(z: Tensor, z_other: Tensor, logits: Tensor, logits_other: Tensor) -> dict[str, Tensor]:
    """Return the four terms of a batch, unweighted, and "loss", their weighted sum.

    Parameters
    ----------
    z, z_other : (b, p) Tensor
        Unit projections of both views.
    logits, logits_other : (b, K) Tensor
        Over the temperature.

    Returns
    -------
    dict
        conditional: mean entropy H(p); agreement: -(p . log p' + p' . log p) / 2, gradient through both;
        balance: entropy of the batch mean of p (maximised); distance: MSE(z, z').
    """
    log_p = functional.log_softmax(logits.float(), dim=1)
    log_q = functional.log_softmax(logits_other.float(), dim=1)
    p, q = log_p.exp(), log_q.exp()
    mean = p.mean(dim=0)
    conditional = -(p * log_p).sum(dim=1).mean()
    agreement = -((p * log_q).sum(dim=1) + (q * log_p).sum(dim=1)).mean() / 2
    balance = -(mean * mean.clamp_min(1e-12).log()).sum()
    distance = functional.mse_loss(z.float(), z_other.float())
    loss = CONDITIONAL * conditional + AGREEMENT * agreement - BALANCE * balance + DISTANCE * distance
    return {
        "loss": loss,
        "conditional": conditional,
        "agreement": agreement,
        "balance": balance,
        "distance": distance,
    }
