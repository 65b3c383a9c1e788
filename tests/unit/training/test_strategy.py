"""Which number of processes a strategy needs, and the collectives of a single process."""

import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.runtime.device import choose_runtime
from seq2seq.runtime.distributed import World, process_group
from seq2seq.runtime.torchrun import Place, place
from seq2seq.training.strategy import strategy_problems


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by torchrun, as the second of two processes on this machine."""
    for name, value in {"RANK": 3, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))


def test_one_process_accepts_every_strategy_but_ddp() -> None:
    assert place() == Place(rank=0, size=1, local_rank=0, local_size=1, by_torchrun=False)
    assert strategy_problems("auto") == strategy_problems("single") == []
    (line,) = strategy_problems("ddp")
    assert "torchrun --nproc-per-node 2 scripts/train.py" in line


@pytest.mark.usefixtures("started")
def test_a_batch_systems_variables_are_not_torchruns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    assert place() == Place()


@pytest.mark.usefixtures("started")
def test_several_processes_accept_every_strategy_but_single() -> None:
    assert place() == Place(rank=3, size=4, local_rank=1, local_size=2, by_torchrun=True)
    assert strategy_problems("auto") == strategy_problems("ddp") == []
    (line,) = strategy_problems("single")
    assert "torchrun has started 4" in line


@pytest.mark.usefixtures("started")
def test_each_process_needs_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_runtime("auto", "fp32").device == torch.device("cuda", 1)
    assert chosen == [1]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"2 processes on a machine with 1 GPU\(s\).* --nproc-per-node 1"):
        choose_runtime("auto", "fp32")


def test_collectives_of_one_process_return_its_own_values() -> None:
    with process_group() as world:
        assert world.is_main
        assert world.delayed_max(15, 0.5) == [15, 0.5]
        assert (world.broadcast("a"), world.gather("a"), world.all_reduce_max(2.0)) == ("a", ["a"], 2.0)
        values = torch.tensor([1.0, 2.0], dtype=torch.float64)
        assert world.all_reduce_sum(values) is values
        with world.main_first():
            world.barrier()
    assert isinstance(world, World)
