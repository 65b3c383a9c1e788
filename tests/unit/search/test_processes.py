"""Batches in forked processes give the results of batches in sequence, and no process outlives its use."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from contract.combinations import Triple
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.batches import by_length
from seq2seq.runtime import forks
from seq2seq.search import processes
from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import _balanced, decode
from seq2seq.search.processes import in_processes, paying_processes, share_of_batch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="searches fork on Linux only")
CPU = torch.device("cpu")


@pytest.fixture
def forking(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a command with two threads for torch, where few positions are worth a process."""
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(forks._Process, "forks", True)
    monkeypatch.setattr(processes, "WORTH_IT", 4)
    monkeypatch.setattr(processes, "LEAST", 4)
    yield
    torch.set_num_threads(usual)


def children() -> list[int]:
    """The processes that this one has started and that run."""
    return [int(each) for each in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def test_answers_come_in_order_from_two_processes_with_a_thread_each() -> None:
    def work(number: int) -> tuple[int, int, int]:
        time.sleep(0.02 * (number == 0))
        return number, os.getpid(), torch.get_num_threads()

    before = children()
    found = list(in_processes(work, range(7), 2))
    assert [number for number, *_ in found] == list(range(7))
    assert len({process for _, process, _ in found} - {os.getpid()}) == 2
    assert {threads for *_, threads in found} == {1}
    assert children() == before


def test_more_processes_than_batches_are_not_started() -> None:
    assert len(set(in_processes(lambda _: os.getpid(), range(2), 5))) == 2
    assert list(in_processes(lambda _: os.getpid(), [], 5)) == []


def test_an_error_names_its_place_and_ends_all() -> None:
    def work(number: int) -> int:
        if number == 1:
            raise ValueError("error of batch 1")
        return number

    before = children()
    with pytest.raises(ValueError, match="error of batch 1") as raised:
        list(in_processes(work, range(4), 2))
    assert "in work" in raised.value.__notes__[0]
    assert children() == before


def test_a_process_that_the_system_ended_is_one_for_which_memory_ran_out() -> None:
    def work(number: int) -> int:
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(MemoryError):
        list(in_processes(work, range(4), 2))


@pytest.mark.parametrize("end", [lambda: os.abort(), lambda: os._exit(3)], ids=["crash", "exit"])
def test_a_process_that_ended_otherwise_is_an_error_of_the_program(end: Callable[[], None]) -> None:
    def work(number: int) -> int:
        if number == 2:
            end()
        return number

    with pytest.raises(RuntimeError, match="exit code"):
        list(in_processes(work, range(4), 2))


def test_a_process_that_ends_between_two_batches_is_noticed() -> None:
    def work(number: int) -> int:
        if number == 0:  # after its answer
            threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
        return number

    with pytest.raises(MemoryError):
        for _ in in_processes(work, range(3), 1):
            time.sleep(0.5)


class Odd(Exception):
    """One that a copy cannot be made of."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def test_an_error_that_cannot_be_sent_keeps_its_text() -> None:
    def work(number: int) -> int:
        raise Odd("a", "b")

    with pytest.raises(RuntimeError, match="Odd: ab"):
        list(in_processes(work, range(2), 2))


def test_a_signal_while_a_process_starts_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(process: object) -> None:
        start(process)
        raise KeyboardInterrupt

    before, start = children(), processes._start
    monkeypatch.setattr(processes, "_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(in_processes(lambda number: number, range(2), 2))
    assert children() == before


def test_processes_end_when_no_more_answers_are_wanted() -> None:
    before = children()
    with closing(in_processes(lambda number: number, range(100), 2)) as found:
        assert next(found) == 0
        assert len(children()) == len(before) + 2
    assert children() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_to_the_whole_group_is_left_to_the_first_process(number: signal.Signals) -> None:
    def work(batch: int) -> int:
        os.kill(os.getpid(), number)
        return batch

    assert list(in_processes(work, range(3), 2)) == [0, 1, 2]


def test_files_of_the_first_process_are_closed_in_others(tmp_path: Path) -> None:
    """A lock on an open file would be held until the last process with it ends."""
    with (tmp_path / "locked").open("w") as file:
        held = list(in_processes(lambda _: open_files(), range(2), 2))
        assert str(tmp_path / "locked") in open_files()
        assert not file.closed
    assert all(str(tmp_path / "locked") not in files for files in held)


def open_files() -> list[str]:
    return [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.exists()]


def test_processes_end_with_the_first_one(tmp_path: Path) -> None:
    program = """
import os, signal, sys, time
from seq2seq.search.processes import in_processes
def work(number):
    print(os.getpid(), flush=True)
    time.sleep(30 * (number > 1))
for found in in_processes(work, range(1000), 2):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL
    started = {int(line) for line in done.stdout.split()}  # read to its end: no process has it open any more
    assert len(started) == 2
    assert not any(running(each) for each in started)


def running(process: int) -> bool:
    """Whether it has not ended within ten seconds."""
    for _ in range(1000):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state in "ZX":  # nobody has asked how it ended
            return False
        time.sleep(0.01)
    return True


@pytest.mark.usefixtures("forking")
def test_decoding_is_bitwise_the_same_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Triple("transformer", "multihead", "transformer").model()
    search = BeamSearch(beam_size=3, length_penalty=1.0, max_length=9, max_length_ratio=1.0)
    sentences = [[4 + (3 * place + length) % 16 for place in range(length)] for length in (5, 3, 0, 7, 2, 4, 6, 1)]
    started, counted = [], []

    def seen(*given: Any, **more: Any) -> Iterator[Any]:
        started.append(more["processes"])
        return in_processes(*given, **more)

    def alone(work: Callable[[Any], Any], batches: Sequence[Any], processes: int) -> Iterator[Any]:
        torch.set_num_threads(1)
        yield from map(work, batches)

    monkeypatch.setattr("seq2seq.search.decode.in_processes", seen)
    forked = decode(model, search, sentences, device=CPU, tokens_per_batch=8, on_batch=counted.append)
    monkeypatch.setattr("seq2seq.search.decode.in_processes", alone)
    assert forked == decode(model, search, sentences, device=CPU, tokens_per_batch=8)
    assert started == [2] and sum(counted) == 7 and len(counted) > 2


@pytest.mark.usefixtures("forking")
def test_few_positions_other_threads_and_other_programs_do_not_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [paying_processes(2, positions, 4096) for positions in (0, 7, 8, 1000)] == [1, 1, 2, 2]
    monkeypatch.setattr(forks._Process, "forks", False)
    assert paying_processes(2, 1000, 4096) == 1


@pytest.mark.usefixtures("forking")
@pytest.mark.parametrize("tokens", [1, 300, 4096, 65536])
@pytest.mark.parametrize("threads", [2, 4, 16, 256])
def test_many_processes_have_the_positions_of_four_batches(threads: int, tokens: int) -> None:
    processes = paying_processes(threads, 10**9, tokens)
    share = share_of_batch(processes, tokens)
    assert 1 <= processes <= threads
    assert processes * share <= max(tokens, 4 * tokens)
    assert share == tokens if processes <= 4 else share >= 4


def test_without_new_processes_this_one_computes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(os, "fork", refused)
    assert set(in_processes(lambda _: os.getpid(), range(3), 2)) == {os.getpid()}


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=200),
    tokens=st.integers(1, 400),
    processes=st.integers(2, 5),
)
def test_batches_are_complete_and_as_many_for_each_process(lengths: list[int], tokens: int, processes: int) -> None:
    batches = _balanced(np.array(lengths), tokens, processes)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    widths = [len(rows) * (max(lengths[row] for row in rows) + 1) for rows in batches]
    assert all(width <= tokens for width, rows in zip(widths, batches, strict=True) if len(rows) > 1)


def test_six_batches_for_two_processes_instead_of_five() -> None:
    lengths = np.arange(1, 41).repeat(25)
    assert len(_balanced(lengths, 6000, 2)) == 6
    assert len(list(by_length(lengths, 6000))) == 5
