"""The most memory that training has held: torch's count on a GPU, the process's own elsewhere."""

import ctypes
import gc
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

from seq2seq.runtime.device import MMAP_THRESHOLD

MIB = 2**20
KERNELS = "64"
USUAL_THRESHOLD = 128 * 1024  # bytes of a block that glibc gives back, before keep_freed_memory


def keep_few_kernels() -> None:
    """Let oneDNN, which computes on CPUs, keep 64 compiled kernels instead of 1,024, in each of its two caches.

    It keeps the kernels that it compiles for each shape, and batches have ever new shapes: an LSTM and a projection,
    after 200 shapes in bf16, held 800 to 900 MiB more than at the start. With this limit it was 400 to 460 MiB, and no
    slower. An update needs fewer than 64 kernels. Call this before the first kernel is compiled; environment variables
    that are set already take precedence.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", KERNELS)
    os.environ.setdefault("LRU_CACHE_CAPACITY", KERNELS)


def reset_peak(device: torch.device) -> None:
    """Measure the peak from now on: a multirun trains one run after another in the same process.

    If the system cannot reset the peak (macOS), `peak_memory` counts from the start of the process.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform.startswith("linux"):
        _trim()  # what an earlier run has freed still counts as held until the system has it back
        with suppress(OSError):  # a container may forbid it
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the peak


def free_caches(device: torch.device) -> None:
    """Give back what is held for later, after running out of memory.

    On a CPU the C library gives each large block back from now on: blocks that it keeps (`keep_freed_memory`) leave
    gaps that others do not fit in, so that under a limit of the address space not even small batches went on.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif sys.platform.startswith("linux"):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(MMAP_THRESHOLD, USUAL_THRESHOLD)
        _trim()


def _trim() -> None:
    """Let the C library give freed memory back to the system."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def peak_memory(device: torch.device) -> float:
    """MiB: on a GPU of its tensors, elsewhere of the process's resident memory, libraries and mapped files included."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / MIB if sys.platform == "darwin" else largest * 1024 / MIB
