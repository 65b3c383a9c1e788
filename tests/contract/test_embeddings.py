"""Models whose embeddings are normalised, or not scaled, obey the same laws."""

import pytest
import torch
from contract.combinations import Triple, composed, some_batch
from contract.test_laws import LIMITS, SOURCES, TARGETS, TOLERANCE, forced, stepwise

from seq2seq.config.schema import EmbeddingSettings
from seq2seq.layers.embedding import InputEmbedding
from seq2seq.model.builder import build_model
from seq2seq.search.beam import BeamSearch

LEARNED, ROTARY, RMS = ("position", "learned"), ("position", "rotary"), ("layer_norm", "rms")
RECURRENT = (("attend", "after"), ("input_feeding", True))
TRIPLES = [
    Triple("transformer", "multihead", "transformer", (), (LEARNED,)),
    Triple("transformer", "multihead", "transformer", (("norm", "post"),), (ROTARY, RMS)),
    Triple("gru", "luong_general", "lstm", RECURRENT),
    Triple("lstm", "bahdanau", "transformer", (), (("generator", "pointer"), LEARNED)),
]
PLAIN = {"size": 8, "dropout": 0.0, "word_dropout": 0.0}
EMBEDDINGS = [EmbeddingSettings(**PLAIN, norm=True), EmbeddingSettings(**PLAIN, norm=True, scale=False)]


@pytest.mark.parametrize("embedding", EMBEDDINGS, ids=["scaled", "unscaled"])
@pytest.mark.parametrize("triple", TRIPLES, ids=str)
@torch.no_grad()
def test_steps_and_beams_are_those_of_whole_targets(triple: Triple, embedding: EmbeddingSettings) -> None:
    model, batch = triple.model(embedding=embedding), some_batch(SOURCES, TARGETS)
    whole = model.log_probs(batch)
    assert (stepwise(model, batch) - whole)[batch.target_mask].abs().max() < TOLERANCE
    padded = model.log_probs(some_batch(SOURCES, TARGETS, padding=3))[:, : whole.shape[1]]
    assert (padded - whole)[batch.target_mask].abs().max() < TOLERANCE
    search = BeamSearch(beam_size=3, length_penalty=0.6, **LIMITS)
    for row, hypotheses in enumerate(search(model, batch.source, batch.source_mask)):
        for one in hypotheses:
            assert one.log_prob == pytest.approx(forced(model, batch, row, one.tokens), abs=TOLERANCE)


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_every_parameter_of_the_normalisation_learns(triple: Triple) -> None:
    model = triple.model(embedding=EMBEDDINGS[0]).train()
    model.loss(some_batch(SOURCES, TARGETS)).loss.backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters() if ".embedding.norm." in name}
    assert len(found) == (2 if ("layer_norm", "rms") in triple.others else 4)
    assert [name for name, gradient in found.items() if gradient is None or not gradient.any()] == []


def scales(*words: str) -> list[float]:
    model = build_model(composed(*words), source_vocab=9, target_vocab=9)
    return [part.scale for part in model.modules() if isinstance(part, InputEmbedding)]


def test_transformers_scale_their_embeddings_unless_told_otherwise() -> None:
    assert scales("embedding.size=64", "encoder=transformer") == [8.0, 1.0]
    assert scales("embedding.size=64", "encoder=transformer", "embedding.scale=false") == [1.0, 1.0]
