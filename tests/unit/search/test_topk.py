"""The fast `topk` equals torch's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.search import base
from seq2seq.search.base import topk


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    width=st.integers(1, 3000),
    count=st.integers(1, 12),
    impossible=st.sampled_from([0.0, 0.5, 0.999]),
)
def test_it_equals_torchs_topk(seed: int, width: int, count: int, impossible: float) -> None:
    """Rows of any width, with few or many impossible tokens."""
    random = torch.Generator().manual_seed(seed)
    rows = -torch.rand(2, 3, width, generator=random, dtype=torch.float64)
    rows = rows.masked_fill(torch.rand(rows.shape, generator=random) < impossible, float("-inf"))
    count = min(count, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "WORTH_IT", 0)
        best, places = topk(rows, count)
    assert torch.equal(best, rows.topk(count, -1).values)
    assert torch.equal(rows.gather(-1, places), best)
    assert all(len(set(row)) == count for row in places.flatten(0, 1).tolist())


def test_large_rows_are_searched_by_blocks() -> None:
    rows = torch.randn(40, 8003, generator=torch.Generator().manual_seed(1))
    assert rows.numel() > base.WORTH_IT
    best, places = topk(rows, 10)
    expected = rows.topk(10, -1)
    assert torch.equal(best, expected.values) and torch.equal(places, expected.indices)
