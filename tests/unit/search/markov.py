"""A model whose next token depends only on the last one, so that every score is known."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import torch

from seq2seq.generator.shortlist import Shortlist
from seq2seq.model.stepwise import Stepwise
from seq2seq.search.base import Hypothesis, Search
from seq2seq.types import BOS, EOS, PAD, Memory, State, hypothesis_part

VOCAB = 6
TOKENS = (1, 4, 5)  # all that a target may contain: <unk>, a and b


@dataclass(frozen=True)
class Steps(State):
    """The chain's state, which is empty."""

    rows: torch.Tensor = hypothesis_part()


class Markov(Stepwise):
    """`chain` [V V] is p(next | last)."""

    def __init__(self, chain: torch.Tensor) -> None:
        super().__init__()
        self.chain = chain

    def encode(self, source: torch.Tensor, mask: torch.Tensor) -> Memory:
        states = torch.zeros(*source.shape, 1)
        return Memory(states, mask, source, states[:, 0])

    def start(self, memory: Memory, shortlist: Shortlist | None = None) -> Any:
        return Steps(torch.zeros(len(memory.states), 1))

    def step(self, tokens: torch.Tensor, state: Any, need_weights: bool = False) -> tuple[torch.Tensor, None, Any]:
        return self.chain[tokens].log(), None, state


def random_chain(seed: int, vocab: int = VOCAB) -> torch.Tensor:
    """Every token except padding and BOS may follow every other."""
    chain = torch.rand(vocab, vocab, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.01
    chain[:, [PAD, BOS]] = 0
    return chain / chain.sum(-1, keepdim=True)


def rising_chain(seed: int, vocab: int) -> torch.Tensor:
    """A chain in which only greater tokens and EOS follow a token: no target repeats a token."""
    chain = random_chain(seed, vocab)
    last = torch.arange(vocab)[:, None]
    falls = (last > EOS) & (torch.arange(vocab) <= last)
    falls[:, 1] = True
    falls[:, EOS] = False
    chain = chain.masked_fill(falls, 0.0)
    return chain / chain.sum(-1, keepdim=True)


def log_prob(tokens: list[int], chain: torch.Tensor) -> float:
    """log p of a target, including EOS."""
    return sum(math.log(chain[a, b]) for a, b in itertools.pairwise([BOS, *tokens, EOS]))


def found(search: Search, chain: torch.Tensor, prefix: list[int] | None = None) -> list[Hypothesis]:
    """What a search finds for a source of two tokens."""
    source = torch.full((1, 2), EOS)
    given = None if prefix is None else torch.tensor([prefix], dtype=torch.long)
    with torch.no_grad():
        return search(Markov(chain), source, source > 0, given)[0]
