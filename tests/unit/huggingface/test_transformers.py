"""An imported model beside transformers on the same folder: the same tokens, probabilities and outputs."""

from typing import Any

import pytest
import torch
from marian_folder import odd_texts, write_folder
from pretrained import load_folder

from seq2seq.data.batches import collate_sources
from seq2seq.search.base import Search
from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import decode
from seq2seq.search.greedy import GreedySearch
from seq2seq.types import BOS, PAD

transformers = pytest.importorskip("transformers")

KINDS: dict[str, dict[str, Any]] = {
    "marian": {},
    "bpe": {"kind": "bpe"},
    "pegasus": {"family": "pegasus"},
    "not scaled": {"scale_embedding": False},
    "two vocabularies": {"separate": True},
    "language codes": {"codes": [">>fra<<", ">>deu<<"]},
    "renormalized": {"renormalizes": True},
}
LONGEST = 25


@pytest.fixture(scope="module", params=KINDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder's model as ours, with its vocabularies, and transformers' model and tokenizer."""
    path = write_folder(tmp_path_factory.mktemp("folder"), **KINDS[request.param])
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(path).eval()
    return load_folder(path), theirs, transformers.AutoTokenizer.from_pretrained(path), request.param


def texts_for(name: str) -> list[str]:
    """A thousand texts, where there are language codes with one before each."""
    texts = odd_texts(1000)
    return [f">>deu<< {text}" for text in texts if text.strip()] if name == "language codes" else texts


def test_a_thousand_odd_texts_have_the_same_tokens(both: Any) -> None:
    ours, _, tokenizer, name = both
    for side, keyword in (("source", "text"), ("target", "text_target")):
        texts = texts_for(name) if side == "source" else odd_texts(1000, seed=1)
        rows = getattr(ours, side).rows
        for text, ids in zip(texts, getattr(ours.tokenizer, side).encode(texts), strict=True):
            assert [rows[index] for index in ids] == tokenizer(**{keyword: text})["input_ids"][:-1], text


def test_probabilities_are_the_same(both: Any) -> None:
    ours, theirs, tokenizer, name = both
    texts = texts_for(name)[:40]
    given = tokenizer(texts, return_tensors="pt", padding=True)
    source, mask = collate_sources(ours.tokenizer.source.encode(texts))
    draw, rows = torch.Generator().manual_seed(0), torch.tensor(ours.target.rows)
    drawn = torch.randint(4, len(rows), (len(texts), 9), generator=draw)
    target_in = torch.cat((torch.full((len(texts), 1), BOS), drawn), 1)
    with torch.no_grad():
        memory = ours.model.encode(source, mask)
        found = ours.model.generator.log_probs(ours.model.decode(target_in, memory), memory.tokens)
        expected = theirs(**given, decoder_input_ids=rows[target_in]).logits.log_softmax(-1)
    real = [index for index in range(len(rows)) if index not in ours.target.never]
    if name == "renormalized":  # without padding
        real.remove(PAD)
        expected[..., rows[PAD]] = -torch.inf
        expected = expected.log_softmax(-1)
    assert torch.allclose(found[..., real], expected[..., rows[real]], atol=1e-4)


@pytest.mark.parametrize(
    ("search", "options"),
    [
        (GreedySearch(max_length=LONGEST, max_length_ratio=1e3), {"num_beams": 1}),
        (BeamSearch(beam_size=4, length_penalty=1.0, max_length=LONGEST, max_length_ratio=1e3),
         {"num_beams": 4, "length_penalty": 1.0, "early_stopping": True}),
        (BeamSearch(beam_size=3, length_penalty=0.6, max_length=LONGEST, max_length_ratio=1e3),
         {"num_beams": 3, "length_penalty": 0.6, "early_stopping": True}),
    ],
    ids=["greedy", "beam", "beam with a length penalty"],
)  # fmt: skip
def test_outputs_are_the_same(both: Any, search: Search, options: dict[str, Any]) -> None:
    """Of outputs that end by themselves: at the limit transformers may take the end symbol for certain, or leave it
    out."""
    ours, theirs, tokenizer, name = both
    texts = texts_for(name)[:60]
    given = tokenizer(texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        outputs = theirs.generate(**given, max_length=LONGEST + 1, do_sample=False, **options)
    found = decode(
        ours.model, search, ours.tokenizer.source.encode(texts), device=torch.device("cpu"), tokens_per_batch=500
    )
    compared = 0
    for hypotheses, output in zip(found, outputs.tolist(), strict=True):
        rows = [ours.target.rows[index] for index in hypotheses[0].tokens]
        if len(rows) < LONGEST - 1:
            compared += 1
            assert rows == output[1 : output.index(theirs.config.eos_token_id, 1)]
    assert compared >= 20
