"""Dot-product attention: Luong et al. (2015), arXiv:1508.04025, equation 8, 'dot'."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.attention.base import ScoredAttention
from seq2seq.normalizer.base import Normalizer


class LuongDotAttention(ScoredAttention):
    """score(q, k) = q . k; query and memory must be equally wide. `scaled`: times a learned number, 1 at the start.

    Shapes: query [B T D], keys [B S D]; scores [B T S].
    """

    def __init__(
        self,
        *,
        query_dim: int,
        memory_dim: int,
        normalizer: Callable[[], Normalizer],
        scaled: bool = False,
        dropout: float,
    ) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim, normalizer=normalizer, dropout=dropout)
        self.scale = nn.Parameter(torch.tensor(1.0)) if scaled else None

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
        return scaled_products(query, keys, self.scale)


def scaled_products(
    query: Float[Tensor, "B T D"], keys: Float[Tensor, "B S D"], scale: Float[Tensor, ""] | None
) -> Float[Tensor, "B T S"]:
    """The dot products of queries and keys, times `scale`."""
    if scale is not None:
        query = (scale * query).to(query.dtype)
    return torch.matmul(query, keys.transpose(1, 2))
