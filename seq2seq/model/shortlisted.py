"""A model whose sentences may have a few target tokens each, as in Jean et al. (2015), arXiv:1412.2007, whose candidate
lists are here each sentence's own."""

from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.generator.shortlist import Shortlist
from seq2seq.model.stepwise import Stepwise


class Shortlisted(Stepwise):
    """`model`, for the search of one batch: in the place of target ids are columns of `shortlist`.

    Log-probabilities are those of a sentence's own tokens, made to sum to 1. None depends on another sentence.
    """

    def __init__(self, model: Stepwise, shortlist: Shortlist) -> None:
        super().__init__()
        self.model = model
        self.shortlist = shortlist

    def encode(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Any:
        """As the model reads it."""
        return self.model.encode(source, mask)

    def start(self, memory: Any, shortlist: Shortlist | None = None) -> Any:
        """The state before the first token, with this shortlist unless there is another."""
        return self.model.start(memory, shortlist or self.shortlist)

    def step(
        self, tokens: Int[Tensor, "B K"], state: Any, need_weights: bool = False
    ) -> tuple[Float[Tensor, "B K L"], Float[Tensor, "B K S"] | None, Any]:
        """Log-probabilities of the shortlist's tokens, weights and state."""
        return self.model.step(tokens, state, need_weights)
