"""Monotonic attention: Raffel et al. (2017), arXiv:1704.00784, sections 2.2 to 2.5."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.attention.base import AttentionState, Keyed, SteppedAttention
from seq2seq.layers.dropout import dropout
from seq2seq.types import Attended, Capability, Memory, hypothesis_part

NEVER = -1e9  # a log-probability: exp gives 0, and differences stay numbers


@dataclass(frozen=True)
class MonotonicState(Keyed):
    """Keys and values, and the log-probabilities of each hypothesis' position in the source."""

    log_weights: Float[Tensor, "B K S"] = hypothesis_part()


class MonotonicAttention(SteppedAttention):
    """A query starts at the position where the previous one stopped, and never moves back: it stops at position s with
    probability p_s = sigmoid(e_s), e_s = g v / |v| . tanh(W q + U k_s + b) + r, or moves to the next.

    Its weights are the expectation over all ways to stop, a_s = p_s sum_{j <= s} a'_j prod_{j <= l < s} (1 - p_l) with
    a' those of the previous step; probability that passes the end is lost, so they sum to at most 1. `noise` is the
    deviation of the noise added to e in training, which drives p to 0 or 1; with `hard`, decoding stops at the first p
    above 1/2. Each step needs the previous one, so steps cannot run in parallel. Shapes: query [B T Q], states [B S M],
    keys [B S A], weights [B K S]; A = attn_dim.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"query_dim", "memory_dim"})
    weights_sum_to_one: ClassVar[bool] = False

    def __init__(
        self, *, query_dim: int, memory_dim: int, attn_dim: int, offset: float, noise: float, hard: bool, dropout: float
    ) -> None:
        super().__init__()
        self.context_dim = memory_dim
        self.noise, self.hard, self.dropout = noise, hard, dropout
        self.query_map = nn.Linear(query_dim, attn_dim, bias=False)
        self.key_map = nn.Linear(memory_dim, attn_dim)
        self.v = nn.Parameter(torch.randn(attn_dim))
        self.gain = nn.Parameter(torch.tensor(attn_dim**-0.5))
        self.offset = nn.Parameter(torch.tensor(float(offset)))
        for linear in (self.query_map, self.key_map):
            nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(self.key_map.bias)

    @classmethod
    def needs(cls, **arguments: object) -> frozenset[Capability]:
        """Source positions in the order of the tokens."""
        return frozenset({Capability.ALIGNED_MEMORY})

    def start(self, memory: Memory) -> MonotonicState:
        """All hypotheses are at the first position."""
        exact = torch.promote_types(memory.states.dtype, torch.float32)
        log_weights = torch.full(memory.mask.shape, NEVER, device=memory.mask.device, dtype=exact)
        log_weights[:, 0] = 0.0
        return MonotonicState(
            keys=self.key_map(memory.states),
            values=memory.states,
            mask=memory.mask,
            log_weights=log_weights.unsqueeze(1),
        )

    def advance(
        self, mapped: Float[Tensor, "B K A"], state: AttentionState, need_weights: bool
    ) -> tuple[Attended, MonotonicState]:
        """One step from each hypothesis' position."""
        assert isinstance(state, MonotonicState)
        energy = self._energy(mapped, state)
        if self.training:
            energy = energy + self.noise * torch.randn_like(energy)
        real = state.mask.unsqueeze(1)
        read = _first if self.hard and not self.training else _expected
        log_weights = read(energy.masked_fill(~real, NEVER), state.log_weights).masked_fill(~real, NEVER)
        weights = log_weights.exp()
        dropped = dropout(weights.to(mapped.dtype), self.dropout, self.training)
        context = torch.matmul(dropped, state.values.to(dropped.dtype))
        attended = Attended(context, weights.unsqueeze(1) if need_weights else None)
        return attended, replace(state, log_weights=log_weights, position=state.position + 1)

    def _energy(self, mapped: Float[Tensor, "B K A"], state: MonotonicState) -> Float[Tensor, "B K S"]:
        """g v / |v| . tanh(W q + U k + b) + r."""
        hidden = torch.tanh(mapped.unsqueeze(2) + state.keys.unsqueeze(1))
        direction = self.gain * F.normalize(self.v, dim=0)
        score = torch.matmul(hidden, direction.to(hidden.dtype))
        return score.to(state.log_weights.dtype) + self.offset


def _expected(energy: Float[Tensor, "B K S"], before: Float[Tensor, "B n S"]) -> Float[Tensor, "B K S"]:
    """log a_s = log p_s + P_s + log sum_{j <= s} exp(log a'_j - P_j), where P_s is the sum of log (1 - p_l) over l < s:
    equation 9 with its products as differences of sums, so that there is no division by 0."""
    passed = F.logsigmoid(-energy)
    passed = passed.cumsum(-1) - passed
    return F.logsigmoid(energy) + passed + torch.logcumsumexp(before - passed, -1)


def _first(energy: Float[Tensor, "B K S"], before: Float[Tensor, "B n S"]) -> Float[Tensor, "B K S"]:
    """Stop at the first p above 1/2 at or after the current position: log 1 there, log 0 elsewhere."""
    stops = (energy > 0) & (before.exp().cumsum(-1) > 0.5)
    return torch.where(stops & (stops.cumsum(-1) == 1), 0.0, NEVER).to(energy.dtype)
