"""The most memory that training has held: torch's count on a GPU, the process's own elsewhere."""

import ctypes
import gc
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

MIB = 2**20
KERNELS = "64"


def keep_few_kernels() -> None:
    """Let oneDNN, which computes on CPUs, keep 64 compiled kernels instead of 1,024, in each of its two caches.

    It compiles some for each shape, batches have ever new shapes, and none is given back: an LSTM and a projection that
    saw 200 shapes in bf16 held 800 to 900 MiB more than at the start; so 400 to 460 MiB, and they took no longer. A
    whole update needs fewer than 64. To be called before the first kernel is made; set variables are obeyed.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", KERNELS)
    os.environ.setdefault("LRU_CACHE_CAPACITY", KERNELS)


def forget_peak(device: torch.device) -> None:
    """Count from here on, for a multirun trains one run after another in the same process.

    If the system cannot reset the peak (macOS), `peak_memory` counts from the start of the process.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)  # what an earlier run has freed still counts as held until the system has it back
        with suppress(OSError):  # a container may forbid it
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the peak


def peak_memory(device: torch.device) -> float:
    """MiB: on a GPU of its tensors, elsewhere of the process's resident memory, libraries and mapped files included."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / MIB if sys.platform == "darwin" else largest * 1024 / MIB
