"""Updates and micro-batches: each pair once per epoch, with little padding."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.batches import SLIVER, by_length, collate, collate_sources, cut, share
from seq2seq.data.updates import Count, pair_costs, plan_epoch
from seq2seq.types import BOS, EOS, PAD


@dataclass
class Ids:
    """A corpus of given lengths in which every token is different."""

    source_lengths: np.ndarray
    target_lengths: np.ndarray

    def __post_init__(self) -> None:
        for side in ("source", "target"):
            lengths = getattr(self, f"{side}_lengths")
            setattr(self, f"{side}_offsets", np.concatenate(([0], np.cumsum(lengths))))
            setattr(self, f"{side}_ids", np.arange(4, 4 + int(lengths.sum()), dtype=np.int32))


def corpus(pairs: int, seed: int = 0) -> Ids:
    """Typical lengths of sentences: similar on both sides, a few long."""
    random = np.random.default_rng(seed)
    source = np.maximum(1, random.gamma(6, 2.3, pairs)).astype(np.int32)
    target = np.maximum(1, source * random.normal(1, 0.15, pairs)).astype(np.int32)
    return Ids(source, target)


def planned(ids: Ids, tokens: int, seed: int = 1, epoch: int = 0) -> list[list[np.ndarray]]:
    return plan_epoch(ids.source_lengths, ids.target_lengths, seed=seed, epoch=epoch, tokens_per_update=tokens)


lengths = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=80)


@settings(max_examples=60)
@given(lengths, st.integers(1, 400), st.integers(1, 300), st.integers(0, 5))
def test_an_epoch_holds_each_pair_once_within_the_limits(
    pairs: list[tuple[int, int]], tokens_per_update: int, tokens_per_batch: int, epoch: int
) -> None:
    ids = Ids(*(np.array(side, np.int32) for side in zip(*pairs, strict=True)))
    seen: list[int] = []
    for blocks in planned(ids, tokens_per_update, epoch=epoch):
        for rows in cut(ids, blocks, tokens_per_batch):
            seen += rows.tolist()
            longest = 1 + max(ids.source_lengths[rows].max(), ids.target_lengths[rows].max())
            assert len(rows) == 1 or len(rows) * longest <= tokens_per_batch
    assert sorted(seen) == list(range(len(pairs)))


@settings(max_examples=60)
@given(lengths, st.integers(1, 400), st.integers(1, 8))
def test_the_shares_hold_each_pair_of_an_update_once(
    pairs: list[tuple[int, int]], tokens_per_update: int, size: int
) -> None:
    ids = Ids(*(np.array(side, np.int32) for side in zip(*pairs, strict=True)))
    for blocks in planned(ids, tokens_per_update):
        shares = [share(ids, blocks, rank, size) for rank in range(size)]
        together = [block for own in shares for block in own]
        assert all(map(len, together))
        assert np.concatenate(together).tolist() == np.concatenate(blocks).tolist()
        borders = set(np.cumsum([len(block) for block in blocks]).tolist())
        assert borders <= set(np.cumsum([len(block) for block in together]).tolist())  # no blocks are joined
        cuts = np.cumsum([sum(map(len, own)) for own in shares])[:-1].tolist()
        assert len(together) <= len(blocks) + len(set(cuts) - borders)


@pytest.mark.parametrize("size", range(2, 9))
def test_shares_cost_nearly_the_same_and_have_no_tiny_parts(size: int) -> None:
    ids = corpus(20_000)
    costs = ids.source_lengths + ids.target_lengths + 2
    for blocks in planned(ids, size * 2048)[:-1]:
        shares = [share(ids, blocks, rank, size) for rank in range(size)]
        whole = sum(int(costs[block].sum()) for block in blocks)
        fair, sliver = whole / size, SLIVER * whole / max(size, len(blocks))
        assert all(sum(int(costs[part].sum()) for part in own) < 1.25 * fair for own in shares)
        parts = [int(costs[part].sum()) for own in shares for part in own if len(part) not in map(len, blocks)]
        assert all(cost > sliver - costs.max() for cost in parts)


def test_single_process_has_the_whole_update() -> None:
    ids = corpus(500)
    (blocks, *_) = planned(ids, 5000)
    assert all(one is other for one, other in zip(share(ids, blocks, 0, 1), blocks, strict=True))


def test_a_plan_is_a_function_of_seed_and_epoch() -> None:
    ids = corpus(2000)

    def flat(**place: int) -> list[int]:
        return [int(i) for blocks in planned(ids, 1000, **place) for block in blocks for i in block]

    assert flat(seed=1, epoch=3) == flat(seed=1, epoch=3)
    assert flat(seed=1, epoch=3) != flat(seed=1, epoch=4)
    assert flat(seed=1, epoch=3) != flat(seed=2, epoch=3)


@pytest.mark.parametrize("tokens", [2048, 5000, 16384])
def test_updates_have_about_the_requested_tokens(tokens: int) -> None:
    ids = corpus(20_000)
    counts = [sum(int((ids.target_lengths[block] + 1).sum()) for block in blocks) for blocks in planned(ids, tokens)]
    assert np.mean(counts) == pytest.approx(tokens, rel=0.15)


def test_micro_batches_have_little_padding() -> None:
    ids = corpus(29_000)
    real = cells = 0
    for blocks in planned(ids, 4096):
        for rows in cut(ids, blocks, 2500):
            batch = collate(ids, rows)
            real += int(batch.source_mask.sum() + batch.target_mask.sum())
            cells += batch.source.numel() + batch.target_in.numel()
    assert real / cells > 0.95


def test_collate_pads_shifts_and_adds_the_end_symbol() -> None:
    ids = Ids(np.array([2, 0, 3], np.int32), np.array([1, 2, 0], np.int32))
    batch = collate(ids, np.array([2, 0]))
    assert batch.source.tolist() == [[6, 7, 8, EOS], [4, 5, EOS, PAD]]
    assert batch.source_mask.tolist() == [[True] * 4, [True] * 3 + [False]]
    assert batch.target_in.tolist() == [[BOS, PAD], [BOS, 4]]
    assert batch.target_out.tolist() == [[EOS, PAD], [4, EOS]]
    assert batch.target_mask.tolist() == [[True, False], [True, True]]
    assert batch.lengths.tolist() == [4, 3]
    assert batch.pair_ids.tolist() == [2, 0]


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(4, 99), max_size=9), min_size=1, max_size=9))
def test_collate_sources_equals_a_loop(sentences: list[list[int]]) -> None:
    source, mask = collate_sources(sentences)
    width = max(map(len, sentences)) + 1
    assert source.tolist() == [[*s, EOS] + [PAD] * (width - len(s) - 1) for s in sentences]
    assert mask.tolist() == [[i <= len(s) for i in range(width)] for s in sentences]


@settings(max_examples=40)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(1, 200))
def test_evaluation_batches_are_sorted_from_long_to_short(lengths: list[int], tokens: int) -> None:
    batches = list(by_length(np.array(lengths), tokens))
    order = [int(i) for rows in batches for i in rows]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[i] for i in order] == sorted(lengths, reverse=True)
    assert all(len(rows) == 1 or len(rows) * (lengths[rows[0]] + 1) <= tokens for rows in batches)


@pytest.mark.parametrize(("count", "sides"), [("target", 1), ("source+target", 2)])
def test_update_has_about_the_requested_tokens_of_the_counted_sides(count: Count, sides: int) -> None:
    ids = corpus(20_000)
    ids.source_lengths = ids.source_lengths * 8  # documents and their summaries
    costs = pair_costs(ids.source_lengths, ids.target_lengths, count)
    assert costs.sum() == ids.target_lengths.sum() + 20_000 + (sides - 1) * (ids.source_lengths.sum() + 20_000)
    lengths = (ids.source_lengths, ids.target_lengths)
    updates = plan_epoch(*lengths, seed=1, epoch=0, tokens_per_update=3000, count=count)
    tokens = [sum(int(costs[rows].sum()) for rows in blocks) for blocks in updates]
    assert np.median(tokens) == pytest.approx(3000, rel=0.05)
    assert sorted(np.concatenate([rows for blocks in updates for rows in blocks])) == list(range(20_000))
