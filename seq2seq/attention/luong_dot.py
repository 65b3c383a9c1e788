"""Dot-product attention: Luong et al. (2015), arXiv:1508.04025, equation 8, 'dot'."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.attention.base import ScoredAttention


class LuongDotAttention(ScoredAttention):
    """score(q, k) = q . k; query and memory must be equally wide.

    Shapes: query [B T D], keys [B S D]; scores [B T S].
    """

    @classmethod
    def problem(cls, *, query_dim: int, memory_dim: int, **arguments: Any) -> str | None:
        """A dot product needs equal widths."""
        if query_dim == memory_dim:
            return None
        return (
            f"a dot product needs a query as wide as the memory: the decoder's is {query_dim}, the encoder's memory "
            f"{memory_dim}; make them equal (decoder.hidden_size) or take attention=luong_general"
        )

    def score(self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S A"]) -> Float[Tensor, "B T S"]:
        """q . k."""
        return torch.matmul(query, keys.transpose(1, 2))
