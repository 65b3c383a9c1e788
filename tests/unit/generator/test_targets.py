"""Log-probabilities of the targets alone equal those in the whole distribution."""

import pytest
import torch
from contract.combinations import Triple, choices, some_batch

from seq2seq.layers.unpad import unpad


@pytest.mark.parametrize("name", choices("generator"))
def test_targets_have_the_log_probabilities_of_the_whole_distribution(name: str) -> None:
    options = (("attend", "before"), ("input_feeding", False))
    model = Triple("lstm", "bahdanau", "lstm", options, (("generator", name),)).model()
    batch = some_batch([6, 1, 4], [3, 5, 0])
    memory = model.encode(batch.source, batch.source_mask)
    decoded = model.decode(batch.target_in, memory)
    found = model.generator.target_log_probs(decoded, memory.tokens, batch.target_out, batch.target_mask)
    whole = model.generator.log_probs(decoded, memory.tokens).gather(-1, batch.target_out.unsqueeze(-1)).squeeze(-1)
    expected = unpad(whole, batch.target_mask)
    assert (found - expected).abs().max() < 1e-12
    mine, other = (
        torch.autograd.grad(part.sum(), list(model.parameters()), retain_graph=True) for part in (found, expected)
    )
    assert all((one - same).abs().max() < 1e-10 for one, same in zip(mine, other, strict=True))
