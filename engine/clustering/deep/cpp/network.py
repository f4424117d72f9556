"""CPP's network and objective: two unit-length heads on one pre-feature, trained by rate reduction.

`CppTask` runs the warm-up and copies the subspace head once; `labels` turns the learned membership into labels.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from engine.clustering.deep.cpp.rate_reduction import coding_rate, conditional_rate, sinkhorn


class CppNetwork(nn.Module):
    """Embedding (D) -> pre-feature (h) -> subspace head Z and cluster head C, both (n, d) with unit rows.

    Parameters
    ----------
    dimension : int
        D, length of an embedding.
    width : int
        h.
    feature_dim : int
        d.

    References
    ----------
    Chu et al., "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained Models", ICLR 2024,
    arXiv:2306.05272.
    """

    def __init__(self, dimension: int, *, width: int = 4096, feature_dim: int = 128) -> None:
        super().__init__()
        self.pre_feature = nn.Sequential(
            nn.Linear(dimension, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
        )
        self.subspace = nn.Linear(width, feature_dim)
        self.cluster = nn.Linear(width, feature_dim)

    def forward(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Return (Z, C) of (n, D) embeddings, each (n, d) with unit rows."""
        hidden = self.pre_feature(embeddings)
        return functional.normalize(self.subspace(hidden), dim=1), functional.normalize(self.cluster(hidden), dim=1)

    def copy_subspace(self) -> None:
        """Start the cluster head from the subspace head's weights; called once, after the warm-up."""
        self.cluster.load_state_dict(self.subspace.state_dict())


def membership(c: Tensor, eta: float) -> Tensor:
    """Return G = n Pi of unit rows (n, d): Sinkhorn of |C C^T|; rows sum to 1."""
    return sinkhorn((c @ c.T).abs(), eta)


def objective(
    z: Tensor, c: Tensor, *, eta: float, gamma: float = 1.0, penalty: float = 0.05, epsilon2: float = 0.1
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss -R(Z) + gamma Rc(Z, G) + penalty / 2 ||G||_F^2 and its three terms by name."""
    mixing = membership(c, eta)
    rate = coding_rate(z, epsilon2=epsilon2)
    conditional = conditional_rate(z, mixing, epsilon2=epsilon2)
    spread = 0.5 * mixing.square().sum()
    terms = {"rate": rate, "conditional_rate": conditional, "membership_norm": spread}
    return -rate + gamma * conditional + penalty * spread, {name: term.detach() for name, term in terms.items()}
