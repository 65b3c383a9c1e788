"""Batches in parallel give the results of batches in sequence, and threads are restored."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, get_ident

import numpy as np
import pytest
import torch
from contract.combinations import Triple
from unit.search.markov import Markov, random_chain

from seq2seq.search import workers
from seq2seq.search.base import Hypothesis
from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import decode
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.workers import OVERHEAD, paying_workers, side_by_side

CPU = torch.device("cpu")


@pytest.fixture
def threads() -> Iterator[None]:
    """Two threads for torch during the test."""
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(usual)


@pytest.mark.parametrize("positions", [1, 100, 512, 1024, 4096, 8192, 65536])
@pytest.mark.parametrize("cores", [1, 2, 4, 64, 256])
def test_each_of_many_workers_has_enough_positions(cores: int, positions: int) -> None:
    paying = paying_workers(cores, positions)
    assert 1 <= paying <= cores
    assert paying == 1 or positions // paying >= max(256, paying * OVERHEAD)
    assert paying == cores or positions // (paying + 1) < (paying + 1) * OVERHEAD


def test_64_cores_share_a_batch_among_few_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def noted(work: object, batches: Sequence[np.ndarray], workers: int) -> Iterator[list[list[Hypothesis]]]:
        seen.append((workers, max(len(rows) * 16 for rows in batches)))
        yield from ([[Hypothesis([], 0.0, 0.0)]] * len(rows) for rows in batches)

    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr("seq2seq.search.decode.side_by_side", noted)
    search = GreedySearch(max_length=9, max_length_ratio=1.0)
    decode(Markov(random_chain(0)), search, [[5] * 15] * 4000, device=CPU, tokens_per_batch=4096)
    assert seen == [(5, 816)]


def test_workers_share_all_threads() -> None:
    usual = torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        assert set(side_by_side(lambda _: torch.get_num_threads(), range(4), 2)) == {2}
        assert torch.get_num_threads() == 5
    finally:
        torch.set_num_threads(usual)


def test_two_workers_run_at_the_same_time_with_one_thread_each(threads: None) -> None:
    together = Barrier(2, timeout=60)

    def work(number: int) -> tuple[int, int, int, bool]:
        together.wait()  # returns only when two threads wait
        return number, get_ident(), torch.get_num_threads(), torch.is_inference_mode_enabled()

    found = list(side_by_side(work, range(6), 2))
    assert [number for number, *_ in found] == list(range(6))
    assert len({thread for _, thread, *_ in found} - {get_ident()}) == 2
    assert {(threads, inference) for *_, threads, inference in found} == {(1, True)}
    assert torch.get_num_threads() == 2


def test_autocast_is_active_in_every_thread(threads: None) -> None:
    product = torch.nn.Linear(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = list(side_by_side(lambda rows: product(torch.ones(rows, 4)).dtype, [1, 2, 3], 2))
    assert found == [torch.bfloat16] * 3
    assert list(side_by_side(lambda rows: product(torch.ones(rows, 4)).dtype, [1, 2, 3], 2)) == [torch.float32] * 3


def test_an_error_is_raised_and_threads_are_restored(threads: None) -> None:
    def work(number: int) -> int:
        if number == 1:
            raise ValueError("error of batch 1")
        return number

    with pytest.raises(ValueError, match="error of batch 1"):
        list(side_by_side(work, range(4), 2))
    assert torch.get_num_threads() == 2


def test_decoding_gives_the_same_on_any_number_of_threads(threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "OVERHEAD", 4)  # so that two workers are used
    model = Triple("transformer", "multihead", "transformer").model()
    search = BeamSearch(beam_size=3, length_penalty=1.0, max_length=9, max_length_ratio=1.0)
    random = torch.Generator().manual_seed(1)
    lengths = [5, 3, 0, 7, 2, 4, 6, 1]
    sentences = [torch.randint(4, 20, (length,), generator=random).tolist() for length in lengths]
    counted: list[int] = []
    two = decode(model, search, sentences, device=CPU, tokens_per_batch=16, on_batch=counted.append)
    torch.set_num_threads(1)
    one = decode(model, search, sentences, device=CPU, tokens_per_batch=8)
    assert two == one
    assert sum(counted) == 7 and len(counted) > 2
    assert [hypothesis.tokens for hypothesis in two[2]] == [[]]


def test_other_threads_keep_their_number(threads: None) -> None:
    """Torch gives a new thread the number that was set last, in whichever thread."""

    def work(number: int) -> int:
        with ThreadPoolExecutor(1) as other:
            return other.submit(torch.get_num_threads).result()

    assert list(side_by_side(work, range(6), 2)) == [2] * 6


def test_callers_in_several_threads_share_alike(threads: None) -> None:
    def call(_: int) -> set[int]:
        return set(side_by_side(lambda _: torch.get_num_threads(), range(4), 2))

    for _ in range(20):
        with ThreadPoolExecutor(8) as callers:
            assert list(callers.map(call, range(8))) == [{1}] * 8
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 2
