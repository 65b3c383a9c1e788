"""Legal combinations learn to reverse a short sequence: `make test` trains some with each choice of every group,
`make test-all` also each pair of parts, --capabilities all.
"""

import itertools
from collections.abc import Callable, Sequence

import pytest
import torch
from contract.combinations import VOCAB, Triple, further_choices, legal_triples, legal_variations, some_batch

from seq2seq.model.builder import build_model
from seq2seq.model.model import Model
from seq2seq.search.greedy import GreedySearch
from seq2seq.types import EOS, Batch

UPDATES = 500
CHECK_EVERY = 25  # updates; training ends early if most outputs are right
LONGEST = 3
# These are tested with two tokens: without attention a vector of 16 numbers must store the sequence, and monotonic
# attention cannot move back.
HARD = ("none", "monotonic")


def cover(triples: Sequence[Triple], together: int) -> list[Triple]:
    """A subset of the triples that still contains each combination of `together` parts, each variant of a decoder and
    each choice of another group."""

    def covered(triple: Triple) -> set[tuple[object, ...]]:
        parts = (("encoder", triple.encoder), ("attention", triple.attention), ("decoder", triple.decoder))
        return {*itertools.combinations(parts, together), (triple.decoder, triple.options), *triple.others}

    missing = set().union(*map(covered, triples))
    chosen = []
    while missing:
        chosen.append(max(triples, key=lambda triple: len(covered(triple) & missing)))
        missing -= covered(chosen[-1])
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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each choice, any two parts, or every legal triple for the page of capabilities."""
    if metafunc.config.getoption("capabilities"):
        metafunc.parametrize("triple", [*legal_triples(), *further_choices()], ids=str)
        return
    positions = [triple for triple in legal_variations() if "position" in dict(triple.others)]
    few = cover([*positions, *further_choices(), *legal_triples()], 1)
    more = [triple for triple in [*cover(legal_triples(), 2), *further_choices()] if triple not in few]
    metafunc.parametrize("triple", [*few, *(pytest.param(triple, marks=pytest.mark.full) for triple in more)], ids=str)


def share_right(model: Model, triple: Triple) -> float:
    """The share of unseen sequences that the model reverses without an error; by chance, less than 0.003."""
    length = 2 if triple.attention in HARD else LONGEST
    unseen = backwards(LONGEST * UPDATES + length - 1)
    model.eval()
    with torch.no_grad():
        found = GreedySearch(max_length=9, max_length_ratio=1.0)(model, unseen.source, unseen.source_mask)
    model.train()
    wanted = [row[: row.index(EOS)] for row in unseen.target_out.tolist()]
    right = [hypotheses[0].tokens == tokens for hypotheses, tokens in zip(found, wanted, strict=True)]
    return sum(right) / len(right)


@pytest.mark.slow
@pytest.mark.usefixtures("without_shape_checks")
def test_learns_to_reverse(
    triple: Triple, record_property: Callable[[str, object], None], request: pytest.FixtureRequest
) -> None:
    to_the_end = bool(request.config.getoption("capabilities"))  # the page shows the result of all updates
    torch.manual_seed(0)
    model = build_model(triple.settings(), source_vocab=VOCAB, target_vocab=VOCAB)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, UPDATES)
    for update in range(UPDATES):
        batch = backwards(update)
        (model.loss(batch).loss / batch.target_mask.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay.step()
        optimizer.zero_grad()
        if update % CHECK_EVERY == CHECK_EVERY - 1 and not to_the_end and share_right(model, triple) > 0.7:
            break
    share = share_right(model, triple)
    for name, value in (("triple", str(triple)), ("share", share), ("updates", UPDATES)):
        record_property(name, value)
    assert share > (0.25 if triple.attention == "none" else 0.5)
