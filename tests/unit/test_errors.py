"""Out of memory and failed reads and writes: the error and the exit code of each."""

import errno
import importlib
import os
import sys

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from seq2seq import commands
from seq2seq.config.command_line.launch import _guarded
from seq2seq.errors import (
    ADVICE,
    ClosedPipe,
    ConfigError,
    OutOfMemoryError,
    Seq2SeqError,
    StorageError,
    is_out_of_memory,
    memory_errors,
    storage_failure,
)


def raised(action) -> Exception:
    with pytest.raises(Exception) as caught:
        action()
    return caught.value


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (raised(lambda: torch.empty(2**60)), True),
        (raised(lambda: np.empty(2**58)), True),
        (raised(lambda: bytearray(2**62)), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("unable to mmap 512 bytes from file <model.safetensors>: Cannot allocate memory (12)"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a primitive descriptor for the LSTM"), False),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), True),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), True),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), False),
        (RuntimeError("shape mismatch"), False),
        (ImportError("No module named 'x'"), False),
        (ValueError("not enough memory of the past"), False),
    ],
)
def test_which_errors_mean_out_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError(), 8, "out of memory while working: lower trainer.tokens_per_batch"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 8, "out of memory"),
        (
            OSError(errno.EIO, "Input/output error", "some/file"),
            5,
            "cannot read or write some/file: Input/output error",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), 5, "cannot read or write a file: No space left on device"),
        (RuntimeError("a bug"), 1, "Traceback"),
        (FileNotFoundError(errno.ENOENT, "a bug", "some/file"), 1, "Traceback"),
    ],
)
def test_unhandled_errors_end_a_script_with_their_exit_code(
    capfd: pytest.CaptureFixture[str], error: Exception, code: int, message: str
) -> None:
    def task() -> int:
        raise error

    assert _guarded(task) == code
    printed = capfd.readouterr().err
    assert printed.startswith(message)
    assert (printed.count("\n") == 1) is (code != 1)


@pytest.mark.parametrize("doing", [*ADVICE, "measuring"])
def test_out_of_memory_names_a_key(doing: str) -> None:
    @memory_errors(doing)
    def fails() -> None:
        raise MemoryError

    with pytest.raises(OutOfMemoryError, match=rf"out of memory while {doing}: .*(\w\.\w|device=cpu|ulimit)") as caught:
        fails()
    assert caught.value.exit_code == 8


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ConfigError("a key"), OutOfMemoryError("reported")])
def test_other_errors_are_not_changed(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, memory_errors("training"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.ENOSPC, StorageError, ": make room, then start"),
        (errno.EDQUOT, StorageError, ": make room, then start"),
        (errno.EROFS, StorageError, ": give write access, then start"),
        (errno.EIO, StorageError, "intact: start the same command again"),
        (errno.EPIPE, ClosedPipe, ""),
        (errno.ENOMEM, OutOfMemoryError, "lower trainer.tokens_per_batch"),
    ],
)
def test_the_error_of_a_failed_write(number: int, kind: type[Seq2SeqError], advice: str) -> None:
    failure = storage_failure("write out.txt", OSError(number, os.strerror(number)))
    assert type(failure) is kind
    if kind is StorageError:
        words = f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})"
        assert advice in str(storage_failure("write out.txt", SafetensorError(words)))
    assert advice in str(failure)
    assert "\n" not in str(failure)


def test_out_of_memory_while_a_command_starts(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(_: str) -> None:
        raise ImportError("libtorch_cpu.so: failed to map segment from shared object")

    monkeypatch.setattr(importlib, "import_module", fails)
    monkeypatch.setattr(sys, "argv", ["seq2seq", "translate"])
    with pytest.raises(SystemExit) as ended:
        commands.main()
    assert ended.value.code == 8
    assert capfd.readouterr().err.startswith("out of memory while starting: ")
