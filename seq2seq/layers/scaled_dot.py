"""Scaled dot-product attention: Vaswani et al. (2017), arXiv:1706.03762, section 3.2.1, equation 1."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from seq2seq.layers.dropout import dropout as drop
from seq2seq.normalizer.base import Normalizer
from seq2seq.normalizer.softmax import Softmax
from seq2seq.runtime.triton import kernels

FEW = 8  # queries of a step


def scaled_dot_product(
    query: Float[Tensor, "B H T d"],
    keys: Float[Tensor, "B G S d"],
    values: Float[Tensor, "B G S d"],
    mask: Bool[Tensor, "#B #H #T S"] | None = None,
    *,
    bias: Float[Tensor, "#B H T S"] | None = None,
    normalizer: Normalizer | None = None,
    dropout: float = 0.0,
    need_weights: bool = False,
) -> tuple[Float[Tensor, "B H T d"], Float[Tensor, "B H T S"] | None]:
    """softmax(q k' / sqrt(d) + bias) v over the positions where `mask` is True, for each head.

    `normalizer` replaces the softmax. With fewer heads of keys and values (G) than of queries, H / G neighbouring heads
    share one. Returns the context, and the weights before dropout if requested. A query must have at least one unmasked
    position.
    """
    if _rounded_needlessly(query, keys, values):
        with torch.autocast("cpu", enabled=False):
            return scaled_dot_product(
                query, keys, values, mask, bias=bias, normalizer=normalizer, dropout=dropout, need_weights=need_weights
            )
    if type(normalizer) is Softmax:
        normalizer = None  # the fused kernel has a mask for it
    if normalizer is None and not need_weights and not _plain_is_faster(query):
        for_sentences = _for_sentences(query, keys) if bias is None and not dropout else None
        if for_sentences is not None:
            return for_sentences(query, keys, values, mask), None
        seen = mask if bias is None else _masked(bias.to(query.dtype), mask)
        grouped = keys.shape[1] < query.shape[1]
        return F.scaled_dot_product_attention(query, keys, values, seen, dropout, enable_gqa=grouped), None
    scores = _product(query * (1 / math.sqrt(query.shape[-1])), keys.transpose(-2, -1))
    if bias is not None:
        scores = scores + bias
    if normalizer is None:
        weights = _masked(scores, mask).softmax(-1)
    else:
        weights = normalizer(scores, scores.new_ones(scores.shape[-1:], dtype=torch.bool) if mask is None else mask)
    return _product(drop(weights, dropout, training=True), values), weights if need_weights else None


def _for_sentences(query: Float[Tensor, "B H T d"], keys: Float[Tensor, "B G S d"]) -> Callable[..., Tensor] | None:
    """Our kernel, if the GPU and the shapes are supported. Without it a Transformer's attention took 60 of the 183 ms
    of an update of 65,000 target tokens of Multi30k on an H100."""
    own = kernels("seq2seq.layers.attention_kernels") if query.is_cuda else None
    return own.fused_attention if own is not None and own.suits(query, keys) else None


def _rounded_needlessly(*states: Tensor) -> bool:
    """Whether autocast would round the results of packed products, which are in fp32, to bf16: on a CPU that costs more
    time than it saves."""
    if not torch.is_autocast_enabled("cpu") or torch.is_grad_enabled():
        return False
    return all(each.device.type == "cpu" and each.dtype is torch.float32 for each in states)


def _plain_is_faster(query: Float[Tensor, "B H T d"]) -> bool:
    """On a CPU the fused kernel's bf16 backward pass takes several times as long as two products and a softmax; so does
    its forward pass for the few queries of a step."""
    if query.device.type != "cpu":
        return False
    few = query.shape[2] <= FEW and not torch.is_grad_enabled()
    return few or query.dtype is torch.bfloat16 or torch.is_autocast_enabled("cpu")


def _masked(scores: Float[Tensor, "#B H #T S"], mask: Bool[Tensor, "#B #H #T S"] | None) -> Tensor:
    return scores if mask is None else scores.masked_fill(~mask, float("-inf"))


def _product(rows: Float[Tensor, "B H T m"], shared: Float[Tensor, "B G m n"]) -> Float[Tensor, "B H T n"]:
    """Each head's rows times the matrix of its group: the rows of a group are stacked, no matrix is repeated."""
    heads, groups = rows.shape[1], shared.shape[1]
    if heads == groups:
        return torch.matmul(rows, shared)
    stacked = rows.unflatten(1, (groups, -1)).flatten(2, 3)
    return torch.matmul(stacked, shared).unflatten(2, (heads // groups, -1)).flatten(1, 2)


def split_heads(states: Float[Tensor, "B T A"], heads: int) -> Float[Tensor, "B H T d"]:
    """[B T H*d] -> [B H T d]."""
    return states.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(states: Float[Tensor, "B H T d"]) -> Float[Tensor, "B T A"]:
    """[B H T d] -> [B T H*d]."""
    return states.transpose(1, 2).flatten(-2)


def heads_problem(heads_key: str, heads: int, width_key: str, width: int) -> str | None:
    """Why this width cannot be divided into heads, or None."""
    if heads >= 1 and width % heads == 0:
        return None
    return f"{heads_key}={heads} does not divide {width_key}={width}"
