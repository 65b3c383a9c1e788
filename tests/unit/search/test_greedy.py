"""Greedy search without scores finds the same tokens."""

import math

import pytest
import torch
from contract.combinations import Triple
from unit.search.markov import Markov, random_chain

from seq2seq.generator.softmax import SoftmaxGenerator
from seq2seq.model.ensemble import Ensemble
from seq2seq.model.started import Started
from seq2seq.model.stepwise import Stepwise
from seq2seq.search.decode import decode
from seq2seq.search.greedy import GreedySearch
from seq2seq.types import Decoded

MODELS = {
    "lstm": lambda: Triple("lstm", "bahdanau", "lstm").model(),
    "transformer": lambda: Triple("transformer", "multihead", "transformer").model(),
    "pointer": lambda: Triple("lstm", "bahdanau", "lstm", others=(("generator", "pointer"),)).model(),
    "ensemble": lambda: Ensemble([Triple("lstm", "bahdanau", "lstm").model() for _ in range(2)]),
    "begun": lambda: Started(Triple("lstm", "bahdanau", "lstm").model(), (5, 6)),
    "chain": lambda: Markov(random_chain(3)),
}


@pytest.mark.parametrize("limits", [{}, {"min_length": 4}, {"no_repeat_ngram": 2}])
@pytest.mark.parametrize("name", MODELS)
def test_the_same_tokens_without_scores(name: str, limits: dict[str, int]) -> None:
    model: Stepwise = MODELS[name]().eval()
    search = GreedySearch(max_length=12, max_length_ratio=1.0, **limits)
    random = torch.Generator().manual_seed(1)
    highest = 8 if name == "chain" else 20
    sentences = [torch.randint(4, highest, (length,), generator=random).tolist() for length in (5, 3, 0, 7, 2, 4, 6, 1)]
    given = {"device": torch.device("cpu"), "tokens_per_batch": 16}
    scored = decode(model, search, sentences, **given)
    unscored = decode(model, search.without_scores(), sentences, **given)
    assert [one.tokens for (one,) in unscored] == [one.tokens for (one,) in scored]
    assert all(math.isfinite(one.log_prob) for (one,) in scored)
    assert all(math.isnan(one.log_prob) for (one,) in unscored if one.tokens)


class Forbidding(SoftmaxGenerator):
    """A generator of one's own, which never generates most tokens."""

    def log_probs(self, decoded: Decoded, tokens: torch.Tensor | None) -> torch.Tensor:
        log_probs = super().log_probs(decoded, tokens)
        log_probs[..., 4:18] = -30.0
        return log_probs


def test_log_probabilities_of_ones_own_are_used_without_scores() -> None:
    model = Triple("lstm", "bahdanau", "lstm").model().eval()
    model.generator.__class__ = Forbidding
    search = GreedySearch(max_length=12, max_length_ratio=1.0, min_length=12).without_scores()
    found = decode(model, search, [[5, 6, 7]], device=torch.device("cpu"), tokens_per_batch=16)
    assert found[0][0].tokens and not {*found[0][0].tokens} & {*range(4, 18)}
