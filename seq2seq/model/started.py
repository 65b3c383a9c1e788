"""A model whose targets have begun: search finds what follows the first tokens, which are given."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.generator.shortlist import Shortlist
from seq2seq.model.stepwise import Stepwise
from seq2seq.types import BOS, State, hypothesis_part, source_part


@dataclass(frozen=True)
class StartedState(State):
    """The model's state; `unread` is each sentence's last given token, which the first step reads, None after it."""

    model: Any = hypothesis_part()
    unread: Int[Tensor, " B"] | None = source_part()


class Started(Stepwise):
    """log p(next token | source, `target_start`, tokens so far): hypotheses neither have nor are scored for the start.

    With a shortlist, that of each sentence must have the tokens of the start.
    """

    def __init__(self, model: Stepwise, target_start: tuple[int, ...]) -> None:
        super().__init__()
        self.model = model
        self.target_start = target_start
        self.training = model.training

    def encode(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Any:
        """As the model reads it."""
        return self.model.encode(source, mask)

    def start(self, memory: Any, shortlist: Shortlist | None = None) -> StartedState:
        """The state in which the model has read the begin symbol and all of the start but its last token."""
        state = self.model.start(memory, shortlist)
        ids = torch.tensor([BOS, *self.target_start], device=memory.mask.device).repeat(len(memory.mask), 1)
        tokens = ids if shortlist is None else shortlist.columns(ids)
        for token in tokens[:, :-1].split(1, 1):
            _, _, state = self.model.step(token, state)
        return StartedState(state, tokens[:, -1])

    def step(
        self, tokens: Int[Tensor, "B K"], state: StartedState, need_weights: bool = False
    ) -> tuple[Float[Tensor, "B K V"], Float[Tensor, "B K S"] | None, StartedState]:
        """One step; the first one reads the last token of the start in the place of the begin symbol."""
        if state.unread is not None:
            tokens = state.unread.unsqueeze(1).expand_as(tokens)
        log_probs, weights, after = self.model.step(tokens, state.model, need_weights)
        return log_probs, weights, StartedState(after)


def started(model: Stepwise, target_start: tuple[int, ...]) -> Stepwise:
    """The model after these tokens; itself if there are none."""
    return Started(model, target_start) if target_start else model
