"""Outputs that reached a length limit, and training targets that exceed it."""

import numpy as np
import pytest
import torch
from unit.search.markov import Markov, random_chain

from seq2seq.search.base import Hypothesis, Search
from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import decode
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.limits import LENGTH, RATIO, count_limits, limits_reached, outputs_line, target_lines
from seq2seq.types import EOS


def search(max_length: int = 20, ratio: float = 2.0, min_length: int = 0) -> Search:
    return GreedySearch(max_length=max_length, max_length_ratio=ratio, min_length=min_length)


@pytest.mark.parametrize(
    ("given", "source", "output", "prefix", "reached"),
    [
        (search(), 3, 17, 0, RATIO),  # 2 * (3 + 1) + 10 = 18, including EOS
        (search(), 3, 16, 0, None),
        (search(), 8, 19, 0, LENGTH),
        (search(), 8, 18, 0, None),
        (search(min_length=19), 1, 18, 0, RATIO),
        (search(), 0, 0, 0, None),
        (search(), 1, 15, 15, RATIO),  # a prefix may exceed the limit; only EOS may follow it
        (search(ratio=0.0), 5, 9, 0, RATIO),
    ],
)
def test_which_limit_was_reached(given: Search, source: int, output: int, prefix: int, reached: str | None) -> None:
    hypothesis = Hypothesis([7] * output, -1.0, -1.0)
    assert limits_reached(given, [hypothesis], [source], [prefix]) == [reached]


@pytest.mark.parametrize("kind", [GreedySearch, BeamSearch])
def test_a_model_that_never_ends_always_reaches_a_limit(kind: type[Search]) -> None:
    chain = random_chain(0)
    chain[:, EOS] = 1e-12
    more = {"beam_size": 2, "length_penalty": 1.0} if kind is BeamSearch else {}
    given = kind(max_length=17, max_length_ratio=1.5, **more)
    sources = [[4] * length for length in (1, 2, 3, 4, 9)]
    found = decode(Markov(chain), given, sources, device=torch.device("cpu"), tokens_per_batch=50)
    reached = limits_reached(given, [hypotheses[0] for hypotheses in found], [*map(len, sources)])
    assert reached == [RATIO, RATIO, RATIO, LENGTH, LENGTH]
    assert outputs_line(given, count_limits(reached), 5) == (
        "5 of 5 outputs ended at search.max_length=17 or search.max_length_ratio=1.5 (times the source's tokens, plus "
        "10); raise search.max_length or search.max_length_ratio if they are cut short"
    )


def test_the_line_names_only_the_reached_limit() -> None:
    only = outputs_line(search(), count_limits([None, LENGTH, None]), 3)
    assert only == "1 of 3 outputs ended at search.max_length=20; raise search.max_length if they are cut short"
    assert outputs_line(search(), count_limits([None, None]), 2) is None


@pytest.mark.parametrize(
    ("max_target", "targets", "lines"),
    [
        (20, [5, 16], []),
        (20, [5, 18], ["1 of 2 training pairs (50.00%) have targets longer than search.max_length_ratio=2.0 (times the "
                       "source's tokens, plus 10) allows outputs: type search.max_length_ratio=2.3"]),
        (30, [5, 16], ["length.max_target=30 lets targets be longer than search.max_length=20 lets outputs be: "
                       "type search.max_length=31"]),
        (30, [5, 27], ["1 of 2 training pairs (50.00%) have targets longer than search.max_length=20 allows outputs: "
                       "type search.max_length=28"]),
    ],
)  # fmt: skip
def test_targets_beyond_the_limits_are_counted(max_target: int, targets: list[int], lines: list[str]) -> None:
    lengths = np.array([3, 3], np.int32), np.array(targets, np.int32)
    assert target_lines(search(), max_target, *lengths) == lines


def test_the_suggested_limit_allows_nearly_all_targets() -> None:
    """One pair in a thousand is noise: no warning, and the suggested limit ignores it."""
    sources, targets = np.full(5000, 3, np.int32), np.full(5000, 5, np.int32)
    targets[:2] = 19
    assert target_lines(search(), 20, sources, targets) == []
    targets[:50] = 18
    (line,) = target_lines(search(), 20, sources, targets)
    assert line.startswith("50 of 5,000 training pairs (1.00%)")
    ratio = float(line.rpartition("=")[2])
    assert target_lines(search(ratio=ratio), 20, sources, targets) == []
