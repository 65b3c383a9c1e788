"""Batches side by side come to what they come to one after the other, and nothing of it is left behind."""

from collections.abc import Iterator
from threading import Barrier, get_ident

import pytest
import torch
from contract.combinations import Triple

from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import decode
from seq2seq.search.workers import side_by_side

CPU = torch.device("cpu")


@pytest.fixture
def threads() -> Iterator[None]:
    """Two threads for torch, whatever the tests have."""
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(usual)


def test_two_work_at_the_same_time_each_with_one_thread(threads: None) -> None:
    together = Barrier(2, timeout=60)

    def work(number: int) -> tuple[int, int, int, bool]:
        together.wait()  # only passed by two
        return number, get_ident(), torch.get_num_threads(), torch.is_inference_mode_enabled()

    found = list(side_by_side(work, range(6), 2))
    assert [number for number, *_ in found] == list(range(6))
    assert len({thread for _, thread, *_ in found} - {get_ident()}) == 2
    assert {(threads, inference) for *_, threads, inference in found} == {(1, True)}
    assert torch.get_num_threads() == 2


def test_autocast_holds_in_every_thread(threads: None) -> None:
    product = torch.nn.Linear(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = list(side_by_side(lambda rows: product(torch.ones(rows, 4)).dtype, [1, 2, 3], 2))
    assert found == [torch.bfloat16] * 3
    assert list(side_by_side(lambda rows: product(torch.ones(rows, 4)).dtype, [1, 2, 3], 2)) == [torch.float32] * 3


def test_an_error_ends_it_and_the_threads_are_given_back(threads: None) -> None:
    def work(number: int) -> int:
        if number == 1:
            raise ValueError("of batch 1")
        return number

    with pytest.raises(ValueError, match="of batch 1"):
        list(side_by_side(work, range(4), 2))
    assert torch.get_num_threads() == 2


def test_decoding_finds_the_same_on_any_number_of_threads(threads: None) -> None:
    model = Triple("transformer", "multihead", "transformer").model()
    search = BeamSearch(beam_size=3, length_penalty=1.0, max_length=9, max_length_ratio=1.0)
    random = torch.Generator().manual_seed(1)
    lengths = [5, 3, 0, 7, 2, 4, 6, 1]
    sentences = [torch.randint(4, 20, (length,), generator=random).tolist() for length in lengths]
    heard: list[int] = []
    two = decode(model, search, sentences, device=CPU, tokens_per_batch=16, on_batch=heard.append)
    torch.set_num_threads(1)
    one = decode(model, search, sentences, device=CPU, tokens_per_batch=8)
    assert two == one
    assert sum(heard) == 7 and len(heard) > 2
    assert [hypothesis.tokens for hypothesis in two[2]] == [[]]
