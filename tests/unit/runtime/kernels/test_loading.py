"""Kernels are used only where they run."""

import logging
import sys
from types import ModuleType

import pytest
import torch

from seq2seq.runtime import triton as module

NAME = "seq2seq.layers.additive_kernels"


def test_without_triton_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert module.kernels.__wrapped__(NAME) is None
    assert caplog.messages == []


def test_kernels_that_do_not_run_are_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(device: torch.device) -> None:
        raise RuntimeError("Compiling.\nFailed to find C compiler.")

    fake = ModuleType(NAME)
    fake.try_kernels = fail
    monkeypatch.setattr(module, "find_spec", lambda name: "found")
    monkeypatch.setitem(sys.modules, NAME, fake)
    with caplog.at_level(logging.WARNING):
        assert module.kernels.__wrapped__(NAME) is None
    assert caplog.messages == [
        f"the kernels of {NAME} do not run here (Failed to find C compiler.): training takes more time and memory "
        "without them"
    ]
    fake.try_kernels = lambda device: None
    assert module.kernels.__wrapped__(NAME) is fake
