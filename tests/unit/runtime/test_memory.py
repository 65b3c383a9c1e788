"""The peak includes memory that is freed again, and a new run resets it."""

import os
import sys

import pytest
import torch

from seq2seq.runtime.memory import keep_few_kernels, peak_memory, reset_peak

CPU = torch.device("cpu")


def test_the_peak_stays_after_memory_is_freed() -> None:
    reset_peak(CPU)
    before = peak_memory(CPU)
    held = torch.ones(64 * 2**20 // 4)
    risen = peak_memory(CPU)
    del held
    assert 60 <= risen - before <= 100
    assert peak_memory(CPU) >= risen


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can reset the peak")
def test_a_new_run_starts_below_the_last_runs_peak() -> None:
    held = torch.ones(64 * 2**20 // 4)
    peak = peak_memory(CPU)
    del held
    reset_peak(CPU)
    assert peak_memory(CPU) < peak - 50


@pytest.mark.gpu
def test_on_a_gpu_tensors_are_counted() -> None:
    device = torch.device("cuda")
    reset_peak(device)
    before = peak_memory(device)
    torch.ones(64 * 2**20 // 4, device=device)
    assert peak_memory(device) - before == pytest.approx(64, abs=2)


def test_few_kernels_are_cached_unless_the_user_sets_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    keep_few_kernels()
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "64"
