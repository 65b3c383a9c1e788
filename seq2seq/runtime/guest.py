"""A training in a process that is not ours: what it changes for the whole process is put back at its end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")


@contextmanager
def process_as_before() -> Iterator[None]:
    """After the block torch's random numbers, its flags and the environment's variables are what they were before.

    They are the process's: while the block runs, other threads see those of the training.
    """
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    warn_only, fused = torch.is_deterministic_algorithms_warn_only_enabled(), torch.backends.cuda.cudnn_sdp_enabled()
    variables = {name: os.environ.get(name) for name in VARIABLES}
    with torch.random.fork_rng(devices=gpus):
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            torch.backends.cudnn.benchmark = benchmark
            torch.backends.cuda.enable_cudnn_sdp(fused)
            for name, value in variables.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
