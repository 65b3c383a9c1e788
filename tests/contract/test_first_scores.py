"""Scores that start nearly equal learn late, or with some seeds only (docs/attention.md).

Scaled dot products presume queries and keys of variance 1; the states of a recurrent network are smaller. Cosines of
random directions have the variance 1 / A. Both had 15 to 17 BLEU after 1,000 updates of experiment=multi30k/attention,
instead of about 31.
"""

import pytest
import torch
from contract.combinations import LAYERED, choices, composed

from seq2seq.model.builder import build_model
from seq2seq.types import Memory

ROWS, STATES, VOCAB = 8, 50, 16


def takes_sizes(name: str) -> bool:
    return "query_size" in composed(f"attention={name}").attention.target.wired  # type: ignore[attr-defined]


SCALED = [name for name in choices("attention") if takes_sizes(name)] + ["cosine"]
PAIRS = [("lstm", "lstm"), ("gru", "gru"), ("lstm", "transformer"), *(("transformer", name) for name in LAYERED)]


def test_the_attentions_with_scaled_products() -> None:
    assert {"scaled_dot", "multihead"} <= set(SCALED)


@torch.no_grad()
@pytest.mark.parametrize("attention", SCALED)
@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_first_scores_have_variance_1(attention: str, encoder: str, decoder: str) -> None:
    settings = composed(f"encoder={encoder}", f"decoder={decoder}", f"attention={attention}")
    torch.manual_seed(1)
    model = build_model(settings, source_vocab=VOCAB, target_vocab=VOCAB).eval()
    of_decoder = model.decoder if model.decoder.recurrent else model.decoder.layers[0]
    found = of_decoder.attention
    states = torch.randn(ROWS, STATES, found.key_map.in_features) * model.encoder.state_size
    query = torch.randn(ROWS, STATES, found.query_map.in_features) * model.decoder.query_size
    mask = torch.ones(ROWS, STATES, dtype=torch.bool)
    attended, _ = found(query, found.start(Memory(states, mask, None, states.mean(1))), need_weights=True)
    logarithms = attended.weights.log()
    variance = float((logarithms - logarithms.mean(-1, keepdim=True)).var())
    assert 0.5 < variance < 2
