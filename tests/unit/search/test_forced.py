"""Forced decoding gives the log-probabilities of search, in the given order, for any batches."""

from typing import Any

import pytest
import torch
from contract.combinations import Triple

from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import decode
from seq2seq.search.forced import forced_log_probs

HERE: dict[str, Any] = {"device": torch.device("cpu")}
SENTENCES = [[5, 6, 7, 8, 9, 10], [7], [9, 9, 9], [4, 5]]


@pytest.mark.parametrize(
    "triple", [Triple("lstm", "bahdanau", "lstm"), Triple("transformer", "multihead", "transformer")], ids=str
)
def test_log_probs_equal_those_of_search(triple: Triple) -> None:
    model = triple.model().train()
    search = BeamSearch(beam_size=3, length_penalty=1.0, max_length=9, max_length_ratio=1.0)
    best = decode(model, search, SENTENCES, tokens_per_batch=12, **HERE)
    pairs = [(source, one) for source, found in zip(SENTENCES, best, strict=True) for one in found]
    for tokens_per_batch in (1, 20, 1000):
        counted: list[int] = []
        log_probs = forced_log_probs(
            model,
            [source for source, _ in pairs],
            [one.tokens for _, one in pairs],
            tokens_per_batch=tokens_per_batch,
            on_batch=counted.append,
            **HERE,
        )
        assert log_probs == pytest.approx([one.log_prob for _, one in pairs], abs=1e-9)
        assert sum(counted) == len(pairs)
    assert model.training


def test_empty_sources_and_targets_have_a_log_prob() -> None:
    """And no pairs give an empty list."""
    model = Triple("lstm", "bahdanau", "lstm").model()
    both, none = forced_log_probs(model, [[5], []], [[], []], tokens_per_batch=8, **HERE)
    assert both < 0
    assert none < 0
    assert forced_log_probs(model, [], [], tokens_per_batch=8, **HERE) == []
