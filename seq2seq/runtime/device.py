"""Where and in what precision a model runs."""

import ctypes
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from seq2seq.errors import ConfigError
from seq2seq.runtime.torchrun import place

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MMAP_THRESHOLD, TRIM_THRESHOLD, ARENA_MAX = -3, -1, -8  # glibc's malloc.h


@dataclass(frozen=True)
class Runtime:
    """A device, and the type that matrix products are done in; parameters, losses and sums stay in fp32.

    `int8`: where a trained model's large products are, on a CPU (seq2seq/model/packing.py). `name` is the precision of
    another program that computes in the place of torch.
    """

    device: torch.device
    dtype: torch.dtype
    int8: bool = False
    name: str | None = None

    def autocast(self) -> AbstractContextManager:
        """The context to run a model in."""
        if self.dtype is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    @property
    def precision(self) -> str:
        """The name of the precision, as in the configuration."""
        if self.name is not None:
            return self.name
        if self.int8:
            return "int8"
        return next(name for name, dtype in PRECISIONS.items() if dtype is self.dtype)


def choose_runtime(device: str, precision: Literal["auto", "fp32", "bf16", "fp16", "int8"]) -> Runtime:
    """auto: the GPU if there is one; bf16 where the hardware multiplies it fast. int8 is for the CPU alone.

    Of several processes on a machine each has a GPU of its own; cuda:1 names one for a single process. Raises
    ConfigError where there are too few.
    """
    if precision == "int8":
        if device.startswith("cuda"):
            raise ConfigError("precision=int8 is for CPUs: use device=cpu, or another precision")
        return Runtime(torch.device("cpu"), torch.float32, int8=True)
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device={device}: no CUDA device is available here; use device=cpu or device=auto")
    name, _, number = device.partition(":")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported(including_emulation=False) if name == "cuda" else cpu_multiplies_bf16()
        precision = "bf16" if fast else "fp32"
    if name == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)  # makes a plan for every new shape: 60 ms each on an H100
    where = _own_gpu(int(number) if number else None) if name == "cuda" else torch.device(name)
    return Runtime(where, PRECISIONS[precision])


def _own_gpu(number: int | None) -> torch.device:
    """The GPU of this process: GPU `number`, where one is given."""
    here, gpus = place(), torch.cuda.device_count()
    if number is not None:
        if here.size > 1:
            raise ConfigError(f"device=cuda:{number}: each of several processes uses its own GPU; use device=cuda")
        if number >= gpus:
            raise ConfigError(f"device=cuda:{number}: there is no such GPU here; the last one is cuda:{gpus - 1}")
        torch.cuda.set_device(number)  # kernels of our own run on the current one
        return torch.device("cuda", number)
    if here.size == 1:
        return torch.device("cuda")
    if here.local_size > gpus:
        raise ConfigError(
            f"{here.local_size} processes on a machine with {gpus} GPU(s), and each needs its own: start "
            f"torchrun --nproc-per-node {gpus}, or train on the CPU with device=cpu"
        )
    torch.cuda.set_device(here.local_rank)
    return torch.device("cuda", here.local_rank)


def cpu_multiplies_bf16() -> bool:
    """Whether this processor has bf16 matrix instructions (AVX512_BF16 or AMX)."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return False
    flags = next((line for line in info.read_text().split("\n") if line.startswith("flags")), "")
    return bool({"avx512_bf16", "amx_bf16"} & set(flags.split()))


def be_deterministic() -> None:
    """Only algorithms that repeat bitwise; an operation that has none raises an error that names it."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def keep_freed_memory() -> None:
    """Let the C library keep large freed blocks for the next batch.

    Otherwise glibc gives each back to the system and every batch pays for new pages. One pair of runs of a small
    Transformer on two busy cores gave 3,736 and 4,359 target tokens/s, without and with it; the second pair was spoilt.
    All threads share one heap: those of their own that they get otherwise hold no block of more than 64 MiB.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 1 << 30)
        mallopt(TRIM_THRESHOLD, (1 << 31) - 1)
        mallopt(ARENA_MAX, 1)
