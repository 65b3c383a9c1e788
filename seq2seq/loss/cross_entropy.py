"""Cross-entropy with label smoothing: Szegedy et al. (2016), arXiv:1512.00567, section 7, with a uniform prior."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.runtime.triton import kernels

CHUNK = 2**20  # logits converted at a time on a CPU: 4 MiB in fp32
GPU_CHUNK = 2**24  # elsewhere few large pieces are better: 64 MiB; with Triton one kernel does all of it


def cross_entropy(
    logits: Float[Tensor, "N V"],
    targets: Int[Tensor, " N"],
    smoothing: float,
    mask: Bool[Tensor, " N"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Sums over N tokens, in nats: the smoothed loss, with gradients, and the plain negative log-likelihood.

    loss = (1 - e) * -log p(target) + e / V * sum over v of -log p(v). Sums are in fp32 (float64 for float64 logits).
    The logits are read once, a few rows at a time, so that fp32 copies are small (and stay in a processor's cache): the
    gradient is made in the same pass, in the logits' own precision. Rows that are False in `mask` are ignored.
    """
    return _CrossEntropy.apply(logits, targets, smoothing, mask)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, smoothing: float, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        fused = kernels("seq2seq.loss.cross_entropy_kernels") if logits.is_cuda else None
        function = plain_cross_entropy if fused is None else fused.fused_cross_entropy
        loss, nll, gradient = function(logits, targets, smoothing, mask, with_gradient=ctx.needs_input_grad[0])
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_loss.to(gradient.dtype), None, None, None


def plain_cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float, mask: Tensor | None, *, with_gradient: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Both sums, and the gradient of the first, in torch's own operations."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    loss, nll = (torch.zeros((), dtype=wide, device=logits.device) for _ in range(2))
    gradient = torch.empty_like(logits) if with_gradient else None
    rows = max(1, (CHUNK if logits.device.type == "cpu" else GPU_CHUNK) // logits.shape[-1])
    for start in range(0, len(logits), rows):
        part = slice(start, start + rows)
        kept = None if mask is None else mask[part]
        wide_logits = logits[part].to(wide, copy=True)
        chunk_loss, chunk_nll, probabilities = _chunk(wide_logits, targets[part], smoothing, kept)
        loss += chunk_loss
        nll += chunk_nll
        if gradient is not None:
            gradient[part] = _gradient(probabilities, targets[part], smoothing, kept)
    return loss, nll, gradient


def _chunk(logits: Tensor, targets: Tensor, smoothing: float, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The sums over some rows, and their probabilities, which overwrite `logits`."""
    logits -= logits.amax(-1, keepdim=True)
    hit = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    mean = logits.mean(-1) if smoothing else hit
    probabilities = logits.exp_()
    total = probabilities.sum(-1, keepdim=True)
    normaliser = total.squeeze(-1).log()
    nll = _sum(normaliser - hit, mask)
    uniform = _sum(normaliser - mean, mask)
    return (1 - smoothing) * nll + smoothing * uniform, nll, probabilities.div_(total)


def _sum(values: Tensor, mask: Tensor | None) -> Tensor:
    return values.sum() if mask is None else values.masked_fill(~mask, 0).sum()


def _gradient(probabilities: Tensor, targets: Tensor, smoothing: float, mask: Tensor | None) -> Tensor:
    """p - (1 - e) onehot - e / V, in place; 0 where the mask is False."""
    if smoothing:
        probabilities -= smoothing / probabilities.shape[-1]
    hit = probabilities.new_full((len(targets), 1), smoothing - 1)
    probabilities.scatter_add_(1, targets.unsqueeze(-1), hit)
    return probabilities if mask is None else probabilities.masked_fill_(~mask.unsqueeze(-1), 0)
