"""Cross-entropy with label smoothing: Szegedy et al. (2016), arXiv:1512.00567, section 7, with a uniform prior."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK = 2**20  # logits widened at a time on a CPU: 4 MiB in fp32


def cross_entropy(
    logits: Float[Tensor, "N V"], targets: Int[Tensor, " N"], smoothing: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Sums over N tokens, in nats: the smoothed loss, which carries gradients, and the plain negative log-likelihood.

    loss = (1 - e) * -log p(target) + e / V * sum over v of -log p(v). Sums are in fp32 (float64 for float64 logits).
    The logits are read once, a few rows at a time, so that fp32 copies stay in the processor's cache: the gradient is
    made in the same pass, in the logits' own precision.
    """
    return _CrossEntropy.apply(logits, targets, smoothing)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(logits.dtype, torch.float32)
        loss, nll = (torch.zeros((), dtype=wide, device=logits.device) for _ in range(2))
        gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        rows = max(1, CHUNK // logits.shape[-1]) if logits.device.type == "cpu" else max(1, len(logits))
        for start in range(0, len(logits), rows):
            part = slice(start, start + rows)
            chunk_loss, chunk_nll, probabilities = _chunk(logits[part].to(wide, copy=True), targets[part], smoothing)
            loss += chunk_loss
            nll += chunk_nll
            if gradient is not None:
                gradient[part] = _gradient(probabilities, targets[part], smoothing)
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_loss.to(gradient.dtype), None, None


def _chunk(logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor, Tensor]:
    """The sums over some rows, and their probabilities, which take the place of `logits`."""
    logits -= logits.amax(-1, keepdim=True)
    hit = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    mean = logits.mean(-1) if smoothing else hit
    probabilities = logits.exp_()
    total = probabilities.sum(-1, keepdim=True)
    normaliser = total.squeeze(-1).log()
    nll = (normaliser - hit).sum()
    uniform = (normaliser - mean).sum()
    return (1 - smoothing) * nll + smoothing * uniform, nll, probabilities.div_(total)


def _gradient(probabilities: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """p - (1 - e) onehot - e / V, in place."""
    if smoothing:
        probabilities -= smoothing / probabilities.shape[-1]
    hit = probabilities.new_full((len(targets), 1), smoothing - 1)
    return probabilities.scatter_add_(1, targets.unsqueeze(-1), hit)
