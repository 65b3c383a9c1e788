"""Legal combinations learn a tiny task, to write a sequence backwards: a pairwise cover of them, with --capabilities
all; and each choice of the further groups in one of them."""

import itertools
from collections.abc import Callable, Iterator

import jaxtyping
import pytest
import torch
from contract.combinations import VOCAB, Triple, further_choices, legal_triples, some_batch

from seq2seq.model.builder import build_model
from seq2seq.search.greedy import GreedySearch
from seq2seq.types import EOS, Batch

UPDATES = 500
LONGEST = 3
# Without attention a vector of 16 numbers must hold the sequence, and monotonic attention may not go back in it: two
# tokens will do.
HARD = ("none", "monotonic")


def cover() -> list[Triple]:
    """Triples such that any two parts that are legal together, and each way of a decoder, meet in one of them."""
    triples = legal_triples()

    def meetings(triple: Triple) -> set[tuple[object, ...]]:
        parts = (("encoder", triple.encoder), ("attention", triple.attention), ("decoder", triple.decoder))
        return {*itertools.combinations(parts, 2), (triple.decoder, triple.options)}

    missing = set().union(*map(meetings, triples))
    chosen = []
    while missing:
        chosen.append(max(triples, key=lambda triple: len(meetings(triple) & missing)))
        missing -= meetings(chosen[-1])
    return chosen


def backwards(seed: int) -> Batch:
    """Random sequences of one length and their reversals."""
    length = 1 + seed % LONGEST
    batch = some_batch([length] * 48, [length] * 48, seed=seed)
    target = batch.source[:, :-1].flip(1)
    target_out = torch.cat((target, batch.source[:, -1:]), 1)
    target_in = torch.cat((batch.target_in[:, :1], target), 1)
    return Batch(
        batch.source, batch.source_mask, target_in, target_out, batch.target_mask, batch.lengths, batch.pair_ids
    )


@pytest.fixture(autouse=True)
def without_shape_checks() -> Iterator[None]:
    """The laws check the shapes of all these; here they would take more than half as long again."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The cover, or every legal triple for the page of capabilities."""
    chosen = legal_triples() if metafunc.config.getoption("capabilities") else cover()
    metafunc.parametrize("triple", [*chosen, *further_choices()], ids=str)


@pytest.mark.slow
def test_learns_to_reverse(triple: Triple, record_property: Callable[[str, object], None]) -> None:
    torch.manual_seed(0)
    model = build_model(triple.settings(), source_vocab=VOCAB, target_vocab=VOCAB)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, UPDATES)
    for update in range(UPDATES):
        losses = model(backwards(update), 0.0)
        (losses.loss / losses.count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay.step()
        optimizer.zero_grad()
    model.eval()
    length = 2 if triple.attention in HARD else LONGEST
    unseen = backwards(LONGEST * UPDATES + length - 1)
    with torch.no_grad():
        found = GreedySearch(max_length=9, max_length_ratio=1.0)(model, unseen.source, unseen.source_mask)
    wanted = [row[: row.index(EOS)] for row in unseen.target_out.tolist()]
    right = [hypotheses[0].tokens == tokens for hypotheses, tokens in zip(found, wanted, strict=True)]
    share = sum(right) / len(right)  # by chance: less than 0.003
    for name, value in (("triple", str(triple)), ("share", share), ("updates", UPDATES)):
        record_property(name, value)
    assert share > (0.25 if triple.attention == "none" else 0.5)
