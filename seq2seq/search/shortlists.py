"""Search limited to a few target tokens per sentence (Jean et al. 2015, arXiv:1412.2007), each with a list of its own:
the most likely translations of its tokens by a lexicon, and the most frequent targets."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.data.lexicon import NOTHING, Lexicon
from seq2seq.generator.shortlist import Shortlist
from seq2seq.model.stepwise import Stepwise
from seq2seq.search.base import Hypothesis, Search
from seq2seq.types import EOS

FREQUENT = 100  # target tokens that any sentence may have


class Shortlists:
    """For each source token its `count` most likely translations, and for each sentence those of the empty token,
    FREQUENT targets, the special symbols, and, if both sides share a vocabulary (`joint`), its own tokens."""

    def __init__(self, lexicon: Lexicon, count: int, *, joint: bool, device: torch.device) -> None:
        self.translations = torch.from_numpy(lexicon.translations[:, :count].astype("int64")).to(device)
        self.always = torch.zeros(len(lexicon.frequent), dtype=torch.bool, device=device)
        self.always[torch.from_numpy(lexicon.frequent[:FREQUENT].astype("int64"))] = True
        self.always[self.translations[NOTHING]] = True
        self.always[: EOS + 1] = True
        self.joint = joint

    def of(
        self,
        source: Int[Tensor, "B S"],
        prefix: Int[Tensor, "B P"] | None = None,
        target_start: tuple[int, ...] = (),
    ) -> Shortlist:
        """The target tokens of these sentences, including those of their prefixes and of the start of all targets."""
        allowed: Bool[Tensor, "B V"] = self.always.repeat(len(source), 1)
        allowed[:, list(target_start)] = True
        allowed.scatter_(1, self.translations[source].flatten(1), True)
        for ids in (source if self.joint else None, prefix):
            if ids is not None:
                allowed.scatter_(1, ids, True)
        return Shortlist.of(allowed)

    def search(
        self,
        search: Search,
        model: Stepwise,
        source: Int[Tensor, "B S"],
        mask: Bool[Tensor, "B S"],
        prefix: Int[Tensor, "B P"] | None,
        numbers: Int[Tensor, " B"] | None = None,
    ) -> list[list[Hypothesis]]:
        """The result of `search` among these tokens."""
        shortlist = self.of(source, prefix, model.target_start)
        columns = None if prefix is None else shortlist.columns(prefix)
        found = search(Shortlisted(model, shortlist), source, mask, columns, numbers)
        ids = shortlist.ids.tolist()
        return [
            [Hypothesis([ids[column] for column in one.tokens], one.log_prob, one.score) for one in hypotheses]
            for hypotheses in found
        ]


class Shortlisted(Stepwise):
    """`model`, for the search of one batch: instead of target ids it has columns of `shortlist`.

    Log-probabilities are over a sentence's own tokens only, normalised over these. None depends on another sentence.
    """

    def __init__(self, model: Stepwise, shortlist: Shortlist) -> None:
        super().__init__()
        self.model = model
        self.shortlist = shortlist
        self.target_start = model.target_start

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

    def rank(self, tokens: Int[Tensor, "B K"], state: Any) -> tuple[Float[Tensor, "B K L"], Any]:
        """Of the shortlist's tokens."""
        return self.model.rank(tokens, state)
