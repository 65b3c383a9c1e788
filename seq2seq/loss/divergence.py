"""Divergences between the predictions of two passes, and losses of given log-probabilities, a row per token."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def kl_divergence(p: Float[Tensor, "N V"], q: Float[Tensor, "N V"]) -> Float[Tensor, " N"]:
    """KL(p || q) = sum over v of p_v (log p_v - log q_v), in nats, of log-probabilities; gradients reach both."""
    return (p.exp() * (p - q)).sum(-1)


def jensen_shannon(p: Float[Tensor, "N V"], q: Float[Tensor, "N V"]) -> Float[Tensor, " N"]:
    """The mean of KL(p || m) and KL(q || m), m being the mean of both distributions; at most log 2."""
    mean = torch.logaddexp(p, q) - torch.log(torch.tensor(2.0, dtype=p.dtype, device=p.device))
    return (kl_divergence(p, mean) + kl_divergence(q, mean)) / 2


def smoothed_nll(
    log_probs: Float[Tensor, "N V"], targets: Int[Tensor, " N"], smoothing: float
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """Of each row the smoothed loss, (1 - e) -log p(target) - e / V sum over v of log p(v), and -log p(target)."""
    nll = -log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    if not smoothing:
        return nll, nll
    return (1 - smoothing) * nll - smoothing * log_probs.mean(-1), nll
