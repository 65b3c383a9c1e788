"""A model limited to a few target tokens per sentence, as in Jean et al. (2015), arXiv:1412.2007, with one candidate
list per sentence."""

from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.generator.shortlist import Shortlist
from seq2seq.model.stepwise import Stepwise


class Shortlisted(Stepwise):
    """`model`, for the search of one batch: instead of target ids it has columns of `shortlist`.

    Log-probabilities are over a sentence's own tokens only, normalised over these. None depends on another sentence.
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
