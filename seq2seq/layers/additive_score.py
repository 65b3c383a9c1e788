"""The scores of additive attention: Bahdanau et al. (2015), arXiv:1409.0473, appendix A.1.2; fused on a GPU."""

import logging
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

log = logging.getLogger(__name__)


def additive_score(
    query: Float[Tensor, "B T A"], keys: Float[Tensor, "B S A"], v: Float[Tensor, "1 A"]
) -> Float[Tensor, "B T S"]:
    """sum over a of v_a tanh(query_ta + keys_sa); `v` is the weight of a linear map to one number.

    On a GPU with Triton, [B T S A] is never held, neither here nor for the gradients, which repeat bitwise. Elsewhere
    it is `plain_additive_score`, which holds it.
    """
    fused = _fused() if query.is_cuda else None
    return plain_additive_score(query, keys, v) if fused is None else fused(query, keys, v)


def plain_additive_score(
    query: Float[Tensor, "B T A"], keys: Float[Tensor, "B S A"], v: Float[Tensor, "1 A"]
) -> Float[Tensor, "B T S"]:
    """The equation in torch's own operations: the only place that holds [B T S A]."""
    hidden = torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1))
    return F.linear(hidden, v).squeeze(-1)


@cache
def _fused() -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
    """The kernels, or None where they cannot run. Triton comes with torch's CUDA builds for Linux, but it needs a C
    compiler and Python's headers beside it: what trains without them must go on training."""
    if find_spec("triton") is None:
        return None
    try:
        from seq2seq.layers.additive_kernels import fused_additive_score, try_kernels

        try_kernels(torch.device("cuda"))
    except Exception as error:  # whatever a compiler, a driver or another version of Triton may raise
        reason = str(error).strip().split("\n")[-1]
        log.warning("Triton's kernels do not run here (%s): additive attention takes more memory without", reason)
        return None
    return fused_additive_score
