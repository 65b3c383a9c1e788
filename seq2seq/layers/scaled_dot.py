"""Scaled dot-product attention: Vaswani et al. (2017), arXiv:1706.03762, section 3.2.1, equation 1."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from seq2seq.layers.dropout import dropout as drop


def scaled_dot_product(
    query: Float[Tensor, "B H T d"],
    keys: Float[Tensor, "B H S d"],
    values: Float[Tensor, "B H S d"],
    mask: Bool[Tensor, "#B #H #T S"] | None = None,
    *,
    dropout: float = 0.0,
    need_weights: bool = False,
) -> tuple[Float[Tensor, "B H T d"], Float[Tensor, "B H T S"] | None]:
    """softmax(q k' / sqrt(d)) v over the positions where `mask` is True, for each head.

    Returns the context, and the weights before dropout if they are asked for. A query must see one position at least.
    """
    if need_weights or _plain_is_faster(query):
        return _plain(query, keys, values, mask, dropout, need_weights)
    return F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, dropout_p=dropout), None


def _plain_is_faster(query: Tensor) -> bool:
    """On a CPU the fused kernel's bf16 backward pass takes several times as long as two products and a softmax."""
    if query.device.type != "cpu":
        return False
    return query.dtype is torch.bfloat16 or torch.is_autocast_enabled("cpu")


def _plain(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, dropout: float, need_weights: bool
) -> tuple[Tensor, Tensor | None]:
    scores = torch.matmul(query * (1 / math.sqrt(query.shape[-1])), keys.transpose(-2, -1))
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = scores.softmax(-1)
    return torch.matmul(drop(weights, dropout, training=True), values), weights if need_weights else None


def split_heads(states: Float[Tensor, "B T A"], heads: int) -> Float[Tensor, "B H T d"]:
    """[B T H*d] -> [B H T d]."""
    return states.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(states: Float[Tensor, "B H T d"]) -> Float[Tensor, "B T A"]:
    """[B H T d] -> [B T H*d]."""
    return states.transpose(1, 2).flatten(-2)


def heads_problem(heads_key: str, heads: int, width_key: str, width: int) -> str | None:
    """Why this width does not split evenly into heads, or None."""
    if heads >= 1 and width % heads == 0:
        return None
    return f"{heads_key}={heads} does not divide {width_key}={width}"
