"""A Transformer decoder's cache: unused entries are dropped, and only those."""

import pytest
import torch
from contract.combinations import VOCAB, Triple, some_batch

from seq2seq.types import BOS

# Other tests check the shapes; these decode many steps.
pytestmark = pytest.mark.usefixtures("without_shape_checks")

STEPS, BEAMS = 40, 3


@pytest.mark.parametrize(("self_attention", "most"), [("full", 2 * STEPS), ("windowed", 6 * BEAMS)])
@torch.no_grad()
def test_hypotheses_read_their_own_past_and_the_cache_stays_small(self_attention: str, most: int) -> None:
    """At each step all of them continue the first one, so the others' slots are soon unused. Windows: two tokens."""
    model = Triple("transformer", "multihead", "transformer", (), (("self_attention", self_attention),)).model()
    batch = some_batch([5], [STEPS])
    memory = model.encode(batch.source, batch.source_mask)
    state = model.start(memory).advance(torch.zeros(1, BEAMS, dtype=torch.long))
    past = torch.full((BEAMS, 1), BOS)
    for _ in range(STEPS):
        log_probs, _, state = model.step(past[:, -1].unsqueeze(0), state)
        alone = [model.decode(one.unsqueeze(0), memory) for one in past]
        for beam, decoded in enumerate(alone):
            expected = model.generator.log_probs(decoded, memory.tokens)[0, -1]
            assert (log_probs[0, beam] - expected).abs().max() < 1e-9
        sizes = {cache.keys.shape[2] for cache in state.decoder.caches} | {state.decoder.ancestry.steps.shape[1]}
        assert len(sizes) == 1
        assert sizes.pop() <= most  # of STEPS * BEAMS
        state = state.advance(torch.zeros(1, BEAMS, dtype=torch.long))
        past = torch.cat((past[:1].expand(BEAMS, -1), torch.randint(4, VOCAB, (BEAMS, 1))), 1)
