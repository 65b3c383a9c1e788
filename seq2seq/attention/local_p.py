"""Local attention, predictive: Luong et al. (2015), arXiv:1508.04025, section 3.2, equations 9 and 10, 'local-p'."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.attention.base import Keyed
from seq2seq.attention.local_m import distances_from, within
from seq2seq.attention.luong_general import LuongGeneralAttention
from seq2seq.normalizer.base import Normalizer
from seq2seq.types import Capability


class LocalPredictiveAttention(LuongGeneralAttention):
    """'general' weights over |s - p| <= D, times a Gaussian exp(-(s - p)^2 / (2 (D/2)^2)), around a predicted centre p
    = (S - 1) sigmoid(v . tanh(W q)), with S the source's real length and D = `window`.

    The paper's p = S sigmoid(...) may be one past the last position; ours is not. Gradients reach p through the
    Gaussian, which makes a row's weights sum to less than 1. Shapes: query [B T Q], keys [B S Q]; scores [B T S].
    """

    weights_sum_to_one: ClassVar[bool] = False

    def __init__(
        self,
        *,
        query_dim: int,
        memory_dim: int,
        normalizer: Callable[[], Normalizer],
        attn_dim: int,
        window: int,
        dropout: float,
    ) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim, normalizer=normalizer, dropout=dropout)
        self.window = window
        self.position_map = nn.Linear(query_dim, attn_dim, bias=False)
        self.v = nn.Linear(attn_dim, 1, bias=False)
        for linear in (self.position_map, self.v):
            nn.init.xavier_uniform_(linear.weight)

    @classmethod
    def needs(cls, **arguments: Any) -> frozenset[Capability]:
        """Source positions in the order of the tokens."""
        return frozenset({Capability.ALIGNED_MEMORY})

    def weigh(
        self, query: Float[Tensor, "B N Q"], positions: Int[Tensor, "#N"], state: Keyed
    ) -> Float[Tensor, "B N S"]:
        """Weights inside the window, times the Gaussian."""
        distances = distances_from(self.centres(query, state), state.mask.shape[1])
        visible = within(distances, self.window, state.mask)
        weights = self.normalizer(self.score(query, state.keys), visible)
        return weights * torch.exp(-2 * (distances / self.window).square()).to(weights.dtype)

    def centres(self, query: Float[Tensor, "B N Q"], state: Keyed) -> Float[Tensor, "B N"]:
        """The predicted centre of each query, a real number between the first and the last position."""
        last = state.mask.sum(1, keepdim=True) - 1
        share = self.v(torch.tanh(self.position_map(query))).squeeze(-1)
        return last * torch.sigmoid(share.to(torch.promote_types(share.dtype, torch.float32)))
